//! cugrad: a small autograd engine over hand-written CUDA kernels, and the ResNet it trains.
//!
//! The modules in the order data flows: [`data`] → [`tensor`] on a [`device`] → [`ops`] on the
//! [`tape`] → [`nn`] → [`optim`] → [`train`] → [`explain`] and [`report`], both in the pictures of
//! [`picture`], and [`export`] → [`cli`].

// Results go through `cli::output`, which has an error where these macros panic.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod bench;
pub mod cli;
pub mod data;
pub mod device;
pub mod error;
pub mod explain;
pub mod export;
pub mod files;
pub mod machine;
pub mod nn;
pub mod numbers;
pub mod ops;
pub mod optim;
pub mod picture;
pub mod profile;
pub mod random;
pub mod report;
pub mod tape;
pub mod tensor;
pub mod train;

pub use device::Device;
pub use error::{Error, Result};
pub use tape::{Gradients, Tape};
pub use tensor::{DType, Tensor};
