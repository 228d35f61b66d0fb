//! The kernels, run by the simulator: their results, their faults, a training step, a run.
//!
//! A launch that breaks a rule (out of bounds, a race, a byte read before it is written) is an
//! error of the launch, so every test here holds that the kernels are free of faults, too.

#[path = "../common/mod.rs"]
mod common;
mod counters;
mod driver;
mod learning;
mod operations;
mod profile;
#[path = "../ops/reference.rs"]
mod reference;
#[path = "../common/rungs.rs"]
mod rungs;
mod step;
mod structure;
mod wgmma;

use cugrad::Device;
use cugrad::device::kernels::{self, Entry};
use cugrad::device::{LaunchLog, SimArch};

/// A simulated GPU that runs every kernel, and the list of what it runs.
fn logged_sim() -> (Device, LaunchLog) {
    let log = LaunchLog::default();
    let (device, _) = Device::sim(SimArch::Sm90a, Some(log.clone())).expect("kernels to simulate");
    (device, log)
}

/// A simulated GPU.
fn sim() -> Device {
    logged_sim().0
}

/// The kernels that operations run. Those in bf16 have their tests in `wgmma`: no tensor has that type so far.
fn kernels_of_operations() -> impl Iterator<Item = &'static Entry> {
    let is_bf16 = |entry: &Entry| entry.params.iter().any(|param| param.c_type == "const TensorMap");
    kernels::ALL.iter().copied().filter(move |entry| !is_bf16(entry))
}
