//! What each kernel does to memory, held to the digit: coalescing, bank conflicts, spills.
//!
//! The counts are exact and the same on every machine, so a slip in an index shows here as a number,
//! long before a GPU shows it as a time. A kernel that gets better fails, too: write down the new
//! number, and the reason that it no longer needs away.

use cugrad::device::{SimArch, kernels};
use cugrad::profile::profile;
use ptxsim::{Class, Count, LaunchReport};
use std::collections::BTreeSet;

/// One row a kernel and shape. Channels are the network's; images and pixels are as few as fill a
/// tile, since more of them only make the grid larger.
///
/// - *moved/asked*: bytes of the 32-byte sectors that a warp's requests touch, over the bytes that its
///   lanes ask for. 1 is ideal; less where lanes ask for the same bytes.
/// - *sectors*: of a request; 4 where 32 lanes read 4 bytes each, 16 where they read 16 bytes.
/// - *conflicts*: passes over the banks of shared memory, over those that would do.
///
/// Each for loads, then stores; `-` where there are none.
const TABLE: &str = "
augment_apply             | n=4,t=8                    |  0.32  1.00  1.10  4.00     -     - | a thread's five choices are its image's, read by all its warps
batchnorm_apply           | n=4,h=8,w=8,c=64           |  1.00  1.00  4.00  4.00     -     - |
batchnorm_apply           | n=8,h=4,w=4,c=512          |  1.00  1.00  4.00  4.00     -     - |
batchnorm_dgrad           | n=4,h=8,w=8,c=64           |  1.00  1.00  4.00  4.00     -     - |
batchnorm_dgrad           | n=8,h=4,w=4,c=512          |  1.00  1.00  4.00  4.00     -     - |
batchnorm_gradient_sums   | n=4,h=8,w=8,c=64           |  1.00  1.00  4.00  4.00  1.00  1.00 |
batchnorm_gradient_sums   | n=8,h=4,w=4,c=512          |  1.00  1.00  4.00  4.00  1.00  1.00 |
batchnorm_gradient_total  | n=4,h=8,w=8,c=64           |  1.00  1.00  4.00  4.00  1.00  1.00 |
batchnorm_gradient_total  | n=8,h=4,w=4,c=512          |  1.00  1.00  4.00  4.00  1.00  1.00 |
batchnorm_moments         | n=4,h=8,w=8,c=64           |  1.00  1.00  4.00  4.00  1.00  1.00 |
batchnorm_moments         | n=8,h=4,w=4,c=512          |  1.00  1.00  4.00  4.00  1.00  1.00 |
batchnorm_statistics      | n=4,h=8,w=8,c=64           |  1.00  1.00  4.00  4.00  1.00  1.00 |
batchnorm_statistics      | n=8,h=4,w=4,c=512          |  1.00  1.00  4.00  4.00  1.00  1.00 |
batchnorm_update_running  | c=512,rows=8192            |  1.00  1.00  4.00  4.00     -     - |
conv3x3_fprop             | n=1,h=4,w=32,c=3,k=64      |  1.31  1.00  4.07 16.00  1.00  1.00 | taps of 3 channels begin within sectors
conv3x3_fprop             | n=1,h=4,w=32,c=64,k=128    |  1.00  1.00  3.95 16.00  1.00  1.00 |
conv3x3_fprop             | n=1,h=8,w=16,c=128,k=128   |  1.00  1.00  3.89 16.00  1.00  1.00 |
conv3x3_fprop             | n=1,h=8,w=16,c=128,k=256   |  1.00  1.00  3.89 16.00  1.00  1.00 |
conv3x3_fprop             | n=2,h=8,w=8,c=256,k=512    |  1.00  1.00  3.78 16.00  1.00  1.00 |
conv3x3_fprop             | n=8,h=4,w=4,c=512,k=512    |  1.00  1.00  3.58 16.00  1.00  1.00 |
conv3x3_dgrad             | n=1,h=4,w=32,c=64,k=128    |  1.00  1.00  3.95 16.00  1.00  1.00 |
conv3x3_dgrad             | n=1,h=8,w=16,c=128,k=128   |  1.00  1.00  3.89 16.00  1.00  1.00 |
conv3x3_dgrad             | n=1,h=8,w=16,c=128,k=256   |  1.00  1.00  3.89 16.00  1.00  1.00 |
conv3x3_dgrad             | n=2,h=8,w=8,c=256,k=512    |  1.00  1.00  3.78 16.00  1.00  1.00 |
conv3x3_dgrad             | n=8,h=4,w=4,c=512,k=512    |  1.00  1.00  3.58 16.00  1.00  1.00 |
conv3x3_wgrad             | n=1,h=4,w=32,c=3,k=64      |  1.19  4.59  4.28 15.50  1.00  1.00 | taps of 3 channels begin within sectors; rows of 27 sums are stored one by one
conv3x3_wgrad             | n=1,h=4,w=32,c=64,k=128    |  1.00  1.00  4.00 16.00  1.00  1.00 |
conv3x3_wgrad             | n=1,h=8,w=16,c=128,k=128   |  1.00  1.00  4.00 16.00  1.00  1.00 |
conv3x3_wgrad             | n=1,h=8,w=16,c=128,k=256   |  1.00  1.00  4.00 16.00  1.00  1.00 |
conv3x3_wgrad             | n=2,h=8,w=8,c=256,k=512    |  1.00  1.00  4.00 16.00  1.00  1.00 |
conv3x3_wgrad             | n=8,h=4,w=4,c=512,k=512    |  1.00  1.00  4.00 16.00  1.00  1.00 |
conv3x3_wgrad_sum         | n=1,h=32,w=32,c=3,k=64     |  1.00  1.00  4.00  4.00     -     - |
conv3x3_wgrad_sum         | n=1,h=32,w=32,c=64,k=128   |  1.00  1.00  4.00  4.00     -     - |
conv3x3_bias_grad         | n=1,h=32,w=32,k=64         |  1.00  1.00  4.00  4.00  1.00  1.00 |
conv3x3_bias_grad         | n=4,h=8,w=8,k=512          |  1.00  1.00  4.00  4.00  1.00  1.00 |
conv3x3_fprop_naive       | n=1,h=4,w=32,c=64,k=128    |  4.12  1.00 16.49  4.00     -     - | lanes read filters 9C apart: what rung 2 mends
conv3x3_dgrad_naive       | n=1,h=4,w=32,c=64,k=128    |  0.62  1.00  2.50  4.00     -     - | all lanes read one dy
conv3x3_wgrad_naive       | n=1,h=4,w=32,c=64,k=128    |  0.62  1.00  2.50  4.00     -     - | all lanes read one dy
conv3x3_fprop_mma         | n=1,h=4,w=32,c=64,k=128    |  0.98  1.00 14.24  8.00  1.00  1.00 | lanes share a bias
conv3x3_fprop_mma         | n=8,h=4,w=4,c=512,k=512    |  1.00  1.00 13.38  8.00  1.00  1.00 |
conv3x3_dgrad_mma         | n=1,h=4,w=32,c=64,k=128    |  1.00  1.00 11.48  8.00  1.00  1.00 |
conv3x3_dgrad_mma         | n=8,h=4,w=4,c=512,k=512    |  1.00  1.00 13.56  8.00  1.00  1.00 |
conv3x3_wgrad_mma         | n=1,h=4,w=32,c=64,k=128    |  1.00  1.00 15.05  8.00  1.00  1.00 |
conv3x3_wgrad_mma         | n=8,h=4,w=4,c=512,k=512    |  1.00  1.00 16.00  8.00  1.00  1.00 |
linear_fprop              | n=32,c=512,k=10            |  1.01  8.00  3.91  1.00     -     - | a bias and an output a warp
linear_dgrad              | n=32,c=512,k=10            |  0.62  1.00  2.50  4.00     -     - | all lanes of a row read its dy
linear_wgrad              | n=32,c=512,k=10            |  0.62  1.00  2.50  4.00  1.00  1.00 | all lanes read one dy
linear_bias_grad          | n=512,k=10                 |  1.60  1.60  2.00  2.00  1.00  1.00 | rows of 10 classes are 40 bytes, across two sectors
maxpool_fprop             | n=2,h=8,w=8,c=128,window=2 |  1.00  1.00  4.00  2.50     -     - |
maxpool_fprop             | n=2,h=4,w=4,c=512,window=4 |  1.00  1.00  4.00  2.50     -     - |
maxpool_dgrad             | n=2,h=8,w=8,c=128,window=2 |  1.00  1.00  2.50  4.00     -     - |
maxpool_dgrad             | n=2,h=4,w=4,c=512,window=4 |  1.00  1.00  2.50  4.00     -     - |
metrics_correct           | n=512,k=10                 |  7.54  8.00 30.16  1.00  1.00  1.00 | a lane reads a row of its own, 40 bytes apart, its sectors again from L1; one count
relu_fprop                | n=4,h=8,w=8,c=64           |  1.00  1.00 16.00 16.00     -     - |
relu_dgrad                | n=4,h=8,w=8,c=64           |  1.00  1.00 16.00 16.00     -     - |
residual_add_fprop        | n=4,h=8,w=8,c=64           |  1.00  1.00 16.00 16.00     -     - |
sgd_step                  | n=16384                    |  0.81  1.00  3.25  4.00     -     - | all lanes read the learning rate
softmax_nll_fprop         | n=512,k=10                 |  0.89  2.18  1.60  1.50     -     - | rows of 10 classes are 40 bytes, across sectors; all lanes read the label; a loss a warp
softmax_nll_mean          | n=512,k=10                 |  1.00  8.00  4.00  1.00  1.00  1.00 | one loss
softmax_nll_dgrad         | n=512,k=10                 |  0.52  1.00  2.07  4.00     -     - | all lanes read the loss's gradient and their row's label
";

/// A row of the table.
struct Row {
    kernel: &'static str,
    shape: &'static str,
    numbers: String,
    reason: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let columns: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
        let [kernel, shape, numbers, reason] = columns[..] else { panic!("four columns in: {line}") };
        let numbers = numbers.split_whitespace().collect::<Vec<_>>().join(" ");
        Row { kernel, shape, numbers, reason }
    })
}

/// The numbers of a launch, as the table writes them.
fn numbers(report: &LaunchReport) -> String {
    // An asynchronous copy is a load from global memory that is stored in shared memory.
    let count = |class| {
        let of = |class| report.by_class.get(&class).copied().unwrap_or_default();
        match class {
            Class::LoadGlobal | Class::StoreShared => sum(of(class), of(Class::Async)),
            _ => of(class),
        }
    };
    let global = [count(Class::LoadGlobal), count(Class::StoreGlobal)];
    let shared = [count(Class::LoadShared), count(Class::StoreShared)];
    let columns = global
        .map(|count| ratio(count.global_requests, count.sector_overhead()))
        .into_iter()
        .chain(global.map(|count| ratio(count.global_requests, sectors(&count))))
        .chain(shared.map(|count| ratio(count.shared_requests, count.bank_conflicts())));
    columns.collect::<Vec<_>>().join(" ")
}

/// What both move.
fn sum(a: Count, b: Count) -> Count {
    Count {
        global_requests: a.global_requests + b.global_requests,
        global_bytes: a.global_bytes + b.global_bytes,
        global_sectors: a.global_sectors + b.global_sectors,
        shared_requests: a.shared_requests + b.shared_requests,
        shared_wavefronts: a.shared_wavefronts + b.shared_wavefronts,
        shared_ideal: a.shared_ideal + b.shared_ideal,
        ..Count::default()
    }
}

fn sectors(count: &Count) -> f64 {
    count.global_sectors as f64 / count.global_requests as f64
}

fn ratio(requests: u64, value: f64) -> String {
    if requests == 0 { "-".into() } else { format!("{value:.2}") }
}

#[test]
fn memory_is_used_as_the_table_says() {
    let mut wrong = Vec::new();
    for row in rows() {
        let profile = profile(row.kernel, &row.shape.parse().unwrap(), SimArch::Sm90a)
            .unwrap_or_else(|e| panic!("{} {}: {e}", row.kernel, row.shape));
        let report = &profile.largest().report;
        let got = numbers(report);
        if got != row.numbers {
            wrong.push(format!("{} at {}: {got}, expected {}", row.kernel, row.shape, row.numbers));
        }
        for class in [Class::LoadLocal, Class::StoreLocal] {
            assert!(!report.by_class.contains_key(&class), "{}: {class:?} of local memory", row.kernel);
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_not_ideal_has_a_reason() {
    for Row { kernel, shape, numbers, reason } in rows() {
        let columns: Vec<&str> = numbers.split(' ').collect();
        let [loads, stores, _, _, shared_loads, shared_stores] = columns[..] else { panic!("{numbers}") };
        let is_ideal = [loads, stores, shared_loads, shared_stores].iter().all(|n| ["-", "1.00"].contains(n));
        assert_eq!(is_ideal, reason.is_empty(), "{kernel} at {shape}: {numbers}, because `{reason}`");
    }
}

#[test]
fn every_kernel_is_in_the_table() {
    let in_table: BTreeSet<&str> = rows().map(|row| row.kernel).collect();
    let all: BTreeSet<&str> = crate::kernels_of_operations().map(|entry| entry.name).collect();
    assert_eq!(in_table, all);
}

#[test]
fn no_kernel_spills_registers() {
    for entry in kernels::ALL {
        for resources in entry.resources {
            assert_eq!(resources.spill_bytes, 0, "{} on sm_{}", entry.name, resources.arch);
        }
    }
}
