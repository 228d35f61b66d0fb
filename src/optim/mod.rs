//! What changes the weights, and how fast.

pub mod schedule;
mod sgd;

pub use sgd::{Optimizer, parameters};
