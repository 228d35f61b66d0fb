//! The tensors and numbers that an operation is run on, by name.

use super::Operation;
use crate::error::{Error, Result};
use crate::tape::Destination;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::fmt;

/// The tensors and attributes that an operation is run on, by name.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// The tensors.
    pub tensors: BTreeMap<String, Tensor>,
    /// The numbers.
    pub attributes: BTreeMap<String, f64>,
}

impl Operation {
    /// Checks the names and types of `arguments`, and fills in the defaults.
    pub(super) fn check(&self, arguments: &mut Arguments) -> Result<()> {
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

        for attribute in self.attributes {
            match (arguments.attributes.contains_key(attribute.name), attribute.default) {
                (true, _) => {}
                (false, Some(default)) => drop(arguments.attributes.insert(attribute.name.into(), default)),
                (false, None) => {
                    let expected = format!("the attribute {}", attribute.name);
                    return Err(self.wrong(expected, "no value for it".into()));
                }
            }
        }
        let known = |name: &str| self.attributes.iter().any(|attribute| attribute.name == name);
        if let Some(name) = arguments.attributes.keys().find(|name| !known(name)) {
            let names: Vec<&str> = self.attributes.iter().map(|attribute| attribute.name).collect();
            return Err(self.wrong(format!("the attributes [{}]", names.join(", ")), format!("`{name}`")));
        }
        Ok(())
    }

    fn wrong(&self, expected: String, found: String) -> Error {
        Error::Operand { op: self.name, expected, found }
    }
}

/// Access for the rows of the operations, after [`Operation::run`] has checked the names.
impl Arguments {
    pub(crate) fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.optional(name).ok_or_else(|| wrong_argument(format!("the tensor {name}"), "none"))
    }

    pub(crate) fn optional(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Takes out a tensor that the operation updates.
    pub(crate) fn take(&mut self, name: &str) -> Result<Tensor> {
        self.tensors.remove(name).ok_or_else(|| wrong_argument(format!("the tensor {name}"), "none"))
    }

    /// Where the gradient `name` goes: onto the tensor of that name, if there is one.
    pub(crate) fn destination(&mut self, name: &str) -> Destination {
        self.tensors.remove(name).map_or(Destination::New, Destination::Onto)
    }

    pub(crate) fn number(&self, name: &str) -> Result<f64> {
        let value = self.attributes.get(name);
        value.copied().ok_or_else(|| wrong_argument(format!("the attribute {name}"), "none"))
    }

    pub(crate) fn count(&self, name: &str) -> Result<usize> {
        match self.number(name)? {
            value if value >= 0.0 && value.fract() == 0.0 => Ok(value as usize),
            value => Err(wrong_argument(format!("the attribute {name} to be a whole number"), value)),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool> {
        match self.number(name)? {
            0.0 => Ok(false),
            1.0 => Ok(true),
            value => Err(wrong_argument(format!("the attribute {name} to be 0 or 1"), value)),
        }
    }

    /// Three numbers, one a channel.
    pub(crate) fn triple(&self, name: &str) -> Result<[f64; 3]> {
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
