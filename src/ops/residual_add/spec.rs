//! What the program knows of the residual's addition.

use super::residual_add;
use crate::ops::spec::{Cost, Layer, Operation, Target, real};

/// The passes.
pub static PASSES: &[Operation] = &[Operation {
    name: "residual_add_fprop",
    equation: "y = a + b",
    inputs: &[real("a", "*"), real("b", "*")],
    outputs: &[real("y", "*")],
    run: |tape, a| Ok(vec![residual_add(tape, a.tensor("a")?, a.tensor("b")?)?]),
    kernels: &[Target { kernel: "residual_add_fprop", variant: None, shape: "n=4,h=8,w=8,c=64" }],
    tests: &["i=11,j=9"],
    large_tests: &["n=5,h=33,w=31,c=19"],
    layers: &[
        Layer { shape: "n=batch,h=16,w=16,c=128", peers: &[] },
        Layer { shape: "n=batch,h=4,w=4,c=512", peers: &[] },
    ],
    layer_test_images: 64,
    cost: |s| Cost::of_floats(3.0 * s.volume("nhwc")),
    ..Operation::EMPTY
}];
