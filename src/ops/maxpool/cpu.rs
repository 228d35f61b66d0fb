//! Max pooling on the CPU.

use super::MaxPoolShape;
use crate::device::Real;
use multiversion::multiversion;
use rayon::prelude::*;

/// `y[n,p,q,c] = max over the window of x`; argmax is the winner's place in the window, row-major. The
/// first of equals wins; a NaN wins over any number.
pub fn fprop<T: Real>(s: &MaxPoolShape, x: &[T], y: &mut [T], argmax: &mut [u8]) {
    let (row, y_row) = (s.w * s.c, s.w / s.window * s.c);
    let bands = x.par_chunks(s.window * row).zip(y.par_chunks_mut(y_row)).zip(argmax.par_chunks_mut(y_row));
    bands.for_each(|((x, y), argmax)| fprop_band(s, x, y, argmax));
}

/// One row of windows.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma", "aarch64+neon"))]
fn fprop_band<T: Real>(s: &MaxPoolShape, x: &[T], y: &mut [T], argmax: &mut [u8]) {
    for (q, (y, argmax)) in y.chunks_exact_mut(s.c).zip(argmax.chunks_exact_mut(s.c)).enumerate() {
        y.copy_from_slice(&x[q * s.window * s.c..][..s.c]);
        argmax.fill(0);
        for place in 1..s.window * s.window {
            let x = &x[s.offset(place, q)..][..s.c];
            for ((y, argmax), &x) in y.iter_mut().zip(&mut *argmax).zip(x) {
                // Not ||, which would branch on every element.
                let wins = (x > *y) | x.is_nan();
                *y = if wins { x } else { *y };
                *argmax = if wins { place as u8 } else { *argmax };
            }
        }
    }
}

/// dx = dy at the winner of each window, else 0
pub fn dgrad<T: Real>(s: &MaxPoolShape, dy: &[T], argmax: &[u8], dx: &mut [T]) {
    let (row, y_row) = (s.w * s.c, s.w / s.window * s.c);
    let bands = dx.par_chunks_mut(s.window * row).zip(dy.par_chunks(y_row)).zip(argmax.par_chunks(y_row));
    bands.for_each(|((dx, dy), argmax)| dgrad_band(s, dy, argmax, dx));
}

/// One row of windows.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma", "aarch64+neon"))]
fn dgrad_band<T: Real>(s: &MaxPoolShape, dy: &[T], argmax: &[u8], dx: &mut [T]) {
    for (q, (dy, argmax)) in dy.chunks_exact(s.c).zip(argmax.chunks_exact(s.c)).enumerate() {
        for place in 0..s.window * s.window {
            let dx = &mut dx[s.offset(place, q)..][..s.c];
            for ((dx, &dy), &argmax) in dx.iter_mut().zip(dy).zip(argmax) {
                *dx = if argmax == place as u8 { dy } else { T::zero() };
            }
        }
    }
}

impl MaxPoolShape {
    /// Where, in a band of `window` rows, the channels at `place` of the band's window `q` begin.
    fn offset(&self, place: usize, q: usize) -> usize {
        (place / self.window * self.w + q * self.window + place % self.window) * self.c
    }
}
