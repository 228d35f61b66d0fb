//! Batch normalisation on a GPU: reductions over spans of rows, merged in order, then a pass over x.

use super::{BatchNormShape, BatchStatistics, Normalized, OP};
use crate::device::driver::{Grid, Ptr};
use crate::device::kernels::batchnorm::{
    apply::BatchnormApply,
    dgrad::{BatchnormDgrad, BatchnormGradientSums, BatchnormGradientTotal},
    statistics::{BatchnormMoments, BatchnormStatistics, BatchnormUpdateRunning, UPDATE_THREADS},
};
use crate::device::{Gpu, GpuBuffer};
use crate::error::Result;
use crate::ops::check::index32;
use crate::ops::columns::Columns;
use crate::ops::gradient::Gradient;
use crate::tensor::{Tensor, gpu_of};
use std::sync::Arc;

/// Mean and biased variance of each channel of x
pub fn statistics(s: &BatchNormShape, x: &Tensor, mean: &mut Tensor, var: &mut Tensor) -> Result<()> {
    let (rows, c) = extents(s)?;
    let gpu = gpu_of(x)?;
    let reduce = Columns::reduce(s.rows, s.c);
    let [mut span_mean, mut span_m2] = per_span(gpu, &reduce, s)?;
    gpu.launch(
        &BatchnormMoments {
            x: x.gpu()?.ptr(),
            mean: span_mean.ptr_mut(),
            m2: span_m2.ptr_mut(),
            rows,
            C: c,
            rows_per_block: reduce.rows_per_block,
        },
        reduce.grid,
    )?;
    gpu.launch(
        &BatchnormStatistics {
            span_mean: span_mean.ptr(),
            span_m2: span_m2.ptr(),
            mean: mean.gpu_mut()?.ptr_mut(),
            var: var.gpu_mut()?.ptr_mut(),
            spans: index32(OP, reduce.spans)?,
            rows,
            C: c,
            rows_per_block: reduce.rows_per_block,
        },
        Columns::merge(reduce.spans, s.c).grid,
    )
}

/// y = bn(x), or max(bn(x), 0), plus the residual if there is one
pub fn apply(
    s: &BatchNormShape,
    x: &Tensor,
    n: &Normalized,
    residual: Option<&Tensor>,
    y: &mut Tensor,
) -> Result<()> {
    let (rows, c) = extents(s)?;
    let map = Columns::map(s.rows, s.c);
    let BatchStatistics { mean, var } = &n.statistics;
    let residual = residual.map_or(Ok(Ptr::new(0)), |residual| Ok(residual.gpu()?.ptr()))?;
    gpu_of(x)?.launch(
        &BatchnormApply {
            x: x.gpu()?.ptr(),
            mean: mean.gpu()?.ptr(),
            var: var.gpu()?.ptr(),
            eps: n.eps as f32,
            gamma: n.gamma.gpu()?.ptr(),
            beta: n.beta.gpu()?.ptr(),
            relu: n.relu.into(),
            residual,
            y: y.gpu_mut()?.ptr_mut(),
            rows,
            C: c,
            rows_per_block: map.rows_per_block,
        },
        map.grid,
    )
}

/// dgamma and dbeta over each span of rows, then their totals, then dx, which needs them
pub fn dgrad(
    s: &BatchNormShape,
    x: &Tensor,
    dy: &Tensor,
    n: &Normalized,
    dx: &mut Gradient,
    dgamma: &mut Tensor,
    dbeta: &mut Tensor,
) -> Result<()> {
    let (rows, c) = extents(s)?;
    let gpu = gpu_of(x)?;
    let (mean, var) = (n.statistics.mean.gpu()?.ptr(), n.statistics.var.gpu()?.ptr());
    let (gamma, beta) = (n.gamma.gpu()?.ptr(), n.beta.gpu()?.ptr());
    let (x, dy) = (x.gpu()?.ptr(), dy.gpu()?.ptr());
    let (eps, relu) = (n.eps as f32, n.relu.into());

    let reduce = Columns::reduce(s.rows, s.c);
    let [mut span_dgamma, mut span_dbeta] = per_span(gpu, &reduce, s)?;
    gpu.launch(
        &BatchnormGradientSums {
            x,
            dy,
            mean,
            var,
            eps,
            gamma,
            beta,
            relu,
            dgamma: span_dgamma.ptr_mut(),
            dbeta: span_dbeta.ptr_mut(),
            rows,
            C: c,
            rows_per_block: reduce.rows_per_block,
        },
        reduce.grid,
    )?;
    gpu.launch(
        &BatchnormGradientTotal {
            span_dgamma: span_dgamma.ptr(),
            span_dbeta: span_dbeta.ptr(),
            dgamma: dgamma.gpu_mut()?.ptr_mut(),
            dbeta: dbeta.gpu_mut()?.ptr_mut(),
            spans: index32(OP, reduce.spans)?,
            C: c,
        },
        Columns::merge(reduce.spans, s.c).grid,
    )?;
    let map = Columns::map(s.rows, s.c);
    gpu.launch(
        &BatchnormDgrad {
            x,
            dy,
            mean,
            var,
            eps,
            gamma,
            beta,
            relu,
            dgamma: dgamma.gpu()?.ptr(),
            dbeta: dbeta.gpu()?.ptr(),
            batch_statistics: n.batch.into(),
            dx: dx.ptr_mut()?,
            accumulate: dx.accumulate(),
            rows,
            C: c,
            rows_per_block: map.rows_per_block,
        },
        map.grid,
    )
}

/// running = (1 - momentum) running + momentum batch, with the unbiased variance
pub fn update_running(
    s: &BatchNormShape,
    mean: &Tensor,
    var: &Tensor,
    momentum: f64,
    running_mean: &mut Tensor,
    running_var: &mut Tensor,
) -> Result<()> {
    gpu_of(mean)?.launch(
        &BatchnormUpdateRunning {
            mean: mean.gpu()?.ptr(),
            var: var.gpu()?.ptr(),
            running_mean: running_mean.gpu_mut()?.ptr_mut(),
            running_var: running_var.gpu_mut()?.ptr_mut(),
            momentum: momentum as f32,
            unbias: (s.rows as f64 / (s.rows as f64 - 1.0)) as f32,
            C: index32(OP, s.c)?,
        },
        Grid::linear(s.c.div_ceil(UPDATE_THREADS as usize), UPDATE_THREADS),
    )
}

/// Rows and channels, whose product the kernels index by.
fn extents(s: &BatchNormShape) -> Result<(i32, i32)> {
    index32(OP, s.rows * s.c)?;
    Ok((index32(OP, s.rows)?, index32(OP, s.c)?))
}

/// Two buffers `[spans, C]` for what each span gives.
fn per_span(gpu: &Arc<Gpu>, reduce: &Columns, s: &BatchNormShape) -> Result<[GpuBuffer; 2]> {
    let bytes = reduce.spans * s.c * size_of::<f32>();
    Ok([gpu.alloc(bytes)?, gpu.alloc(bytes)?])
}
