//! Syntax tree to decoded kernels: names become slots, modifiers become code.

mod build;
mod builder;
mod calls;
mod flow;
mod names;
mod operands;
mod symbols;

pub(crate) use build::{Build, Lowered};
pub(crate) use builder::{kernel, params};
pub(crate) use calls::{HostCall, HostValue};
pub(crate) use operands::Address;
pub(crate) use symbols::{ModuleSymbols, ModuleVariable};
