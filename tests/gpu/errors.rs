//! What a user sees when the GPU cannot do what is asked.

use crate::gpu;
use cugrad::device::kernels;
use cugrad::{DType, Device, Error, Tensor};

#[test]
fn a_gpu_that_is_not_there_is_named_with_a_remedy() {
    let Err(Error::NoDevice { device: "cuda", why, help }) = Device::cuda(4096) else {
        panic!("expected NoDevice");
    };
    assert!(!why.is_empty() && !help.is_empty(), "{why}: {help}");
}

#[test]
fn no_kernel_claims_a_gpu_older_than_its_images() {
    for entry in kernels::ALL {
        assert!(entry.module.image_for((7, 5)).is_none(), "{} on sm_75", entry.name);
        let built = kernels::NVRTC_MISSING.is_none();
        assert_eq!(entry.module.image_for((9, 0)).is_some(), built, "{} on sm_90", entry.name);
    }
}

#[test]
#[ignore = "needs a GPU"]
fn too_large_a_tensor_is_out_of_memory_and_the_next_one_fits() {
    let (device, gpu) = gpu();
    let total = gpu.driver().info().memory_bytes;
    match Tensor::empty(&device, DType::U8, &[2 * total]) {
        Err(Error::OutOfMemory { bytes, total: of, .. }) => assert_eq!((bytes, of), (2 * total, total)),
        other => panic!("expected OutOfMemory, found {other:?}"),
    }
    let small = Tensor::from_vec(&device, vec![1.0f32, 2.0], &[2]).unwrap();
    assert_eq!(small.to_vec::<f32>().unwrap(), [1.0, 2.0]);
}
