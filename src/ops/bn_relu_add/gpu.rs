//! Batch normalisation, ReLU and residual addition on a GPU, in one pass over memory.

use crate::device::driver::Ptr;
use crate::device::kernels::bn_relu_add::{BnReluAddApply, BnReluAddDgrad, BnReluAddGradientSums};
use crate::error::Result;
use crate::ops::Gradient;
use crate::ops::batchnorm::BatchNormShape;
use crate::ops::batchnorm::gpu::{extents, reduce_gradients};
use crate::ops::columns::Columns;
use crate::tensor::{Tensor, gpu_of};

/// y = max(bn(x), 0) + residual
#[expect(clippy::too_many_arguments, reason = "the operands of the equations")]
pub fn apply(
    s: &BatchNormShape,
    x: &Tensor,
    mean: &Tensor,
    var: &Tensor,
    eps: f64,
    gamma: &Tensor,
    beta: &Tensor,
    residual: Option<&Tensor>,
    y: &mut Tensor,
) -> Result<()> {
    let (rows, c) = extents(s)?;
    let residual = match residual {
        Some(residual) => residual.gpu()?.ptr(),
        None => Ptr::new(0),
    };
    let map = Columns::map(s.rows, s.c);
    gpu_of(x)?.launch(
        &BnReluAddApply {
            x: x.gpu()?.ptr(),
            mean: mean.gpu()?.ptr(),
            var: var.gpu()?.ptr(),
            eps: eps as f32,
            gamma: gamma.gpu()?.ptr(),
            beta: beta.gpu()?.ptr(),
            residual,
            y: y.gpu_mut()?.ptr_mut(),
            rows,
            C: c,
            rows_per_block: map.rows_per_block,
        },
        map.grid,
    )
}

/// dgamma and dbeta, then dx, which needs them; dy counts where bn(x) > 0
#[expect(clippy::too_many_arguments, reason = "the operands of the equations")]
pub fn dgrad(
    s: &BatchNormShape,
    x: &Tensor,
    dy: &Tensor,
    mean: &Tensor,
    var: &Tensor,
    eps: f64,
    gamma: &Tensor,
    beta: &Tensor,
    batch_statistics: bool,
    dx: &mut Gradient,
    dgamma: &mut Tensor,
    dbeta: &mut Tensor,
) -> Result<()> {
    let (rows, c) = extents(s)?;
    let gpu = gpu_of(x)?;
    let eps = eps as f32;
    let sums = |span_dgamma, span_dbeta, rows_per_block| {
        Ok(BnReluAddGradientSums {
            x: x.gpu()?.ptr(),
            dy: dy.gpu()?.ptr(),
            mean: mean.gpu()?.ptr(),
            var: var.gpu()?.ptr(),
            eps,
            gamma: gamma.gpu()?.ptr(),
            beta: beta.gpu()?.ptr(),
            dgamma: span_dgamma,
            dbeta: span_dbeta,
            rows,
            C: c,
            rows_per_block,
        })
    };
    reduce_gradients(gpu, s, sums, dgamma, dbeta)?;
    let map = Columns::map(s.rows, s.c);
    gpu.launch(
        &BnReluAddDgrad {
            x: x.gpu()?.ptr(),
            dy: dy.gpu()?.ptr(),
            mean: mean.gpu()?.ptr(),
            var: var.gpu()?.ptr(),
            eps,
            gamma: gamma.gpu()?.ptr(),
            beta: beta.gpu()?.ptr(),
            dgamma: dgamma.gpu()?.ptr(),
            dbeta: dbeta.gpu()?.ptr(),
            batch_statistics: batch_statistics.into(),
            dx: dx.ptr_mut()?,
            accumulate: dx.accumulate(),
            rows,
            C: c,
            rows_per_block: map.rows_per_block,
        },
        map.grid,
    )
}
