//! Tokens to syntax tree.

use std::rc::Rc;

use super::ast::*;
use super::lexer::{Lexeme, Token, lex};
use crate::error::ParseError;

pub(super) type Result<T> = std::result::Result<T, ParseError>;

/// Scopes and vectors may nest this deep; more is no compiler's output.
const MAX_DEPTH: u32 = 64;

/// Parse a PTX module.
pub(crate) fn parse(text: &str) -> Result<Module> {
    let mut parser = Parser { tokens: lex(text)?, at: 0, position: Position::default(), depth: 0 };
    parser.module()
}

pub(super) struct Parser<'a> {
    tokens: Vec<Lexeme<'a>>,
    pub(super) at: usize,
    /// What the last `.loc` said.
    pub(super) position: Position,
    pub(super) depth: u32,
}

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> Token<'a> {
        self.tokens[self.at].token
    }

    pub(super) fn peek_ahead(&self) -> Token<'a> {
        self.tokens.get(self.at + 1).map_or(Token::End, |l| l.token)
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens[self.at].line
    }

    pub(super) fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    pub(super) fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(ParseError::new(message, self.line()))
    }

    pub(super) fn unexpected<T>(&self, wanted: &str) -> Result<T> {
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

    pub(super) fn eat(&mut self, punct: u8) -> bool {
        let found = self.peek() == Token::Punct(punct);
        if found {
            self.at += 1;
        }
        found
    }

    pub(super) fn eat_dot(&mut self, name: &str) -> bool {
        let found = self.peek() == Token::Dot(name);
        if found {
            self.at += 1;
        }
        found
    }

    pub(super) fn expect(&mut self, punct: u8) -> Result<()> {
        if self.eat(punct) { Ok(()) } else { self.unexpected(&format!("`{}`", punct as char)) }
    }

    pub(super) fn name(&mut self, what: &str) -> Result<&'a str> {
        match self.peek() {
            Token::Name(name) => {
                self.at += 1;
                Ok(name)
            }
            _ => self.unexpected(what),
        }
    }

    pub(super) fn int(&mut self) -> Result<u64> {
        match self.peek() {
            Token::Int(value) => {
                self.at += 1;
                Ok(value)
            }
            _ => self.unexpected("an integer"),
        }
    }

    pub(super) fn int32(&mut self) -> Result<u32> {
        let value = self.int()?;
        u32::try_from(value).or_else(|_| self.error(format!("{value} does not fit 32 bits")))
    }

    /// An integer with any number of signs before it, as in `[%rd1+-8]`.
    pub(super) fn signed_int(&mut self) -> Result<i64> {
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

    pub(super) fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { self.error(format!("nested more than {MAX_DEPTH} deep")) } else { Ok(()) }
    }

    pub(super) fn module(&mut self) -> Result<Module> {
        let mut module = Module::default();
        loop {
            match self.peek() {
                Token::End => return Ok(module),
                Token::Punct(b';') => self.at += 1,
                Token::Dot("version") => {
                    self.at += 1;
                    match self.next() {
                        Token::F64(_) => {}
                        _ => return self.error("`.version` needs a number such as 8.8"),
                    }
                }
                Token::Dot("address_size") => {
                    self.at += 1;
                    match self.int()? {
                        64 => {}
                        bits => {
                            return self.error(format!("addresses of {bits} bits; only 64 are simulated"));
                        }
                    }
                }
                Token::Dot("pragma") => self.pragma()?,
                Token::Dot("target") => {
                    self.at += 1;
                    module.target = self.name("a target such as sm_80")?.to_owned();
                    while self.eat(b',') {
                        self.name("a target option")?;
                    }
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

    /// `.pragma "text", … ;`, which changes nothing here.
    pub(super) fn pragma(&mut self) -> Result<()> {
        self.at += 1;
        loop {
            match self.next() {
                Token::Text(_) => {}
                _ => return self.error("`.pragma` needs a quoted text"),
            }
            if !self.eat(b',') {
                return self.expect(b';');
            }
        }
    }

    pub(super) fn skip_section(&mut self) -> Result<()> {
        while self.peek() != Token::Punct(b'{') {
            if self.next() == Token::End {
                return self.error("`.section` has no body");
            }
        }
        self.skip_braces()
    }

    /// From a `{` to behind its `}`.
    fn skip_braces(&mut self) -> Result<()> {
        let mut depth = 0u32;
        loop {
            match self.next() {
                Token::Punct(b'{') => depth += 1,
                Token::Punct(b'}') => depth -= 1,
                Token::End => return self.error("a `{` is not closed"),
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// `.loc file line column [, function_name label [+ offset], inlined_at file line column]`
    pub(super) fn loc(&mut self) -> Result<()> {
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

    pub(super) fn triple(&mut self) -> Result<[u32; 3]> {
        let mut out = [1; 3];
        out[0] = self.int32()?;
        for slot in &mut out[1..] {
            if self.eat(b',') {
                *slot = self.int32()?;
            }
        }
        Ok(out)
    }

    pub(super) fn function(&mut self) -> Result<Function> {
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
                Token::Dot("pragma") => self.pragma()?,
                Token::Punct(b';') => {
                    self.at += 1;
                    return Ok(function);
                }
                Token::Punct(b'{') => {
                    let (start, depth) = (self.at, self.depth);
                    let body = self.scope();
                    if let Err(error) = &body {
                        (self.at, self.depth) = (start, depth);
                        self.skip_braces().map_err(|_| error.clone())?;
                    }
                    function.body = Some(body);
                    return Ok(function);
                }
                _ => return self.unexpected("a function body"),
            }
        }
    }

    pub(super) fn parameters(&mut self) -> Result<Vec<Variable>> {
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

    pub(super) fn scope(&mut self) -> Result<Vec<Statement>> {
        self.enter()?;
        self.expect(b'{')?;
        let mut out = Vec::new();
        while !self.eat(b'}') {
            self.statement(&mut out)?;
        }
        self.depth -= 1;
        Ok(out)
    }

    pub(super) fn statement(&mut self, out: &mut Vec<Statement>) -> Result<()> {
        match self.peek() {
            Token::Punct(b';') => self.at += 1,
            Token::Punct(b'{') => out.push(Statement::Scope(self.scope()?)),
            Token::Dot("loc") => self.loc()?,
            Token::Dot("pragma") => self.pragma()?,
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
}
