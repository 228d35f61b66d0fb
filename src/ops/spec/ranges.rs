//! Whether whole numbers from outside lie where a kernel may look.

use super::{Arguments, Operand, Operation};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use std::ops::Range;

impl Operation {
    /// Checks the indices, choices and places among `arguments`, which no kernel checks: it would read
    /// beyond a tensor. For tensors whose origin is not known; it copies them to the host.
    ///
    /// # Errors
    /// [`Error::Operand`] naming the first value that is out of its range, and the range.
    pub fn expect_ranges(&self, arguments: &Arguments) -> Result<()> {
        let number =
            |name: &str| arguments.attributes.get(name).copied().or_else(|| self.extent_of(name, arguments));
        for operand in self.inputs {
            // What is missing altogether, [`Operation::run`] says.
            let tensor = arguments.tensors.get(operand.name);
            if let (Some(tensor), Some(ranges)) = (tensor, operand.values.ranges(number)) {
                self.expect_in(operand, tensor, &ranges)?;
            }
        }
        Ok(())
    }

    /// The extent of an axis in whichever operand has it.
    fn extent_of(&self, axis: &str, arguments: &Arguments) -> Option<f64> {
        let extent = |operand: &Operand| {
            let place = operand.axes.split(',').position(|name| name == axis)?;
            arguments.tensors.get(operand.name)?.shape().get(place).copied()
        };
        self.inputs.iter().find_map(extent).map(|extent| extent as f64)
    }

    /// The values are in rows of as many columns as `ranges`.
    fn expect_in(&self, operand: &Operand, tensor: &Tensor, ranges: &[Range<i32>]) -> Result<()> {
        let values = tensor.to_f64_vec()?;
        for (place, (value, range)) in values.iter().zip(ranges.iter().cycle()).enumerate() {
            if !range.contains(&(*value as i32)) {
                return Err(Error::Operand {
                    op: self.name,
                    expected: format!("{} in {}..{}", operand.name, range.start, range.end),
                    found: format!("{value} at place {place}"),
                });
            }
        }
        Ok(())
    }
}
