//! What a study's operation is run on: the extents and attributes given, completed by its own.

use super::{Shape, Study};
use crate::error::{Error, Result};
use crate::ops::registry::{InputShape, Operation};
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

/// The numbers as the registry takes them, with P and Q, which are H and W over the window.
pub(super) fn input_shape(operation: &Operation, shape: &Shape) -> InputShape {
    let axes = shape.iter().filter(|(name, _)| is_axis(name));
    let mut axes: Vec<(String, usize)> =
        axes.map(|(name, extent)| (name.to_uppercase(), extent as usize)).collect();
    if let Some(window) = shape.get("window").filter(|window| *window >= 1.0) {
        for (pooled, side) in [("P", "h"), ("Q", "w")] {
            axes.extend(shape.get(side).map(|extent| (pooled.into(), (extent / window) as usize)));
        }
    }
    let attributes = operation.attributes.iter().map(|attribute| attribute.name);
    let attributes = attributes.filter_map(|name| Some((name.to_string(), shape.get(name)?))).collect();
    InputShape { axes, attributes, without: Vec::new() }
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
