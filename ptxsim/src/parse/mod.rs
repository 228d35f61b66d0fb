//! PTX text to syntax tree.

pub(crate) mod ast;
mod declarations;
mod instructions;
mod lexer;
mod parser;

pub(crate) use parser::parse;
