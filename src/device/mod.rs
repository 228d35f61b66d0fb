//! Where tensors live and operations run.
//!
//! | device | operations | memory |
//! |---|---|---|
//! | `cpu`  | `ops/*/cpu.rs`, generic over f32 and f64 | [`CpuBuffer`] |
//! | `cuda` | `ops/*/gpu.rs` launching kernels/ | [`GpuBuffer`] behind the CUDA driver |
//! | `sim`  | the same host code, the same kernels | [`GpuBuffer`] behind the PTX simulator |

mod blocks;
mod cpu;
mod cuda;
pub mod driver;
mod gpu;
pub(crate) mod host_memory;
pub mod kernels;
pub(crate) mod registers;
mod sim;
pub mod tensor_map;

pub use cpu::{CpuBuffer, Element, Real};
pub use gpu::{Gpu, GpuBuffer, Recording};
pub use sim::{LaunchLog, SimArch, SimLaunch};

use crate::error::{Error, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A place for tensors.
#[derive(Clone, Debug)]
pub enum Device {
    /// This machine's processor.
    Cpu,
    /// A GPU, real or simulated.
    Gpu(Arc<Gpu>),
}

impl Device {
    /// The device of the user's choice, and one line that says what it is, and why when the choice
    /// was left to the program.
    ///
    /// # Errors
    /// [`Error::NoDevice`] when a GPU or the simulator is asked for and not to be had;
    /// [`Error::Driver`] when a GPU is there and fails.
    pub fn open(choice: DeviceChoice) -> Result<(Device, String)> {
        match choice {
            DeviceChoice::Cpu => Ok((Device::Cpu, "device: cpu".into())),
            DeviceChoice::Cuda => Device::cuda(0),
            DeviceChoice::Sim => Device::sim(SimArch::default(), None),
            DeviceChoice::Auto => match Device::cuda(0) {
                Err(Error::NoDevice { why, .. }) => {
                    Ok((Device::Cpu, format!("device: cpu, for want of a GPU ({why})")))
                }
                found => found,
            },
        }
    }

    /// The GPU with the number `ordinal`, and one line that says what it is.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub fn cuda(ordinal: usize) -> Result<(Device, String)> {
        let gpu = Gpu::new(Box::new(cuda::CudaDriver::open(ordinal)?));
        let line = format!("device: cuda, {}", gpu.driver().info());
        Ok((Device::Gpu(gpu), line))
    }

    /// A simulated GPU of `arch`, and one line that says what it is. It writes what it runs to `log`.
    ///
    /// # Errors
    /// [`Error::NoDevice`] when this build has no kernels.
    pub fn sim(arch: SimArch, log: Option<LaunchLog>) -> Result<(Device, String)> {
        let gpu = Gpu::new(Box::new(sim::SimDriver::open(arch, log)?));
        Ok((Device::Gpu(gpu), format!("device: sim, {arch}")))
    }

    /// Whether both are the same place.
    pub fn is_same(&self, other: &Device) -> bool {
        match (self, other) {
            (Device::Cpu, Device::Cpu) => true,
            (Device::Gpu(a), Device::Gpu(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// What the user can say of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceChoice {
    /// A GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The first GPU.
    Cuda,
    /// This machine's processor.
    Cpu,
    /// The simulated GPU.
    Sim,
}
