//! No kernel is left out: each has a benchmark and a place in the documentation, besides the test of
//! its numbers (`operations`), its profile (`profile`) and its row of counts (`counters`).

use cugrad::bench::{Case, cases};
use cugrad::device::kernels;
use cugrad::profile::targets;
use std::fs;

/// A file of the repository.
fn read(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Whether `case` runs the kernel called `name`: it measures what the kernel is profiled by, which a
/// test of `profile` shows to launch it.
fn measures(case: &Case, name: &str) -> bool {
    let target = targets().find(|(_, target)| target.kernel == name);
    target.is_some_and(|(operation, target)| {
        case.operation.name == operation.name && case.rung() == target.variant
    })
}

#[test]
fn every_kernel_has_a_benchmark() {
    let cases = cases(1).unwrap();
    for entry in crate::kernels_of_operations() {
        let is_measured = cases.iter().any(|case| measures(case, entry.name));
        assert!(is_measured, "{} has no benchmark: add a layer to its operation's spec.rs", entry.name);
    }
}

#[test]
fn every_kernel_file_is_in_the_reading_order() {
    let readme = read("kernels/README.md");
    for entry in kernels::ALL {
        let link = format!("({})", entry.module.file);
        assert!(readme.contains(&link), "kernels/README.md does not lead to {}", entry.module.file);
    }
}

#[test]
fn every_kernel_has_a_predicted_time() {
    let notes = read("benches/NOTES.md");
    for entry in kernels::ALL {
        let row = format!("| {} | ", entry.name);
        assert!(notes.contains(&row), "benches/NOTES.md has no floor and no prediction for {}", entry.name);
    }
}

#[test]
fn every_header_says_what_the_style_asks_for() {
    for entry in kernels::ALL {
        assert!(!entry.summary.is_empty(), "{} has no summary", entry.name);
        assert!(!entry.equation.is_empty(), "{} has no equation", entry.name);
        for part in ["In", "Out", "Requires", "Launch", "Numerics", "Cost", "Source"] {
            let header = header(entry.module.source, entry.name);
            let has = |line: &str| {
                let words = line.trim_start_matches("//").trim().split([' ', ',', ':']);
                words.take_while(|word| PARTS.contains(word) || word.is_empty()).any(|word| word == part)
            };
            assert!(header.lines().any(has), "the header of {} has no line {part}:\n{header}", entry.name);
        }
    }
}

const PARTS: [&str; 7] = ["In", "Out", "Requires", "Launch", "Numerics", "Cost", "Source"];

/// The comment that begins with the kernel's name.
fn header(source: &str, kernel: &str) -> String {
    let first = format!("// {kernel}: ");
    let lines = source.lines().skip_while(|line| !line.starts_with(&first));
    lines.take_while(|line| line.starts_with("//")).collect::<Vec<_>>().join("\n")
}
