//! The convolution's ladder, for the programs that run its kernels.

use crate::common::cases::{Case, floats};
use cugrad::ops::math::MathMode;
use cugrad::ops::spec::{Arguments, Variant};

/// The rungs to run a case on: none if it is no pass of the convolution.
pub fn rungs(case: &Case) -> impl Iterator<Item = &'static Variant> {
    case.operation.variants.iter().filter(|variant| (variant.takes)(&case.shape))
}

/// The arguments as `math` sees them: all but a bias rounded, ties away from zero.
pub fn rounded(mut arguments: Arguments, math: MathMode) -> Arguments {
    let tf32 = |value: f64| f64::from(f32::from_bits(((value as f32).to_bits() + 0x1000) & !0x1fff));
    if math == MathMode::Tf32 {
        for (_, tensor) in arguments.tensors.iter_mut().filter(|(name, _)| *name != "bias") {
            let values = tensor.to_f64_vec().unwrap().into_iter().map(tf32).collect();
            *tensor = floats(values, tensor.shape(), tensor.dtype());
        }
    }
    arguments
}
