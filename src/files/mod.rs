//! Files: written whole or not at all, and tensors in safetensors files.

mod atomic;
mod tensors;

pub use atomic::write_atomically;
pub use tensors::{FileTensor, FileTensors, Metadata, read_tensors, write_tensors};
