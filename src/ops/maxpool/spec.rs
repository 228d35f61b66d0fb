//! What the program knows of max pooling.

use super::{dgrad, fprop, maxpool};
use crate::ops::spec::{Attribute, Cost, Layer, Operation, Shape, Target, Values, operand, real, required};

/// The passes.
pub static PASSES: &[Operation] = &[
    Operation {
        name: "maxpool_fprop",
        equation: "y[n,p,q,c] = max of x[n,h,w,c] over h/window = p, w/window = q; window is 2 or 4",
        inputs: &[real("x", "N,H,W,C")],
        attributes: &[WINDOW],
        outputs: &[real("y", "N,P,Q,C")],
        run: |tape, a| Ok(vec![maxpool(tape, a.tensor("x")?, a.count("window")?)?]),
        kernels: &[Target { kernel: "maxpool_fprop", variant: None, shape: PROFILED }],
        tests: TESTS,
        layers: FORWARD_LAYERS,
        layer_test_images: 33,
        cost,
        ..Operation::EMPTY
    },
    Operation {
        name: "maxpool_argmax",
        equation: "y as maxpool_fprop; argmax = the place of the first largest in its window, row-major",
        inputs: &[real("x", "N,H,W,C")],
        attributes: &[WINDOW],
        outputs: &[real("y", "N,P,Q,C"), operand("argmax", "N,P,Q,C", Values::Place)],
        run: |_, a| {
            let (y, argmax) = fprop(a.tensor("x")?, a.count("window")?)?;
            Ok(vec![y, argmax])
        },
        tests: TESTS,
        large_tests: LARGE_TESTS,
        layers: &[Layer { shape: "n=batch,h=32,w=32,c=128,window=2", peers: &[] }],
        layer_test_images: 4,
        cost,
        ..Operation::EMPTY
    },
    Operation {
        name: "maxpool_dgrad",
        equation: "dx[n,h,w,c] = dy[n,h/window,w/window,c] at the place argmax of its window, else 0",
        inputs: &[real("dy", "N,P,Q,C"), operand("argmax", "N,P,Q,C", Values::Place)],
        attributes: &[WINDOW],
        outputs: &[real("dx", "N,H,W,C")],
        accumulates: Some("dx"),
        run: |_, a| {
            let (dx, window) = (a.destination("dx"), a.count("window")?);
            Ok(vec![dgrad(a.tensor("dy")?, a.tensor("argmax")?, window, dx)?])
        },
        kernels: &[Target { kernel: "maxpool_dgrad", variant: None, shape: PROFILED }],
        tests: TESTS,
        large_tests: LARGE_TESTS,
        layers: BACKWARD_LAYERS,
        layer_test_images: 33,
        cost,
        ..Operation::EMPTY
    },
];

const WINDOW: Attribute = required("window");

const PROFILED: &str = "n=2,h=8,w=8,c=64,window=2";
const TESTS: &[&str] = &["n=2,h=6,w=4,c=5,window=2", "n=3,h=4,w=8,c=3,window=4"];
const LARGE_TESTS: &[&str] = &["n=7,h=32,w=32,c=9,window=2"];

const FORWARD_LAYERS: &[Layer] = &[
    Layer { shape: "n=batch,h=32,w=32,c=128,window=2", peers: &[("maxpool2.128", "forward")] },
    Layer { shape: "n=batch,h=16,w=16,c=256,window=2", peers: &[("maxpool2.256", "forward")] },
    Layer { shape: "n=batch,h=8,w=8,c=512,window=2", peers: &[("maxpool2.512", "forward")] },
    Layer { shape: "n=batch,h=4,w=4,c=512,window=4", peers: &[("maxpool4.512", "forward")] },
];
const BACKWARD_LAYERS: &[Layer] = &[
    Layer { shape: "n=batch,h=32,w=32,c=128,window=2", peers: &[("maxpool2.128", "backward")] },
    Layer { shape: "n=batch,h=16,w=16,c=256,window=2", peers: &[("maxpool2.256", "backward")] },
    Layer { shape: "n=batch,h=8,w=8,c=512,window=2", peers: &[("maxpool2.512", "backward")] },
    Layer { shape: "n=batch,h=4,w=4,c=512,window=4", peers: &[("maxpool4.512", "backward")] },
];

/// Each pass moves x or dx, y or dy, and a byte for each window: the place of its largest element.
fn cost(s: &Shape) -> Cost {
    Cost { flop: 0.0, floats: s.volume("nhwc") + s.volume("npqc"), bytes: s.volume("npqc") }
}
