//! Instructions and their operands.

use super::ast::*;
use super::lexer::Token;
use super::parser::{Parser, Result};

impl Parser<'_> {
    pub(super) fn instruction(&mut self) -> Result<Instruction> {
        let mut guard = None;
        if self.eat(b'@') {
            let negated = self.eat(b'!');
            guard = Some(Guard { register: self.name("a predicate")?.to_owned(), negated });
        }
        let position = Position { ptx_line: self.line(), ..self.position };
        let opcode = self.name("an opcode")?.to_owned();
        let mut modifiers = Vec::new();
        while let Token::Dot(modifier) = self.peek() {
            self.at += 1;
            modifiers.push(modifier.to_owned());
        }
        let mut operands = Vec::new();
        if !self.eat(b';') {
            loop {
                operands.push(self.operand()?);
                if self.eat(b';') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        Ok(Instruction { guard, opcode, modifiers, operands, position })
    }

    pub(super) fn operands_until(&mut self, close: u8) -> Result<Vec<Operand>> {
        let mut out = Vec::new();
        while !self.eat(close) {
            if !out.is_empty() {
                self.expect(b',')?;
            }
            out.push(self.operand()?);
        }
        Ok(out)
    }

    pub(super) fn operand(&mut self) -> Result<Operand> {
        self.enter()?;
        let operand = if self.eat(b'{') {
            Operand::Vector(self.operands_until(b'}')?)
        } else if self.eat(b'(') {
            Operand::List(self.operands_until(b')')?)
        } else if self.eat(b'[') {
            self.address()?
        } else if self.eat(b'!') {
            Operand::Not(Box::new(self.operand()?))
        } else {
            let first = self.primary()?;
            if self.eat(b'|') { Operand::Pair(Box::new(first), Box::new(self.primary()?)) } else { first }
        };
        self.depth -= 1;
        Ok(operand)
    }

    pub(super) fn primary(&mut self) -> Result<Operand> {
        match self.peek() {
            Token::Name(name) => {
                self.at += 1;
                let mut name = name.to_owned();
                // `%tid.x`: a component of a special register.
                while let Token::Dot(part) = self.peek() {
                    self.at += 1;
                    name = format!("{name}.{part}");
                }
                let addend =
                    if matches!(self.peek(), Token::Punct(b'+' | b'-')) { self.signed_int()? } else { 0 };
                Ok(Operand::Name { name, addend })
            }
            Token::F32(bits) => {
                self.at += 1;
                Ok(Operand::F32(bits))
            }
            Token::F64(bits) => {
                self.at += 1;
                Ok(Operand::F64(bits))
            }
            Token::Punct(b'-') if matches!(self.peek_ahead(), Token::F32(_) | Token::F64(_)) => {
                self.at += 1;
                Ok(match self.next() {
                    Token::F32(bits) => Operand::F32(bits ^ 1 << 31),
                    Token::F64(bits) => Operand::F64(bits ^ 1 << 63),
                    _ => return self.unexpected("a float constant"),
                })
            }
            Token::Int(_) | Token::Punct(b'-' | b'+') => Ok(Operand::Int(self.signed_int()? as u64)),
            _ => self.unexpected("an operand"),
        }
    }

    pub(super) fn address(&mut self) -> Result<Operand> {
        let mut base = None;
        let mut offset = 0;
        if let Token::Name(name) = self.peek() {
            self.at += 1;
            base = Some(name.to_owned());
        }
        if base.is_none() || matches!(self.peek(), Token::Punct(b'+' | b'-')) {
            offset = self.signed_int()?;
        }
        let mut rest = Vec::new();
        while self.eat(b',') {
            rest.push(self.operand()?);
        }
        self.expect(b']')?;
        Ok(Operand::Address { base, offset, rest })
    }
}
