//! ReLU on the CPU.

use crate::device::Real;
use crate::ops::parallel::CHUNK;
use rayon::prelude::*;

/// y = max(x, 0)
pub fn fprop<T: Real>(x: &[T], y: &mut [T]) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        for (y, &x) in y.iter_mut().zip(x) {
            // Written so that a NaN passes through.
            *y = if x <= T::zero() { T::zero() } else { x };
        }
    });
}

/// dx = dy where y > 0, else 0
pub fn dgrad<T: Real>(y: &[T], dy: &[T], dx: &mut [T]) {
    dx.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK)).zip(dy.par_chunks(CHUNK)).for_each(|((dx, y), dy)| {
        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = if y > T::zero() { dy } else { T::zero() };
        }
    });
}
