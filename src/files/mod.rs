//! Files: written whole or not at all, and tensors in safetensors files.

mod atomic;
mod tensors;

pub use atomic::{remove_leftovers, write_atomically};
pub use tensors::{FileTensor, FileTensors, Metadata, read_tensors, write_tensors};
