//! What only a GPU can show. The tests marked "needs a GPU" run with `cargo test --release --test gpu
//! -- --ignored`, or from the folder that `scripts/gpu-pack` makes, where there is no cargo. Those
//! called `small` are also run under compute-sanitizer.
//!
//! A test's body takes the device. Each is also run, at small sizes, on the simulator, where every
//! machine can: so what fails on a GPU is the GPU's doing and not the test's.

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod kernels;
mod network;
#[path = "../common/rungs.rs"]
mod rungs;
mod simulator;

use cugrad::device::{Gpu, SimArch};
use cugrad::ops::spec::Arguments;
use cugrad::{Device, Error, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The first GPU.
fn silicon() -> Device {
    Device::cuda(0).unwrap().0
}

/// A simulated GPU.
fn simulated() -> Device {
    Device::sim(SimArch::default(), None).unwrap().0
}

/// The GPU, real or simulated, that `device` is.
fn gpu(device: &Device) -> &Arc<Gpu> {
    match device {
        Device::Gpu(gpu) => gpu,
        Device::Cpu => panic!("a GPU is expected"),
    }
}

/// The arguments, copied to `device`.
fn on(device: &Device, arguments: &Arguments) -> Arguments {
    let tensors = arguments.tensors.iter();
    Arguments {
        tensors: tensors.map(|(name, t)| (name.clone(), t.to_device(device).unwrap())).collect(),
        attributes: arguments.attributes.clone(),
    }
}

/// Fills the memory that tensors of these shapes will get with a value that shows if it is kept: NaN
/// in floats.
fn poison(device: &Device, outputs: &BTreeMap<&str, Tensor>) {
    let poisoned = |t: &Tensor| {
        let mut p = Tensor::empty(device, t.dtype(), t.shape()).unwrap();
        p.gpu_mut().unwrap().fill(0xff).unwrap();
        p
    };
    // All at once: each then goes back to the pool, where the outputs come from.
    let all: Vec<Tensor> = outputs.values().map(poisoned).collect();
    drop(all);
}

/// The elements, bit for bit.
fn bits(t: &Tensor) -> Vec<u64> {
    t.to_f64_vec().unwrap().into_iter().map(f64::to_bits).collect()
}

/// Free device memory, as the driver says when it is asked for more than there can be.
fn free_bytes(device: &Device) -> usize {
    const MORE_THAN_THERE_IS: usize = 1 << 46;
    match gpu(device).driver().alloc(MORE_THAN_THERE_IS) {
        Err(Error::OutOfMemory { free, .. }) => free,
        other => panic!("expected OutOfMemory, found {other:?}"),
    }
}
