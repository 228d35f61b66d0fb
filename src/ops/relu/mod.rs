//! ReLU: y = max(x, 0).

pub mod cpu;
mod gpu;
pub mod spec;

use crate::device::Device;
use crate::error::Result;
use crate::ops::check::{Operands, expect_shape, with_real};
use crate::ops::gradient::Gradient;
use crate::ops::on_cpu::{Target, read, write};
use crate::tape::{Destination, Tape};
use crate::tensor::Tensor;

const OP: &str = "relu";

/// Rectified linear unit: `y = max(x, 0)` for `x` of any shape.
///
/// # Gradient
/// `dx = dy` where `y > 0`, else 0 (0 at `x = 0`, as PyTorch).
///
/// # Errors
/// [`crate::Error::Operand`] when the elements are no floats; [`crate::Error::Launch`] names the kernel.
///
/// Source: `kernels/relu/`.
pub fn relu(tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
    Operands::stored_as(OP, "x", x)?;
    let mut y = x.empty_like(x.shape())?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            let x = read(x)?;
            write([Target::over(&mut y)], |[y]| cpu::fprop::<T>(&x, y))
        })?,
        Device::Gpu(_) => gpu::fprop(x, &mut y)?,
    }
    let (x_saved, y_saved) = (x.clone(), y.clone());
    Ok(tape.record(&[x], y, move |dy, gradients| gradients.add(&x_saved, |dx| dgrad(&y_saved, dy, dx))))
}

/// The gradient of [`relu`]'s input, put into `dx`, from its output `y` and the output's gradient `dy`.
///
/// # Errors
/// As [`relu`].
pub fn dgrad(y: &Tensor, dy: &Tensor, dx: Destination) -> Result<Tensor> {
    Operands::stored_as(OP, "y", y)?.stored("dy", dy)?;
    expect_shape(OP, "dy", dy, y.shape())?;
    let mut dx = Gradient::new(OP, "dx as y is:", dx, y, y.shape())?;
    match y.device() {
        Device::Cpu => with_real!(OP, y.dtype(), T => {
            let (y, dy) = (read(y)?, read(dy)?);
            write([dx.target()], |[dx]| cpu::dgrad::<T>(&y, &dy, dx))
        })?,
        Device::Gpu(_) => gpu::dgrad(y, dy, &mut dx)?,
    }
    Ok(dx.into_tensor())
}
