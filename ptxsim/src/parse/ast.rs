//! The syntax tree of a PTX module: names are still text, nothing is resolved.

use std::rc::Rc;

use crate::error::ParseError;
use crate::types::{Space, Type};

/// A whole `.ptx` file.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub target: String,
    pub files: Vec<(u32, String)>,
    pub variables: Vec<Variable>,
    pub functions: Vec<Rc<Function>>,
}

/// A `.entry` or `.func`; a declaration has no body.
#[derive(Debug)]
pub(crate) struct Function {
    pub name: String,
    pub is_entry: bool,
    pub returns: Vec<Variable>,
    pub params: Vec<Variable>,
    pub max_threads: Option<[u32; 3]>,
    pub required_threads: Option<[u32; 3]>,
    pub cluster: Option<[u32; 3]>,
    /// What it does, or why that is no PTX; a module may have functions that nothing calls.
    pub body: Option<Result<Vec<Statement>, ParseError>>,
}

/// A variable in memory, or a function's `.reg` parameter (`space` is none).
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub name: String,
    pub space: Option<Space>,
    pub ty: Type,
    pub align: u32,
    /// Size in bytes; none for an `.extern` array without a length.
    pub size: Option<u64>,
    pub init: Vec<Init>,
    pub line: u32,
}

/// One element of an initialiser.
#[derive(Clone, Debug)]
pub(crate) enum Init {
    Bits(u64),
    F32(u32),
    F64(u64),
    Symbol { name: String, addend: i64 },
}

/// Where an instruction stands: its PTX line and what `.loc` last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub ptx_line: u32,
    /// File number and line; file 0 means none.
    pub file: u32,
    pub line: u32,
}

#[derive(Debug)]
pub(crate) enum Statement {
    Label(String),
    Registers {
        ty: Type,
        names: Vec<RegisterNames>,
        line: u32,
    },
    Variable(Variable),
    Scope(Vec<Statement>),
    /// `name: .branchtargets a, b, c;`
    BranchTargets(String, Vec<String>),
    Instruction(Instruction),
}

/// `%r<10>` (ten registers `%r0`…) or a single name.
#[derive(Debug)]
pub(crate) struct RegisterNames {
    pub name: String,
    pub count: Option<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Instruction {
    pub guard: Option<Guard>,
    pub opcode: String,
    pub modifiers: Vec<String>,
    pub operands: Vec<Operand>,
    pub position: Position,
}

#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub register: String,
    pub negated: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// A register, symbol, label or special register (`%tid.x`), with an optional constant added.
    Name {
        name: String,
        addend: i64,
    },
    Int(u64),
    F32(u32),
    F64(u64),
    /// `!%p`
    Not(Box<Operand>),
    /// `a|b`
    Pair(Box<Operand>, Box<Operand>),
    /// `{a, b}`
    Vector(Vec<Operand>),
    /// `(a, b)`
    List(Vec<Operand>),
    /// `[base + offset]`, with the operands after a comma inside the brackets.
    Address {
        base: Option<String>,
        offset: i64,
        rest: Vec<Operand>,
    },
}
