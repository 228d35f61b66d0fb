//! The operations' test cases, from the shapes in their rows. The tensors follow from the row itself:
//! their names, extents and kinds of values.

use cugrad::ops::registry::operations;
use cugrad::ops::spec::{Arguments, Operand, Operation, Shape, Values};
use cugrad::{DType, Device, Tensor};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use std::fmt;

/// An operation at a certain shape.
pub struct Case {
    /// The operation.
    pub operation: &'static Operation,
    /// Extents, attributes, and what is left out.
    pub shape: Shape,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} at {}", self.operation.name, self.shape)
    }
}

fn all(shapes: impl Fn(&'static Operation) -> Vec<Shape>) -> Vec<Case> {
    let cases = |operation| shapes(operation).into_iter().map(move |shape| Case { operation, shape });
    operations().flat_map(cases).collect()
}

fn parsed(shapes: &[&str]) -> Vec<Shape> {
    shapes.iter().map(|shape| shape.parse().unwrap_or_else(|why| panic!("{shape}: {why}"))).collect()
}

/// Every operation, small, at odd extents.
pub fn small_cases() -> Vec<Case> {
    all(|operation| parsed(operation.tests))
}

/// As [`small_cases`], large enough to be cut into several pieces of work.
pub fn large_cases() -> Vec<Case> {
    all(|operation| parsed(operation.large_tests))
}

impl Case {
    /// Random arguments on the CPU, floats of `dtype` or wide beside it: the same numbers in f32 as in f64,
    /// and rounded in bf16.
    pub fn arguments(&self, dtype: DType, seed: u64) -> Arguments {
        let mut rng = StdRng::seed_from_u64(seed);
        let operands = self.operation.inputs_at(&self.shape);
        Arguments {
            tensors: operands
                .map(|operand| (operand.name.to_string(), self.tensor(operand, dtype, &mut rng)))
                .collect(),
            attributes: self.shape.attributes().map(|(name, value)| (name.to_string(), value)).collect(),
        }
    }

    /// A gradient for the operation to add its own to, under the name of the output that accumulates;
    /// none if none does.
    pub fn earlier_gradient(&self, dtype: DType, seed: u64) -> Option<(&'static str, Tensor)> {
        let name = self.operation.accumulates?;
        let output = self.operation.outputs.iter().find(|output| output.name == name).unwrap();
        Some((name, self.tensor(output, dtype, &mut StdRng::seed_from_u64(seed))))
    }

    /// The extents of an operand.
    pub fn extents(&self, operand: &Operand) -> Vec<usize> {
        self.operation.extents(operand, &self.shape).unwrap()
    }

    fn tensor(&self, operand: &Operand, dtype: DType, rng: &mut StdRng) -> Tensor {
        let shape = self.extents(operand);
        let len = shape.iter().product();
        let ranges = operand.values.ranges(|name| self.shape.get(&name.to_lowercase()));
        let mut integers = || {
            let ranges = ranges.clone().unwrap_or_else(|| std::iter::once(0..256).collect());
            let column = |i: usize| ranges[i % ranges.len()].clone();
            (0..len).map(|i| rng.random_range(column(i))).collect::<Vec<i32>>()
        };
        match operand.values {
            Values::Real => floats(reals(len, rng), &shape, dtype),
            Values::Wide => floats(reals(len, rng), &shape, dtype.wide()),
            Values::Positive => {
                floats(reals(len, rng).iter().map(|v| v.abs() + 0.3).collect(), &shape, dtype.wide())
            }
            Values::Index(_) | Values::Columns(_) => {
                Tensor::from_vec(&Device::Cpu, integers(), &shape).unwrap()
            }
            Values::Place | Values::Pixel => {
                let values = integers().into_iter().map(|v| v as u8).collect();
                Tensor::from_vec(&Device::Cpu, values, &shape).unwrap()
            }
            Values::Count => panic!("a count is an output"),
        }
    }
}

/// `len` numbers in random order between -2 and 2, no two closer than 2 / len, none closer than
/// 0.05 to zero: away from the kinks of ReLU and max pooling. Each is an f32.
pub fn reals(len: usize, rng: &mut StdRng) -> Vec<f64> {
    let mut values: Vec<f64> = (0..len)
        .map(|i| {
            let place = (i as f64 + rng.random_range(0.25..0.75)) / len as f64;
            let value = (place - 0.5) * 3.9;
            f64::from((value + 0.05f64.copysign(value)) as f32)
        })
        .collect();
    values.shuffle(rng);
    values
}

/// A CPU tensor of floats.
pub fn floats(values: Vec<f64>, shape: &[usize], dtype: DType) -> Tensor {
    Tensor::from_f64(&Device::Cpu, dtype, values, shape).unwrap()
}
