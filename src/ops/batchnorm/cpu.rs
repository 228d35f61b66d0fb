//! Batch normalisation on the CPU. Sums are f64; loops run over channels innermost, which is how
//! the tensors lie in memory.

use super::{BatchNormShape, Normalized};
use crate::device::{Element, Real};
use crate::error::Result;
use crate::ops::parallel::{chunk_rows, sum_rows};
use multiversion::multiversion;
use rayon::prelude::*;

/// `mean[c] = sum_rows x / rows, var[c] = sum_rows (x - mean)^2 / rows`, in one pass: the sums are of
/// `x - x[0,c]`, so that a mean that is large beside the deviation costs no digits.
pub fn statistics<T: Real>(s: &BatchNormShape, x: &[T], mean: &mut [T], var: &mut [T]) {
    let c = s.c;
    let origin: Vec<f64> = x[..c].iter().map(|&x| x.to_f64()).collect();
    let sums = sum_rows(s.rows, c, 2 * c, |rows, sums| {
        add_moments(&x[rows.start * c..rows.end * c], &origin, sums);
    });
    let rows = s.rows as f64;
    for i in 0..c {
        let shift = sums[i] / rows;
        mean[i] = T::from_f64(origin[i] + shift);
        var[i] = T::from_f64((sums[c + i] / rows - shift * shift).max(0.0));
    }
}

/// Adds x - origin and its square to the sums of each channel.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_moments<T: Real>(x: &[T], origin: &[f64], sums: &mut [f64]) {
    let (sum, squares) = sums.split_at_mut(origin.len());
    for x in x.chunks_exact(origin.len()) {
        for (((sum, square), &x), origin) in sum.iter_mut().zip(&mut *squares).zip(x).zip(origin) {
            let d = x.to_f64() - origin;
            *sum += d;
            *square += d * d;
        }
    }
}

/// The operands of a normalisation that each channel has one of, and whether a ReLU follows.
#[derive(Clone, Copy, Debug)]
pub struct Channels<'a, T> {
    /// The mean.
    pub mean: &'a [T],
    /// The variance.
    pub var: &'a [T],
    /// What is added to the variance.
    pub eps: f64,
    /// The scale.
    pub gamma: &'a [T],
    /// The offset.
    pub beta: &'a [T],
    /// Whether a ReLU follows.
    pub relu: bool,
}

impl Normalized {
    pub(super) fn on_cpu<T: Element>(&self) -> Result<Channels<'_, T>> {
        Ok(Channels {
            mean: self.statistics.mean.cpu()?,
            var: self.statistics.var.cpu()?,
            eps: self.eps,
            gamma: self.gamma.cpu()?,
            beta: self.beta.cpu()?,
            relu: self.relu,
        })
    }
}

/// y = bn(x), or max(bn(x), 0), plus the residual if there is one, where
/// bn(x) = (x - mean) / sqrt(var + eps) * gamma + beta
pub fn apply<T: Real>(s: &BatchNormShape, x: &[T], n: &Channels<T>, residual: Option<&[T]>, y: &mut [T]) {
    let scale = n.scale();
    let chunk = chunk_rows(s.c) * s.c;
    let chunks = y.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).enumerate();
    chunks.for_each(|(number, (y, x))| {
        let residual = residual.map(|residual| &residual[number * chunk..][..y.len()]);
        apply_rows(x, n, &scale, residual, y);
    });
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma", "aarch64+neon"))]
fn apply_rows<T: Real>(x: &[T], n: &Channels<T>, scale: &[T], residual: Option<&[T]>, y: &mut [T]) {
    let c = scale.len();
    // All of length c, which spares the inner loops their bounds checks.
    let (mean, beta) = (&n.mean[..c], &n.beta[..c]);
    for (row, (y, x)) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)).enumerate() {
        for i in 0..c {
            y[i] = normalized(x[i], mean[i], scale[i], beta[i]);
        }
        if n.relu {
            // Written so that a NaN passes through.
            y.iter_mut().for_each(|y| *y = if *y <= T::zero() { T::zero() } else { *y });
        }
        if let Some(residual) = residual {
            y.iter_mut().zip(&residual[row * c..]).for_each(|(y, &residual)| *y += residual);
        }
    }
}

/// With xhat = (x - mean) / sqrt(var + eps), and dy of the elements that a ReLU cut off counted as 0:
/// dgamma = sum_rows dy xhat, dbeta = sum_rows dy,
/// dx = gamma / sqrt(var + eps) (dy - dbeta / rows - xhat dgamma / rows), the last two terms only if
/// mean and var are those of x (`batch_statistics`).
#[expect(clippy::too_many_arguments, reason = "the operands of the equations")]
pub fn dgrad<T: Real>(
    s: &BatchNormShape,
    x: &[T],
    dy: &[T],
    n: &Channels<T>,
    batch_statistics: bool,
    dx: &mut [T],
    dgamma: &mut [T],
    dbeta: &mut [T],
) {
    let c = s.c;
    let scale = n.scale();
    let sums = sum_rows(s.rows, c, 2 * c, |rows, sums| {
        let rows = rows.start * c..rows.end * c;
        add_gradients(&x[rows.clone()], &dy[rows], n, &scale, sums);
    });

    // dx = scale dy - offset - slope (x - mean), by channel.
    let (mut offset, mut slope) = (vec![T::zero(); c], vec![T::zero(); c]);
    for i in 0..c {
        let inv_std = inverse_deviation(n.var[i], n.eps);
        let (sum_dy, sum_dy_xhat) = (sums[i], sums[c + i] * inv_std);
        dgamma[i] = T::from_f64(sum_dy_xhat);
        dbeta[i] = T::from_f64(sum_dy);
        if batch_statistics {
            let scale_per_row = n.gamma[i].to_f64() * inv_std / s.rows as f64;
            offset[i] = T::from_f64(scale_per_row * sum_dy);
            slope[i] = T::from_f64(scale_per_row * sum_dy_xhat * inv_std);
        }
    }
    let chunk = chunk_rows(c) * c;
    let chunks = dx.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).zip(dy.par_chunks(chunk));
    chunks.for_each(|((dx, x), dy)| dgrad_rows(x, dy, n, &scale, &offset, &slope, dx));
}

/// Adds dy and dy (x - mean) to the sums of each channel.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_gradients<T: Real>(x: &[T], dy: &[T], n: &Channels<T>, scale: &[T], sums: &mut [f64]) {
    let c = scale.len();
    // All of length c, which spares the inner loops their bounds checks.
    let (mean, beta) = (&n.mean[..c], &n.beta[..c]);
    let (sum_dy, sum_dy_x) = sums.split_at_mut(c);
    let sum_dy_x = &mut sum_dy_x[..c];
    for (x, dy) in x.chunks_exact(c).zip(dy.chunks_exact(c)) {
        for i in 0..c {
            let dy = masked(n.relu, normalized(x[i], mean[i], scale[i], beta[i]), dy[i]);
            sum_dy[i] += dy.to_f64();
            sum_dy_x[i] += dy.to_f64() * (x[i].to_f64() - mean[i].to_f64());
        }
    }
}

/// dx = scale dy - offset - slope (x - mean)
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma", "aarch64+neon"))]
fn dgrad_rows<T: Real>(
    x: &[T],
    dy: &[T],
    n: &Channels<T>,
    scale: &[T],
    offset: &[T],
    slope: &[T],
    dx: &mut [T],
) {
    let c = scale.len();
    // All of length c, which spares the inner loops their bounds checks.
    let (mean, beta, offset, slope) = (&n.mean[..c], &n.beta[..c], &offset[..c], &slope[..c]);
    for ((dx, x), dy) in dx.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(dy.chunks_exact(c)) {
        for i in 0..c {
            let dy = masked(n.relu, normalized(x[i], mean[i], scale[i], beta[i]), dy[i]);
            dx[i] = scale[i] * dy - offset[i] - slope[i] * (x[i] - mean[i]);
        }
    }
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

impl<T: Real> Channels<'_, T> {
    /// gamma / sqrt(var + eps)
    fn scale(&self) -> Vec<T> {
        let scale = |(&var, &gamma): (&T, &T)| gamma.to_f64() * inverse_deviation(var, self.eps);
        self.var.iter().zip(self.gamma).map(|channel| T::from_f64(scale(channel))).collect()
    }
}

/// bn(x) of one element, with scale = gamma / sqrt(var + eps).
#[inline(always)]
fn normalized<T: Real>(x: T, mean: T, scale: T, beta: T) -> T {
    (x - mean) * scale + beta
}

/// dy, or 0 if a ReLU follows that cuts the element off.
#[inline(always)]
fn masked<T: Real>(relu: bool, normalized: T, dy: T) -> T {
    // Not ||, which would branch on every element.
    let passed = !relu | (normalized > T::zero());
    if passed { dy } else { T::zero() }
}

fn inverse_deviation<T: Real>(var: T, eps: f64) -> f64 {
    1.0 / (var.to_f64() + eps).sqrt()
}
