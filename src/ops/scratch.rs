//! Memory that the CPU operations work in, kept from one call to the next: once every operation of a
//! step has run, none allocates.

use bytemuck::{Pod, Zeroable};
use std::sync::Mutex;

/// One cache line, which is also the widest vector.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Buffers that nobody works in, in the order of their last use.
static FREE: Mutex<Vec<Vec<Line>>> = Mutex::new(Vec::new());

/// Calls `f` with `len` elements that hold anything; they begin at a cache line.
pub fn with<T: Pod, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    let lines = (len * size_of::<T>()).div_ceil(size_of::<Line>());
    let mut buffer = take(lines);
    if buffer.len() < lines {
        buffer = vec![Line::zeroed(); lines];
    }
    let result = f(&mut bytemuck::cast_slice_mut(&mut buffer[..lines])[..len]);
    free().push(buffer);
    result
}

/// The smallest free buffer of `lines`, else the largest that is too small, whose place a larger one
/// then takes; empty if there is none.
fn take(lines: usize) -> Vec<Line> {
    let mut free = free();
    let fits = free.iter().enumerate().filter(|(_, b)| b.len() >= lines).min_by_key(|(_, b)| b.len());
    let found = fits.or_else(|| free.iter().enumerate().max_by_key(|(_, b)| b.len()));
    match found.map(|(i, _)| i) {
        Some(i) => free.swap_remove(i),
        None => Vec::new(),
    }
}

fn free() -> std::sync::MutexGuard<'static, Vec<Vec<Line>>> {
    // A panic while the list is held leaves it whole.
    FREE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
