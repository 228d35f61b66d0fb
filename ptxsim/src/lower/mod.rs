//! Syntax tree to decoded kernels: names become slots, modifiers become code.

mod builder;
mod calls;
mod flow;
mod names;
mod operands;
mod symbols;

pub(crate) use builder::kernel;
pub(crate) use operands::{Address, Build, Lowered};
pub(crate) use symbols::{ModuleSymbols, ModuleVariable};
