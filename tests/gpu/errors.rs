//! What a user sees when the GPU cannot do what is asked.

use crate::{gpu, silicon, simulated};
use cugrad::device::kernels;
use cugrad::{DType, Device, Error, Tensor};
use std::process::Command;

#[test]
fn a_gpu_that_is_not_there_is_named_with_a_remedy() {
    let Err(Error::NoDevice { device: "cuda", why, help }) = Device::cuda(4096) else {
        panic!("expected NoDevice");
    };
    assert!(!why.is_empty() && !help.is_empty(), "{why}: {help}");
}

#[test]
fn where_no_gpu_is_free_the_error_helps() {
    // A process of its own: the driver reads the setting once.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "errors::opens_the_first_gpu", "--ignored", "--nocapture"])
        .env("CUDA_VISIBLE_DEVICES", "")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}");
    assert!(said.contains("no cuda device: ") && said.contains("help: "), "{said}");
}

#[test]
#[ignore = "run by `where_no_gpu_is_free_the_error_helps`; prints what opening a GPU says"]
fn opens_the_first_gpu() {
    match Device::cuda(0) {
        Ok((_, line)) => println!("{line}"),
        Err(error) => println!("{error}"),
    }
}

#[test]
fn no_kernel_claims_a_gpu_older_than_its_images() {
    for entry in kernels::ALL {
        assert!(entry.module.image_for((7, 5)).is_none(), "{} on sm_75", entry.name);
        let built = kernels::NVRTC_MISSING.is_none();
        assert_eq!(entry.module.image_for((9, 0)).is_some(), built, "{} on sm_90", entry.name);
    }
}

fn too_large_a_tensor_is_out_of_memory_and_the_next_one_fits(device: &Device) {
    let total = gpu(device).driver().info().memory_bytes;
    match Tensor::empty(device, DType::U8, &[2 * total]) {
        Err(Error::OutOfMemory { bytes, total: of, .. }) => assert_eq!((bytes, of), (2 * total, total)),
        other => panic!("expected OutOfMemory, found {other:?}"),
    }
    let small = Tensor::from_vec(device, vec![1.0f32, 2.0], &[2]).unwrap();
    assert_eq!(small.to_vec::<f32>().unwrap(), [1.0, 2.0]);
}

#[test]
fn out_of_memory_on_the_simulator() {
    too_large_a_tensor_is_out_of_memory_and_the_next_one_fits(&simulated());
}

#[test]
#[ignore = "needs a GPU"]
fn out_of_memory() {
    too_large_a_tensor_is_out_of_memory_and_the_next_one_fits(&silicon());
}
