//! The driver's functions, by theme, under the names by which programs find them in the library.
//!
//! Arguments that a program may get wrong are taken as what every caller can give: an enumeration as its
//! number, a place for a result as a reference that may be null. A function whose name ends in `_v2` is
//! what programs that are compiled today mean by the name without it.
//!
//! # Safety
//! Functions that are `unsafe` are so as the CUDA driver API says: a pointer that the driver reads is to
//! as much as it reads, one that it writes is to as much as it writes, until asynchronous work is done.
//! What can be checked is, so that most mistakes are errors and no crashes.

pub mod context;
pub mod copy;
pub mod device;
pub mod error;
pub mod event;
pub mod fill;
pub mod graph;
pub mod init;
pub mod launch;
pub mod memory;
pub mod module;
pub mod occupancy;
pub mod per_thread;
pub mod pinned;
pub mod pointer;
pub mod pool;
pub mod primary;
pub mod refused;
pub mod stream;
pub mod tensor_map;
