//! The machine that a measurement or a run was made on.

use crate::device::Device;
use serde::{Deserialize, Serialize};
use std::process::Command;

/// A machine, and the version of the program that ran on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The version of this program.
    pub version: String,
    /// The commit it was built from, as `CUGRAD_COMMIT` says when it runs: `scripts/gpu-check` and
    /// `just bench` set it. The build does not embed it, or each commit would compile everything anew.
    pub commit: Option<String>,
    /// The GPU's name, or the CPU's.
    pub device: String,
    /// The GPU driver's version; none on a CPU.
    pub driver: Option<String>,
    /// The GPU's clocks as `nvidia-smi` gives them while nothing runs; none if it is not there.
    pub clocks: Option<String>,
    /// The host's processor.
    pub cpu: String,
    /// Threads that work on the CPU.
    pub threads: usize,
    /// Operating system and processor architecture.
    pub os: String,
}

impl Machine {
    /// This machine, with `device` as what is measured.
    pub fn of(device: &Device) -> Machine {
        let cpu = cpu_name().unwrap_or_else(|| std::env::consts::ARCH.into());
        let gpu = match device {
            Device::Cpu => None,
            Device::Gpu(gpu) => Some(gpu.driver().info().clone()),
        };
        Machine {
            version: env!("CARGO_PKG_VERSION").into(),
            commit: std::env::var("CUGRAD_COMMIT").ok(),
            device: gpu.as_ref().map_or_else(|| cpu.clone(), |info| info.name.clone()),
            clocks: gpu.as_ref().and_then(|_| clocks()),
            driver: gpu.map(|info| info.driver_version),
            cpu,
            threads: rayon::current_num_threads(),
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}

/// The processor's name, where the system tells it.
fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

fn clocks() -> Option<String> {
    let query = "--query-gpu=driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit";
    let output = Command::new("nvidia-smi").args([query, "--format=csv,noheader"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    let line = text.lines().next()?;
    let names = ["driver", "SM", "SM at most", "memory", "power limit"];
    let named: Vec<String> =
        names.iter().zip(line.split(',')).map(|(name, value)| format!("{name} {}", value.trim())).collect();
    Some(named.join(", "))
}
