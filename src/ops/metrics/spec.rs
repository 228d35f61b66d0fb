//! What the program knows of the metrics.

use super::correct;
use crate::ops::spec::{Cost, Layer, Operation, Target, Values, operand, wide};

/// The passes.
pub static PASSES: &[Operation] = &[Operation {
    name: "metrics_correct",
    equation: "count = the number of rows n whose first largest logits[n,k] is at k = labels[n]",
    inputs: &[wide("logits", "N,K"), operand("labels", "N", Values::Index("K"))],
    outputs: &[operand("count", "1", Values::Count)],
    run: |_, a| Ok(vec![correct(a.tensor("logits")?, a.tensor("labels")?)?]),
    kernels: &[Target { kernel: "metrics_correct", variant: None, shape: "n=64,k=10" }],
    tests: &["n=7,k=10"],
    layers: &[Layer { shape: "n=batch,k=10", peers: &[] }],
    layer_test_images: 512,
    cost: |s| Cost::of_floats(s.volume("nk")),
    ..Operation::EMPTY
}];
