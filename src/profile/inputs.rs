//! What a target's operation is run on: the shape that is given, completed by the target's own.

use super::Shape;
use crate::error::{Error, Result};
use crate::ops::spec::{Operation, Target};
use std::collections::BTreeSet;

/// `given`, completed by the target's own numbers.
///
/// # Errors
/// [`Error::Config`] when something is given that is no axis, no attribute and no optional tensor of the
/// operation.
pub(super) fn complete(operation: &Operation, target: &Target, given: &Shape) -> Result<Shape> {
    let own: Shape = target.shape.parse().map_err(Error::Config)?;
    let known = names(operation);
    let optional =
        |name: &&str| operation.inputs.iter().any(|operand| operand.optional && operand.name == *name);
    let unknown = given.iter().map(|(name, _)| name).filter(|name| !known.contains(*name));
    if let Some(unknown) = unknown.chain(given.without().filter(|name| !optional(name))).next() {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        return Err(Error::Config(format!(
            "{} has no extent or attribute {unknown}, expected of {}\n  help: for example --shape {}",
            operation.name,
            known.join(", "),
            target.shape
        )));
    }
    // Where any extents do, those that are given replace all of the target's own.
    let replaces = takes_any(operation) && given.axes().next().is_some();
    Ok(if replaces { own.without_axes() } else { own }.updated(given))
}

/// Whether some operand takes any extents.
fn takes_any(operation: &Operation) -> bool {
    operation.inputs.iter().any(|operand| operand.axes == "*")
}

/// What a shape for `operation` may give a number for.
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
