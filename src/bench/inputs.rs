//! Random inputs of a case, from the operands of its row in the registry.

use super::Case;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::registry::{self, Arguments, Operand, Values};
use crate::random::{Purpose, Stream};
use crate::tensor::Tensor;
use std::sync::OnceLock;

/// Random numbers that are drawn; longer tensors repeat them. A prime, so that no extent of a tensor
/// falls in step with it.
const DRAWN: usize = 1_000_003;

/// The inputs of `case` on `device`; another `set` gives other numbers.
pub(super) fn arguments(case: &Case, device: &Device, set: usize) -> Result<Arguments> {
    let operation = registry::find(case.operation())?;
    let operands = operation.inputs.iter().filter(|operand| !case.without.contains(&operand.name));
    let mut arguments = Arguments::default();
    for (i, operand) in operands.enumerate() {
        let tensor = tensor(case, operand, device, 7919 * (set * 8 + i))?;
        arguments.tensors.insert(operand.name.into(), tensor);
    }
    arguments.attributes.extend(case.attributes.iter().map(|&(name, value)| (name.to_string(), value)));
    Ok(arguments)
}

/// Bytes of all inputs of `case`.
pub(super) fn bytes(arguments: &Arguments) -> usize {
    arguments.tensors.values().map(|t| t.len() * t.dtype().size()).sum()
}

fn tensor(case: &Case, operand: &Operand, device: &Device, start: usize) -> Result<Tensor> {
    let shape = shape(case, operand)?;
    let len: usize = shape.iter().product();
    let integers = |low: i32, high: i32| numbers(start, len).map(move |v| whole(v, low, high));
    match operand.values {
        Values::Real => Tensor::from_vec(device, numbers(start, len).collect(), &shape),
        Values::Positive => {
            Tensor::from_vec(device, numbers(start, len).map(|v| v.abs() + 0.3).collect(), &shape)
        }
        Values::Index(axis) => {
            Tensor::from_vec(device, integers(0, extent(case, axis)? as i32).collect(), &shape)
        }
        Values::Choices => {
            let ranges = [(0, 9), (0, 9), (0, 2), (-1, 32), (-1, 32)];
            let values = numbers(start, len).zip(ranges.into_iter().cycle());
            Tensor::from_vec(device, values.map(|(v, (low, high))| whole(v, low, high)).collect(), &shape)
        }
        Values::Count => Tensor::from_vec(device, integers(0, 2).collect(), &shape),
        Values::Place => {
            let window = case.attributes.iter().find(|a| a.0 == "window").map_or(1, |a| a.1 as i32);
            Tensor::from_vec(device, integers(0, window * window).map(|v| v as u8).collect(), &shape)
        }
        Values::Pixel => Tensor::from_vec(device, integers(0, 256).map(|v| v as u8).collect(), &shape),
    }
}

fn shape(case: &Case, operand: &Operand) -> Result<Vec<usize>> {
    if operand.axes == "*" {
        return Ok(case.axes.iter().map(|axis| axis.1).collect());
    }
    operand.axes.split(',').map(|axis| axis.parse().or_else(|_| extent(case, axis))).collect()
}

fn extent(case: &Case, name: &str) -> Result<usize> {
    let found = case.axes.iter().find(|axis| axis.0 == name);
    found.map(|axis| axis.1).ok_or_else(|| Error::Operand {
        op: case.operation(),
        expected: format!("the extent of the axis {name} in {}", case.id()),
        found: format!("{:?}", case.axes),
    })
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
