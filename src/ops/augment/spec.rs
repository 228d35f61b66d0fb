//! What the program knows of the augmentation.

use super::{CHOICE_RANGES, Normalization, augment};
use crate::ops::spec::{Cost, Layer, Operation, Target, Values, operand, positive, real};

/// The passes.
pub static PASSES: &[Operation] = &[Operation {
    name: "augment_apply",
    equation: "x[n] = (p/255 - mean) / std, p = images[index[n]] after the crop, flip and hole of choices[n]",
    inputs: &[
        operand("images", "T,32,32,3", Values::Pixel),
        operand("index", "N", Values::Index("T")),
        operand("choices", "N,5", Values::Columns(&CHOICE_RANGES)),
        real("mean", "3"),
        positive("std", "3"),
    ],
    outputs: &[real("x", "N,32,32,3")],
    run: |_, a| {
        let normalization = Normalization { mean: a.triple("mean")?, std: a.triple("std")? };
        let (images, index, choices) = (a.tensor("images")?, a.tensor("index")?, a.tensor("choices")?);
        Ok(vec![augment(images, index, choices, &normalization, a.tensor("mean")?.dtype())?])
    },
    kernels: &[Target { kernel: "augment_apply", variant: None, shape: "n=4,t=8" }],
    tests: &["n=5,t=3"],
    large_tests: &["n=70,t=9"],
    layers: &[Layer { shape: "n=batch,t=2048", peers: &[] }],
    layer_test_images: 512,
    cost: |s| {
        let pixels = 32.0 * 32.0 * 3.0 * s.volume("n");
        Cost { flop: 0.0, floats: pixels, bytes: pixels }
    },
    ..Operation::EMPTY
}];
