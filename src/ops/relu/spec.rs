//! What the program knows of ReLU.

use super::{dgrad, relu};
use crate::ops::spec::{Cost, Layer, Operation, Target, real};

/// The passes.
pub static PASSES: &[Operation] = &[
    Operation {
        name: "relu_fprop",
        equation: "y = max(x, 0)",
        inputs: &[real("x", "*")],
        outputs: &[real("y", "*")],
        run: |tape, a| Ok(vec![relu(tape, a.tensor("x")?)?]),
        kernels: &[Target { kernel: "relu_fprop", variant: None, shape: NHWC }],
        tests: &[FLAT],
        large_tests: &[LARGE],
        layers: LAYERS,
        layer_test_images: 32,
        cost: |s| Cost::of_floats(2.0 * s.volume("nhwc")),
        ..Operation::EMPTY
    },
    Operation {
        name: "relu_dgrad",
        equation: "dx = dy where y > 0, else 0",
        inputs: &[real("y", "*"), real("dy", "*")],
        outputs: &[real("dx", "*")],
        accumulates: Some("dx"),
        run: |_, a| {
            let dx = a.destination("dx");
            Ok(vec![dgrad(a.tensor("y")?, a.tensor("dy")?, dx)?])
        },
        kernels: &[Target { kernel: "relu_dgrad", variant: None, shape: NHWC }],
        tests: &[FLAT],
        large_tests: &[LARGE],
        layers: LAYERS,
        layer_test_images: 32,
        cost: |s| Cost::of_floats(3.0 * s.volume("nhwc")),
        ..Operation::EMPTY
    },
];

const NHWC: &str = "n=4,h=8,w=8,c=64";
const FLAT: &str = "i=11,j=9";
const LARGE: &str = "n=5,h=33,w=31,c=19";

/// Where the network has a ReLU, if it is not part of batch norm's pass.
const LAYERS: &[Layer] = &[
    Layer { shape: "n=batch,h=32,w=32,c=64", peers: &[] },
    Layer { shape: "n=batch,h=16,w=16,c=128", peers: &[] },
    Layer { shape: "n=batch,h=8,w=8,c=256", peers: &[] },
    Layer { shape: "n=batch,h=4,w=4,c=512", peers: &[] },
];
