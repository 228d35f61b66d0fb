//! What the operations compute, against the reference and from one element type to the other.

use crate::common::cases::{CASES, Case, LARGE_CASES};
use crate::common::compare::assert_close;
use crate::reference::reference;
use cugrad::ops::registry::OPERATIONS;
use cugrad::{DType, Tape, Tensor};
use std::collections::BTreeMap;

fn run(case: &Case, dtype: DType) -> BTreeMap<&'static str, Tensor> {
    case.operation().run(&mut Tape::no_grad(), &case.arguments(dtype, 3)).unwrap()
}

#[test]
fn every_operation_has_a_case() {
    for operation in OPERATIONS {
        assert!(CASES.iter().any(|case| case.op == operation.name), "{} has no case", operation.name);
    }
}

#[test]
fn f64_is_the_reference() {
    for case in CASES.iter().chain(LARGE_CASES) {
        let (got, want) = (run(case, DType::F64), reference(case.op, &case.arguments(DType::F64, 3)));
        assert_eq!(got.len(), want.len(), "{case}");
        for (operand, want) in case.operation().outputs.iter().zip(want) {
            let t = &got[operand.name];
            assert_eq!(t.shape(), case.shape(operand), "{case}: {operand}");
            assert!(operand.values.fit(t.dtype()), "{case}: {operand}");
            let what = format!("{case}: {}", operand.name);
            assert_close(&what, &t.to_f64_vec().unwrap(), &want, t.shape(), 1e-12);
        }
    }
}

#[test]
fn a_gradient_is_added_to_an_earlier_one() {
    let mut added = 0;
    for case in CASES.iter().chain(LARGE_CASES) {
        let Some((name, earlier)) = case.earlier_gradient(DType::F64, 4) else { continue };
        let mut arguments = case.arguments(DType::F64, 3);
        arguments.tensors.insert(name.into(), earlier.clone());
        let got = case.operation().run(&mut Tape::no_grad(), &arguments).unwrap();
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
    for case in CASES.iter().chain(LARGE_CASES) {
        let wide = run(case, DType::F64);
        for (name, t) in run(case, DType::F32) {
            assert_ne!(t.dtype(), DType::F64, "{case}: {name}");
            let (got, want) = (t.to_f64_vec().unwrap(), wide[name].to_f64_vec().unwrap());
            assert_close(&format!("{case}: {name}"), &got, &want, t.shape(), 1e-5);
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
    for case in LARGE_CASES {
        for dtype in [DType::F32, DType::F64] {
            let one = bits(case, 1, dtype);
            for threads in [2, 3] {
                assert!(bits(case, threads, dtype) == one, "{case}: {threads} threads, {dtype:?}");
            }
        }
    }
}
