//! Declarations: registers and variables, with their initialisers.

use super::ast::*;
use super::lexer::Token;
use super::parser::{Parser, Result};
use crate::types::{Space, Type};

/// More registers in one declaration than any kernel has.
const MAX_REGISTERS: u32 = 1 << 20;

impl Parser<'_> {
    pub(super) fn ty(&mut self) -> Result<Type> {
        match self.peek() {
            Token::Dot(name) => match Type::parse(name) {
                Some(ty) => {
                    self.at += 1;
                    Ok(ty)
                }
                None => self.unexpected("a type"),
            },
            _ => self.unexpected("a type"),
        }
    }

    pub(super) fn registers(&mut self) -> Result<Statement> {
        let line = self.line();
        self.at += 1;
        let ty = self.ty()?;
        let mut names = Vec::new();
        loop {
            let name = self.name("a register name")?.to_owned();
            let count = if self.eat(b'<') {
                let count = self.int32()?;
                self.expect(b'>')?;
                if count > MAX_REGISTERS {
                    return self.error(format!("{count} registers; at most {MAX_REGISTERS} can be declared"));
                }
                Some(count)
            } else {
                None
            };
            names.push(RegisterNames { name, count });
            if !self.eat(b',') {
                break;
            }
        }
        self.expect(b';')?;
        Ok(Statement::Registers { ty, names, line })
    }

    /// One declaration statement, which may name several variables.
    pub(super) fn variables(&mut self) -> Result<Vec<Variable>> {
        let first = self.variable()?;
        let mut out = vec![first];
        while self.eat(b',') {
            let mut variable = Variable { init: Vec::new(), ..out[0].clone() };
            self.declarator(&mut variable, 1)?;
            out.push(variable);
        }
        self.expect(b';')?;
        Ok(out)
    }

    /// `.space .align n .vN .type name[..] = init`, from the space on.
    pub(super) fn variable(&mut self) -> Result<Variable> {
        let line = self.line();
        let space = match self.next() {
            Token::Dot("global") => Some(Space::Global),
            Token::Dot("const") => Some(Space::Const),
            Token::Dot("shared") => Some(Space::Shared),
            Token::Dot("local") => Some(Space::Local),
            Token::Dot("param") => Some(Space::Param),
            _ => None,
        };
        let mut align = None;
        let mut width = 1u64;
        let mut ty = None;
        while let Token::Dot(modifier) = self.peek() {
            self.at += 1;
            match modifier {
                "align" => align = Some(self.int32()?),
                "v2" => width = 2,
                "v4" => width = 4,
                // What a pointer parameter points to, and attributes, change nothing here.
                "ptr" | "global" | "const" | "shared" | "local" => {}
                "attribute" => {
                    self.expect(b'(')?;
                    while !self.eat(b')') {
                        if self.next() == Token::End {
                            return self.unexpected("`)`");
                        }
                    }
                }
                other => match Type::parse(other) {
                    Some(found) => ty = Some(found),
                    None => return self.error(format!("unknown modifier `.{other}` in a declaration")),
                },
            }
        }
        let Some(ty) = ty else { return self.unexpected("a type") };
        let natural = ty.bytes() * width as u32;
        // For a pointer parameter `.align` describes the pointee.
        let align =
            if space == Some(Space::Param) && ty != Type::B8 { natural } else { align.unwrap_or(natural) };
        if !align.is_power_of_two() || align > 1 << 16 {
            return self.error(format!("alignment {align} is no power of two up to 65536"));
        }
        let mut variable =
            Variable { name: String::new(), space, ty, align, size: None, init: Vec::new(), line };
        self.declarator(&mut variable, width)?;
        Ok(variable)
    }

    pub(super) fn declarator(&mut self, variable: &mut Variable, width: u64) -> Result<()> {
        variable.name = self.name("a variable name")?.to_owned();
        let mut size = Some(u64::from(variable.ty.bytes()) * width);
        while self.eat(b'[') {
            if self.eat(b']') {
                size = None;
                continue;
            }
            let count = self.int()?;
            self.expect(b']')?;
            size = size.and_then(|s| s.checked_mul(count)).filter(|s| *s <= 1 << 40);
            if size.is_none() {
                return self.error(format!("`{}` is too large", variable.name));
            }
        }
        if self.eat(b'=') {
            self.initialiser(&mut variable.init)?;
            size = size.or(Some(variable.init.len() as u64 * u64::from(variable.ty.bytes())));
        }
        variable.size = size;
        Ok(())
    }

    pub(super) fn initialiser(&mut self, out: &mut Vec<Init>) -> Result<()> {
        self.enter()?;
        match self.peek() {
            Token::Punct(b'{') => {
                self.at += 1;
                while !self.eat(b'}') {
                    self.initialiser(out)?;
                    if self.peek() != Token::Punct(b'}') {
                        self.expect(b',')?;
                    }
                }
            }
            Token::F32(bits) => {
                self.at += 1;
                out.push(Init::F32(bits));
            }
            Token::F64(bits) => {
                self.at += 1;
                out.push(Init::F64(bits));
            }
            Token::Name(name) => {
                self.at += 1;
                let mut symbol = name;
                if name == "generic" && self.eat(b'(') {
                    symbol = self.name("a symbol")?;
                    self.expect(b')')?;
                }
                let addend =
                    if matches!(self.peek(), Token::Punct(b'+' | b'-')) { self.signed_int()? } else { 0 };
                out.push(Init::Symbol { name: symbol.to_owned(), addend });
            }
            _ => out.push(Init::Bits(self.signed_int()? as u64)),
        }
        self.depth -= 1;
        Ok(())
    }
}
