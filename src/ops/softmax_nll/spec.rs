//! What the program knows of the loss.

use super::{dgrad, fprop, softmax_nll};
use crate::ops::spec::{Attribute, Cost, Layer, Operand, Operation, Shape, Target, Values, default, operand, wide};

/// The passes.
pub static PASSES: &[Operation] = &[
    Operation {
        name: "softmax_nll_fprop",
        equation: "loss = -mean_n sum_k target[n,k] log softmax(logits)[n,k], \
                   target = (1 - smoothing) onehot(labels) + smoothing/K",
        inputs: &[wide("logits", "N,K"), LABELS],
        attributes: &[SMOOTHING],
        outputs: &[wide("loss", "1")],
        run: |tape, a| {
            Ok(vec![softmax_nll(tape, a.tensor("logits")?, a.tensor("labels")?, a.number("smoothing")?)?])
        },
        kernels: &[
            Target { kernel: "softmax_nll_fprop", variant: None, shape: PROFILED },
            Target { kernel: "softmax_nll_mean", variant: None, shape: PROFILED },
        ],
        tests: &[TEST, SMOOTHED_TEST, "n=1,k=3"],
        large_tests: &["n=257,k=10"],
        layers: LAYERS,
        layer_test_images: 512,
        cost,
        ..Operation::EMPTY
    },
    Operation {
        name: "softmax_nll_log_probs",
        equation: "log_probs = log softmax(logits), losses[n] = -sum_k target[n,k] log_probs[n,k]",
        inputs: &[wide("logits", "N,K"), LABELS],
        attributes: &[SMOOTHING],
        outputs: &[wide("log_probs", "N,K"), wide("losses", "N")],
        run: |_, a| {
            let computed = fprop(a.tensor("logits")?, a.tensor("labels")?, a.number("smoothing")?)?;
            Ok(vec![computed.log_probs, computed.losses])
        },
        tests: &[SMOOTHED_TEST],
        layers: LAYERS,
        layer_test_images: 512,
        cost,
        ..Operation::EMPTY
    },
    Operation {
        name: "softmax_nll_dgrad",
        equation: "dlogits[n,k] = dloss/N (exp(log_probs[n,k]) - target[n,k])",
        inputs: &[wide("log_probs", "N,K"), LABELS, wide("dloss", "1")],
        attributes: &[SMOOTHING],
        outputs: &[wide("dlogits", "N,K")],
        accumulates: Some("dlogits"),
        run: |_, a| {
            let dlogits = a.destination("dlogits");
            let (log_probs, labels, dloss) = (a.tensor("log_probs")?, a.tensor("labels")?, a.tensor("dloss")?);
            Ok(vec![dgrad(log_probs, labels, a.number("smoothing")?, dloss, dlogits)?])
        },
        kernels: &[Target { kernel: "softmax_nll_dgrad", variant: None, shape: PROFILED }],
        tests: &[TEST, SMOOTHED_TEST],
        layers: LAYERS,
        layer_test_images: 512,
        cost,
        ..Operation::EMPTY
    },
];

const LABELS: Operand = operand("labels", "N", Values::Index("K"));
const SMOOTHING: Attribute = default("smoothing", 0.0);

const PROFILED: &str = "n=64,k=10";
const TEST: &str = "n=7,k=10";
const SMOOTHED_TEST: &str = "n=7,k=10,smoothing=0.2";
const LAYERS: &[Layer] = &[Layer { shape: "n=batch,k=10", peers: &[] }];

fn cost(s: &Shape) -> Cost {
    Cost::of_floats(2.0 * s.volume("nk"))
}
