//! A gradient on its way into memory: over what is there, or onto it.

use super::check;
use super::on_cpu::Target;
use crate::device::driver::PtrMut;
use crate::error::Result;
use crate::tape::Destination;
use crate::tensor::{DType, Tensor};

/// A gradient that an operation computes.
pub(crate) struct Gradient {
    tensor: Tensor,
    accumulate: bool,
}

impl Gradient {
    /// The gradient `name` of the operation `op`, of `shape`, with the type and on the device of `like`.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] or [`crate::Error::Operand`] when what it is added to differs from that.
    pub fn new(
        op: &'static str,
        name: &str,
        to: Destination,
        like: &Tensor,
        shape: &[usize],
    ) -> Result<Gradient> {
        Gradient::of_type(op, name, to, like, shape, like.dtype())
    }

    /// As [`Gradient::new`], for a parameter: of the type [`DType::wide`] of that of `like`.
    ///
    /// # Errors
    /// As [`Gradient::new`].
    pub fn of_parameter(
        op: &'static str,
        name: &str,
        to: Destination,
        like: &Tensor,
        shape: &[usize],
    ) -> Result<Gradient> {
        Gradient::of_type(op, name, to, like, shape, like.dtype().wide())
    }

    fn of_type(
        op: &'static str,
        name: &str,
        to: Destination,
        like: &Tensor,
        shape: &[usize],
        dtype: DType,
    ) -> Result<Gradient> {
        let Destination::Onto(tensor) = to else {
            let tensor = Tensor::empty(&like.device(), dtype, shape)?;
            return Ok(Gradient { tensor, accumulate: false });
        };
        check::expect_shape(op, name, &tensor, shape)?;
        check::expect_dtype(op, name, &tensor, dtype, &like.device())?;
        Ok(Gradient { tensor, accumulate: true })
    }

    /// Where the CPU computes it.
    pub fn target(&mut self) -> Target<'_> {
        Target::of_gradient(&mut self.tensor, self.accumulate)
    }

    /// Whether a kernel adds to what is there (1) or overwrites it (0).
    pub fn accumulate(&self) -> i32 {
        self.accumulate.into()
    }

    /// The memory for a kernel to write.
    ///
    /// # Errors
    /// [`crate::Error::Operand`] when it is on the CPU.
    pub fn ptr_mut(&mut self) -> Result<PtrMut<f32>> {
        Ok(self.tensor.gpu_mut()?.ptr_mut())
    }

    /// The gradient, when it is computed.
    pub fn into_tensor(self) -> Tensor {
        self.tensor
    }
}
