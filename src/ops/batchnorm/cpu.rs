//! Batch normalisation on the CPU. Sums are f64; loops run over channels innermost, which is how
//! the tensors lie in memory.

use super::BatchNormShape;
use crate::device::Real;
use crate::ops::parallel::{chunk_rows, sum_rows};
use rayon::prelude::*;

/// `mean[c] = sum_rows x / rows, var[c] = sum_rows (x - mean)^2 / rows`, in one pass: the sums are of
/// `x - x[0,c]`, so that a mean that is large beside the deviation costs no digits.
pub fn statistics<T: Real>(s: &BatchNormShape, x: &[T], mean: &mut [T], var: &mut [T]) {
    let c = s.c;
    let origin: Vec<f64> = x[..c].iter().map(|&x| x.to_f64()).collect();
    let sums = sum_rows(s.rows, c, 2 * c, |rows, sums| {
        let (sum, squares) = sums.split_at_mut(c);
        for x in x[rows.start * c..rows.end * c].chunks_exact(c) {
            for (((sum, square), &x), origin) in sum.iter_mut().zip(&mut *squares).zip(x).zip(&origin) {
                let d = x.to_f64() - origin;
                *sum += d;
                *square += d * d;
            }
        }
    });
    let rows = s.rows as f64;
    for i in 0..c {
        let shift = sums[i] / rows;
        mean[i] = T::from_f64(origin[i] + shift);
        var[i] = T::from_f64((sums[c + i] / rows - shift * shift).max(0.0));
    }
}

/// y = (x - mean) / sqrt(var + eps) * gamma + beta
#[expect(clippy::too_many_arguments, reason = "the operands of the equation")]
pub fn apply<T: Real>(
    s: &BatchNormShape,
    x: &[T],
    mean: &[T],
    var: &[T],
    eps: f64,
    gamma: &[T],
    beta: &[T],
    y: &mut [T],
) {
    let c = s.c;
    let scale = scale(var, eps, gamma);
    let chunk = chunk_rows(c) * c;
    y.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
            for ((((y, &x), &mean), &scale), &beta) in y.iter_mut().zip(x).zip(mean).zip(&scale).zip(beta) {
                *y = normalized(x, mean, scale, beta);
            }
        }
    });
}

/// With xhat = (x - mean) / sqrt(var + eps):
/// dgamma = sum_rows dy xhat, dbeta = sum_rows dy,
/// dx = gamma / sqrt(var + eps) (dy - dbeta / rows - xhat dgamma / rows), the last two terms only if
/// mean and var are those of x (`batch_statistics`).
#[expect(clippy::too_many_arguments, reason = "the operands of the equations")]
pub fn dgrad<T: Real>(
    s: &BatchNormShape,
    x: &[T],
    dy: &[T],
    mean: &[T],
    var: &[T],
    eps: f64,
    gamma: &[T],
    batch_statistics: bool,
    dx: &mut [T],
    dgamma: &mut [T],
    dbeta: &mut [T],
) {
    let no_beta = vec![T::zero(); s.c];
    masked_dgrad(s, x, dy, mean, var, eps, gamma, &no_beta, |_| true, batch_statistics, dx, dgamma, dbeta);
}

/// [`dgrad`] of the elements whose normalised value `keep` accepts; of the others, dy counts as 0.
#[expect(clippy::too_many_arguments, reason = "the operands of the equations")]
pub(in crate::ops) fn masked_dgrad<T: Real>(
    s: &BatchNormShape,
    x: &[T],
    dy: &[T],
    mean: &[T],
    var: &[T],
    eps: f64,
    gamma: &[T],
    beta: &[T],
    keep: impl Fn(T) -> bool + Sync,
    batch_statistics: bool,
    dx: &mut [T],
    dgamma: &mut [T],
    dbeta: &mut [T],
) {
    let c = s.c;
    // All of length c, which spares the inner loops their bounds checks.
    let (scale, mean, beta) = (&scale(var, eps, gamma)[..c], &mean[..c], &beta[..c]);

    let sums = sum_rows(s.rows, c, 2 * c, |rows, sums| {
        let (sum_dy, sum_dy_x) = sums.split_at_mut(c);
        let sum_dy_x = &mut sum_dy_x[..c];
        let rows = rows.start * c..rows.end * c;
        for (x, dy) in x[rows.clone()].chunks_exact(c).zip(dy[rows].chunks_exact(c)) {
            for i in 0..c {
                let (x, dy) = (x[i], dy[i]);
                let dy = if keep(normalized(x, mean[i], scale[i], beta[i])) { dy } else { T::zero() };
                sum_dy[i] += dy.to_f64();
                sum_dy_x[i] += dy.to_f64() * (x.to_f64() - mean[i].to_f64());
            }
        }
    });

    // dx = scale dy - offset - slope (x - mean), by channel.
    let (mut offset, mut slope) = (vec![T::zero(); c], vec![T::zero(); c]);
    for i in 0..c {
        let inv_std = inverse_deviation(var[i], eps);
        let (sum_dy, sum_dy_xhat) = (sums[i], sums[c + i] * inv_std);
        dgamma[i] = T::from_f64(sum_dy_xhat);
        dbeta[i] = T::from_f64(sum_dy);
        if batch_statistics {
            let scale_per_row = gamma[i].to_f64() * inv_std / s.rows as f64;
            offset[i] = T::from_f64(scale_per_row * sum_dy);
            slope[i] = T::from_f64(scale_per_row * sum_dy_xhat * inv_std);
        }
    }
    let (offset, slope) = (&offset[..c], &slope[..c]);
    let chunk = chunk_rows(c) * c;
    dx.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).zip(dy.par_chunks(chunk)).for_each(|((dx, x), dy)| {
        for ((dx, x), dy) in dx.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(dy.chunks_exact(c)) {
            for i in 0..c {
                let (x, dy) = (x[i], dy[i]);
                let dy = if keep(normalized(x, mean[i], scale[i], beta[i])) { dy } else { T::zero() };
                dx[i] = scale[i] * dy - offset[i] - slope[i] * (x - mean[i]);
            }
        }
    });
}

/// running = (1 - momentum) running + momentum new, where the new variance is the unbiased one:
/// var rows / (rows - 1).
pub fn update_running<T: Real>(
    s: &BatchNormShape,
    mean: &[T],
    var: &[T],
    momentum: f64,
    running_mean: &mut [T],
    running_var: &mut [T],
) {
    let unbiased = s.rows as f64 / (s.rows as f64 - 1.0);
    let mix = |running: &mut T, new: f64| {
        *running = T::from_f64((1.0 - momentum) * (*running).to_f64() + momentum * new);
    };
    for (running, &mean) in running_mean.iter_mut().zip(mean) {
        mix(running, mean.to_f64());
    }
    for (running, &var) in running_var.iter_mut().zip(var) {
        mix(running, var.to_f64() * unbiased);
    }
}

/// One element of [`apply`], with scale = gamma / sqrt(var + eps).
#[inline(always)]
pub(in crate::ops) fn normalized<T: Real>(x: T, mean: T, scale: T, beta: T) -> T {
    (x - mean) * scale + beta
}

/// gamma / sqrt(var + eps), by channel.
pub(in crate::ops) fn scale<T: Real>(var: &[T], eps: f64, gamma: &[T]) -> Vec<T> {
    var.iter().zip(gamma).map(|(&v, &g)| T::from_f64(g.to_f64() * inverse_deviation(v, eps))).collect()
}

fn inverse_deviation<T: Real>(var: T, eps: f64) -> f64 {
    1.0 / (var.to_f64() + eps).sqrt()
}
