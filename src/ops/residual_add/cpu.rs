//! Residual addition on the CPU.

use crate::device::Real;
use crate::ops::parallel::CHUNK;
use rayon::prelude::*;

/// y = a + b
pub fn fprop<T: Real>(a: &[T], b: &[T], y: &mut [T]) {
    y.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK)).zip(b.par_chunks(CHUNK)).for_each(|((y, a), b)| {
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = a + b;
        }
    });
}
