//! Every operation and every rung of the ladder, by the kernels, against the definitions in f64.

use crate::common::cases::{Case, large_cases, small_cases};
use crate::common::compare::relative_error;
use crate::logged_sim;
use crate::reference::reference;
use crate::rungs::{rounded, rungs};
use cugrad::ops::math::MathMode;
use cugrad::ops::spec::Arguments;
use cugrad::{DType, Device, Result, Tape, Tensor};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// How far f32 may be from f64, in the L2 norm.
const TOLERANCE: f64 = 1e-5;

/// What the cases came to: what is wrong, and which kernels ran.
struct Outcome {
    failures: Vec<String>,
    launched: BTreeSet<&'static str>,
}

/// All cases, run once for the tests below.
static OUTCOME: LazyLock<Outcome> = LazyLock::new(|| {
    let (device, log) = logged_sim();
    let mut failures = Vec::new();
    for case in small_cases().iter().chain(&large_cases()) {
        let operation = case.operation;
        check(&device, case, &case.to_string(), MathMode::F32, &mut failures, |arguments| {
            let mut got = operation.run(&mut Tape::no_grad(), arguments)?;
            Ok(operation.outputs.iter().filter_map(|output| got.remove(output.name)).collect())
        });
        for rung in rungs(case) {
            let what = format!("rung {} of {case}", rung.name);
            check(&device, case, &what, rung.math, &mut failures, |a| {
                Ok(vec![operation.run_variant(rung, &mut a.clone())?])
            });
        }
    }
    Outcome { failures, launched: log.take().iter().map(|launch| launch.entry.name).collect() }
});

/// Runs a case on `device`, alone and then onto an earlier gradient if it is one that accumulates, and
/// notes where it is wrong. Factors that are rounded where they are multiplied are given rounded to the
/// reference.
fn check(
    device: &Device,
    case: &Case,
    what: &str,
    math: MathMode,
    failures: &mut Vec<String>,
    run: impl Fn(&Arguments) -> Result<Vec<Tensor>>,
) {
    let mut want = reference(case.operation.name, &rounded(case.arguments(DType::F64, 3), math));
    let mut arguments = case.arguments(DType::F32, 3);
    compare(device, case, what, &arguments, &want, failures, &run);
    if let Some((name, earlier)) = case.earlier_gradient(DType::F32, 4) {
        let outputs = case.operation.outputs.iter().zip(&mut want);
        for (_, want) in outputs.filter(|(output, _)| output.name == name) {
            want.iter_mut().zip(earlier.to_f64_vec().unwrap()).for_each(|(want, earlier)| *want += earlier);
        }
        arguments.tensors.insert(name.into(), earlier);
        compare(device, case, &format!("{what}, accumulating"), &arguments, &want, failures, &run);
    }
}

/// Runs a case on `device`, and notes where it differs from `want`.
fn compare(
    device: &Device,
    case: &Case,
    what: &str,
    arguments: &Arguments,
    want: &[Vec<f64>],
    failures: &mut Vec<String>,
    run: impl Fn(&Arguments) -> Result<Vec<Tensor>>,
) {
    let mut arguments = arguments.clone();
    for tensor in arguments.tensors.values_mut() {
        *tensor = tensor.to_device(device).unwrap();
    }
    // An output that a kernel leaves unwritten cannot be read: see `unwritten_memory_is_not_read`.
    let got = run(&arguments).and_then(|got| got.iter().map(Tensor::to_f64_vec).collect::<Result<Vec<_>>>());
    match got {
        Err(error) => failures.push(format!("{what}: {error}")),
        Ok(got) => {
            assert_eq!(got.len(), want.len(), "{what}: outputs");
            for ((got, want), output) in got.iter().zip(want).zip(case.operation.outputs) {
                let error = relative_error(got, want);
                // Written so that a NaN fails, too.
                if !matches!(error.partial_cmp(&TOLERANCE), Some(std::cmp::Ordering::Less)) {
                    failures.push(format!("{what}: {} is off by {error:.1e}", output.name));
                }
            }
        }
    }
}

#[test]
fn operations_and_rungs_equal_their_definitions() {
    let failures = &OUTCOME.failures;
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_kernel_is_launched_by_a_case() {
    let launched = &OUTCOME.launched;
    let missed =
        crate::kernels_of_operations().map(|entry| entry.name).filter(|name| !launched.contains(name));
    let missed: Vec<&str> = missed.collect();
    assert!(missed.is_empty(), "no case launches {}: add one to the tests in its spec.rs", missed.join(", "));
}
