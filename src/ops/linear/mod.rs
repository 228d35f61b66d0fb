//! The linear layer: y = x weightᵀ + bias.

pub mod cpu;
mod gpu;

use crate::device::Device;
use crate::error::Result;
use crate::ops::{expect_alike, expect_shape, extents, with_real};
use crate::tape::Tape;
use crate::tensor::Tensor;

const OP: &str = "linear";

/// The extents of a linear layer from `x [n,c]` to `y [n,k]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearShape {
    /// Rows: images.
    pub n: usize,
    /// Inputs of a row.
    pub c: usize,
    /// Outputs of a row.
    pub k: usize,
}

/// Linear layer: `y[n,k] = bias[k] + sum_c x[n,c] weight[k,c]`.
///
/// `x [N,C]`, `weight [K,C]` and `bias [K]` give `y [N,K]`.
///
/// # Gradient
/// `dx` by [`dgrad`], `dweight` by [`wgrad`], `dbias` by [`bias_grad`]; each only if its tensor wants
/// one.
///
/// # Errors
/// [`crate::Error::Shape`] names both shapes; [`crate::Error::Operand`] when types or devices
/// differ; [`crate::Error::Launch`] names the kernel.
///
/// Source: `kernels/linear/`.
pub fn linear(tape: &mut Tape, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    expect_alike(OP, &[("x", x), ("weight", weight), ("bias", bias)])?;
    let [n, c] = extents(OP, "x [N,C]", x)?;
    let [k, _] = extents(OP, "weight [K,C]", weight)?;
    expect_shape(OP, "weight [K,C] with the C of x:", weight, &[k, c])?;
    expect_shape(OP, "bias [K] =", bias, &[k])?;
    let s = LinearShape { n, c, k };
    let mut y = x.empty_like(&[n, k])?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            cpu::fprop::<T>(&s, x.cpu()?, weight.cpu()?, bias.cpu()?, y.cpu_mut()?);
            Ok(())
        })?,
        Device::Gpu(_) => gpu::fprop(&s, x, weight, bias, &mut y)?,
    }

    let inputs = [x, weight, bias];
    let (x, weight, bias) = (x.clone(), weight.clone(), bias.clone());
    Ok(tape.record(&inputs, y, move |dy, gradients| {
        if x.requires_grad() {
            gradients.accumulate(&x, dgrad(dy, &weight)?)?;
        }
        if weight.requires_grad() {
            gradients.accumulate(&weight, wgrad(&x, dy)?)?;
        }
        if bias.requires_grad() {
            gradients.accumulate(&bias, bias_grad(dy)?)?;
        }
        Ok(())
    }))
}

/// The gradient of [`linear`]'s input: `dx [N,C]` from `dy [N,K]` and `weight [K,C]`.
///
/// # Errors
/// As [`linear`].
pub fn dgrad(dy: &Tensor, weight: &Tensor) -> Result<Tensor> {
    expect_alike(OP, &[("dy", dy), ("weight", weight)])?;
    let [n, _] = extents(OP, "dy [N,K]", dy)?;
    let [k, c] = extents(OP, "weight [K,C]", weight)?;
    expect_shape(OP, "dy [N,K] with the weight's K:", dy, &[n, k])?;
    let s = LinearShape { n, c, k };
    let mut dx = dy.empty_like(&[n, c])?;
    match dy.device() {
        Device::Cpu => with_real!(OP, dy.dtype(), T => {
            cpu::dgrad::<T>(&s, dy.cpu()?, weight.cpu()?, dx.cpu_mut()?);
            Ok(())
        })?,
        Device::Gpu(_) => gpu::dgrad(&s, dy, weight, &mut dx)?,
    }
    Ok(dx)
}

/// The gradient of [`linear`]'s weight: `dweight [K,C]` from `x [N,C]` and `dy [N,K]`.
///
/// # Errors
/// As [`linear`].
pub fn wgrad(x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    expect_alike(OP, &[("x", x), ("dy", dy)])?;
    let [n, c] = extents(OP, "x [N,C]", x)?;
    let [_, k] = extents(OP, "dy [N,K]", dy)?;
    expect_shape(OP, "dy [N,K] with the N of x:", dy, &[n, k])?;
    let s = LinearShape { n, c, k };
    let mut dweight = x.empty_like(&[k, c])?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            cpu::wgrad::<T>(&s, x.cpu()?, dy.cpu()?, dweight.cpu_mut()?);
            Ok(())
        })?,
        Device::Gpu(_) => gpu::wgrad(&s, x, dy, &mut dweight)?,
    }
    Ok(dweight)
}

/// The gradient of [`linear`]'s bias: `dbias [K]`, the sum of `dy [N,K]` over N.
///
/// # Errors
/// As [`linear`].
pub fn bias_grad(dy: &Tensor) -> Result<Tensor> {
    expect_alike(OP, &[("dy", dy)])?;
    let [n, k] = extents(OP, "dy [N,K]", dy)?;
    // The sum does not depend on the layer's inputs.
    let s = LinearShape { n, c: 1, k };
    let mut dbias = dy.empty_like(&[k])?;
    match dy.device() {
        Device::Cpu => with_real!(OP, dy.dtype(), T => {
            cpu::bias_grad::<T>(&s, dy.cpu()?, dbias.cpu_mut()?);
            Ok(())
        })?,
        Device::Gpu(_) => gpu::bias_grad(&s, dy, &mut dbias)?,
    }
    Ok(dbias)
}
