//! How the CPU half of an operation reads and writes tensors.
//!
//! It computes in f32 or in f64. Elements of bf16 are widened to f32 when they are read, and results are
//! rounded to bf16 once, when they are written: just where a GPU's kernel loads and stores them.

use super::parallel::CHUNK;
use crate::device::{Element, Real};
use crate::error::Result;
use crate::tensor::{DType, Tensor};
use half::bf16;
use rayon::prelude::*;
use std::borrow::Cow;

/// The elements of `t` in the type that the operation computes in: [`DType::wide`] of its own.
///
/// # Errors
/// [`crate::Error::Operand`] when they have another type, or are on a GPU.
pub(crate) fn read<T: Real>(t: &Tensor) -> Result<Cow<'_, [T]>> {
    if t.dtype() == T::DTYPE || t.dtype().wide() != T::DTYPE {
        return t.cpu().map(Cow::Borrowed);
    }
    let values = t.cpu::<bf16>()?;
    Ok(Cow::Owned(values.par_iter().map(|&value| T::from_f64(value.into())).collect()))
}

/// A tensor that an operation computes.
pub(crate) struct Target<'a> {
    tensor: &'a mut Tensor,
    accumulate: bool,
}

impl<'a> Target<'a> {
    /// Overwrites `tensor`.
    pub fn over(tensor: &'a mut Tensor) -> Target<'a> {
        Target { tensor, accumulate: false }
    }

    /// Overwrites `tensor`, or adds to it if `accumulate`.
    pub fn of_gradient(tensor: &'a mut Tensor, accumulate: bool) -> Target<'a> {
        Target { tensor, accumulate }
    }
}

/// Computes the `targets`: `compute` overwrites the elements that it is given. Where these cannot be the
/// tensor's own, they are rounded or added to it afterwards.
///
/// # Errors
/// [`crate::Error::Operand`] when a target has elements of another type, or is on a GPU.
pub(crate) fn write<T: Real, const N: usize>(
    targets: [Target; N],
    compute: impl FnOnce([&mut [T]; N]),
) -> Result<()> {
    let mut places = targets.into_iter().map(Place::of).collect::<Result<Vec<Place<T>>>>()?;
    let mut elements = places.iter_mut().map(Place::elements);
    compute(std::array::from_fn(|_| elements.next().expect("one place for each target")));
    places.into_iter().try_for_each(Place::finish)
}

/// Where an operation writes its results.
enum Place<'a, T> {
    /// In the tensor itself.
    There(&'a mut [T]),
    /// Apart from it.
    Apart(Target<'a>, Vec<T>),
}

impl<'a, T: Real> Place<'a, T> {
    fn of(target: Target<'a>) -> Result<Place<'a, T>> {
        if target.tensor.dtype() == DType::BF16 || target.accumulate {
            let apart = vec![T::zero(); target.tensor.len()];
            return Ok(Place::Apart(target, apart));
        }
        target.tensor.cpu_mut().map(Place::There)
    }

    fn elements(&mut self) -> &mut [T] {
        match self {
            Place::There(elements) => elements,
            Place::Apart(_, elements) => elements,
        }
    }

    /// Brings results that are apart into the tensor.
    fn finish(self) -> Result<()> {
        let Place::Apart(Target { tensor, accumulate }, results) = self else { return Ok(()) };
        if tensor.dtype() != DType::BF16 {
            update(tensor.cpu_mut()?, &results, |sum: T, result| sum + result);
            return Ok(());
        }
        let rounded = |value: T| bf16::from_f32(value.to_f64() as f32);
        let stored = tensor.cpu_mut::<bf16>()?;
        match accumulate {
            true => update(stored, &results, |sum, result| rounded(T::from_f64(sum.into()) + result)),
            false => update(stored, &results, |_, result| rounded(result)),
        }
        Ok(())
    }
}

/// Replaces each element of `tensor` by what `combine` makes of it and the result at its place.
fn update<E: Element, T: Real>(tensor: &mut [E], results: &[T], combine: impl Fn(E, T) -> E + Sync) {
    tensor.par_chunks_mut(CHUNK).zip(results.par_chunks(CHUNK)).for_each(|(tensor, results)| {
        tensor.iter_mut().zip(results).for_each(|(element, &result)| *element = combine(*element, result));
    });
}
