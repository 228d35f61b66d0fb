//! Random inputs for an operation at given extents, from the operands of its row in the registry.

use super::{Shape, Study};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::registry::{Arguments, Operand, Operation, Values};
use crate::random::{Purpose, Stream};
use crate::tensor::Tensor;
use std::collections::BTreeSet;

/// `given`, completed by the study's own numbers.
///
/// # Errors
/// [`Error::Config`] when a number is for no axis and no attribute of the operation.
pub(super) fn complete(operation: &Operation, study: &Study, given: &Shape) -> Result<Shape> {
    let defaults: Shape = study.shape.parse().map_err(Error::Config)?;
    let known = names(operation);
    if let Some((unknown, _)) = given.iter().find(|(name, _)| !known.contains(*name)) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        return Err(Error::Config(format!(
            "{} has no extent or attribute {unknown}, expected of {}\n  help: for example --shape {}",
            operation.name,
            known.join(", "),
            study.shape
        )));
    }
    // Where any extents do, those that are given replace all of the study's own.
    let replaces = takes_any(operation) && given.iter().any(|(name, _)| is_axis(name));
    let mut shape = Shape::default();
    for (name, value) in defaults.iter().filter(|(name, _)| !(replaces && is_axis(name))) {
        shape.set(name, value);
    }
    given.iter().for_each(|(name, value)| shape.set(name, value));
    Ok(shape)
}

/// The inputs of `operation` at `shape`, on `device`.
///
/// # Errors
/// [`Error::Config`] when an extent is missing; what the device reports.
pub(super) fn arguments(operation: &Operation, shape: &Shape, device: &Device) -> Result<Arguments> {
    let mut arguments = Arguments::default();
    for (index, operand) in (0..).zip(operation.inputs) {
        let stream = &mut Stream::new(0, Purpose::Test, 0, index);
        arguments.tensors.insert(operand.name.into(), tensor(operand, shape, device, stream)?);
    }
    let attributes = operation.attributes.iter().map(|attribute| attribute.name);
    let given = attributes.filter_map(|name| Some((name.to_string(), shape.get(name)?)));
    arguments.attributes.extend(given);
    Ok(arguments)
}

/// Whether some operand takes any extents.
fn takes_any(operation: &Operation) -> bool {
    operation.inputs.iter().any(|operand| operand.axes == "*")
}

fn is_axis(name: &str) -> bool {
    name.len() == 1
}

/// What a shape for `operation` may name.
fn names(operation: &Operation) -> BTreeSet<String> {
    let operands = || operation.inputs.iter().chain(operation.outputs);
    let axes =
        operands().flat_map(|operand| operand.axes.split(',')).filter(|axis| axis.parse::<usize>().is_err());
    // P and Q are H and W over the window.
    let mut names: BTreeSet<String> =
        axes.filter(|axis| !["*", "P", "Q"].contains(axis)).map(str::to_lowercase).collect();
    if takes_any(operation) {
        names.extend(["n", "h", "w", "c"].map(String::from));
    }
    names.extend(operation.attributes.iter().map(|attribute| attribute.name.to_string()));
    names
}

fn tensor(operand: &Operand, shape: &Shape, device: &Device, stream: &mut Stream) -> Result<Tensor> {
    let extents = extents(operand, shape)?;
    let len: usize = extents.iter().product();
    let integers = |stream: &mut Stream, low: i32, high: i32| -> Vec<i32> {
        (0..len).map(|_| low + stream.below(low.abs_diff(high)) as i32).collect()
    };
    let bytes = |stream: &mut Stream, high: u32| (0..len).map(|_| stream.below(high) as u8).collect();
    match operand.values {
        Values::Real => {
            let values = (0..len).map(|_| 2.0 * stream.uniform_f32() - 1.0).collect();
            Tensor::from_vec(device, values, &extents)
        }
        Values::Positive => {
            Tensor::from_vec(device, (0..len).map(|_| stream.uniform_f32() + 0.3).collect(), &extents)
        }
        Values::Index(axis) => {
            let high = extent(axis, shape)? as i32;
            Tensor::from_vec(device, integers(stream, 0, high), &extents)
        }
        Values::Choices => {
            const RANGES: [(i32, i32); 5] = [(0, 9), (0, 9), (0, 2), (-1, 32), (-1, 32)];
            let row = RANGES.into_iter().cycle().take(len);
            let values = row.map(|(low, high)| low + stream.below(low.abs_diff(high)) as i32).collect();
            Tensor::from_vec(device, values, &extents)
        }
        Values::Count => Tensor::from_vec(device, integers(stream, 0, 2), &extents),
        Values::Place => {
            let window = shape.get("window").unwrap_or(1.0) as u32;
            Tensor::from_vec::<u8>(device, bytes(stream, (window * window).clamp(1, 256)), &extents)
        }
        Values::Pixel => Tensor::from_vec::<u8>(device, bytes(stream, 256), &extents),
    }
}

fn extents(operand: &Operand, shape: &Shape) -> Result<Vec<usize>> {
    if operand.axes == "*" {
        return Ok(shape
            .iter()
            .filter(|(name, _)| is_axis(name))
            .map(|(_, extent)| extent as usize)
            .collect());
    }
    operand.axes.split(',').map(|axis| axis.parse().or_else(|_| extent(axis, shape))).collect()
}

fn extent(axis: &str, shape: &Shape) -> Result<usize> {
    let windows = |side: &str| {
        let window = shape.get("window").filter(|window| *window >= 1.0)?;
        Some(shape.get(side)? / window)
    };
    let extent = match axis {
        "P" => windows("h"),
        "Q" => windows("w"),
        axis => shape.get(&axis.to_lowercase()),
    };
    match extent {
        Some(extent) if extent >= 1.0 => Ok(extent as usize),
        _ => Err(Error::Config(format!("the extent {axis} is missing or below 1 at {shape}"))),
    }
}
