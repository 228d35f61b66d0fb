//! Random inputs for an operation, from the operands of its row.

use super::{Arguments, Operand, Operation, Shape, Values};
use crate::device::Device;
use crate::error::Result;
use crate::random::{Purpose, Stream};
use crate::tensor::Tensor;
use std::iter;
use std::ops::Range;
use std::sync::OnceLock;

/// Random numbers that are drawn; longer tensors repeat them. A prime, so that no extent of a tensor
/// falls in step with it.
const DRAWN: usize = 1_000_003;

impl Operation {
    /// Random inputs of the given shape on `device`; another `set` gives other numbers.
    ///
    /// # Errors
    /// [`crate::Error::Config`] when an extent is missing; what the device reports.
    pub(crate) fn random_inputs(&self, shape: &Shape, device: &Device, set: usize) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        for (i, operand) in self.inputs_at(shape).enumerate() {
            let tensor = self.random_input(operand, shape, device, 7919 * (set * 8 + i))?;
            arguments.tensors.insert(operand.name.into(), tensor);
        }
        arguments.attributes.extend(shape.attributes().map(|(name, value)| (name.to_string(), value)));
        Ok(arguments)
    }

    fn random_input(
        &self,
        operand: &Operand,
        shape: &Shape,
        device: &Device,
        start: usize,
    ) -> Result<Tensor> {
        let extents = self.extents(operand, shape)?;
        let len = extents.iter().product();
        let number = |name: &str| shape.get(&name.to_lowercase());
        let integers = || {
            let ranges = operand.values.ranges(number).unwrap_or_else(|| iter::once(0..256).collect());
            numbers(start, len).zip(ranges.into_iter().cycle()).map(|(value, range)| whole(value, &range))
        };
        match operand.values {
            Values::Real | Values::Wide => Tensor::from_vec(device, numbers(start, len).collect(), &extents),
            Values::Positive => {
                Tensor::from_vec(device, numbers(start, len).map(|v| v.abs() + 0.3).collect(), &extents)
            }
            Values::Index(_) | Values::Columns(_) | Values::Count => {
                Tensor::from_vec(device, integers().collect(), &extents)
            }
            Values::Place | Values::Pixel => {
                Tensor::from_vec::<u8>(device, integers().map(|value| value as u8).collect(), &extents)
            }
        }
    }
}

/// `len` random numbers in -1..1.
fn numbers(start: usize, len: usize) -> impl Iterator<Item = f32> {
    static NUMBERS: OnceLock<Vec<f32>> = OnceLock::new();
    let drawn = NUMBERS.get_or_init(|| {
        let mut stream = Stream::new(0, Purpose::Test, 0, 0);
        (0..DRAWN).map(|_| stream.between(-1.0, 1.0)).collect()
    });
    drawn.iter().copied().cycle().skip(start % DRAWN).take(len)
}

/// A number in -1..1 as a whole number of `range`.
fn whole(value: f32, range: &Range<i32>) -> i32 {
    let place = ((value + 1.0) * 0.5 * range.len() as f32) as i32;
    (range.start + place).min(range.end - 1)
}
