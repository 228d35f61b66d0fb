//! The simulator held to the GPU it stands for.

use crate::common::cases::small_cases;
use crate::common::compare::assert_close;
use crate::{on, silicon, simulated};
use cugrad::{DType, Tape};

/// The simulator's PTX does not contract multiplications and additions, the GPU's code does.
const TOLERANCE: f64 = 1e-6;

#[test]
fn rounding_alone_stays_far_below_the_tolerance() {
    let simulated = simulated();
    for (seed, case) in small_cases().iter().enumerate() {
        let run = |arguments| case.operation.run(&mut Tape::no_grad(), &arguments).unwrap();
        let got = run(on(&simulated, &case.arguments(DType::F32, 5000 + seed as u64)));
        let want = run(case.arguments(DType::F64, 5000 + seed as u64));
        for (name, t) in got {
            let (values, want) = (t.to_f64_vec().unwrap(), want[name].to_f64_vec().unwrap());
            assert_close(&format!("{case}: {name}"), &values, &want, t.shape(), TOLERANCE / 2.0);
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn simulator_matches_the_gpu() {
    let (silicon, simulated) = (silicon(), simulated());
    for (seed, case) in small_cases().iter().enumerate() {
        let arguments = case.arguments(DType::F32, 5000 + seed as u64);
        let run = |device| case.operation.run(&mut Tape::no_grad(), &on(device, &arguments)).unwrap();
        let (got, want) = (run(&simulated), run(&silicon));
        for (name, t) in got {
            let (values, want) = (t.to_f64_vec().unwrap(), want[name].to_f64_vec().unwrap());
            assert_close(&format!("{case}: {name}"), &values, &want, t.shape(), TOLERANCE);
        }
    }
}
