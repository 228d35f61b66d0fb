//! What the program knows of the linear layer.

use super::{bias_grad, dgrad, linear, wgrad};
use crate::ops::spec::{Cost, Layer, Operation, Shape, Target, real, wide};

/// The passes.
pub static PASSES: &[Operation] = &[
    Operation {
        name: "linear_fprop",
        equation: "y[n,k] = bias[k] + sum_c x[n,c] weight[k,c]",
        inputs: &[real("x", "N,C"), real("weight", "K,C"), wide("bias", "K")],
        outputs: &[wide("y", "N,K")],
        run: |tape, a| Ok(vec![linear(tape, a.tensor("x")?, a.tensor("weight")?, a.tensor("bias")?)?]),
        kernels: &[Target { kernel: "linear_fprop", variant: None, shape: PROFILED }],
        tests: &[TEST, "n=1,c=1,k=1"],
        large_tests: &[LARGE_TEST],
        layers: &[Layer { shape: HEAD, peers: &[("fc", "fprop")] }],
        layer_test_images: 512,
        cost,
        ..Operation::EMPTY
    },
    Operation {
        name: "linear_dgrad",
        equation: "dx[n,c] = sum_k dy[n,k] weight[k,c]",
        inputs: &[wide("dy", "N,K"), real("weight", "K,C")],
        outputs: &[real("dx", "N,C")],
        accumulates: Some("dx"),
        run: |_, a| {
            let dx = a.destination("dx");
            Ok(vec![dgrad(a.tensor("dy")?, a.tensor("weight")?, dx)?])
        },
        kernels: &[Target { kernel: "linear_dgrad", variant: None, shape: PROFILED }],
        tests: &[TEST],
        large_tests: &[LARGE_TEST],
        layers: &[Layer { shape: HEAD, peers: &[("fc", "dgrad")] }],
        layer_test_images: 512,
        cost,
        ..Operation::EMPTY
    },
    Operation {
        name: "linear_wgrad",
        equation: "dweight[k,c] = sum_n dy[n,k] x[n,c]",
        inputs: &[real("x", "N,C"), wide("dy", "N,K")],
        outputs: &[wide("dweight", "K,C")],
        accumulates: Some("dweight"),
        run: |_, a| {
            let dweight = a.destination("dweight");
            Ok(vec![wgrad(a.tensor("x")?, a.tensor("dy")?, dweight)?])
        },
        kernels: &[Target { kernel: "linear_wgrad", variant: None, shape: PROFILED }],
        tests: &[TEST],
        large_tests: &[LARGE_TEST],
        layers: &[Layer { shape: HEAD, peers: &[("fc", "wgrad")] }],
        layer_test_images: 512,
        cost,
        ..Operation::EMPTY
    },
    Operation {
        name: "linear_bias_grad",
        equation: "dbias[k] = sum_n dy[n,k]",
        inputs: &[wide("dy", "N,K")],
        outputs: &[wide("dbias", "K")],
        accumulates: Some("dbias"),
        run: |_, a| {
            let dbias = a.destination("dbias");
            Ok(vec![bias_grad(a.tensor("dy")?, dbias)?])
        },
        kernels: &[Target { kernel: "linear_bias_grad", variant: None, shape: PROFILED }],
        tests: &[TEST],
        large_tests: &[LARGE_TEST],
        layers: &[Layer { shape: "n=batch,k=10", peers: &[("fc", "bias_grad")] }],
        layer_test_images: 512,
        cost: |s| Cost::of_floats(s.volume("nk")),
        ..Operation::EMPTY
    },
];

const PROFILED: &str = "n=32,c=64,k=10";
const TEST: &str = "n=5,c=13,k=3";
const LARGE_TEST: &str = "n=257,c=131,k=10";
const HEAD: &str = "n=batch,c=512,k=10";

fn cost(s: &Shape) -> Cost {
    let floats = s.volume("nc") + s.volume("ck") + s.volume("nk");
    Cost { flop: 2.0 * s.volume("nck"), floats, bytes: 0.0 }
}
