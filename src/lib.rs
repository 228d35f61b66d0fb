//! cugrad: a small autograd engine over hand-written CUDA kernels, and the ResNet it trains.
//!
//! The modules in the order data flows: [`data`] → [`device`] → [`tensor`] → [`ops`] on the [`tape`].

pub mod data;
pub mod device;
pub mod error;
pub mod ops;
pub mod random;
pub mod tape;
pub mod tensor;

pub use device::Device;
pub use error::{Error, Result};
pub use tape::{Gradients, Tape};
pub use tensor::{DType, Tensor};
