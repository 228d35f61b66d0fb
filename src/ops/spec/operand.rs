//! What an operation takes and gives: tensors and attributes.

use super::{Operation, Shape};
use crate::error::{Error, Result};
use crate::tensor::DType;
use std::fmt;
use std::iter;
use std::ops::Range;

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
    /// Floats: f32, or f64 or bf16 on the CPU; the same in all such operands.
    Real,
    /// Parameters, statistics, losses: floats of the same type, or f32 where that is bf16.
    Wide,
    /// As `Wide`, and above zero: variances, deviations.
    Positive,
    /// I32 in 0..extent of the axis with this letter.
    Index(&'static str),
    /// I32 in rows, whose columns have a range each.
    Columns(&'static [Range<i32>]),
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

impl Values {
    /// Whether elements of `dtype` can be such values.
    pub fn fit(self, dtype: DType) -> bool {
        match self {
            Values::Real => dtype.is_float(),
            Values::Wide | Values::Positive => dtype.is_float() && dtype == dtype.wide(),
            Values::Index(_) | Values::Columns(_) | Values::Count => dtype == DType::I32,
            Values::Place | Values::Pixel => dtype == DType::U8,
        }
    }

    /// The ranges that a kernel trusts the values to lie in, one for each column of the tensor's rows;
    /// none where any value will do, or `number` does not know the extent or attribute that the range
    /// depends on.
    pub fn ranges(self, number: impl Fn(&str) -> Option<f64>) -> Option<Vec<Range<i32>>> {
        match self {
            Values::Index(axis) => number(axis).map(|extent| iter::once(0..extent as i32).collect()),
            Values::Columns(ranges) => Some(ranges.to_vec()),
            Values::Place => number("window").map(|window| iter::once(0..(window * window) as i32).collect()),
            Values::Real | Values::Wide | Values::Positive | Values::Count | Values::Pixel => None,
        }
    }
}

impl Operation {
    /// The extents of an operand at `shape`.
    ///
    /// # Errors
    /// [`Error::Config`] when an extent is missing.
    pub fn extents(&self, operand: &Operand, shape: &Shape) -> Result<Vec<usize>> {
        if operand.axes == "*" {
            return Ok(shape.axes().map(|axis| axis.1).collect());
        }
        let extent = |axis: &str| {
            let number = axis.parse().ok();
            number.or_else(|| shape.extent(axis)).ok_or_else(|| {
                let operation = self.name;
                Error::Config(format!("{operation}: the extent {axis} is missing or below 1 at {shape}"))
            })
        };
        operand.axes.split(',').map(extent).collect()
    }

    /// The inputs that are there at `shape`, which may leave out optional ones.
    pub fn inputs_at(&self, shape: &Shape) -> impl Iterator<Item = &'static Operand> {
        self.inputs.iter().filter(|operand| !shape.is_without(operand.name))
    }
}

pub(crate) const fn operand(name: &'static str, axes: &'static str, values: Values) -> Operand {
    Operand { name, axes, values, optional: false }
}

pub(crate) const fn real(name: &'static str, axes: &'static str) -> Operand {
    operand(name, axes, Values::Real)
}

pub(crate) const fn wide(name: &'static str, axes: &'static str) -> Operand {
    operand(name, axes, Values::Wide)
}

pub(crate) const fn positive(name: &'static str, axes: &'static str) -> Operand {
    operand(name, axes, Values::Positive)
}

pub(crate) const fn optional(operand: Operand) -> Operand {
    Operand { optional: true, ..operand }
}

pub(crate) const fn required(name: &'static str) -> Attribute {
    Attribute { name, default: None }
}

pub(crate) const fn default(name: &'static str, value: f64) -> Attribute {
    Attribute { name, default: Some(value) }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Values::Real => f.write_str("float"),
            Values::Wide => f.write_str("float but bf16"),
            Values::Positive => f.write_str("float but bf16, > 0"),
            Values::Index(axis) => write!(f, "i32 in 0..{axis}"),
            Values::Columns(_) | Values::Count => f.write_str("i32"),
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
