//! What the program knows of the optimizer's step.

use super::{Sgd, step};
use crate::ops::spec::{Cost, Layer, Operation, Target, default, wide};

/// The passes.
pub static PASSES: &[Operation] = &[Operation {
    name: "sgd_step",
    equation: "g = grad + weight_decay param + l1 sign(param), velocity = momentum velocity + g, \
               param -= lr (nesterov ? g + momentum velocity : velocity)",
    inputs: &[wide("param", "*"), wide("grad", "*"), wide("velocity", "*"), wide("lr", "1")],
    attributes: &[
        default("momentum", 0.9),
        default("weight_decay", 0.0),
        default("l1", 0.0),
        default("nesterov", 0.0),
    ],
    outputs: &[wide("param", "*"), wide("velocity", "*")],
    run: |_, a| {
        let h = Sgd {
            momentum: a.number("momentum")?,
            weight_decay: a.number("weight_decay")?,
            l1: a.number("l1")?,
            nesterov: a.flag("nesterov")?,
        };
        let (mut param, mut velocity) = (a.take("param")?, a.take("velocity")?);
        step(&h, a.tensor("lr")?, a.tensor("grad")?, &mut param, &mut velocity)?;
        Ok(vec![param, velocity])
    },
    kernels: &[Target { kernel: "sgd_step", variant: None, shape: "n=16384" }],
    tests: &["i=11,j=9", "i=11,j=9,weight_decay=5e-4,l1=0.01,nesterov=1", "i=11,j=9,momentum=0"],
    large_tests: &["n=5,h=33,w=31,c=19"],
    // All parameters of the network.
    layers: &[Layer { shape: "i=6574090,weight_decay=5e-4", peers: &[] }],
    cost: |s| Cost::of_floats(5.0 * s.volume("i")),
    ..Operation::EMPTY
}];
