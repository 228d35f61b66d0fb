//! ptxsim runs PTX kernels on the CPU, finds their faults and counts what they do.
//!
//! [`Module::parse`] loads PTX text, [`Device`] holds memory and launches kernels. A launch that
//! succeeds gives a [`LaunchReport`]; the first [`Fault`] ends it, naming kernel, source line, block,
//! thread and address. See [`Device`] for an example.
//!
//! Inside: `parse` (text to tree), `opcodes` (the table of opcodes), `lower` (tree to decoded
//! kernel), `exec` (what opcodes do, a file for each family), `machine` (warps, blocks, scheduling),
//! `memory` (state spaces, their checks, what is noted of accesses), `counters`, `roofline`, `fault`.

mod counters;
mod device;
mod error;
mod exec;
mod fault;
pub mod json;
mod launch;
mod lower;
mod machine;
mod memory;
mod module;
mod opcodes;
mod parse;
mod roofline;
mod softfloat;
mod types;

pub use counters::{Class, Count, LaunchReport};
pub use device::{Checks, Config, Device};
pub use error::{Error, ParseError};
pub use fault::{Fault, FaultKind};
pub use launch::{Arg, Launch};
pub use machine::kernel::Param;
pub use machine::progress::Limits;
pub use memory::swizzle::Swizzle;
pub use memory::tensor_map::{ElementType, Tensor, TensorMap};
pub use module::{Entry, Module};
pub use roofline::{Gpu, Limit, Occupancy, Resource, Roofline};
pub use types::{Space, Type};
