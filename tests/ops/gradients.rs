//! The gradients that the tape computes, against central differences.

use crate::common::cases::{Case, floats, reals, small_cases};
use cugrad::ops::batchnorm::{Epilogue, Statistics, batchnorm};
use cugrad::ops::registry::operations;
use cugrad::ops::spec::Arguments;
use cugrad::{DType, Tape, Tensor};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// The operations with gradients, and the tensors that get one.
const DIFFERENTIABLE: &[(&str, &[&str])] = &[
    ("conv3x3_fprop", &["x", "filter", "bias"]),
    ("batchnorm_fprop", &["x", "gamma", "beta", "residual"]),
    ("batchnorm_eval", &["x", "gamma", "beta", "residual"]),
    ("maxpool_fprop", &["x"]),
    ("relu_fprop", &["x"]),
    ("residual_add_fprop", &["a", "b"]),
    ("linear_fprop", &["x", "weight", "bias"]),
    ("softmax_nll_fprop", &["logits"]),
];

const EPS: f64 = 1e-6;
const RTOL: f64 = 1e-3;
const ATOL: f64 = 1e-5;

#[test]
fn gradients_are_central_differences() {
    for &(op, inputs) in DIFFERENTIABLE {
        let cases: Vec<Case> = small_cases().into_iter().filter(|case| case.operation.name == op).collect();
        assert!(!cases.is_empty(), "{op} has a case");
        for case in &cases {
            check(case, inputs);
        }
    }
}

#[test]
fn every_forward_operation_is_checked_or_has_no_gradient() {
    let without = ["batchnorm_update_running", "maxpool_argmax", "softmax_nll_log_probs", "metrics_correct"];
    let without = without.into_iter().chain(["sgd_step", "augment_apply"]);
    let covered: Vec<&str> = DIFFERENTIABLE.iter().map(|row| row.0).chain(without).collect();
    for operation in operations() {
        let is_gradient = operation.name.ends_with("grad");
        assert!(is_gradient || covered.contains(&operation.name), "{} is not checked", operation.name);
    }
}

fn check(case: &Case, inputs: &[&str]) {
    let mut arguments = case.arguments(DType::F64, 1);
    assert_no_kink_is_near(case, &arguments);
    let inputs: Vec<&str> = inputs.iter().copied().filter(|name| !case.shape.is_without(name)).collect();
    for t in arguments.tensors.values_mut().filter(|t| t.dtype().is_float()) {
        *t = t.clone().with_grad();
    }

    let mut tape = Tape::recording();
    let y = forward(case, &arguments, &mut tape);
    let dy = reals(y.len(), &mut StdRng::seed_from_u64(2));
    let gradients = tape.backward_from(&y, floats(dy.clone(), y.shape(), DType::F64)).unwrap();

    for (name, t) in &arguments.tensors {
        let Some(gradient) = gradients.get(t) else {
            assert!(!inputs.contains(&name.as_str()), "{case}: no gradient for {name}");
            continue;
        };
        assert!(inputs.contains(&name.as_str()), "{case}: a gradient for {name}");
        for (i, got) in gradient.to_vec::<f64>().unwrap().into_iter().enumerate() {
            let want = (moved(case, &arguments, name, i, EPS, &dy)
                - moved(case, &arguments, name, i, -EPS, &dy))
                / (2.0 * EPS);
            assert!((got - want).abs() <= ATOL + RTOL * want.abs(), "{case}: d{name}[{i}] {got} {want}");
        }
    }
}

fn forward(case: &Case, arguments: &Arguments, tape: &mut Tape) -> Tensor {
    let outputs = case.operation.run(tape, arguments).unwrap();
    outputs[case.operation.outputs[0].name].clone()
}

/// ⟨y, dy⟩ with the element `i` of the tensor `name` moved by `by`.
fn moved(case: &Case, arguments: &Arguments, name: &str, i: usize, by: f64, dy: &[f64]) -> f64 {
    let mut arguments = arguments.clone();
    arguments.tensors.get_mut(name).unwrap().cpu_mut::<f64>().unwrap()[i] += by;
    let y = forward(case, &arguments, &mut Tape::no_grad());
    assert!(!y.requires_grad());
    y.cpu::<f64>().unwrap().iter().zip(dy).map(|(y, dy)| y * dy).sum()
}

/// `reals` keeps its distance from the kinks of ReLU and max pooling; where a ReLU follows batch norm the
/// kink is at a normalised value of zero.
fn assert_no_kink_is_near(case: &Case, arguments: &Arguments) {
    if !arguments.attributes.contains_key("relu") {
        return;
    }
    let t = |name: &str| &arguments.tensors[name];
    let statistics = match arguments.tensors.get("mean") {
        Some(mean) => Statistics::Running { mean, var: t("var") },
        None => Statistics::Batch,
    };
    let tape = &mut Tape::no_grad();
    let (y, _) = batchnorm(tape, t("x"), t("gamma"), t("beta"), 1e-5, statistics, Epilogue::None).unwrap();
    let nearest = y.to_vec::<f64>().unwrap().into_iter().map(f64::abs).fold(f64::INFINITY, f64::min);
    assert!(nearest > 100.0 * EPS, "{case}: a value of {nearest} is near the kink; take another seed");
}
