//! The linear layer on the CPU. Sums are f64.

use super::LinearShape;
use crate::device::Real;
use rayon::prelude::*;

/// `y[n,k] = bias[k] + sum_c x[n,c] weight[k,c]`
pub fn fprop<T: Real>(s: &LinearShape, x: &[T], weight: &[T], bias: &[T], y: &mut [T]) {
    y.par_chunks_mut(s.k).zip(x.par_chunks(s.c)).for_each(|(y, x)| {
        for ((y, weight), &bias) in y.iter_mut().zip(weight.chunks_exact(s.c)).zip(bias) {
            let dot: f64 = x.iter().zip(weight).map(|(&x, &w)| x.to_f64() * w.to_f64()).sum();
            *y = T::from_f64(bias.to_f64() + dot);
        }
    });
}

/// `dx[n,c] = sum_k dy[n,k] weight[k,c]`
pub fn dgrad<T: Real>(s: &LinearShape, dy: &[T], weight: &[T], dx: &mut [T]) {
    dx.par_chunks_mut(s.c).zip(dy.par_chunks(s.k)).for_each(|(dx, dy)| {
        weighted_sum(dy.iter().zip(weight.chunks_exact(s.c)), dx);
    });
}

/// `dweight[k,c] = sum_n dy[n,k] x[n,c]`
pub fn wgrad<T: Real>(s: &LinearShape, x: &[T], dy: &[T], dweight: &mut [T]) {
    dweight.par_chunks_mut(s.c).enumerate().for_each(|(k, dweight)| {
        weighted_sum(dy[k..].iter().step_by(s.k).zip(x.chunks_exact(s.c)), dweight);
    });
}

/// `dbias[k] = sum_n dy[n,k]`
pub fn bias_grad<T: Real>(s: &LinearShape, dy: &[T], dbias: &mut [T]) {
    for (k, dbias) in dbias.iter_mut().enumerate() {
        *dbias = T::from_f64(dy[k..].iter().step_by(s.k).map(|&dy| dy.to_f64()).sum());
    }
}

/// out = sum of weight row over the pairs (weight, row)
fn weighted_sum<'a, T: Real>(terms: impl Iterator<Item = (&'a T, &'a [T])>, out: &mut [T]) {
    let mut sums = vec![0.0; out.len()];
    for (&weight, row) in terms {
        let weight = weight.to_f64();
        for (sum, &x) in sums.iter_mut().zip(row) {
            *sum += weight * x.to_f64();
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = T::from_f64(sum);
    }
}
