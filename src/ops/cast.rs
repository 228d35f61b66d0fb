//! Cast: the same values rounded to another float type.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::residual_add;
use crate::tape::Tape;
use crate::tensor::{DType, Tensor};

/// `x` rounded to `dtype`; `x` itself if it has that type.
///
/// A network keeps its parameters in f32 and multiplies them in the type of its activations.
///
/// # Gradient
/// `dx` is `dy`, in the type of `x`.
///
/// # Errors
/// [`Error::Operand`] when the types are no floats, or `x` is on a GPU, which has no kernel for this yet.
pub fn cast(tape: &mut Tape, x: &Tensor, dtype: DType) -> Result<Tensor> {
    if x.dtype() == dtype {
        return Ok(x.clone());
    }
    let y = rounded(x, dtype)?;
    let x_saved = x.clone();
    Ok(tape.record(&[x], y, move |dy, gradients| {
        gradients.add(&x_saved, |dx| match dy.dtype() == x_saved.dtype() {
            true => residual_add::dgrad(dy, dx),
            false => residual_add::dgrad(&rounded(dy, x_saved.dtype())?, dx),
        })
    }))
}

fn rounded(x: &Tensor, dtype: DType) -> Result<Tensor> {
    if !matches!(x.device(), Device::Cpu) || !x.dtype().is_float() || !dtype.is_float() {
        return Err(Error::Operand {
            op: "cast",
            expected: "floats on the CPU".into(),
            found: format!("{:?} on {:?}, to {dtype:?}", x.dtype(), x.device()),
        });
    }
    Tensor::from_f64(&Device::Cpu, dtype, x.to_f64_vec()?, x.shape())
}
