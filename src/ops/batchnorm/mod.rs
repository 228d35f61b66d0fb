//! Batch normalisation over N, H and W.

pub mod cpu;
pub(in crate::ops) mod gpu;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::{Gradient, compute_on_cpu, expect_alike, expect_shape, extents, residual_add, with_real};
use crate::tape::{Destination, Gradients, Tape};
use crate::tensor::Tensor;

const OP: &str = "batchnorm";

/// The extents of a tensor as normalisation sees it: N·H·W rows of C channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchNormShape {
    /// Values of each channel: N·H·W.
    pub rows: usize,
    /// Channels.
    pub c: usize,
}

impl BatchNormShape {
    pub(in crate::ops) fn of(op: &'static str, x: &Tensor) -> Result<BatchNormShape> {
        let [n, h, w, c] = extents(op, "x [N,H,W,C]", x)?;
        Ok(BatchNormShape { rows: n * h * w, c })
    }

    /// Checks that `x` and `channels`, the per-channel operands, can be used together.
    pub(in crate::ops) fn checked(
        op: &'static str,
        x: &Tensor,
        channels: &[(&str, &Tensor)],
    ) -> Result<BatchNormShape> {
        let s = BatchNormShape::of(op, x)?;
        for &(name, t) in channels {
            expect_alike(op, &[("x", x), (name, t)])?;
            expect_shape(op, &format!("{name} [C] ="), t, &[s.c])?;
        }
        Ok(s)
    }
}

/// Where the mean and the variance of a normalisation come from.
#[derive(Clone, Copy, Debug)]
pub enum Statistics<'a> {
    /// From the batch itself: training.
    Batch,
    /// Given, and constant for the gradient: evaluation.
    Running {
        /// The mean of each channel, `[C]`.
        mean: &'a Tensor,
        /// The variance of each channel, `[C]`.
        var: &'a Tensor,
    },
}

/// The statistics of one batch.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// The mean of each channel, `[C]`.
    pub mean: Tensor,
    /// The biased variance of each channel, `[C]`: the mean of the squared deviations.
    pub var: Tensor,
}

/// The gradients of a normalisation.
#[derive(Clone, Debug)]
pub struct BatchNormGradients {
    /// Of the input, `[N,H,W,C]`.
    pub dx: Tensor,
    /// Of the scale, `[C]`.
    pub dgamma: Tensor,
    /// Of the offset, `[C]`.
    pub dbeta: Tensor,
}

impl BatchNormGradients {
    /// Adds those of `gamma` and `beta` to `gradients`, and keeps that of `x`.
    pub(in crate::ops) fn insert(
        self,
        gradients: &mut Gradients,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
    ) -> Result<()> {
        gradients.insert(x, self.dx)?;
        // Of C values; `dgrad` itself needs them alone, without those of another use.
        gradients.add(gamma, |to| residual_add::dgrad(&self.dgamma, to))?;
        gradients.add(beta, |to| residual_add::dgrad(&self.dbeta, to))
    }
}

/// Batch normalisation: `y = (x - mean) / sqrt(var + eps) * gamma + beta`.
///
/// `x` and `y [N,H,W,C]`; `gamma`, `beta`, `mean`, `var [C]`. Returns, with y, the batch's
/// statistics if those were used, for [`update_running`].
///
/// # Gradient
/// `dx`, `dgamma` and `dbeta` by [`dgrad`], through the statistics if they are the batch's.
///
/// # Errors
/// [`Error::Shape`] names both shapes, also when there is only one value a channel to take
/// statistics of; [`Error::Operand`] when types or devices differ; [`Error::Launch`] names the kernel.
///
/// Source: `kernels/batchnorm/`.
pub fn batchnorm(
    tape: &mut Tape,
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
    statistics: Statistics,
) -> Result<(Tensor, Option<BatchStatistics>)> {
    let s = BatchNormShape::checked(OP, x, &[("gamma", gamma), ("beta", beta)])?;
    let (used, computed) = resolve(OP, x, statistics)?;
    let BatchStatistics { mean, var } = used;
    let mut y = x.empty_like(x.shape())?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            let (mean, var, gamma, beta) = (mean.cpu()?, var.cpu()?, gamma.cpu()?, beta.cpu()?);
            cpu::apply::<T>(&s, x.cpu()?, mean, var, eps, gamma, beta, y.cpu_mut()?);
            Ok(())
        })?,
        Device::Gpu(_) => gpu::apply(&s, x, &mean, &var, eps, gamma, beta, &mut y)?,
    }

    let batch = computed.is_some();
    let inputs = [x, gamma, beta];
    let (x, gamma, beta) = (x.clone(), gamma.clone(), beta.clone());
    let y = tape.record(&inputs, y, move |dy, gradients| {
        let dx = gradients.destination(&x);
        let computed = dgrad(&x, dy, &mean, &var, eps, &gamma, batch, dx)?;
        computed.insert(gradients, &x, &gamma, &beta)
    });
    Ok((y, computed))
}

/// The gradients of [`batchnorm`], its input's put into `dx`, from that input `x` and its output's
/// gradient `dy`;
/// `batch_statistics` says whether `mean` and `var` are those of `x`, or constants.
///
/// # Errors
/// As [`batchnorm`].
#[expect(clippy::too_many_arguments, reason = "the operands of the equations")]
pub fn dgrad(
    x: &Tensor,
    dy: &Tensor,
    mean: &Tensor,
    var: &Tensor,
    eps: f64,
    gamma: &Tensor,
    batch_statistics: bool,
    dx: Destination,
) -> Result<BatchNormGradients> {
    let s = BatchNormShape::checked(OP, x, &[("mean", mean), ("var", var), ("gamma", gamma)])?;
    expect_alike(OP, &[("x", x), ("dy", dy)])?;
    expect_shape(OP, "dy as x is:", dy, x.shape())?;
    let mut dx = Gradient::new(OP, "dx as x is:", dx, x, x.shape())?;
    let mut dgamma = x.empty_like(&[s.c])?;
    let mut dbeta = x.empty_like(&[s.c])?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            let (x, dy, mean, var, gamma) = (x.cpu()?, dy.cpu()?, mean.cpu()?, var.cpu()?, gamma.cpu()?);
            let (dgamma, dbeta) = (dgamma.cpu_mut()?, dbeta.cpu_mut()?);
            compute_on_cpu([&mut dx], |[dx]| {
                cpu::dgrad::<T>(&s, x, dy, mean, var, eps, gamma, batch_statistics, dx, dgamma, dbeta)
            })
        })?,
        Device::Gpu(_) => {
            let (dx, dgamma, dbeta) = (&mut dx, &mut dgamma, &mut dbeta);
            gpu::dgrad(&s, x, dy, mean, var, eps, gamma, batch_statistics, dx, dgamma, dbeta)?
        }
    }
    Ok(BatchNormGradients { dx: dx.into_tensor(), dgamma, dbeta })
}

/// The mean and the biased variance of each channel of `x [N,H,W,C]`.
///
/// # Errors
/// As [`batchnorm`].
pub fn statistics(x: &Tensor) -> Result<BatchStatistics> {
    batch_statistics(OP, x)
}

/// Moves the running statistics towards those of a batch of `rows` = N·H·W values a channel:
/// `running = (1 - momentum) running + momentum batch`, with the unbiased variance, as PyTorch does.
///
/// # Errors
/// [`Error::Shape`] when the statistics differ in length or `rows` is under 2;
/// [`Error::Operand`] when types or devices differ; [`Error::Launch`] names the kernel.
pub fn update_running(
    batch: &BatchStatistics,
    rows: usize,
    momentum: f64,
    running_mean: &mut Tensor,
    running_var: &mut Tensor,
) -> Result<()> {
    let BatchStatistics { mean, var } = batch;
    let [c] = extents(OP, "mean [C]", mean)?;
    for (name, t) in [("var", var), ("running_mean", &*running_mean), ("running_var", &*running_var)] {
        expect_alike(OP, &[("mean", mean), (name, t)])?;
        expect_shape(OP, &format!("{name} [C] ="), t, &[c])?;
    }
    let s = BatchNormShape { rows, c };
    expect_several(OP, &s)?;
    match mean.device() {
        Device::Cpu => with_real!(OP, mean.dtype(), T => {
            let (running_mean, running_var) = (running_mean.cpu_mut()?, running_var.cpu_mut()?);
            cpu::update_running::<T>(&s, mean.cpu()?, var.cpu()?, momentum, running_mean, running_var);
            Ok(())
        }),
        Device::Gpu(_) => gpu::update_running(&s, mean, var, momentum, running_mean, running_var),
    }
}

/// The statistics to normalise `x` with; the second time if they were computed here.
pub(in crate::ops) fn resolve(
    op: &'static str,
    x: &Tensor,
    statistics: Statistics,
) -> Result<(BatchStatistics, Option<BatchStatistics>)> {
    match statistics {
        Statistics::Batch => {
            let batch = batch_statistics(op, x)?;
            Ok((batch.clone(), Some(batch)))
        }
        Statistics::Running { mean, var } => {
            BatchNormShape::checked(op, x, &[("running mean", mean), ("running var", var)])?;
            Ok((BatchStatistics { mean: mean.clone(), var: var.clone() }, None))
        }
    }
}

fn batch_statistics(op: &'static str, x: &Tensor) -> Result<BatchStatistics> {
    expect_alike(op, &[("x", x)])?;
    let s = BatchNormShape::of(op, x)?;
    expect_several(op, &s)?;
    let mut mean = x.empty_like(&[s.c])?;
    let mut var = x.empty_like(&[s.c])?;
    match x.device() {
        Device::Cpu => with_real!(op, x.dtype(), T => {
            cpu::statistics::<T>(&s, x.cpu()?, mean.cpu_mut()?, var.cpu_mut()?);
            Ok(())
        })?,
        Device::Gpu(_) => gpu::statistics(&s, x, &mut mean, &mut var)?,
    }
    Ok(BatchStatistics { mean, var })
}

/// One value has no variance to speak of.
fn expect_several(op: &'static str, s: &BatchNormShape) -> Result<()> {
    if s.rows > 1 {
        return Ok(());
    }
    Err(Error::Shape {
        op,
        expected: "batch statistics over at least 2 values a channel (N*H*W >= 2)".into(),
        found: format!("N*H*W = {}", s.rows),
    })
}
