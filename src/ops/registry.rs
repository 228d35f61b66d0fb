//! The operations by name.
//!
//! `cugrad op` runs any of them on tensors from a file; the tests, the benchmarks and the profiler walk
//! the same rows.

use super::SPECS;
use super::spec::Operation;
use crate::error::{Error, Result};

/// All operations, in the order of their folders.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    SPECS.iter().flat_map(|spec| spec.passes)
}

/// The operation called `name`.
///
/// # Errors
/// [`Error::Config`] with the names there are.
pub fn find(name: &str) -> Result<&'static Operation> {
    operations().find(|operation| operation.name == name).ok_or_else(|| {
        let names: Vec<&str> = operations().map(|operation| operation.name).collect();
        Error::Config(format!("no operation is called `{name}`\n  help: one of {}", names.join(", ")))
    })
}
