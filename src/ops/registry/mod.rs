//! The operations by name, with their tensors and attributes: one row each in [`OPERATIONS`].
//!
//! `cugrad op` runs any of them on tensors from a file; the tests and benchmarks walk the same table.

mod inputs;
mod ranges;
mod table;

pub(crate) use inputs::InputShape;
pub use table::OPERATIONS;

use crate::error::{Error, Result};
use crate::tape::{Destination, Tape};
use crate::tensor::{DType, Tensor};
use std::collections::BTreeMap;
use std::fmt;

/// An operation, or a named gradient of one.
#[derive(Debug)]
pub struct Operation {
    /// Its name, `<op>_<pass>`.
    pub name: &'static str,
    /// What it computes.
    pub equation: &'static str,
    /// The tensors it takes.
    pub inputs: &'static [Operand],
    /// The numbers it takes.
    pub attributes: &'static [Attribute],
    /// The tensors it gives.
    pub outputs: &'static [Operand],
    /// The output that is added to the tensor of its name, where one is given: a gradient that
    /// accumulates.
    pub accumulates: Option<&'static str>,
    /// Computes the outputs, in their order.
    run: fn(&mut Tape, &Arguments) -> Result<Vec<Tensor>>,
}

/// A tensor that an operation takes or gives.
#[derive(Debug)]
pub struct Operand {
    /// Its name, as in the equation.
    pub name: &'static str,
    /// Its extents, outermost first: numbers, letters that mean the same in every operand, and
    /// `*` for any extents.
    pub axes: &'static str,
    /// What its elements are.
    pub values: Values,
    /// Whether the operation can do without it.
    pub optional: bool,
}

/// What a tensor's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Floats: f32, or f64 on the CPU; the same in all operands.
    Real,
    /// Floats above zero: variances, deviations.
    Positive,
    /// I32 in 0..extent of the axis with this letter.
    Index(&'static str),
    /// I32 rows of `crop_y`, `crop_x` in 0..=8, `flip` 0 or 1, `hole_y`, `hole_x` in -1..32.
    Choices,
    /// I32: a count.
    Count,
    /// U8: the place in a window, counted row by row.
    Place,
    /// U8: a colour's intensity.
    Pixel,
}

/// A number that an operation takes; truth values are 0 and 1.
#[derive(Debug)]
pub struct Attribute {
    /// Its name, as in the equation.
    pub name: &'static str,
    /// Its value if none is given; none if one must be.
    pub default: Option<f64>,
}

/// The tensors and attributes that an operation is run on, by name.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// The tensors.
    pub tensors: BTreeMap<String, Tensor>,
    /// The numbers.
    pub attributes: BTreeMap<String, f64>,
}

/// The operation called `name`.
///
/// # Errors
/// [`Error::Config`] with the names there are.
pub fn find(name: &str) -> Result<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name).ok_or_else(|| {
        let names: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
        Error::Config(format!("no operation is called `{name}`\n  help: one of {}", names.join(", ")))
    })
}

impl Operation {
    /// Runs the operation, on the device its tensors are on, and records it on `tape` if it has a
    /// gradient. Attributes that `arguments` lacks get their defaults.
    ///
    /// # Errors
    /// [`Error::Operand`] naming a tensor or an attribute that is missing, unknown or of a wrong
    /// type; else what the operation reports.
    pub fn run(&self, tape: &mut Tape, arguments: &Arguments) -> Result<BTreeMap<&'static str, Tensor>> {
        let arguments = self.checked(arguments)?;
        let outputs = (self.run)(tape, &arguments)?;
        Ok(self.outputs.iter().map(|operand| operand.name).zip(outputs).collect())
    }

    /// The arguments, with the defaults filled in.
    fn checked(&self, arguments: &Arguments) -> Result<Arguments> {
        for operand in self.inputs {
            match arguments.tensors.get(operand.name) {
                Some(t) if !operand.values.fit(t.dtype()) => {
                    return Err(self.wrong(format!("{operand}"), format!("{:?}", t.dtype())));
                }
                None if !operand.optional => {
                    return Err(self.wrong(format!("{operand}"), "no tensor of this name".into()));
                }
                _ => {}
            }
        }
        let known = |name: &str| {
            self.inputs.iter().any(|operand| operand.name == name) || self.accumulates == Some(name)
        };
        if let Some(name) = arguments.tensors.keys().find(|name| !known(name)) {
            let names: Vec<&str> = self.inputs.iter().map(|operand| operand.name).collect();
            return Err(self.wrong(format!("the tensors {}", names.join(", ")), format!("`{name}`")));
        }

        let mut attributes = arguments.attributes.clone();
        for attribute in self.attributes {
            match (attributes.contains_key(attribute.name), attribute.default) {
                (true, _) => {}
                (false, Some(default)) => drop(attributes.insert(attribute.name.into(), default)),
                (false, None) => {
                    let expected = format!("the attribute {}", attribute.name);
                    return Err(self.wrong(expected, "no value for it".into()));
                }
            }
        }
        let known = |name: &str| self.attributes.iter().any(|attribute| attribute.name == name);
        if let Some(name) = attributes.keys().find(|name| !known(name)) {
            let names: Vec<&str> = self.attributes.iter().map(|attribute| attribute.name).collect();
            return Err(self.wrong(format!("the attributes [{}]", names.join(", ")), format!("`{name}`")));
        }
        Ok(Arguments { tensors: arguments.tensors.clone(), attributes })
    }

    fn wrong(&self, expected: String, found: String) -> Error {
        Error::Operand { op: self.name, expected, found }
    }
}

impl Values {
    /// Whether elements of `dtype` can be such values.
    pub fn fit(self, dtype: DType) -> bool {
        match self {
            Values::Real | Values::Positive => dtype.is_float(),
            Values::Index(_) | Values::Choices | Values::Count => dtype == DType::I32,
            Values::Place | Values::Pixel => dtype == DType::U8,
        }
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Values::Real => f.write_str("float"),
            Values::Positive => f.write_str("float > 0"),
            Values::Index(axis) => write!(f, "i32 in 0..{axis}"),
            Values::Choices | Values::Count => f.write_str("i32"),
            Values::Place | Values::Pixel => f.write_str("u8"),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let optional = if self.optional { ", optional" } else { "" };
        write!(f, "{} [{}] {}{optional}", self.name, self.axes, self.values)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.default {
            Some(default) => write!(f, "{} (default {default})", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// Access for the rows of the table, after [`Operation::run`] has checked the names.
impl Arguments {
    pub(crate) fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.optional(name).ok_or_else(|| wrong_argument(format!("the tensor {name}"), "none"))
    }

    pub(crate) fn optional(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Where the gradient `name` goes: onto the tensor of that name, if there is one.
    pub(crate) fn destination(&self, name: &str) -> Destination {
        self.optional(name).map_or(Destination::New, |sum| Destination::Onto(sum.clone()))
    }

    fn number(&self, name: &str) -> Result<f64> {
        let value = self.attributes.get(name);
        value.copied().ok_or_else(|| wrong_argument(format!("the attribute {name}"), "none"))
    }

    fn count(&self, name: &str) -> Result<usize> {
        match self.number(name)? {
            value if value >= 0.0 && value.fract() == 0.0 => Ok(value as usize),
            value => Err(wrong_argument(format!("the attribute {name} to be a whole number"), value)),
        }
    }

    fn flag(&self, name: &str) -> Result<bool> {
        match self.number(name)? {
            0.0 => Ok(false),
            1.0 => Ok(true),
            value => Err(wrong_argument(format!("the attribute {name} to be 0 or 1"), value)),
        }
    }

    /// Three numbers, one a channel.
    fn triple(&self, name: &str) -> Result<[f64; 3]> {
        let t = self.tensor(name)?;
        let values = t.to_f64_vec()?;
        values.try_into().map_err(|_| Error::Shape {
            op: "registry",
            expected: format!("{name} [3]"),
            found: format!("{:?}", t.shape()),
        })
    }
}

fn wrong_argument(expected: String, found: impl fmt::Display) -> Error {
    Error::Operand { op: "registry", expected, found: found.to_string() }
}
