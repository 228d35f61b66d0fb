//! Residual addition: y = a + b.

pub mod cpu;
mod gpu;

use crate::device::Device;
use crate::error::Result;
use crate::ops::{expect_alike, expect_shape, with_real};
use crate::tape::Tape;
use crate::tensor::Tensor;

const OP: &str = "residual_add";

/// Elementwise sum of two tensors of one shape: `y = a + b`.
///
/// # Gradient
/// `da = dy`, `db = dy`; no kernel runs.
///
/// # Errors
/// [`crate::Error::Shape`] names both shapes; [`crate::Error::Launch`] names the kernel.
///
/// Source: `kernels/residual_add/`.
pub fn residual_add(tape: &mut Tape, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    expect_alike(OP, &[("a", a), ("b", b)])?;
    expect_shape(OP, "b", b, a.shape())?;
    let mut y = a.empty_like(a.shape())?;
    match a.device() {
        Device::Cpu => with_real!(OP, a.dtype(), T => {
            cpu::fprop::<T>(a.cpu()?, b.cpu()?, y.cpu_mut()?);
            Ok(())
        })?,
        Device::Gpu(_) => gpu::fprop(a, b, &mut y)?,
    }
    let (a_saved, b_saved) = (a.clone(), b.clone());
    Ok(tape.record(&[a, b], y, move |dy, gradients| {
        gradients.accumulate(&a_saved, dy.clone())?;
        gradients.accumulate(&b_saved, dy.clone())
    }))
}
