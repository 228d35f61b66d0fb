//! Every kernel can be profiled.

use cugrad::Error;
use cugrad::device::{SimArch, kernels};
use cugrad::profile::{Shape, profile, targets};

#[test]
fn every_kernel_is_a_target_that_is_launched() {
    for entry in crate::kernels_of_operations() {
        let profile =
            profile(entry.name, &Shape::default(), SimArch::Sm90a).unwrap_or_else(|e| panic!("{e}"));
        let report = &profile.largest().report;
        assert_eq!(report.kernel, entry.name);
        let lines: u64 = report.by_line.values().map(|count| count.warp_instructions).sum();
        assert!(lines > 0 && lines <= report.total.warp_instructions, "{}: {lines} by line", entry.name);
        let own = format!("kernels/{}:", entry.module.file);
        assert!(report.by_line.keys().any(|line| line.starts_with(&own)), "{}: no line of {own}", entry.name);
        assert!(!entry.equation.is_empty() || !entry.summary.is_empty(), "{}", entry.name);
    }
}

#[test]
fn every_target_is_a_kernel() {
    for (_, target) in targets() {
        assert!(kernels::ALL.iter().any(|entry| entry.name == target.kernel), "{}", target.kernel);
    }
}

#[test]
fn work_grows_with_the_extents() {
    let work = |shape: &str| {
        let profile = profile("relu_fprop", &shape.parse().unwrap(), SimArch::Sm80).unwrap();
        profile.largest().report.total.warp_instructions
    };
    assert_eq!(work("n=1,h=32,w=32,c=4"), work("n=4096"), "any extents of as many elements");
    assert_eq!(2 * work("n=4096"), work("n=8192"));
}

#[test]
fn wrong_names_are_answered_with_the_right_ones() {
    let error = |kernel: &str, shape: &str| match profile(kernel, &shape.parse().unwrap(), SimArch::Sm90a) {
        Err(error @ Error::Config(_)) => error.to_string(),
        other => panic!("{kernel} {shape}: {other:?}"),
    };
    assert!(error("conv", "").contains("conv3x3_fprop"));
    let unknown = error("conv3x3_fprop", "z=3");
    assert!(unknown.contains('z') && unknown.contains("n=2,h=8,w=8,c=16,k=32"), "{unknown}");
    assert!(error("conv3x3_fprop", "filter=none").contains("has no extent or attribute filter"));
    let whole = error("conv3x3_wgrad_sum", "n=1,h=2,w=2");
    assert!(whole.contains("does not launch conv3x3_wgrad_sum"), "{whole}");
}
