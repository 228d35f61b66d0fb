//! Files: written whole or not at all, lines of JSON, and tensors in safetensors files.

mod atomic;
mod lines;
mod tensors;

pub use atomic::{remove_leftovers, write_atomically};
pub use lines::read_whole_lines;
pub use tensors::{FileTensor, FileTensors, Metadata, read_tensors, write_tensors};
