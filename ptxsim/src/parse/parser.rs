//! Tokens to syntax tree.

use std::rc::Rc;

use super::ast::*;
use super::lexer::{Lexeme, Token, lex};
use crate::error::ParseError;
use crate::types::{Space, Type};

type Result<T> = std::result::Result<T, ParseError>;

/// Scopes and vectors may nest this deep; more is no compiler's output.
const MAX_DEPTH: u32 = 64;
/// More registers in one declaration than any kernel has.
const MAX_REGISTERS: u32 = 1 << 20;

/// Parse a PTX module.
pub(crate) fn parse(text: &str) -> Result<Module> {
    let mut parser = Parser { tokens: lex(text)?, at: 0, position: Position::default(), depth: 0 };
    parser.module()
}

struct Parser<'a> {
    tokens: Vec<Lexeme<'a>>,
    at: usize,
    /// What the last `.loc` said.
    position: Position,
    depth: u32,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens[self.at].token
    }

    fn peek_ahead(&self) -> Token<'a> {
        self.tokens.get(self.at + 1).map_or(Token::End, |l| l.token)
    }

    fn line(&self) -> u32 {
        self.tokens[self.at].line
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(ParseError::new(message, self.line()))
    }

    fn unexpected<T>(&self, wanted: &str) -> Result<T> {
        let found = match self.peek() {
            Token::Name(n) => format!("`{n}`"),
            Token::Dot(n) => format!("`.{n}`"),
            Token::Int(v) => format!("`{v}`"),
            Token::F32(_) | Token::F64(_) => "a float constant".into(),
            Token::Text(t) => format!("\"{t}\""),
            Token::Punct(p) => format!("`{}`", p as char),
            Token::End => "the end of the file".into(),
        };
        self.error(format!("expected {wanted}, found {found}"))
    }

    fn eat(&mut self, punct: u8) -> bool {
        let found = self.peek() == Token::Punct(punct);
        if found {
            self.at += 1;
        }
        found
    }

    fn eat_dot(&mut self, name: &str) -> bool {
        let found = self.peek() == Token::Dot(name);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, punct: u8) -> Result<()> {
        if self.eat(punct) { Ok(()) } else { self.unexpected(&format!("`{}`", punct as char)) }
    }

    fn name(&mut self, what: &str) -> Result<&'a str> {
        match self.peek() {
            Token::Name(name) => {
                self.at += 1;
                Ok(name)
            }
            _ => self.unexpected(what),
        }
    }

    fn int(&mut self) -> Result<u64> {
        match self.peek() {
            Token::Int(value) => {
                self.at += 1;
                Ok(value)
            }
            _ => self.unexpected("an integer"),
        }
    }

    fn int32(&mut self) -> Result<u32> {
        let value = self.int()?;
        u32::try_from(value).or_else(|_| self.error(format!("{value} does not fit 32 bits")))
    }

    /// An integer with any number of signs before it, as in `[%rd1+-8]`.
    fn signed_int(&mut self) -> Result<i64> {
        let mut negative = false;
        loop {
            if self.eat(b'-') {
                negative = !negative;
            } else if !self.eat(b'+') {
                break;
            }
        }
        let value = self.int()? as i64;
        Ok(if negative { value.wrapping_neg() } else { value })
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { self.error(format!("nested more than {MAX_DEPTH} deep")) } else { Ok(()) }
    }

    fn module(&mut self) -> Result<Module> {
        let mut module = Module::default();
        loop {
            match self.peek() {
                Token::End => return Ok(module),
                Token::Punct(b';') => self.at += 1,
                Token::Dot("version" | "address_size" | "pragma") => self.skip_line(),
                Token::Dot("target") => {
                    self.at += 1;
                    module.target = self.name("a target such as sm_80")?.to_owned();
                    self.skip_line();
                }
                Token::Dot("file") => {
                    self.at += 1;
                    let number = self.int32()?;
                    match self.next() {
                        Token::Text(path) => module.files.push((number, path.to_owned())),
                        _ => return self.error("`.file` needs a number and a quoted path"),
                    }
                    while self.eat(b',') {
                        self.int()?;
                    }
                }
                Token::Dot("section") => self.skip_section()?,
                Token::Dot("loc") => self.loc()?,
                Token::Dot("visible" | "extern" | "weak" | "common") => self.at += 1,
                Token::Dot("entry" | "func") => module.functions.push(Rc::new(self.function()?)),
                Token::Dot("global" | "const" | "shared") => {
                    let variables = self.variables()?;
                    module.variables.extend(variables);
                }
                _ => return self.unexpected("a module-level directive"),
            }
        }
    }

    /// Skip to the first token of the next line.
    fn skip_line(&mut self) {
        let line = self.line();
        while self.line() == line && self.peek() != Token::End {
            self.at += 1;
        }
    }

    fn skip_section(&mut self) -> Result<()> {
        while self.peek() != Token::Punct(b'{') {
            if self.next() == Token::End {
                return self.error("`.section` has no body");
            }
        }
        let mut depth = 0u32;
        loop {
            match self.next() {
                Token::Punct(b'{') => depth += 1,
                Token::Punct(b'}') => depth -= 1,
                Token::End => return self.error("`.section` is not closed"),
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// `.loc file line column [, function_name label [+ offset], inlined_at file line column]`
    fn loc(&mut self) -> Result<()> {
        self.at += 1;
        let file = self.int32()?;
        let line = self.int32()?;
        self.int()?;
        self.position = Position { ptx_line: 0, file, line };
        while self.peek() == Token::Punct(b',') {
            self.at += 1;
            match self.name("`function_name` or `inlined_at`")? {
                "function_name" => {
                    self.name("a label")?;
                    if self.eat(b'+') {
                        self.int()?;
                    }
                }
                "inlined_at" => {
                    for _ in 0..3 {
                        self.int()?;
                    }
                }
                other => return self.error(format!("unknown `{other}` in `.loc`")),
            }
        }
        Ok(())
    }

    fn triple(&mut self) -> Result<[u32; 3]> {
        let mut out = [1; 3];
        out[0] = self.int32()?;
        for slot in &mut out[1..] {
            if self.eat(b',') {
                *slot = self.int32()?;
            }
        }
        Ok(out)
    }

    fn function(&mut self) -> Result<Function> {
        let is_entry = self.next() == Token::Dot("entry");
        self.position = Position::default();
        let mut returns = Vec::new();
        // `.func .noreturn (.param .b32 out) name (...)`
        while self.eat_dot("noreturn") {}
        if self.peek() == Token::Punct(b'(') {
            returns = self.parameters()?;
        }
        let name = self.name("a function name")?.to_owned();
        let params = if self.peek() == Token::Punct(b'(') { self.parameters()? } else { Vec::new() };
        let mut function = Function {
            name,
            is_entry,
            returns,
            params,
            max_threads: None,
            required_threads: None,
            cluster: None,
            body: None,
        };
        loop {
            match self.peek() {
                Token::Dot("maxntid") => {
                    self.at += 1;
                    function.max_threads = Some(self.triple()?);
                }
                Token::Dot("reqntid") => {
                    self.at += 1;
                    function.required_threads = Some(self.triple()?);
                }
                Token::Dot("reqnctapercluster") => {
                    self.at += 1;
                    function.cluster = Some(self.triple()?);
                }
                Token::Dot("minnctapersm" | "maxnreg" | "maxclusterrank") => {
                    self.at += 1;
                    self.int()?;
                }
                Token::Dot("noreturn" | "explicitcluster" | "blocksareclusters") => self.at += 1,
                Token::Dot("pragma") => self.skip_line(),
                Token::Punct(b';') => {
                    self.at += 1;
                    return Ok(function);
                }
                Token::Punct(b'{') => {
                    function.body = Some(self.scope()?);
                    return Ok(function);
                }
                _ => return self.unexpected("a function body"),
            }
        }
    }

    fn parameters(&mut self) -> Result<Vec<Variable>> {
        self.expect(b'(')?;
        let mut out = Vec::new();
        while !self.eat(b')') {
            if !out.is_empty() {
                self.expect(b',')?;
            }
            if self.peek() == Token::Name("_") {
                return self.error("a parameter without a name belongs in a prototype only");
            }
            match self.peek() {
                Token::Dot("param" | "reg") => out.push(self.variable()?),
                _ => return self.unexpected("`.param` or `.reg`"),
            }
        }
        Ok(out)
    }

    fn scope(&mut self) -> Result<Vec<Statement>> {
        self.enter()?;
        self.expect(b'{')?;
        let mut out = Vec::new();
        while !self.eat(b'}') {
            self.statement(&mut out)?;
        }
        self.depth -= 1;
        Ok(out)
    }

    fn statement(&mut self, out: &mut Vec<Statement>) -> Result<()> {
        match self.peek() {
            Token::Punct(b';') => self.at += 1,
            Token::Punct(b'{') => out.push(Statement::Scope(self.scope()?)),
            Token::Dot("loc") => self.loc()?,
            Token::Dot("pragma") => self.skip_line(),
            Token::Dot("reg") => {
                let registers = self.registers()?;
                out.push(registers);
            }
            Token::Dot("extern" | "visible") => self.at += 1,
            Token::Dot("shared" | "local" | "param" | "global" | "const") => {
                out.extend(self.variables()?.into_iter().map(Statement::Variable));
            }
            Token::Dot(name) => return self.error(format!("unknown directive `.{name}`")),
            Token::Name(name) if self.peek_ahead() == Token::Punct(b':') => {
                self.at += 2;
                match self.peek() {
                    Token::Dot("branchtargets") => {
                        self.at += 1;
                        let mut targets = vec![self.name("a label")?.to_owned()];
                        while self.eat(b',') {
                            targets.push(self.name("a label")?.to_owned());
                        }
                        self.expect(b';')?;
                        out.push(Statement::BranchTargets(name.to_owned(), targets));
                    }
                    // Every indirect call is checked against the functions' own signatures.
                    Token::Dot("callprototype" | "calltargets") => {
                        while self.next() != Token::Punct(b';') {
                            if self.peek() == Token::End {
                                return self.unexpected("`;`");
                            }
                        }
                    }
                    _ => out.push(Statement::Label(name.to_owned())),
                }
            }
            Token::Name(_) | Token::Punct(b'@') => out.push(Statement::Instruction(self.instruction()?)),
            _ => return self.unexpected("a statement"),
        }
        Ok(())
    }

    fn ty(&mut self) -> Result<Type> {
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

    fn registers(&mut self) -> Result<Statement> {
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
    fn variables(&mut self) -> Result<Vec<Variable>> {
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
    fn variable(&mut self) -> Result<Variable> {
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

    fn declarator(&mut self, variable: &mut Variable, width: u64) -> Result<()> {
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

    fn initialiser(&mut self, out: &mut Vec<Init>) -> Result<()> {
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

    fn instruction(&mut self) -> Result<Instruction> {
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

    fn operands_until(&mut self, close: u8) -> Result<Vec<Operand>> {
        let mut out = Vec::new();
        while !self.eat(close) {
            if !out.is_empty() {
                self.expect(b',')?;
            }
            out.push(self.operand()?);
        }
        Ok(out)
    }

    fn operand(&mut self) -> Result<Operand> {
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

    fn primary(&mut self) -> Result<Operand> {
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

    fn address(&mut self) -> Result<Operand> {
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
