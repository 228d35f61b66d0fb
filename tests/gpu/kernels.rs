//! Every kernel against the f64 reference on the CPU, and against itself.

use crate::common::cases::{CASES, Case, LARGE_CASES};
use crate::common::compare::assert_close;
use crate::rungs::{rounded, rungs};
use crate::{bits, on, poison, silicon, simulated};
use cugrad::ops::registry::OPERATIONS;
use cugrad::{DType, Device, Tape};

/// Relative error of an f32 kernel.
const TOLERANCE: f64 = 1e-5;

/// The network's shapes, with so few images that the reference takes seconds.
const NETWORK_CASES: &[Case] = &[
    case("conv3x3_fprop", CONV_PREP),
    case("conv3x3_fprop", CONV32),
    case("conv3x3_fprop", CONV16),
    case("conv3x3_fprop", CONV8),
    case("conv3x3_fprop", CONV4),
    case("conv3x3_dgrad", CONV32),
    case("conv3x3_dgrad", CONV16),
    case("conv3x3_dgrad", CONV8),
    case("conv3x3_dgrad", CONV4),
    case("conv3x3_wgrad", CONV_PREP),
    case("conv3x3_wgrad", CONV32),
    case("conv3x3_wgrad", CONV16),
    case("conv3x3_wgrad", CONV8),
    case("conv3x3_wgrad", CONV4),
    case("conv3x3_bias_grad", CONV_PREP),
    case("conv3x3_bias_grad", CONV32),
    case("conv3x3_bias_grad", CONV8),
    with(case("batchnorm_fprop", NORM32), RELU),
    with(case("batchnorm_fprop", NORM4), RELU),
    with(case("batchnorm_dgrad", NORM32), RELU),
    with(case("batchnorm_dgrad", NORM4), RELU),
    with(case("batchnorm_eval", NORM32), RELU),
    with(case("batchnorm_eval", NORM4), RELU),
    without(case("batchnorm_fprop", NORM32), &["residual"]),
    without(case("batchnorm_eval", NORM4), &["residual"]),
    case("batchnorm_dgrad", NORM32),
    with(case("batchnorm_update_running", NORM4), &[("rows", 1024.0)]),
    case("relu_fprop", NORM32),
    case("relu_dgrad", NORM32),
    case("residual_add_fprop", NORM4),
    with(case("maxpool_fprop", POOL2), WINDOW2),
    with(case("maxpool_argmax", POOL2), WINDOW2),
    with(case("maxpool_dgrad", POOL2), WINDOW2),
    with(case("maxpool_fprop", POOL4), WINDOW4),
    with(case("maxpool_argmax", POOL4), WINDOW4),
    with(case("maxpool_dgrad", POOL4), WINDOW4),
    case("linear_fprop", HEAD),
    case("linear_dgrad", HEAD),
    case("linear_wgrad", HEAD),
    case("linear_bias_grad", HEAD),
    case("softmax_nll_fprop", HEAD),
    case("softmax_nll_log_probs", HEAD),
    case("softmax_nll_dgrad", HEAD),
    case("metrics_correct", HEAD),
    with(case("sgd_step", FILTER), &[("weight_decay", 5e-4), ("nesterov", 1.0)]),
    case("augment_apply", &[("N", 512), ("T", 600)]),
];

type Axes = &'static [(&'static str, usize)];

const CONV_PREP: Axes = &[("N", 3), ("H", 32), ("W", 32), ("C", 3), ("K", 64)];
const CONV32: Axes = &[("N", 2), ("H", 32), ("W", 32), ("C", 64), ("K", 128)];
const CONV16: Axes = &[("N", 3), ("H", 16), ("W", 16), ("C", 128), ("K", 256)];
const CONV8: Axes = &[("N", 3), ("H", 8), ("W", 8), ("C", 256), ("K", 512)];
const CONV4: Axes = &[("N", 5), ("H", 4), ("W", 4), ("C", 512), ("K", 512)];
const NORM32: Axes = &[("N", 32), ("H", 32), ("W", 32), ("C", 64)];
const NORM4: Axes = &[("N", 64), ("H", 4), ("W", 4), ("C", 512)];
const POOL2: Axes = &[("N", 4), ("P", 16), ("Q", 16), ("H", 32), ("W", 32), ("C", 128)];
const POOL4: Axes = &[("N", 64), ("P", 1), ("Q", 1), ("H", 4), ("W", 4), ("C", 512)];
const HEAD: Axes = &[("N", 512), ("C", 512), ("K", 10)];
/// layer3's largest filter.
const FILTER: Axes = &[("I", 512), ("J", 9 * 512)];
const WINDOW2: Attributes = &[("window", 2.0)];
const WINDOW4: Attributes = &[("window", 4.0)];
const RELU: Attributes = &[("relu", 1.0)];

type Attributes = &'static [(&'static str, f64)];

const fn case(op: &'static str, axes: Axes) -> Case {
    Case { op, axes, attributes: &[], without: &[] }
}

const fn with(case: Case, attributes: Attributes) -> Case {
    Case { attributes, ..case }
}

const fn without(case: Case, without: &'static [&'static str]) -> Case {
    Case { without, ..case }
}

#[test]
fn every_operation_has_a_case_at_the_networks_shapes() {
    for operation in OPERATIONS {
        assert!(NETWORK_CASES.iter().any(|case| case.op == operation.name), "{}", operation.name);
    }
}

/// Runs every case on `device` with fresh inputs, into poisoned memory, twice: both must have the
/// same bits, and be the reference's.
fn check(device: &Device, cases: &[Case]) {
    for (seed, case) in cases.iter().enumerate() {
        let seed = 1000 + seed as u64;
        let want = case.operation().run(&mut Tape::no_grad(), &case.arguments(DType::F64, seed)).unwrap();
        let arguments = on(device, &case.arguments(DType::F32, seed));
        let run = || case.operation().run(&mut Tape::no_grad(), &arguments).unwrap();
        let first = run();
        let shapes = first.iter().map(|(name, t)| (*name, t.to_device(&Device::Cpu).unwrap())).collect();
        let first_bits: Vec<_> = first.values().map(bits).collect();
        drop(first);
        poison(device, &shapes);
        let second = run();
        for ((name, t), first_bits) in second.iter().zip(first_bits) {
            let what = format!("{case}: {name}");
            assert!(bits(t) == first_bits, "{what}: two runs differ");
            let want = want[name].to_f64_vec().unwrap();
            assert_close(&what, &t.to_f64_vec().unwrap(), &want, t.shape(), TOLERANCE);
        }
        if let Some((name, earlier)) = case.earlier_gradient(DType::F32, seed) {
            let mut arguments = arguments.clone();
            arguments.tensors.insert(name.into(), earlier.to_device(device).unwrap());
            let got = case.operation().run(&mut Tape::no_grad(), &arguments).unwrap();
            let sum = want[name].to_f64_vec().unwrap().into_iter().zip(earlier.to_f64_vec().unwrap());
            let sum: Vec<f64> = sum.map(|(want, earlier)| want + earlier).collect();
            let what = format!("{case}: {name}, accumulating");
            assert_close(&what, &got[name].to_f64_vec().unwrap(), &sum, earlier.shape(), TOLERANCE);
        }
    }
}

#[test]
fn the_simulators_kernels_match_the_f64_reference_twice() {
    check(&simulated(), CASES);
}

#[test]
#[ignore = "needs a GPU"]
fn small_kernels_match_the_f64_reference_twice() {
    check(&silicon(), CASES);
}

#[test]
#[ignore = "needs a GPU"]
fn large_kernels_match_the_f64_reference_twice() {
    check(&silicon(), LARGE_CASES);
}

#[test]
#[ignore = "needs a GPU"]
fn kernels_at_the_networks_shapes_match_the_f64_reference_twice() {
    check(&silicon(), NETWORK_CASES);
}

/// Runs the rungs of the convolution's ladder on `device`.
fn check_rungs(device: &Device, cases: &[&[Case]]) {
    for (seed, case) in cases.iter().copied().flatten().enumerate() {
        let seed = 2000 + seed as u64;
        for rung in rungs(case) {
            let arguments = rounded(case.arguments(DType::F64, seed), rung.products());
            let want = case.operation().run(&mut Tape::no_grad(), &arguments).unwrap();
            let want = want.values().next().unwrap().to_f64_vec().unwrap();
            let got = rung.run(case.op, &on(device, &case.arguments(DType::F32, seed))).unwrap();
            let what = format!("rung {} of {case}", rung.name());
            assert_close(&what, &got.to_f64_vec().unwrap(), &want, got.shape(), TOLERANCE);
        }
    }
}

#[test]
fn the_simulators_rungs_match_the_f64_reference() {
    check_rungs(&simulated(), &[CASES]);
}

#[test]
#[ignore = "needs a GPU"]
fn small_rungs_of_the_ladder_match_the_f64_reference() {
    check_rungs(&silicon(), &[CASES]);
}

#[test]
#[ignore = "needs a GPU"]
fn rungs_of_the_ladder_at_the_networks_shapes_match_the_f64_reference() {
    check_rungs(&silicon(), &[LARGE_CASES, NETWORK_CASES]);
}
