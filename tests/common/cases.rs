//! The operations' test cases: for each row of the registry, extents to try it at. The tensors
//! follow from the row itself: their names, extents and kinds of values.

use cugrad::ops::registry::{self, Arguments, Operand, Operation, Values};
use cugrad::{DType, Device, Tensor};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use std::fmt;

/// An operation at certain extents.
pub struct Case {
    /// The operation's name in the registry.
    pub op: &'static str,
    /// The extents of the axes; `*` stands for all of them.
    pub axes: &'static [(&'static str, usize)],
    /// Attributes that differ from their defaults.
    pub attributes: &'static [(&'static str, f64)],
    /// Optional tensors to leave out.
    pub without: &'static [&'static str],
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {:?} {:?} without {:?}", self.op, self.axes, self.attributes, self.without)
    }
}

const fn case(op: &'static str, axes: &'static [(&'static str, usize)]) -> Case {
    Case { op, axes, attributes: &[], without: &[] }
}

const fn with(case: Case, attributes: &'static [(&'static str, f64)]) -> Case {
    Case { attributes, ..case }
}

const fn without(case: Case, without: &'static [&'static str]) -> Case {
    Case { without, ..case }
}

type Axes = &'static [(&'static str, usize)];

/// Odd extents, beside any tile.
const CONV: Axes = &[("N", 2), ("H", 5), ("W", 3), ("C", 3), ("K", 5)];
/// One pixel: eight of the nine taps are outside.
const CONV_PIXEL: Axes = &[("N", 1), ("H", 1), ("W", 1), ("C", 2), ("K", 1)];
/// Channels at and beside a multiple of 8.
const CONV_WIDE: Axes = &[("N", 1), ("H", 4), ("W", 6), ("C", 16), ("K", 17)];
/// Channels at multiples of 4.
const CONV_FOURS: Axes = &[("N", 2), ("H", 3), ("W", 5), ("C", 8), ("K", 12)];
const NHWC: Axes = &[("N", 2), ("H", 3), ("W", 5), ("C", 7)];
const NHWC_ONE: Axes = &[("N", 1), ("H", 1), ("W", 2), ("C", 1)];
const POOL2: Axes = &[("N", 2), ("P", 3), ("Q", 2), ("H", 6), ("W", 4), ("C", 5)];
const POOL4: Axes = &[("N", 3), ("P", 1), ("Q", 2), ("H", 4), ("W", 8), ("C", 3)];
const LINEAR: Axes = &[("N", 5), ("C", 13), ("K", 3)];
const LINEAR_ONE: Axes = &[("N", 1), ("C", 1), ("K", 1)];
const LOGITS: Axes = &[("N", 7), ("K", 10)];
const LOGITS_ONE: Axes = &[("N", 1), ("K", 3)];
const FLAT: Axes = &[("I", 11), ("J", 9)];
const IMAGES: Axes = &[("N", 5), ("T", 3)];

const WINDOW2: &[(&str, f64)] = &[("window", 2.0)];
const WINDOW4: &[(&str, f64)] = &[("window", 4.0)];
const EVAL: &[(&str, f64)] = &[("batch_statistics", 0.0), ("eps", 0.01)];
const RELU: &[(&str, f64)] = &[("relu", 1.0)];
const EVAL_RELU: &[(&str, f64)] = &[("batch_statistics", 0.0), ("eps", 0.01), ("relu", 1.0)];
const RESIDUAL: &[&str] = &["residual"];
const SMOOTHED: &[(&str, f64)] = &[("smoothing", 0.2)];

/// Every operation, small, at odd extents.
pub const CASES: &[Case] = &[
    case("conv3x3_fprop", CONV),
    case("conv3x3_fprop", CONV_WIDE),
    without(case("conv3x3_fprop", CONV), &["bias"]),
    case("conv3x3_fprop", CONV_PIXEL),
    case("conv3x3_fprop", CONV_FOURS),
    case("conv3x3_dgrad", CONV),
    case("conv3x3_dgrad", CONV_WIDE),
    case("conv3x3_dgrad", CONV_PIXEL),
    case("conv3x3_dgrad", CONV_FOURS),
    case("conv3x3_wgrad", CONV),
    case("conv3x3_wgrad", CONV_WIDE),
    case("conv3x3_wgrad", CONV_PIXEL),
    case("conv3x3_wgrad", CONV_FOURS),
    case("conv3x3_bias_grad", CONV),
    without(case("batchnorm_fprop", NHWC), RESIDUAL),
    with(without(case("batchnorm_fprop", NHWC_ONE), RESIDUAL), &[("eps", 0.01)]),
    with(case("batchnorm_fprop", NHWC), RELU),
    with(without(case("batchnorm_fprop", NHWC), RESIDUAL), RELU),
    without(case("batchnorm_eval", NHWC), RESIDUAL),
    with(case("batchnorm_eval", NHWC), RELU),
    with(without(case("batchnorm_eval", NHWC), RESIDUAL), RELU),
    case("batchnorm_dgrad", NHWC),
    with(case("batchnorm_dgrad", NHWC), EVAL),
    with(case("batchnorm_dgrad", NHWC), RELU),
    with(case("batchnorm_dgrad", NHWC), EVAL_RELU),
    with(case("batchnorm_update_running", NHWC), &[("rows", 30.0), ("momentum", 0.3)]),
    with(case("maxpool_fprop", POOL2), WINDOW2),
    with(case("maxpool_fprop", POOL4), WINDOW4),
    with(case("maxpool_argmax", POOL2), WINDOW2),
    with(case("maxpool_argmax", POOL4), WINDOW4),
    with(case("maxpool_dgrad", POOL2), WINDOW2),
    with(case("maxpool_dgrad", POOL4), WINDOW4),
    case("relu_fprop", FLAT),
    case("relu_dgrad", FLAT),
    case("residual_add_fprop", FLAT),
    case("linear_fprop", LINEAR),
    case("linear_fprop", LINEAR_ONE),
    case("linear_dgrad", LINEAR),
    case("linear_wgrad", LINEAR),
    case("linear_bias_grad", LINEAR),
    case("softmax_nll_fprop", LOGITS),
    with(case("softmax_nll_fprop", LOGITS), SMOOTHED),
    case("softmax_nll_fprop", LOGITS_ONE),
    with(case("softmax_nll_log_probs", LOGITS), SMOOTHED),
    case("softmax_nll_dgrad", LOGITS),
    with(case("softmax_nll_dgrad", LOGITS), SMOOTHED),
    case("metrics_correct", LOGITS),
    case("sgd_step", FLAT),
    with(case("sgd_step", FLAT), &[("weight_decay", 5e-4), ("l1", 0.01), ("nesterov", 1.0)]),
    with(case("sgd_step", FLAT), &[("momentum", 0.0)]),
    case("augment_apply", IMAGES),
];

/// As [`CASES`], large enough to be cut into several chunks of work.
pub const LARGE_CASES: &[Case] = &[
    case("conv3x3_fprop", LARGE_CONV),
    case("conv3x3_fprop", FOURS_CONV),
    case("conv3x3_fprop", TILES_CONV),
    case("conv3x3_dgrad", LARGE_CONV),
    case("conv3x3_dgrad", FOURS_CONV),
    case("conv3x3_dgrad", TILES_CONV),
    case("conv3x3_wgrad", LARGE_CONV),
    case("conv3x3_wgrad", FOURS_CONV),
    case("conv3x3_wgrad", TILES_CONV),
    case("conv3x3_bias_grad", &[("N", 5), ("H", 33), ("W", 31), ("K", 19)]),
    without(case("batchnorm_fprop", LARGE_NHWC), RESIDUAL),
    without(case("batchnorm_eval", LARGE_NHWC), RESIDUAL),
    case("batchnorm_dgrad", LARGE_NHWC),
    with(case("batchnorm_fprop", LARGE_NHWC), RELU),
    with(case("batchnorm_eval", LARGE_NHWC), RELU),
    with(case("batchnorm_dgrad", LARGE_NHWC), RELU),
    with(case("maxpool_argmax", LARGE_POOL), WINDOW2),
    with(case("maxpool_dgrad", LARGE_POOL), WINDOW2),
    case("relu_fprop", LARGE_NHWC),
    case("relu_dgrad", LARGE_NHWC),
    case("residual_add_fprop", LARGE_NHWC),
    case("linear_fprop", LARGE_LINEAR),
    case("linear_dgrad", LARGE_LINEAR),
    case("linear_wgrad", LARGE_LINEAR),
    case("linear_bias_grad", LARGE_LINEAR),
    case("softmax_nll_fprop", LARGE_LINEAR),
    case("sgd_step", LARGE_NHWC),
    case("augment_apply", &[("N", 70), ("T", 9)]),
];

const LARGE_CONV: Axes = &[("N", 3), ("H", 17), ("W", 16), ("C", 24), ("K", 33)];
const LARGE_NHWC: Axes = &[("N", 5), ("H", 33), ("W", 31), ("C", 19)];
/// Channels that are multiples of 4, and pixels at and beside multiples of 16 and 128.
const FOURS_CONV: Axes = &[("N", 3), ("H", 5), ("W", 9), ("C", 20), ("K", 36)];
/// Every extent beyond one tile of 128; rows shorter than the walk of eight pixels.
const TILES_CONV: Axes = &[("N", 9), ("H", 5), ("W", 3), ("C", 132), ("K", 136)];
const LARGE_POOL: Axes = &[("N", 7), ("P", 16), ("Q", 16), ("H", 32), ("W", 32), ("C", 9)];
const LARGE_LINEAR: Axes = &[("N", 257), ("C", 131), ("K", 10)];

impl Case {
    /// The operation's row in the registry.
    pub fn operation(&self) -> &'static Operation {
        registry::find(self.op).unwrap()
    }

    /// Random arguments on the CPU, floats of `dtype`: the same numbers in f32 as in f64.
    pub fn arguments(&self, dtype: DType, seed: u64) -> Arguments {
        let mut rng = StdRng::seed_from_u64(seed);
        let operands = self.operation().inputs.iter().filter(|operand| !self.without.contains(&operand.name));
        Arguments {
            tensors: operands
                .map(|operand| (operand.name.to_string(), self.tensor(operand, dtype, &mut rng)))
                .collect(),
            attributes: self.attributes.iter().map(|&(name, value)| (name.to_string(), value)).collect(),
        }
    }

    /// A gradient for the operation to add its own to, under the name of the output that accumulates;
    /// none if none does.
    pub fn earlier_gradient(&self, dtype: DType, seed: u64) -> Option<(&'static str, Tensor)> {
        let name = self.operation().accumulates?;
        let output = self.operation().outputs.iter().find(|output| output.name == name).unwrap();
        Some((name, self.tensor(output, dtype, &mut StdRng::seed_from_u64(seed))))
    }

    /// The extents of an operand.
    pub fn shape(&self, operand: &Operand) -> Vec<usize> {
        if operand.axes == "*" {
            return self.axes.iter().map(|axis| axis.1).collect();
        }
        operand.axes.split(',').map(|axis| axis.parse().unwrap_or_else(|_| self.extent(axis))).collect()
    }

    /// The extent of an axis.
    pub fn extent(&self, name: &str) -> usize {
        self.axes.iter().find(|axis| axis.0 == name).unwrap_or_else(|| panic!("{self}: axis {name}")).1
    }

    fn tensor(&self, operand: &Operand, dtype: DType, rng: &mut StdRng) -> Tensor {
        let shape = self.shape(operand);
        let len = shape.iter().product();
        let mut integers = |range: std::ops::Range<i32>| -> Vec<i32> {
            (0..len).map(|_| rng.random_range(range.clone())).collect()
        };
        match operand.values {
            Values::Real => floats(reals(len, rng), &shape, dtype),
            Values::Positive => {
                floats(reals(len, rng).iter().map(|v| v.abs() + 0.3).collect(), &shape, dtype)
            }
            Values::Index(axis) => {
                let values = integers(0..self.extent(axis) as i32);
                Tensor::from_vec(&Device::Cpu, values, &shape).unwrap()
            }
            Values::Choices => {
                let row = |rng: &mut StdRng| {
                    [0..9, 0..9, 0..2, -1..32, -1..32].map(|range| rng.random_range(range))
                };
                let rows: Vec<i32> = (0..shape[0]).flat_map(|_| row(rng)).collect();
                Tensor::from_vec(&Device::Cpu, rows, &shape).unwrap()
            }
            Values::Place => {
                let window = self.attributes.iter().find(|a| a.0 == "window").unwrap().1 as i32;
                let values = integers(0..window * window).into_iter().map(|v| v as u8).collect();
                Tensor::from_vec(&Device::Cpu, values, &shape).unwrap()
            }
            Values::Pixel => {
                let values = integers(0..256).into_iter().map(|v| v as u8).collect();
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
    match dtype {
        DType::F32 => Tensor::from_vec(&Device::Cpu, values.iter().map(|&v| v as f32).collect(), shape),
        _ => Tensor::from_vec(&Device::Cpu, values, shape),
    }
    .unwrap()
}
