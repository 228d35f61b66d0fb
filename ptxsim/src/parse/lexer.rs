//! PTX text to tokens.

use crate::error::ParseError;

/// One token; text borrows from the source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// `add`, `%r1`, `$L__BB0_1`, `_`
    Name(&'a str),
    /// `.f32`, `.L2::128B`, without the dot
    Dot(&'a str),
    Int(u64),
    F32(u32),
    F64(u64),
    Text(&'a str),
    Punct(u8),
    End,
}

/// A token and its line, from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexeme<'a> {
    pub token: Token<'a>,
    pub line: u32,
}

/// All tokens of `text`, closed by [`Token::End`].
pub(super) fn lex(text: &str) -> Result<Vec<Lexeme<'_>>, ParseError> {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0, line: 1 };
    let mut out = Vec::with_capacity(text.len() / 4);
    loop {
        lexer.skip_blanks()?;
        let line = lexer.line;
        let token = lexer.token()?;
        out.push(Lexeme { token, line });
        if token == Token::End {
            return Ok(out);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: u32,
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(message, self.line)
    }

    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.at < self.bytes.len() && keep(self.bytes[self.at]) {
            self.at += 1;
        }
        // Only ASCII bytes are ever kept, so both ends are character boundaries.
        self.text.get(start..self.at).unwrap_or("")
    }

    fn skip_blanks(&mut self) -> Result<(), ParseError> {
        while self.at < self.bytes.len() {
            match self.bytes[self.at] {
                b'\n' => {
                    self.line += 1;
                    self.at += 1;
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'/' if self.peek(1) == b'/' => self.skip_line(),
                // DWARF that old compilers write as `@@DWARF ...` lines.
                b'@' if self.peek(1) == b'@' => self.skip_line(),
                b'/' if self.peek(1) == b'*' => {
                    let opened = self.line;
                    self.at += 2;
                    while self.bytes.get(self.at..self.at + 2) != Some(b"*/") {
                        match self.bytes.get(self.at) {
                            None => return Err(ParseError::new("comment is not closed", opened)),
                            Some(b'\n') => self.line += 1,
                            Some(_) => {}
                        }
                        self.at += 1;
                    }
                    self.at += 2;
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn skip_line(&mut self) {
        while self.at < self.bytes.len() && self.bytes[self.at] != b'\n' {
            self.at += 1;
        }
    }

    fn token(&mut self) -> Result<Token<'a>, ParseError> {
        let Some(&byte) = self.bytes.get(self.at) else { return Ok(Token::End) };
        if byte.is_ascii_digit() {
            return self.number();
        }
        if byte == b'.' && (is_name(self.peek(1))) {
            self.at += 1;
            let name = self.take_while(|b| is_name(b) || b == b':');
            // A label's colon does not belong to the name before it.
            let trimmed = name.trim_end_matches(':');
            self.at -= name.len() - trimmed.len();
            return Ok(Token::Dot(trimmed));
        }
        if is_name(byte) || byte == b'%' {
            let start = self.at;
            self.at += 1;
            self.take_while(is_name);
            return Ok(Token::Name(&self.text[start..self.at]));
        }
        if byte == b'"' {
            self.at += 1;
            let start = self.at;
            while !matches!(self.bytes.get(self.at), None | Some(b'"' | b'\n')) {
                self.at += 1;
            }
            if self.peek(0) != b'"' {
                return Err(self.error("string is not closed"));
            }
            self.at += 1;
            return Ok(Token::Text(&self.text[start..self.at - 1]));
        }
        if b",;:{}[]()<>+-*=!|@&~/%?^.".contains(&byte) {
            self.at += 1;
            return Ok(Token::Punct(byte));
        }
        let character = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        Err(self.error(format!("unexpected character {:?}", character.unwrap_or('?'))))
    }

    fn number(&mut self) -> Result<Token<'a>, ParseError> {
        let (first, second) = (self.peek(0), self.peek(1));
        let is_float = first == b'0' && matches!(second, b'f' | b'F' | b'd' | b'D');
        if is_float {
            self.at += 2;
            let digits = self.take_while(|b| b.is_ascii_hexdigit());
            let want = if second.eq_ignore_ascii_case(&b'f') { 8 } else { 16 };
            let bits = u64::from_str_radix(digits, 16).ok().filter(|_| digits.len() == want);
            let bits =
                bits.ok_or_else(|| self.error(format!("a float constant needs {want} hexadecimal digits")))?;
            return Ok(if want == 8 { Token::F32(bits as u32) } else { Token::F64(bits) });
        }
        let word = self.take_while(|b| b.is_ascii_alphanumeric());
        if self.peek(0) == b'.' && self.peek(1).is_ascii_digit() && word.bytes().all(|b| b.is_ascii_digit()) {
            self.at += 1;
            let fraction = self.take_while(|b| b.is_ascii_alphanumeric());
            let text = format!("{word}.{fraction}");
            let value: f64 = text.parse().map_err(|_| self.error(format!("`{text}` is no number")))?;
            return Ok(Token::F64(value.to_bits()));
        }
        let digits = word.trim_end_matches(['U', 'u']);
        let parsed = match digits.as_bytes() {
            [b'0', b'x' | b'X', ..] => u64::from_str_radix(&digits[2..], 16),
            [b'0', b'b' | b'B', ..] => u64::from_str_radix(&digits[2..], 2),
            [b'0', _, ..] => u64::from_str_radix(&digits[1..], 8),
            _ => digits.parse(),
        };
        parsed.map(Token::Int).map_err(|_| self.error(format!("`{word}` is no 64-bit number")))
    }
}
