//! A gradient on its way into memory: over what is there, or onto it.

use super::parallel::CHUNK;
use crate::device::Real;
use crate::device::driver::PtrMut;
use crate::error::Result;
use crate::tape::Destination;
use crate::tensor::Tensor;
use rayon::prelude::*;

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
        let Destination::Onto(tensor) = to else {
            return Ok(Gradient { tensor: like.empty_like(shape)?, accumulate: false });
        };
        super::expect_shape(op, name, &tensor, shape)?;
        super::expect_dtype(op, name, &tensor, like.dtype(), &like.device())?;
        Ok(Gradient { tensor, accumulate: true })
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

/// Computes gradients on the CPU: `compute` overwrites the elements that it is given. Where a gradient
/// accumulates, these are apart, and added to it afterwards.
///
/// # Errors
/// [`crate::Error::Operand`] when one has other elements than `T`, or is on a GPU.
pub(crate) fn compute_on_cpu<T: Real, const N: usize>(
    gradients: [&mut Gradient; N],
    compute: impl FnOnce([&mut [T]; N]),
) -> Result<()> {
    let parts = gradients.into_iter().map(|gradient| {
        let accumulate = gradient.accumulate;
        let values = gradient.tensor.cpu_mut::<T>()?;
        let apart = accumulate.then(|| vec![T::zero(); values.len()]);
        Ok((values, apart))
    });
    let mut parts = parts.collect::<Result<Vec<(&mut [T], Option<Vec<T>>)>>>()?;
    let mut targets = parts.iter_mut().map(|(values, apart)| match apart {
        Some(apart) => &mut apart[..],
        None => &mut values[..],
    });
    compute(std::array::from_fn(|_| targets.next().expect("one target for each gradient")));
    for (sums, apart) in parts {
        let Some(apart) = apart else { continue };
        sums.par_chunks_mut(CHUNK).zip(apart.par_chunks(CHUNK)).for_each(|(sums, new)| {
            sums.iter_mut().zip(new).for_each(|(sum, &new)| *sum += new);
        });
    }
    Ok(())
}
