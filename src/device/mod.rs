//! Where tensors live and operations run.
//!
//! | device | operations | memory |
//! |---|---|---|
//! | `cpu`  | `ops/*/cpu.rs`, generic over f32 and f64 | [`CpuBuffer`] |
//! | `cuda` | `ops/*/gpu.rs` launching kernels/ | [`GpuBuffer`] behind the CUDA driver |
//! | `sim`  | the same host code, the same kernels | [`GpuBuffer`] behind the PTX simulator |

mod cpu;
mod cuda;
pub mod driver;
mod gpu;
pub mod kernels;

pub use cpu::{CpuBuffer, Element, Real};
pub use gpu::{Gpu, GpuBuffer};

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;
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
            DeviceChoice::Cpu => Ok((Device::Cpu, "cpu".into())),
            DeviceChoice::Cuda => Device::cuda(0),
            DeviceChoice::Sim => Err(no_simulator()),
            DeviceChoice::Auto => match Device::cuda(0) {
                Err(Error::NoDevice { why, .. }) => {
                    Ok((Device::Cpu, format!("cpu, for want of a GPU: {why}")))
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
        let line = format!("cuda, {}", gpu.driver().info());
        Ok((Device::Gpu(gpu), line))
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

impl DeviceChoice {
    /// All choices, in the order help lists them.
    pub const ALL: [DeviceChoice; 4] =
        [DeviceChoice::Auto, DeviceChoice::Cuda, DeviceChoice::Cpu, DeviceChoice::Sim];
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceChoice::Auto => "auto",
            DeviceChoice::Cuda => "cuda",
            DeviceChoice::Cpu => "cpu",
            DeviceChoice::Sim => "sim",
        })
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<DeviceChoice> {
        let choice = DeviceChoice::ALL.into_iter().find(|choice| choice.to_string() == name);
        choice
            .ok_or_else(|| Error::Config(format!("unknown device {name:?}: expected auto, cuda, cpu or sim")))
    }
}

fn no_simulator() -> Error {
    let (why, help) = match kernels::NVRTC_MISSING {
        Some(remedy) => ("this build has no kernels to simulate", remedy),
        None => ("this version has no simulator", "use --device cpu"),
    };
    Error::NoDevice { device: "sim", why: why.into(), help: help.into() }
}
