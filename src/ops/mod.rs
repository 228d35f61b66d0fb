//! The operations, one folder each:
//!
//! - `mod.rs`: checks, then the forward pass, then the tape entry with the gradients;
//! - `spec.rs`: names, tensors and attributes of its passes, and the shapes to test, profile and
//!   measure them at;
//! - `cpu.rs`: the plain Rust version, generic over f32 and f64: the reference; for bf16, `on_cpu.rs` rounds
//!   around it;
//! - `gpu.rs`: the launch of the kernels in `kernels/<op>/`.
//!
//! [`registry`] finds them by name.

pub mod cast;
pub(crate) mod check;
mod columns;
pub(crate) mod gradient;
pub mod math;
pub(crate) mod on_cpu;
mod parallel;
pub mod registry;
pub mod reshape;
mod scratch;
pub mod spec;

/// Declares the operations' modules, and the table of their passes.
macro_rules! operations {
    ($($op:ident),* $(,)?) => {
        $(pub mod $op;)*

        /// All operations: the name of each one's folder, and the rows of its passes.
        pub static SPECS: &[Spec] = &[$(Spec { op: stringify!($op), passes: $op::spec::PASSES }),*];
    };
}

// All that a new operation needs beside its own folders.
operations![augment, batchnorm, conv3x3, linear, maxpool, metrics, relu, residual_add, sgd, softmax_nll,];

/// An operation's folder, and what is known of its passes.
#[derive(Debug)]
pub struct Spec {
    /// The folder's name: `conv3x3`.
    pub op: &'static str,
    /// One row for each pass.
    pub passes: &'static [spec::Operation],
}
