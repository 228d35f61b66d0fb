//! Residual addition: y = a + b.

pub mod cpu;
mod gpu;
pub mod spec;

use crate::device::Device;
use crate::error::Result;
use crate::ops::check::{Operands, expect_shape, with_real};
use crate::ops::on_cpu::{Target, read, write};
use crate::tape::{Destination, Tape};
use crate::tensor::Tensor;

const OP: &str = "residual_add";

/// Elementwise sum of two tensors of one shape: `y = a + b`.
///
/// # Gradient
/// `da = dy`, `db = dy`, see [`dgrad`].
///
/// # Errors
/// [`crate::Error::Shape`] names both shapes; [`crate::Error::Launch`] names the kernel.
///
/// Source: `kernels/residual_add/`.
pub fn residual_add(tape: &mut Tape, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Operands::stored_as(OP, "a", a)?.stored("b", b)?;
    expect_shape(OP, "b", b, a.shape())?;
    let mut y = a.empty_like(a.shape())?;
    match a.device() {
        Device::Cpu => with_real!(OP, a.dtype(), T => {
            let (a, b) = (read(a)?, read(b)?);
            write([Target::over(&mut y)], |[y]| cpu::fprop::<T>(&a, &b, y))
        })?,
        Device::Gpu(_) => gpu::fprop(a, b, &mut y)?,
    }
    let (a_saved, b_saved) = (a.clone(), b.clone());
    Ok(tape.record(&[a, b], y, move |dy, gradients| {
        gradients.add(&a_saved, |da| dgrad(dy, da))?;
        gradients.add(&b_saved, |db| dgrad(dy, db))
    }))
}

/// The gradient of an operand, from the output's gradient `dy`: `dy` itself. It shares the memory of
/// `dy`; a kernel runs only to add it to another gradient.
///
/// # Errors
/// As [`residual_add`].
pub fn dgrad(dy: &Tensor, to: Destination) -> Result<Tensor> {
    match to {
        Destination::New => Ok(dy.clone()),
        Destination::Onto(sum) => residual_add(&mut Tape::no_grad(), &sum, dy),
    }
}
