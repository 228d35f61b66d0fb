//! Host memory for tensors and for the operations' own work. What is dropped is kept for the next buffer
//! of its size: a training step repeats itself, so from the second step on none allocates.

use bytemuck::{Pod, Zeroable};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// One cache line, which is also the widest vector register.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Lines below which memory is left to the allocator, which keeps small pieces itself.
const SMALL: usize = 1024;

/// Memory that nobody holds, by its lines.
static FREE: LazyLock<Mutex<HashMap<usize, Vec<Vec<Line>>>>> = LazyLock::new(Mutex::default);

/// Some bytes, which begin at a cache line.
pub struct HostMemory {
    lines: Vec<Line>,
}

impl HostMemory {
    /// At least `bytes` bytes that hold anything; `None` if the system has no more memory.
    pub fn take(bytes: usize) -> Option<HostMemory> {
        let lines = size_class(bytes.div_ceil(size_of::<Line>()));
        let kept = free().get_mut(&lines).and_then(Vec::pop);
        let lines = match kept {
            Some(lines) => lines,
            None => bytemuck::allocation::try_zeroed_vec(lines).ok()?,
        };
        Some(HostMemory { lines })
    }

    /// The first `len` elements.
    pub fn elements<T: Pod>(&self, len: usize) -> &[T] {
        &bytemuck::cast_slice(&self.lines[..lines_of::<T>(len)])[..len]
    }

    /// The first `len` elements, writable.
    pub fn elements_mut<T: Pod>(&mut self, len: usize) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(&mut self.lines[..lines_of::<T>(len)])[..len]
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        if self.lines.len() >= SMALL {
            let lines = std::mem::take(&mut self.lines);
            free().entry(lines.len()).or_default().push(lines);
        }
    }
}

/// The lines of `len` elements.
fn lines_of<T>(len: usize) -> usize {
    (len * size_of::<T>()).div_ceil(size_of::<Line>())
}

/// `lines`, rounded up so that similar sizes are one: to an eighth of a power of two.
fn size_class(lines: usize) -> usize {
    let step = (lines.max(1).checked_next_power_of_two().unwrap_or(1) / 16).max(1);
    lines.checked_next_multiple_of(step).unwrap_or(lines)
}

fn free() -> MutexGuard<'static, HashMap<usize, Vec<Vec<Line>>>> {
    // Nothing that panics is done while the lock is held, so what a panicking thread left is whole.
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_as_long_as_asked_for() {
        for bytes in [0, 1, 64, 65, 100_000, 1 << 20] {
            let mut memory = HostMemory::take(bytes).expect("memory");
            let slice = memory.elements_mut::<u8>(bytes);
            assert_eq!(slice.len(), bytes);
            assert_eq!(slice.as_ptr().addr() % 64, 0, "{bytes}");
            slice.fill(7);
            assert!(memory.elements::<u8>(bytes).iter().all(|&b| b == 7));
        }
    }

    #[test]
    fn dropped_memory_is_handed_out_again() {
        // A size that no other test takes.
        let bytes = 77_777_777;
        let first = HostMemory::take(bytes).expect("memory").elements::<u8>(1).as_ptr().addr();
        let second = HostMemory::take(bytes - 1000).expect("memory");
        assert_eq!(second.elements::<u8>(1).as_ptr().addr(), first);
    }

    #[test]
    fn memory_that_does_not_exist_is_refused() {
        assert!(HostMemory::take(1 << 60).is_none());
    }

    #[test]
    fn sizes_round_up_by_an_eighth_at_most() {
        for lines in (1..5000).chain([1 << 20, (1 << 20) + 1, 12_345_678]) {
            let class = size_class(lines);
            assert!(class >= lines && class - lines <= lines / 8, "{lines}: {class}");
        }
    }
}
