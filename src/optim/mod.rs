//! What changes the weights, and how fast.

pub mod lr_finder;
pub mod schedule;
mod sgd;
mod snapshot;

pub use sgd::{Optimizer, parameters};
pub use snapshot::Snapshot;
