//! Every kernel against the f64 reference on the CPU, and against itself.

use crate::common::cases::{Case, large_cases, small_cases};
use crate::common::compare::assert_close;
use crate::rungs::{rounded, rungs};
use crate::{bits, on, poison, silicon, simulated};
use cugrad::ops::registry::operations;
use cugrad::ops::spec::{Layer, Operation};
use cugrad::{DType, Device, Tape};

/// Relative error of an f32 kernel.
const TOLERANCE: f64 = 1e-5;

/// The network's shapes, with so few images that the reference takes seconds.
fn network_cases() -> Vec<Case> {
    let layers = |operation: &'static Operation| {
        let shape = |layer: &Layer| layer.shape(operation.layer_test_images).unwrap();
        operation.layers.iter().map(move |layer| Case { operation, shape: shape(layer) })
    };
    operations().flat_map(layers).collect()
}

#[test]
fn every_operation_has_a_case_at_the_networks_shapes() {
    for operation in operations() {
        assert!(!operation.layers.is_empty(), "{}", operation.name);
    }
}

/// Runs every case on `device` with fresh inputs, into poisoned memory, twice: both must have the
/// same bits, and be the reference's.
fn check(device: &Device, cases: &[Case]) {
    for (seed, case) in cases.iter().enumerate() {
        let seed = 1000 + seed as u64;
        let want = case.operation.run(&mut Tape::no_grad(), &case.arguments(DType::F64, seed)).unwrap();
        let arguments = on(device, &case.arguments(DType::F32, seed));
        let run = || case.operation.run(&mut Tape::no_grad(), &arguments).unwrap();
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
            let got = case.operation.run(&mut Tape::no_grad(), &arguments).unwrap();
            let sum = want[name].to_f64_vec().unwrap().into_iter().zip(earlier.to_f64_vec().unwrap());
            let sum: Vec<f64> = sum.map(|(want, earlier)| want + earlier).collect();
            let what = format!("{case}: {name}, accumulating");
            assert_close(&what, &got[name].to_f64_vec().unwrap(), &sum, earlier.shape(), TOLERANCE);
        }
    }
}

#[test]
fn the_simulators_kernels_match_the_f64_reference_twice() {
    check(&simulated(), &small_cases());
}

#[test]
#[ignore = "needs a GPU"]
fn small_kernels_match_the_f64_reference_twice() {
    check(&silicon(), &small_cases());
}

#[test]
#[ignore = "needs a GPU"]
fn large_kernels_match_the_f64_reference_twice() {
    check(&silicon(), &large_cases());
}

#[test]
#[ignore = "needs a GPU"]
fn kernels_at_the_networks_shapes_match_the_f64_reference_twice() {
    check(&silicon(), &network_cases());
}

/// Runs the rungs of the convolution's ladder on `device`.
fn check_rungs(device: &Device, cases: &[Case]) {
    for (seed, case) in cases.iter().enumerate() {
        let seed = 2000 + seed as u64;
        for rung in rungs(case) {
            let arguments = rounded(case.arguments(DType::F64, seed), rung.math);
            let want = case.operation.run(&mut Tape::no_grad(), &arguments).unwrap();
            let want = want.values().next().unwrap().to_f64_vec().unwrap();
            let mut arguments = on(device, &case.arguments(DType::F32, seed));
            let got = case.operation.run_variant(rung, &mut arguments).unwrap();
            let what = format!("rung {} of {case}", rung.name);
            assert_close(&what, &got.to_f64_vec().unwrap(), &want, got.shape(), TOLERANCE);
        }
    }
}

#[test]
fn the_simulators_rungs_match_the_f64_reference() {
    check_rungs(&simulated(), &small_cases());
}

#[test]
#[ignore = "needs a GPU"]
fn small_rungs_of_the_ladder_match_the_f64_reference() {
    check_rungs(&silicon(), &small_cases());
}

#[test]
#[ignore = "needs a GPU"]
fn rungs_of_the_ladder_at_the_networks_shapes_match_the_f64_reference() {
    check_rungs(&silicon(), &large_cases());
    check_rungs(&silicon(), &network_cases());
}
