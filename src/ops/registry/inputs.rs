//! Random inputs for an operation, from the operands of its row.

use super::{Arguments, Operand, Operation, Values};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use crate::tensor::Tensor;
use std::sync::OnceLock;

/// Random numbers that are drawn; longer tensors repeat them. A prime, so that no extent of a tensor
/// falls in step with it.
const DRAWN: usize = 1_000_003;

/// What random inputs are to look like.
#[derive(Clone, Debug, Default)]
pub(crate) struct InputShape {
    /// Extents by axis; an operand of any extents gets all of them, in this order.
    pub axes: Vec<(String, usize)>,
    /// Attributes that differ from their defaults.
    pub attributes: Vec<(String, f64)>,
    /// Optional operands to leave out.
    pub without: Vec<String>,
}

impl Operation {
    /// Random inputs of the given shape on `device`; another `set` gives other numbers.
    ///
    /// # Errors
    /// [`Error::Config`] when an extent is missing; what the device reports.
    pub(crate) fn random_inputs(&self, shape: &InputShape, device: &Device, set: usize) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        let given = |operand: &&Operand| !shape.without.iter().any(|name| name == operand.name);
        for (i, operand) in self.inputs.iter().filter(given).enumerate() {
            let tensor = self.random_input(operand, shape, device, 7919 * (set * 8 + i))?;
            arguments.tensors.insert(operand.name.into(), tensor);
        }
        arguments.attributes.extend(shape.attributes.iter().cloned());
        Ok(arguments)
    }

    fn random_input(
        &self,
        operand: &Operand,
        shape: &InputShape,
        device: &Device,
        start: usize,
    ) -> Result<Tensor> {
        let extents = self.extents(operand, shape)?;
        let len: usize = extents.iter().product();
        let integers = |low: i32, high: i32| numbers(start, len).map(move |v| whole(v, low, high));
        let bytes = |high| integers(0, high).map(|v| v as u8).collect();
        match operand.values {
            Values::Real => Tensor::from_vec(device, numbers(start, len).collect(), &extents),
            Values::Positive => {
                Tensor::from_vec(device, numbers(start, len).map(|v| v.abs() + 0.3).collect(), &extents)
            }
            Values::Index(axis) => {
                let high = self.extent(axis, shape)? as i32;
                Tensor::from_vec(device, integers(0, high).collect(), &extents)
            }
            Values::Choices => {
                let ranges = [(0, 9), (0, 9), (0, 2), (-1, 32), (-1, 32)].into_iter().cycle();
                let values = numbers(start, len).zip(ranges).map(|(v, (low, high))| whole(v, low, high));
                Tensor::from_vec(device, values.collect(), &extents)
            }
            Values::Count => Tensor::from_vec(device, integers(0, 2).collect(), &extents),
            Values::Place => {
                let window = shape.attributes.iter().find(|a| a.0 == "window").map_or(1, |a| a.1 as i32);
                Tensor::from_vec::<u8>(device, bytes((window * window).clamp(1, 256)), &extents)
            }
            Values::Pixel => Tensor::from_vec::<u8>(device, bytes(256), &extents),
        }
    }

    fn extents(&self, operand: &Operand, shape: &InputShape) -> Result<Vec<usize>> {
        if operand.axes == "*" {
            return Ok(shape.axes.iter().map(|axis| axis.1).collect());
        }
        operand.axes.split(',').map(|axis| axis.parse().or_else(|_| self.extent(axis, shape))).collect()
    }

    fn extent(&self, name: &str, shape: &InputShape) -> Result<usize> {
        let found = shape.axes.iter().find(|axis| axis.0 == name && axis.1 > 0);
        found.map(|axis| axis.1).ok_or_else(|| {
            let given: Vec<String> =
                shape.axes.iter().map(|(axis, extent)| format!("{axis}={extent}")).collect();
            let (operation, given) = (self.name, given.join(","));
            Error::Config(format!("{operation}: the extent {name} is missing or below 1 at {given}"))
        })
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

/// A number in -1..1 as a whole number in `low..high`.
fn whole(value: f32, low: i32, high: i32) -> i32 {
    let place = ((value + 1.0) * 0.5 * (high - low) as f32) as i32;
    (low + place).min(high - 1)
}
