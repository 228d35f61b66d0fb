//! The simulator as a driver: memory, faults, recorded work.

use crate::sim;
use cugrad::device::driver::{Arg, Grid};
use cugrad::device::kernels::residual_add::{BLOCK_THREADS, ResidualAddFprop};
use cugrad::device::tensor_map::{TensorCopy, TensorElement, TensorLayout};
use cugrad::device::{Device, DeviceChoice, Gpu, SimArch};
use cugrad::{DType, Error, Result, Tensor};
use std::sync::Arc;

/// y = a + b over `count` elements, by the kernel itself.
fn add(a: &Tensor, b: &Tensor, y: &mut Tensor, count: usize) -> Result<()> {
    let gpu = Arc::clone(a.gpu()?.gpu());
    let kernel = ResidualAddFprop {
        a: a.gpu()?.ptr(),
        b: b.gpu()?.ptr(),
        y: y.gpu_mut()?.ptr_mut(),
        count: count as i32,
    };
    gpu.launch(&kernel, Grid::linear(count.div_ceil(BLOCK_THREADS as usize), BLOCK_THREADS))
}

fn gpu(device: &Device) -> &Arc<Gpu> {
    match device {
        Device::Gpu(gpu) => gpu,
        Device::Cpu => panic!("the simulator is a GPU"),
    }
}

fn counting(device: &Device, len: usize) -> Tensor {
    Tensor::from_vec(device, (0..len).map(|i| i as f32).collect(), &[len]).unwrap()
}

#[test]
fn the_choice_sim_opens_the_simulator() {
    let (device, line) = Device::open(DeviceChoice::Sim).unwrap();
    assert!(line.contains("sim"), "{line}");
    assert_eq!(counting(&device, 5).to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn a_fault_names_kernel_line_and_thread() {
    let device = sim();
    let (a, mut y) = (counting(&device, 100), counting(&device, 100));
    let error = add(&a, &a, &mut y, 132).unwrap_err();
    assert!(matches!(error, Error::Launch { kernel: "residual_add_fprop", .. }), "{error:?}");
    let text = error.to_string();
    for part in ["kernels/common/vec4.cuh:", "out-of-bounds global", "thread", "grid [1, 1, 1]"] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    assert_eq!(text.matches("residual_add_fprop").count(), 1, "{text}");
}

#[test]
fn a_kernel_does_not_read_unwritten_memory() {
    let device = sim();
    let a = Tensor::empty(&device, DType::F32, &[64]).unwrap();
    let error = add(&a, &a, &mut counting(&device, 64), 64).unwrap_err();
    assert!(error.to_string().contains("never written"), "{error}");
}

#[test]
fn unwritten_memory_is_not_read() {
    let device = sim();
    let (a, mut y) = (counting(&device, 64), Tensor::empty(&device, DType::F32, &[64]).unwrap());
    assert!(y.to_vec::<f32>().is_err(), "nothing was written");
    add(&a, &a, &mut y, 63).unwrap();
    assert!(y.to_vec::<f32>().is_err(), "the last element was not written");
    add(&a, &a, &mut y, 64).unwrap();
    assert_eq!(y.to_vec::<f32>().unwrap()[63], 126.0);
}

#[test]
fn memory_ends_with_an_error_that_says_how_much_there_is() {
    let device = sim();
    let error = gpu(&device).alloc(1 << 40).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { bytes, total, .. } if bytes == 1 << 40 && total < bytes));
}

#[test]
fn no_device_time_is_made_up() {
    let device = sim();
    let Err(error) = gpu(&device).driver().record_event() else { panic!("the simulator keeps no time") };
    assert!(error.to_string().contains("kernels profile"), "{error}");
}

#[test]
fn recorded_work_is_repeated() {
    let device = sim();
    let one = Tensor::full(&device, DType::F32, &[64], 1.0).unwrap();
    let mut sum = Tensor::zeros(&device, DType::F32, &[64]).unwrap();

    let record = gpu(&device).record(|| {
        assert!(gpu(&device).record(|| Ok(())).is_err(), "a recording is on");
        // Memory that lives only while the work is recorded stays the recording's.
        let mut next = Tensor::empty(&device, DType::F32, &[64])?;
        add(&sum, &one, &mut next, 64)?;
        let zero = Tensor::zeros(&device, DType::F32, &[64])?;
        add(&next, &zero, &mut sum, 64)?;
        assert!(one.to_vec::<f32>().is_err(), "a copy to the host cannot be recorded");
        Ok(())
    });
    let (recording, ()) = record.unwrap();
    assert!(gpu(&device).driver().end_capture().is_err(), "no recording is on");

    assert_eq!(sum.to_vec::<f32>().unwrap(), [0.0; 64], "recorded work is not done yet");
    recording.replay().unwrap();
    recording.replay().unwrap();
    assert_eq!(sum.to_vec::<f32>().unwrap(), [2.0; 64]);
}

#[test]
fn a_recording_keeps_the_memory_it_works_in() {
    let device = sim();
    let sum = {
        let mut sum = Tensor::zeros(&device, DType::F32, &[64]).unwrap();
        let one = Tensor::full(&device, DType::F32, &[64], 1.0).unwrap();
        let (recording, ()) = gpu(&device).record(|| add(&one, &one, &mut sum, 64)).unwrap();
        drop(one);
        // A use after free, were it not for the recording.
        recording.replay().unwrap();
        sum
    };
    assert_eq!(sum.to_vec::<f32>().unwrap(), [2.0; 64], "what is still held outlives the recording");
}

#[test]
fn a_recording_that_fails_leaves_the_device_as_it_was() {
    let device = sim();
    let (one, mut sum) = (counting(&device, 64), counting(&device, 64));
    let failed = gpu(&device).record(|| one.to_vec::<f32>());
    assert!(matches!(failed, Err(Error::Driver { .. })));
    add(&one, &one, &mut sum, 64).unwrap();
    assert_eq!(sum.to_vec::<f32>().unwrap()[63], 126.0, "work is done at once again");
}

#[test]
fn a_tensor_map_is_encoded_where_there_is_tma() {
    let layout = |address| {
        let copy = TensorCopy::Tiled(vec![64, 8, 2]);
        TensorLayout::dense(TensorElement::Bf16, address, &[128, 16, 3], copy)
    };
    assert_eq!(layout(0).strides, [256, 256 * 16]);
    let device = sim();
    let map = gpu(&device).driver().tensor_map(&layout(1 << 20)).unwrap();
    assert_eq!((map.address(), map.bytes().len()), (1 << 20, 128));
    assert_eq!(Arg::from(map).address(), Some(1 << 20), "a launch reaches the tensor through the map");

    let refused = |device: &Device, address| {
        let error = gpu(device).driver().tensor_map(&layout(address)).unwrap_err();
        assert!(matches!(error, Error::Driver { call: "encoding a tensor map", .. }), "{error:?}");
        error.to_string()
    };
    assert!(refused(&device, 8).contains("multiple of 16"));
    let (ampere, _) = Device::sim(SimArch::Sm80, None).unwrap();
    assert!(refused(&ampere, 0).contains("no TMA"));
}
