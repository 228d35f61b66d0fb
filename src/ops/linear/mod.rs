//! The linear layer: y = x weightᵀ + bias.

pub mod cpu;
mod gpu;
pub mod spec;

use crate::device::Device;
use crate::error::Result;
use crate::ops::check::{Operands, expect_shape, extents, with_real};
use crate::ops::gradient::Gradient;
use crate::ops::on_cpu::{Target, read, write};
use crate::tape::{Destination, Tape};
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
/// All have one type, but for `x` and `weight` of bf16 the others and the gradients of weight and bias are
/// f32.
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
    Operands::stored_as(OP, "x", x)?.stored("weight", weight)?.wide("bias", bias)?;
    let [n, c] = extents(OP, "x [N,C]", x)?;
    let [k, _] = extents(OP, "weight [K,C]", weight)?;
    expect_shape(OP, "weight [K,C] with the C of x:", weight, &[k, c])?;
    expect_shape(OP, "bias [K] =", bias, &[k])?;
    let s = LinearShape { n, c, k };
    let mut y = Tensor::empty(&x.device(), x.dtype().wide(), &[n, k])?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            let (x, weight, bias) = (read(x)?, read(weight)?, read(bias)?);
            write([Target::over(&mut y)], |[y]| cpu::fprop::<T>(&s, &x, &weight, &bias, y))
        })?,
        Device::Gpu(_) => gpu::fprop(&s, x, weight, bias, &mut y)?,
    }

    let inputs = [x, weight, bias];
    let (x, weight, bias) = (x.clone(), weight.clone(), bias.clone());
    Ok(tape.record(&inputs, y, move |dy, gradients| {
        gradients.add(&x, |dx| dgrad(dy, &weight, dx))?;
        gradients.add(&weight, |dweight| wgrad(&x, dy, dweight))?;
        gradients.add(&bias, |dbias| bias_grad(dy, dbias))
    }))
}

/// The gradient of [`linear`]'s input, put into `dx [N,C]`, from `dy [N,K]` and `weight [K,C]`.
///
/// # Errors
/// As [`linear`].
pub fn dgrad(dy: &Tensor, weight: &Tensor, dx: Destination) -> Result<Tensor> {
    Operands::stored_as(OP, "weight", weight)?.wide("dy", dy)?;
    let [n, _] = extents(OP, "dy [N,K]", dy)?;
    let [k, c] = extents(OP, "weight [K,C]", weight)?;
    expect_shape(OP, "dy [N,K] with the weight's K:", dy, &[n, k])?;
    let s = LinearShape { n, c, k };
    let mut dx = Gradient::new(OP, "dx [N,C] =", dx, weight, &[n, c])?;
    match dy.device() {
        Device::Cpu => with_real!(OP, dy.dtype(), T => {
            let (dy, weight) = (read(dy)?, read(weight)?);
            write([dx.target()], |[dx]| cpu::dgrad::<T>(&s, &dy, &weight, dx))
        })?,
        Device::Gpu(_) => gpu::dgrad(&s, dy, weight, &mut dx)?,
    }
    Ok(dx.into_tensor())
}

/// The gradient of [`linear`]'s weight, put into `dweight [K,C]`, from `x [N,C]` and `dy [N,K]`.
///
/// # Errors
/// As [`linear`].
pub fn wgrad(x: &Tensor, dy: &Tensor, dweight: Destination) -> Result<Tensor> {
    Operands::stored_as(OP, "x", x)?.wide("dy", dy)?;
    let [n, c] = extents(OP, "x [N,C]", x)?;
    let [_, k] = extents(OP, "dy [N,K]", dy)?;
    expect_shape(OP, "dy [N,K] with the N of x:", dy, &[n, k])?;
    let s = LinearShape { n, c, k };
    let mut dweight = Gradient::of_parameter(OP, "dweight [K,C] =", dweight, x, &[k, c])?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            let (x, dy) = (read(x)?, read(dy)?);
            write([dweight.target()], |[dweight]| cpu::wgrad::<T>(&s, &x, &dy, dweight))
        })?,
        Device::Gpu(_) => gpu::wgrad(&s, x, dy, &mut dweight)?,
    }
    Ok(dweight.into_tensor())
}

/// The gradient of [`linear`]'s bias, put into `dbias [K]`: the sum of `dy [N,K]` over N.
///
/// # Errors
/// As [`linear`].
pub fn bias_grad(dy: &Tensor, dbias: Destination) -> Result<Tensor> {
    Operands::wide_as(OP, "dy", dy)?;
    let [n, k] = extents(OP, "dy [N,K]", dy)?;
    // The sum does not depend on the layer's inputs.
    let s = LinearShape { n, c: 1, k };
    let mut dbias = Gradient::new(OP, "dbias [K] =", dbias, dy, &[k])?;
    match dy.device() {
        Device::Cpu => with_real!(OP, dy.dtype(), T => {
            let dy = read(dy)?;
            write([dbias.target()], |[dbias]| cpu::bias_grad::<T>(&s, &dy, dbias))
        })?,
        Device::Gpu(_) => gpu::bias_grad(&s, dy, &mut dbias)?,
    }
    Ok(dbias.into_tensor())
}
