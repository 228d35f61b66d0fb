//! Batch normalisation over N, H and W, and what follows it in the same pass over memory.

pub mod cpu;
mod gpu;
pub mod spec;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::check::{Operands, expect_shape, extents, with_real};
use crate::ops::gradient::Gradient;
use crate::ops::on_cpu::{Target, read, write};
use crate::ops::residual_add;
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
    fn of(x: &Tensor) -> Result<BatchNormShape> {
        let [n, h, w, c] = extents(OP, "x [N,H,W,C]", x)?;
        Ok(BatchNormShape { rows: n * h * w, c })
    }

    /// Checks that `x` and `channels`, the per-channel operands, can be used together.
    fn checked(x: &Tensor, channels: &[(&str, &Tensor)]) -> Result<BatchNormShape> {
        let s = BatchNormShape::of(x)?;
        for &(name, t) in channels {
            Operands::stored_as(OP, "x", x)?.wide(name, t)?;
            expect_shape(OP, &format!("{name} [C] ="), t, &[s.c])?;
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

/// What follows the normalisation in the same pass over memory.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a> {
    /// `y = bn(x)`
    None,
    /// `y = max(bn(x), 0)`
    Relu,
    /// `y = max(bn(x), 0) + residual`, the residual `[N,H,W,C]`.
    ReluAdd(&'a Tensor),
}

impl<'a> Epilogue<'a> {
    fn relu(self) -> bool {
        !matches!(self, Epilogue::None)
    }

    fn residual(self) -> Option<&'a Tensor> {
        match self {
            Epilogue::ReluAdd(residual) => Some(residual),
            Epilogue::None | Epilogue::Relu => None,
        }
    }
}

/// The statistics of one batch.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// The mean of each channel, `[C]`.
    pub mean: Tensor,
    /// The biased variance of each channel, `[C]`: the mean of the squared deviations.
    pub var: Tensor,
}

/// How a tensor was normalised: what [`dgrad`] needs to know of the forward pass.
#[derive(Clone, Debug)]
pub struct Normalized {
    /// The mean and the variance that were used.
    pub statistics: BatchStatistics,
    /// Whether these are the input's own, through which its gradient goes, or constants.
    pub batch: bool,
    /// What is added to the variance.
    pub eps: f64,
    /// The scale, `[C]`.
    pub gamma: Tensor,
    /// The offset, `[C]`.
    pub beta: Tensor,
    /// Whether a ReLU followed.
    pub relu: bool,
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

/// Batch normalisation, `bn(x) = (x - mean) / sqrt(var + eps) * gamma + beta`, then what `epilogue`
/// says: nothing, a ReLU, or a ReLU and the addition of a residual.
///
/// `x`, `residual` and `y [N,H,W,C]` of one type; `gamma`, `beta`, `mean`, `var [C]` of the same, or f32
/// beside bf16. Returns, with y, the batch's statistics if those were used, for [`update_running`]. Equal to the composition with
/// [`crate::ops::relu`] and [`crate::ops::residual_add`], but one pass over memory, and it keeps only
/// `x` for the gradient.
///
/// # Gradient
/// `dx`, `dgamma` and `dbeta` by [`dgrad`], through the statistics if they are the batch's;
/// `dresidual = dy`.
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
    epilogue: Epilogue,
) -> Result<(Tensor, Option<BatchStatistics>)> {
    let s = BatchNormShape::checked(x, &[("gamma", gamma), ("beta", beta)])?;
    let residual = epilogue.residual();
    if let Some(residual) = residual {
        Operands::stored_as(OP, "x", x)?.stored("residual", residual)?;
        expect_shape(OP, "residual as x is:", residual, x.shape())?;
    }
    let (statistics, computed) = resolve(x, statistics)?;
    let n = Normalized {
        statistics,
        batch: computed.is_some(),
        eps,
        gamma: gamma.clone(),
        beta: beta.clone(),
        relu: epilogue.relu(),
    };
    let mut y = x.empty_like(x.shape())?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            let (x, n, residual) = (read(x)?, n.on_cpu()?, residual.map(read).transpose()?);
            write([Target::over(&mut y)], |[y]| cpu::apply::<T>(&s, &x, &n, residual.as_deref(), y))
        })?,
        Device::Gpu(_) => gpu::apply(&s, x, &n, residual, &mut y)?,
    }

    let inputs: Vec<&Tensor> = [x, gamma, beta].into_iter().chain(residual).collect();
    let (x, residual) = (x.clone(), residual.cloned());
    let y = tape.record(&inputs, y, move |dy, gradients| {
        let dx = gradients.destination(&x);
        dgrad(&x, dy, &n, dx)?.insert(gradients, &x, &n)?;
        match residual {
            Some(residual) => gradients.add(&residual, |to| residual_add::dgrad(dy, to)),
            None => Ok(()),
        }
    });
    Ok((y, computed))
}

/// The gradients of [`batchnorm`], its input's put into `dx`, from that input `x`, its output's gradient
/// `dy`, and how `x` was normalised. The residual's gradient is `dy` itself.
///
/// # Errors
/// As [`batchnorm`].
pub fn dgrad(x: &Tensor, dy: &Tensor, n: &Normalized, dx: Destination) -> Result<BatchNormGradients> {
    let BatchStatistics { mean, var } = &n.statistics;
    let channels = [("mean", mean), ("var", var), ("gamma", &n.gamma), ("beta", &n.beta)];
    let s = BatchNormShape::checked(x, &channels)?;
    Operands::stored_as(OP, "x", x)?.stored("dy", dy)?;
    expect_shape(OP, "dy as x is:", dy, x.shape())?;
    let mut dx = Gradient::new(OP, "dx as x is:", dx, x, x.shape())?;
    let mut dgamma = per_channel(x, &s)?;
    let mut dbeta = per_channel(x, &s)?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            let (x, dy, on_cpu) = (read(x)?, read(dy)?, n.on_cpu()?);
            let (dgamma, dbeta) = (dgamma.cpu_mut()?, dbeta.cpu_mut()?);
            write([dx.target()], |[dx]| cpu::dgrad::<T>(&s, &x, &dy, &on_cpu, n.batch, dx, dgamma, dbeta))
        })?,
        Device::Gpu(_) => gpu::dgrad(&s, x, dy, n, &mut dx, &mut dgamma, &mut dbeta)?,
    }
    Ok(BatchNormGradients { dx: dx.into_tensor(), dgamma, dbeta })
}

impl BatchNormGradients {
    /// Adds those of gamma and beta to `gradients`, and keeps that of `x`.
    fn insert(self, gradients: &mut Gradients, x: &Tensor, n: &Normalized) -> Result<()> {
        gradients.insert(x, self.dx)?;
        // Of C values; `dgrad` itself needs them alone, without those of another use.
        gradients.add(&n.gamma, |to| residual_add::dgrad(&self.dgamma, to))?;
        gradients.add(&n.beta, |to| residual_add::dgrad(&self.dbeta, to))
    }
}

/// The mean and the biased variance of each channel of `x [N,H,W,C]`.
///
/// # Errors
/// As [`batchnorm`].
pub fn statistics(x: &Tensor) -> Result<BatchStatistics> {
    Operands::stored_as(OP, "x", x)?;
    let s = BatchNormShape::of(x)?;
    expect_several(&s)?;
    let mut mean = per_channel(x, &s)?;
    let mut var = per_channel(x, &s)?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            cpu::statistics::<T>(&s, &read(x)?, mean.cpu_mut()?, var.cpu_mut()?);
            Ok(())
        })?,
        Device::Gpu(_) => gpu::statistics(&s, x, &mut mean, &mut var)?,
    }
    Ok(BatchStatistics { mean, var })
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
        Operands::wide_as(OP, "mean", mean)?.wide(name, t)?;
        expect_shape(OP, &format!("{name} [C] ="), t, &[c])?;
    }
    let s = BatchNormShape { rows, c };
    expect_several(&s)?;
    match mean.device() {
        Device::Cpu => with_real!(OP, mean.dtype(), T => {
            let (running_mean, running_var) = (running_mean.cpu_mut()?, running_var.cpu_mut()?);
            cpu::update_running::<T>(&s, mean.cpu()?, var.cpu()?, momentum, running_mean, running_var);
            Ok(())
        }),
        Device::Gpu(_) => gpu::update_running(&s, mean, var, momentum, running_mean, running_var),
    }
}

/// Memory for one value of each channel of `x`, in the type of parameters.
fn per_channel(x: &Tensor, s: &BatchNormShape) -> Result<Tensor> {
    Tensor::empty(&x.device(), x.dtype().wide(), &[s.c])
}

/// The statistics to normalise `x` with; the second time if they were computed here.
fn resolve(x: &Tensor, given: Statistics) -> Result<(BatchStatistics, Option<BatchStatistics>)> {
    match given {
        Statistics::Batch => {
            let batch = statistics(x)?;
            Ok((batch.clone(), Some(batch)))
        }
        Statistics::Running { mean, var } => {
            BatchNormShape::checked(x, &[("running mean", mean), ("running var", var)])?;
            Ok((BatchStatistics { mean: mean.clone(), var: var.clone() }, None))
        }
    }
}

/// One value has no variance to speak of.
fn expect_several(s: &BatchNormShape) -> Result<()> {
    if s.rows > 1 {
        return Ok(());
    }
    Err(Error::Shape {
        op: OP,
        expected: "batch statistics over at least 2 values a channel (N*H*W >= 2)".into(),
        found: format!("N*H*W = {}", s.rows),
    })
}
