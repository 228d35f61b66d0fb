//! The operations on the CPU: values, gradients, the tape, errors.

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod gradients;
mod overwrite;
mod properties;
mod reference;
mod tape;
mod values;
