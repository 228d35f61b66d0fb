//! Where tensors live and operations run.
//!
//! | device | operations | memory |
//! |---|---|---|
//! | `cpu`  | `ops/*/cpu.rs`, generic over f32 and f64 | [`CpuBuffer`] |
//! | `cuda` | `ops/*/gpu.rs` launching kernels/ | [`GpuBuffer`] behind the CUDA driver |
//! | `sim`  | the same host code, the same kernels | [`GpuBuffer`] behind the PTX simulator |

mod cpu;
pub mod driver;
mod gpu;
pub mod kernels;

pub use cpu::{CpuBuffer, Element, Real};
pub use gpu::{Gpu, GpuBuffer};

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
    /// Whether both are the same place.
    pub fn is_same(&self, other: &Device) -> bool {
        match (self, other) {
            (Device::Cpu, Device::Cpu) => true,
            (Device::Gpu(a), Device::Gpu(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}
