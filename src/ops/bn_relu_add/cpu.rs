//! Fused batch normalisation, ReLU and residual addition on the CPU.

use crate::device::Real;
use crate::ops::batchnorm::BatchNormShape;
use crate::ops::batchnorm::cpu::{masked_dgrad, normalized, scale};
use crate::ops::parallel::chunk_rows;
use rayon::prelude::*;

/// y = max(bn(x), 0) + residual, where bn(x) = (x - mean) / sqrt(var + eps) * gamma + beta
#[expect(clippy::too_many_arguments, reason = "the operands of the equation")]
pub fn apply<T: Real>(
    s: &BatchNormShape,
    x: &[T],
    mean: &[T],
    var: &[T],
    eps: f64,
    gamma: &[T],
    beta: &[T],
    residual: Option<&[T]>,
    y: &mut [T],
) {
    let c = s.c;
    // All of length c, which spares the inner loops their bounds checks.
    let (scale, mean, beta) = (&scale(var, eps, gamma)[..c], &mean[..c], &beta[..c]);
    let relu = |y: T| {
        // Written so that a NaN passes through.
        if y <= T::zero() { T::zero() } else { y }
    };
    let chunk = chunk_rows(c) * c;
    let chunks = y.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).enumerate();
    chunks.for_each(|(number, (y, x))| {
        let rows = y.chunks_exact_mut(c).zip(x.chunks_exact(c));
        match residual {
            None => {
                for (y, x) in rows {
                    for i in 0..c {
                        y[i] = relu(normalized(x[i], mean[i], scale[i], beta[i]));
                    }
                }
            }
            Some(residual) => {
                for ((y, x), residual) in rows.zip(residual[number * chunk..].chunks_exact(c)) {
                    for i in 0..c {
                        y[i] = relu(normalized(x[i], mean[i], scale[i], beta[i])) + residual[i];
                    }
                }
            }
        }
    });
}

/// The gradients of batch normalisation at dy where bn(x) > 0, else 0. The residual's gradient is dy
/// itself.
#[expect(clippy::too_many_arguments, reason = "the operands of the equations")]
pub fn dgrad<T: Real>(
    s: &BatchNormShape,
    x: &[T],
    dy: &[T],
    mean: &[T],
    var: &[T],
    eps: f64,
    gamma: &[T],
    beta: &[T],
    batch_statistics: bool,
    dx: &mut [T],
    dgamma: &mut [T],
    dbeta: &mut [T],
) {
    let keep = |y: T| y > T::zero();
    masked_dgrad(s, x, dy, mean, var, eps, gamma, beta, keep, batch_statistics, dx, dgamma, dbeta);
}
