//! What the operations compute, against the reference and from one element type to the other.

use crate::common::cases::{Case, floats, large_cases, small_cases};
use crate::common::compare::assert_close;
use crate::reference::reference;
use cugrad::ops::registry::operations;
use cugrad::ops::spec::{Arguments, Values};
use cugrad::{DType, Tape, Tensor};
use std::collections::BTreeMap;

fn run(case: &Case, dtype: DType) -> BTreeMap<&'static str, Tensor> {
    case.operation.run(&mut Tape::no_grad(), &case.arguments(dtype, 3)).unwrap()
}

#[test]
fn every_operation_has_a_case() {
    for operation in operations() {
        assert!(!operation.tests.is_empty(), "{} has no case", operation.name);
    }
}

#[test]
fn f64_is_the_reference() {
    for case in small_cases().iter().chain(&large_cases()) {
        let (got, want) =
            (run(case, DType::F64), reference(case.operation.name, &case.arguments(DType::F64, 3)));
        assert_eq!(got.len(), want.len(), "{case}");
        for (operand, want) in case.operation.outputs.iter().zip(want) {
            let t = &got[operand.name];
            assert_eq!(t.shape(), case.extents(operand), "{case}: {operand}");
            assert!(operand.values.fit(t.dtype()), "{case}: {operand}");
            let what = format!("{case}: {}", operand.name);
            assert_close(&what, &t.to_f64_vec().unwrap(), &want, t.shape(), 1e-12);
        }
    }
}

#[test]
fn a_gradient_is_added_to_an_earlier_one() {
    let mut added = 0;
    for case in small_cases().iter().chain(&large_cases()) {
        let Some((name, earlier)) = case.earlier_gradient(DType::F64, 4) else { continue };
        let mut arguments = case.arguments(DType::F64, 3);
        arguments.tensors.insert(name.into(), earlier.clone());
        let got = case.operation.run(&mut Tape::no_grad(), &arguments).unwrap();
        for (output, alone) in run(case, DType::F64) {
            let mut want = alone.to_f64_vec().unwrap();
            if output == name {
                let earlier = earlier.to_f64_vec().unwrap();
                want.iter_mut().zip(&earlier).for_each(|(want, earlier)| *want += earlier);
                assert_ne!(want, alone.to_f64_vec().unwrap());
            }
            assert_eq!(got[output].to_f64_vec().unwrap(), want, "{case}: {output}");
        }
        added += 1;
    }
    assert!(added > 20, "{added} cases");
}

#[test]
fn f32_is_f64_to_1e_5() {
    for case in small_cases().iter().chain(&large_cases()) {
        let wide = run(case, DType::F64);
        for (name, t) in run(case, DType::F32) {
            assert_ne!(t.dtype(), DType::F64, "{case}: {name}");
            let (got, want) = (t.to_f64_vec().unwrap(), wide[name].to_f64_vec().unwrap());
            assert_close(&format!("{case}: {name}"), &got, &want, t.shape(), 1e-5);
        }
    }
}

/// The same numbers, all floats as f64.
fn widened(mut arguments: Arguments) -> Arguments {
    for t in arguments.tensors.values_mut().filter(|t| t.dtype().is_float()) {
        *t = floats(t.to_f64_vec().unwrap(), t.shape(), DType::F64);
    }
    arguments
}

#[test]
fn bf16_is_the_reference_rounded_once() {
    let mut stored = 0;
    for case in small_cases().iter().chain(&large_cases()) {
        let operation = case.operation;
        // Operations on parameters and losses alone have no operand in bf16.
        if !operation.inputs.iter().any(|operand| operand.values == Values::Real) {
            continue;
        }
        let want = reference(operation.name, &widened(case.arguments(DType::BF16, 3)));
        let got = run(case, DType::BF16);
        for (operand, want) in operation.outputs.iter().zip(want) {
            let (what, t) = (format!("{case}: {}", operand.name), &got[operand.name]);
            // Half of the last of 8 bits of mantissa; sums and parameters are not rounded to bf16.
            let rounding = match operand.values {
                Values::Real => 2_f64.powi(-8),
                _ => 0.0,
            };
            let dtype = if operand.values == Values::Real { DType::BF16 } else { DType::F32 };
            assert!(t.dtype() == dtype || !t.dtype().is_float(), "{what} is {:?}", t.dtype());
            let largest = want.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
            for (place, (got, want)) in t.to_f64_vec().unwrap().into_iter().zip(want).enumerate() {
                let error = (got - want).abs();
                assert!(
                    error <= rounding * want.abs() + 1e-5 * largest,
                    "{what}[{place}]: {got}, not {want}"
                );
            }
        }
        stored += 1;
    }
    assert!(stored > 30, "{stored} cases");
}

#[test]
fn a_bf16_gradient_is_added_in_f32_and_rounded_once() {
    for case in small_cases() {
        let operation = case.operation;
        let Some((name, earlier)) = case.earlier_gradient(DType::BF16, 4) else { continue };
        let mut arguments = case.arguments(DType::BF16, 3);
        let alone = reference(operation.name, &widened(arguments.clone()));
        arguments.tensors.insert(name.into(), earlier.clone());
        let got = operation.run(&mut Tape::no_grad(), &arguments).unwrap();
        let place = operation.outputs.iter().position(|output| output.name == name).unwrap();
        let rounding = if earlier.dtype() == DType::BF16 { 2_f64.powi(-8) } else { 0.0 };
        let sums =
            alone[place].iter().zip(earlier.to_f64_vec().unwrap()).map(|(alone, earlier)| alone + earlier);
        let largest = alone[place].iter().fold(4.0, |largest: f64, value| largest.max(value.abs()));
        for (got, want) in got[name].to_f64_vec().unwrap().into_iter().zip(sums) {
            let error = (got - want).abs();
            assert!(error <= rounding * want.abs() + 1e-5 * largest, "{case}: {name} is {got}, not {want}");
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let bits = |case: &Case, threads: usize, dtype: DType| -> Vec<Vec<u64>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let outputs = pool.install(|| run(case, dtype));
        outputs.values().map(|t| t.to_f64_vec().unwrap().into_iter().map(f64::to_bits).collect()).collect()
    };
    for case in &large_cases() {
        for dtype in [DType::F32, DType::F64] {
            let one = bits(case, 1, dtype);
            for threads in [2, 3] {
                assert!(bits(case, threads, dtype) == one, "{case}: {threads} threads, {dtype:?}");
            }
        }
    }
}
