//! Whether whole numbers from outside lie where a kernel may look.

use super::{Arguments, Operand, Operation, Values};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

impl Operation {
    /// Checks the indices, choices and places among `arguments`, which no kernel checks: it would read
    /// beyond a tensor. For tensors whose origin is not known; it copies them to the host.
    ///
    /// # Errors
    /// [`Error::Operand`] naming the first value that is out of its range, and the range.
    pub fn expect_ranges(&self, arguments: &Arguments) -> Result<()> {
        for operand in self.inputs {
            let ranges = match operand.values {
                Values::Index(axis) => self.extent_of(axis, arguments).map(|extent| vec![(0, extent)]),
                Values::Choices => Some(vec![(0, 9), (0, 9), (0, 2), (-1, 32), (-1, 32)]),
                Values::Place => {
                    let window = arguments.attributes.get("window").map(|window| *window as i64);
                    window.map(|window| vec![(0, window * window)])
                }
                Values::Real | Values::Positive | Values::Count | Values::Pixel => None,
            };
            // What is missing altogether, [`Operation::run`] says.
            if let (Some(tensor), Some(ranges)) = (arguments.tensors.get(operand.name), ranges) {
                self.expect_in(operand, tensor, &ranges)?;
            }
        }
        Ok(())
    }

    /// The extent of an axis in whichever operand has it.
    fn extent_of(&self, axis: &str, arguments: &Arguments) -> Option<i64> {
        let extent = |operand: &Operand| {
            let place = operand.axes.split(',').position(|name| name == axis)?;
            arguments.tensors.get(operand.name)?.shape().get(place).copied()
        };
        self.inputs.iter().find_map(extent).map(|extent| extent as i64)
    }

    /// The values are in rows of as many columns as `ranges`, each of them from a first value to below
    /// a last one.
    fn expect_in(&self, operand: &Operand, tensor: &Tensor, ranges: &[(i64, i64)]) -> Result<()> {
        let values = tensor.to_f64_vec()?;
        let placed = values.iter().zip(ranges.iter().cycle()).enumerate();
        for (place, (value, &(low, high))) in placed {
            if !(low..high).contains(&(*value as i64)) {
                return Err(Error::Operand {
                    op: self.name,
                    expected: format!("{} in {low}..{high}", operand.name),
                    found: format!("{value} at place {place}"),
                });
            }
        }
        Ok(())
    }
}
