//! Reshape: the same elements under another shape. No memory moves, so there is no kernel.

use crate::error::Result;
use crate::ops::residual_add;
use crate::tape::Tape;
use crate::tensor::Tensor;

/// `x` with another shape of as many elements, in the same row-major order.
///
/// # Gradient
/// `dx` is `dy` with the shape of `x`.
///
/// # Errors
/// [`crate::Error::Shape`] when the number of elements differs.
pub fn reshape(tape: &mut Tape, x: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let y = x.reshaped(shape)?;
    let x_saved = x.clone();
    Ok(tape.record(&[x], y, move |dy, gradients| {
        gradients.add(&x_saved, |dx| residual_add::dgrad(&dy.reshaped(x_saved.shape())?, dx))
    }))
}
