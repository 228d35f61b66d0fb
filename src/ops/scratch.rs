//! Memory that a CPU operation works in.

use crate::device::host_memory::HostMemory;
use bytemuck::Pod;

/// Calls `f` with `len` elements that hold anything; they begin at a cache line.
pub fn with<T: Pod, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    let mut memory = HostMemory::take(len * size_of::<T>()).expect("memory for an operation's own work");
    f(memory.elements_mut(len))
}
