//! Batch normalisation, ReLU and residual addition in one pass over memory:
//! y = max(bn(x), 0) + residual.

pub mod cpu;
mod gpu;

use crate::device::Device;
use crate::error::Result;
use crate::ops::batchnorm::{BatchNormGradients, BatchNormShape, BatchStatistics, Statistics, resolve};
use crate::ops::{Gradient, compute_on_cpu, expect_alike, expect_shape, residual_add, with_real};
use crate::tape::{Destination, Tape};
use crate::tensor::Tensor;

const OP: &str = "bn_relu_add";

/// Batch normalisation, then ReLU, then the addition of `residual` if there is one:
/// `y = max((x - mean) / sqrt(var + eps) * gamma + beta, 0) + residual`.
///
/// `x`, `residual` and `y [N,H,W,C]`; `gamma`, `beta`, `mean`, `var [C]`. Returns, with y, the
/// batch's statistics if those were used, for [`crate::ops::batchnorm::update_running`]. Equal to
/// the composition of [`crate::ops::batchnorm`], [`crate::ops::relu`] and
/// [`crate::ops::residual_add`], but keeps only `x` for the gradient.
///
/// # Gradient
/// `dx`, `dgamma` and `dbeta` by [`dgrad`], through the statistics if they are the batch's;
/// `dresidual = dy`.
///
/// # Errors
/// As [`crate::ops::batchnorm::batchnorm`].
///
/// Source: `kernels/bn_relu_add/`.
pub fn bn_relu_add(
    tape: &mut Tape,
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
    statistics: Statistics,
    residual: Option<&Tensor>,
) -> Result<(Tensor, Option<BatchStatistics>)> {
    let s = BatchNormShape::checked(OP, x, &[("gamma", gamma), ("beta", beta)])?;
    if let Some(residual) = residual {
        expect_alike(OP, &[("x", x), ("residual", residual)])?;
        expect_shape(OP, "residual as x is:", residual, x.shape())?;
    }
    let (used, computed) = resolve(OP, x, statistics)?;
    let BatchStatistics { mean, var } = used;
    let mut y = x.empty_like(x.shape())?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            let (mean, var, gamma, beta) = (mean.cpu()?, var.cpu()?, gamma.cpu()?, beta.cpu()?);
            let residual = residual.map(|residual| residual.cpu()).transpose()?;
            cpu::apply::<T>(&s, x.cpu()?, mean, var, eps, gamma, beta, residual, y.cpu_mut()?);
            Ok(())
        })?,
        Device::Gpu(_) => gpu::apply(&s, x, &mean, &var, eps, gamma, beta, residual, &mut y)?,
    }

    let batch = computed.is_some();
    let inputs: Vec<&Tensor> = [x, gamma, beta].into_iter().chain(residual).collect();
    let (x, gamma, beta, residual) = (x.clone(), gamma.clone(), beta.clone(), residual.cloned());
    let y = tape.record(&inputs, y, move |dy, gradients| {
        let dx = gradients.destination(&x);
        let computed = dgrad(&x, dy, &mean, &var, eps, &gamma, &beta, batch, dx)?;
        computed.insert(gradients, &x, &gamma, &beta)?;
        match residual {
            Some(residual) => gradients.add(&residual, |to| residual_add::dgrad(dy, to)),
            None => Ok(()),
        }
    });
    Ok((y, computed))
}

/// The gradients of [`bn_relu_add`], its input's put into `dx`, from that input `x` and its output's
/// gradient `dy`;
/// `batch_statistics` says whether `mean` and `var` are those of `x`, or constants.
///
/// # Errors
/// As [`bn_relu_add`].
#[expect(clippy::too_many_arguments, reason = "the operands of the equations")]
pub fn dgrad(
    x: &Tensor,
    dy: &Tensor,
    mean: &Tensor,
    var: &Tensor,
    eps: f64,
    gamma: &Tensor,
    beta: &Tensor,
    batch_statistics: bool,
    dx: Destination,
) -> Result<BatchNormGradients> {
    let channels = [("mean", mean), ("var", var), ("gamma", gamma), ("beta", beta)];
    let s = BatchNormShape::checked(OP, x, &channels)?;
    expect_alike(OP, &[("x", x), ("dy", dy)])?;
    expect_shape(OP, "dy as x is:", dy, x.shape())?;
    let mut dx = Gradient::new(OP, "dx as x is:", dx, x, x.shape())?;
    let mut dgamma = x.empty_like(&[s.c])?;
    let mut dbeta = x.empty_like(&[s.c])?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            let (x, dy, mean, var) = (x.cpu()?, dy.cpu()?, mean.cpu()?, var.cpu()?);
            let (gamma, beta) = (gamma.cpu()?, beta.cpu()?);
            let (dgamma, dbeta) = (dgamma.cpu_mut()?, dbeta.cpu_mut()?);
            compute_on_cpu([&mut dx], |[dx]| {
                cpu::dgrad::<T>(&s, x, dy, mean, var, eps, gamma, beta, batch_statistics, dx, dgamma, dbeta)
            })
        })?,
        Device::Gpu(_) => {
            let (dx, dgamma, dbeta) = (&mut dx, &mut dgamma, &mut dbeta);
            gpu::dgrad(&s, x, dy, mean, var, eps, gamma, beta, batch_statistics, dx, dgamma, dbeta)?
        }
    }
    Ok(BatchNormGradients { dx: dx.into_tensor(), dgamma, dbeta })
}
