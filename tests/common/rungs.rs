//! The convolution's ladder, for the programs that run its kernels.

use crate::common::cases::{Case, floats};
use cugrad::ops::conv3x3::ladder::Rung;
use cugrad::ops::conv3x3::{Conv3x3Shape, Products};
use cugrad::ops::registry::Arguments;

/// The rungs to run a case on: none if it is no pass of the convolution.
pub fn rungs(case: &Case) -> Vec<Rung> {
    if !["conv3x3_fprop", "conv3x3_dgrad", "conv3x3_wgrad"].contains(&case.op) {
        return Vec::new();
    }
    let [n, h, w, c, k] = ["N", "H", "W", "C", "K"].map(|axis| case.extent(axis));
    let shape = Conv3x3Shape { n, h, w, c, k };
    Rung::ALL.into_iter().filter(|rung| rung.takes(&shape)).collect()
}

/// The arguments as `products` sees them: all but a bias rounded, ties away from zero.
pub fn rounded(mut arguments: Arguments, products: Products) -> Arguments {
    let tf32 = |value: f64| f64::from(f32::from_bits(((value as f32).to_bits() + 0x1000) & !0x1fff));
    if products == Products::Tf32 {
        for (_, tensor) in arguments.tensors.iter_mut().filter(|(name, _)| *name != "bias") {
            let values = tensor.to_f64_vec().unwrap().into_iter().map(tf32).collect();
            *tensor = floats(values, tensor.shape(), tensor.dtype());
        }
    }
    arguments
}
