//! What changes the weights, and how fast.

pub mod lr_finder;
pub mod schedule;
mod sgd;

pub use sgd::{Optimizer, parameters};
