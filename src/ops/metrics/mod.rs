//! Metrics: how many predictions are right.

pub mod cpu;
mod gpu;
pub mod spec;

use crate::device::Device;
use crate::error::Result;
use crate::ops::softmax_nll::SoftmaxNllShape;
use crate::ops::check::with_real;
use crate::tensor::{DType, Tensor};

const OP: &str = "metrics";

/// How many rows of `logits [N,K]` have their largest value, the first of equals, at the row's label
/// (`labels [N]`, I32, in 0..K): an I32 tensor `[1]`. A NaN is larger than any number.
///
/// # Errors
/// [`crate::Error::Shape`] names both shapes; [`crate::Error::Operand`] when types or devices
/// differ, and on the CPU when a label is out of range; [`crate::Error::Launch`] names the kernel.
///
/// Source: `kernels/metrics/`.
pub fn correct(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let s = SoftmaxNllShape::checked(OP, "logits", logits, labels)?;
    let mut count = Tensor::empty(&logits.device(), DType::I32, &[1])?;
    match logits.device() {
        Device::Cpu => with_real!(OP, logits.dtype(), T => {
            cpu::correct::<T>(&s, logits.cpu()?, labels.cpu()?, count.cpu_mut()?);
            Ok(())
        })?,
        Device::Gpu(_) => gpu::correct(&s, logits, labels, &mut count)?,
    }
    Ok(count)
}
