//! What only a GPU can show. The tests marked "needs a GPU" run with `cargo test --release --test gpu
//! -- --ignored`, or from the folder that `scripts/gpu-pack` makes, where there is no cargo. Those
//! called `small` are also run under compute-sanitizer.

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod kernels;
mod network;
mod simulator;

use cugrad::device::Gpu;
use cugrad::ops::registry::Arguments;
use cugrad::{Device, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The first GPU.
fn gpu() -> (Device, Arc<Gpu>) {
    let (device, _) = Device::cuda(0).unwrap();
    let Device::Gpu(gpu) = device.clone() else { panic!("cuda opened {device:?}") };
    (device, gpu)
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
