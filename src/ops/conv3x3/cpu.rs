//! 3x3 convolution on the CPU: Winograd's transforms around matrix products, F(4x4, 3x3) for f32 and the
//! more exact F(2x2, 3x3) for f64.
//!
//! Work is cut into blocks of whole rows of tiles at places that depend on the shape alone, and each
//! block is computed by one thread, in its cache: the bits of a result do not depend on the number of
//! threads.

mod gemm;
mod lanes;
mod planes;
mod tiling;
mod winograd;

use super::Conv3x3Shape;
use crate::device::Real;
use crate::ops::parallel::sum_rows;
use crate::tensor::DType;
use multiversion::multiversion;
use tiling::Tiling;
use winograd::{F2, F4};

/// `y[n,h,w,k] = bias[k] + sum_{r,s,c} x[n,h+r-1,w+s-1,c] filter[k,r,s,c]`
pub fn fprop<T: Real>(s: &Conv3x3Shape, x: &[T], filter: &[T], bias: Option<&[T]>, y: &mut [T]) {
    match T::DTYPE {
        DType::F32 => Tiling::<F4, 4, 6>::new(s).fprop(s, x, filter, bias, y),
        _ => Tiling::<F2, 2, 4>::new(s).fprop(s, x, filter, bias, y),
    }
}

/// `dx[n,h,w,c] = sum_{k,r,s} dy[n,h+1-r,w+1-s,k] filter[k,r,s,c]`
pub fn dgrad<T: Real>(s: &Conv3x3Shape, dy: &[T], filter: &[T], dx: &mut [T]) {
    match T::DTYPE {
        DType::F32 => Tiling::<F4, 4, 6>::new(s).dgrad(s, dy, filter, dx),
        _ => Tiling::<F2, 2, 4>::new(s).dgrad(s, dy, filter, dx),
    }
}

/// `dfilter[k,r,s,c] = sum_{n,h,w} x[n,h+r-1,w+s-1,c] dy[n,h,w,k]`
pub fn wgrad<T: Real>(s: &Conv3x3Shape, x: &[T], dy: &[T], dfilter: &mut [T]) {
    match T::DTYPE {
        DType::F32 => Tiling::<F4, 4, 6>::new(s).wgrad(s, x, dy, dfilter),
        _ => Tiling::<F2, 2, 4>::new(s).wgrad(s, x, dy, dfilter),
    }
}

/// `dbias[k] = sum_{n,h,w} dy[n,h,w,k]`
pub fn bias_grad<T: Real>(s: &Conv3x3Shape, dy: &[T], dbias: &mut [T]) {
    let sums = sum_rows(s.n * s.h * s.w, s.k, s.k, |rows, sums| {
        add_rows(&dy[rows.start * s.k..rows.end * s.k], sums);
    });
    for (dbias, sum) in dbias.iter_mut().zip(sums) {
        *dbias = T::from_f64(sum);
    }
}

/// Adds rows to the sums of their columns.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_rows<T: Real>(rows: &[T], sums: &mut [f64]) {
    for row in rows.chunks_exact(sums.len()) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += value.to_f64();
        }
    }
}

#[cfg(test)]
mod tests;
