//! 3x3 convolution on the CPU, straight from the definition.

use super::Conv3x3Shape;
use crate::device::Real;
use crate::ops::parallel::sum_rows;
use rayon::prelude::*;

/// y[n,h,w,k] = bias[k] + sum_{r,s,c} x[n,h+r-1,w+s-1,c] filter[k,r,s,c]
pub fn fprop<T: Real>(s: &Conv3x3Shape, x: &[T], filter: &[T], bias: Option<&[T]>, y: &mut [T]) {
    y.par_chunks_mut(s.k).enumerate().for_each(|(pixel, y)| {
        for (k, y) in y.iter_mut().enumerate() {
            *y = bias.map_or(T::zero(), |bias| bias[k]);
            for (tap, neighbour) in neighbours(s, pixel, false) {
                let x = &x[neighbour * s.c..][..s.c];
                let filter = &filter[(k * 9 + tap) * s.c..][..s.c];
                *y += x.iter().zip(filter).map(|(&x, &f)| x * f).sum::<T>();
            }
        }
    });
}

/// dx[n,h,w,c] = sum_{k,r,s} dy[n,h+1-r,w+1-s,k] filter[k,r,s,c]
pub fn dgrad<T: Real>(s: &Conv3x3Shape, dy: &[T], filter: &[T], dx: &mut [T]) {
    dx.par_chunks_mut(s.c).enumerate().for_each(|(pixel, dx)| {
        dx.fill(T::zero());
        for (tap, neighbour) in neighbours(s, pixel, true) {
            for (k, &dy) in dy[neighbour * s.k..][..s.k].iter().enumerate() {
                let filter = &filter[(k * 9 + tap) * s.c..][..s.c];
                for (dx, &f) in dx.iter_mut().zip(filter) {
                    *dx += dy * f;
                }
            }
        }
    });
}

/// dfilter[k,r,s,c] = sum_{n,h,w} x[n,h+r-1,w+s-1,c] dy[n,h,w,k]
pub fn wgrad<T: Real>(s: &Conv3x3Shape, x: &[T], dy: &[T], dfilter: &mut [T]) {
    dfilter.par_chunks_mut(9 * s.c).enumerate().for_each(|(k, dfilter)| {
        let mut sums = vec![0.0; 9 * s.c];
        for pixel in 0..s.n * s.h * s.w {
            let dy = dy[pixel * s.k + k].to_f64();
            for (tap, neighbour) in neighbours(s, pixel, false) {
                let x = &x[neighbour * s.c..][..s.c];
                for (sum, &x) in sums[tap * s.c..][..s.c].iter_mut().zip(x) {
                    *sum += x.to_f64() * dy;
                }
            }
        }
        for (d, sum) in dfilter.iter_mut().zip(sums) {
            *d = T::from_f64(sum);
        }
    });
}

/// dbias[k] = sum_{n,h,w} dy[n,h,w,k]
pub fn bias_grad<T: Real>(s: &Conv3x3Shape, dy: &[T], dbias: &mut [T]) {
    let sums = sum_rows(s.n * s.h * s.w, s.k, s.k, |rows, sums| {
        for dy in dy[rows.start * s.k..rows.end * s.k].chunks_exact(s.k) {
            for (sum, &dy) in sums.iter_mut().zip(dy) {
                *sum += dy.to_f64();
            }
        }
    });
    for (dbias, sum) in dbias.iter_mut().zip(sums) {
        *dbias = T::from_f64(sum);
    }
}

/// The taps of `pixel` that lie within its image: the tap's number 3r+s, and the pixel it reads,
/// at (h+r-1, w+s-1), or at (h+1-r, w+1-s) if `mirrored`.
fn neighbours(s: &Conv3x3Shape, pixel: usize, mirrored: bool) -> impl Iterator<Item = (usize, usize)> {
    let &Conv3x3Shape { h: height, w: width, .. } = s;
    let (row, column) = (pixel / width % height, pixel % width);
    (0..9).filter_map(move |tap| {
        let place = if mirrored { 8 - tap } else { tap };
        let (h, w) = (row + place / 3, column + place % 3);
        let inside = (1..=height).contains(&h) && (1..=width).contains(&w);
        inside.then(|| (tap, (pixel - row * width - column) + (h - 1) * width + (w - 1)))
    })
}
