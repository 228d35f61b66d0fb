//! What can go wrong before a kernel's first instruction runs.

use std::fmt;

use crate::fault::Fault;

/// PTX that cannot be loaded: malformed, or using what this simulator does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong, naming the opcode, modifier or symbol.
    pub message: String,
    /// Line of the PTX text, from 1.
    pub ptx_line: u32,
    /// `file:line` of the source that a `.loc` directive names, when there is one.
    pub source: Option<String>,
}

impl ParseError {
    pub(crate) fn new(message: impl Into<String>, ptx_line: u32) -> Self {
        Self { message: message.into(), ptx_line, source: None }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{source} (PTX line {}): {}", self.ptx_line, self.message),
            None => write!(f, "PTX line {}: {}", self.ptx_line, self.message),
        }
    }
}

impl std::error::Error for ParseError {}

/// A call of the simulator that could not be carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The PTX text cannot be loaded.
    Parse(ParseError),
    /// The module has no entry of that name; the message lists those it has.
    NoEntry {
        /// The name that was asked for.
        entry: String,
        /// The names the module has.
        known: Vec<String>,
    },
    /// A grid, block, cluster or shared-memory size that no GPU takes.
    Launch(String),
    /// Parameters that do not fit the entry's declaration.
    Params(String),
    /// A host access to device memory outside a live allocation, or an allocation that cannot be made.
    Memory(String),
    /// The kernel did something wrong.
    Fault(Box<Fault>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Parse(e) => e.fmt(f),
            Error::NoEntry { entry, known } => {
                write!(f, "no entry `{entry}` in the module; it has {}", known.join(", "))
            }
            Error::Launch(m) | Error::Params(m) | Error::Memory(m) => f.write_str(m),
            Error::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<ParseError> for Error {
    fn from(e: ParseError) -> Self {
        Error::Parse(e)
    }
}

impl From<Box<Fault>> for Error {
    fn from(fault: Box<Fault>) -> Self {
        Error::Fault(fault)
    }
}
