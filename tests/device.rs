//! Choosing a device, on a machine with a GPU or without.

use cugrad::device::driver::Grid;
use cugrad::device::kernels::residual_add::{BLOCK_THREADS, ResidualAddFprop};
use cugrad::device::{Device, DeviceChoice, Gpu};
use cugrad::{Error, Result, Tensor};
use std::sync::Arc;

#[test]
fn cuda_is_a_gpu_or_an_error_that_helps() {
    match Device::open(DeviceChoice::Cuda) {
        Ok((Device::Gpu(_), line)) => assert!(line.starts_with("device: cuda, "), "{line}"),
        Err(Error::NoDevice { device: "cuda", why, help }) => {
            assert!(!why.is_empty() && !why.contains('\n'), "{why}");
            assert!(help.contains("--device cpu") || help.contains("CUGRAD_NVRTC"), "{help}");
        }
        other => panic!("expected a GPU or NoDevice, found {other:?}"),
    }
}

#[test]
fn a_gpu_that_is_not_there_is_an_error() {
    let error = Device::cuda(4096).unwrap_err();
    assert!(matches!(error, Error::NoDevice { device: "cuda", .. }), "{error}");
}

#[test]
fn auto_takes_the_gpu_or_says_why_not() {
    let (device, line) = Device::open(DeviceChoice::Auto).unwrap();
    match (device, Device::open(DeviceChoice::Cuda)) {
        (Device::Gpu(_), Ok((_, cuda_line))) => assert_eq!(line, cuda_line),
        (Device::Cpu, Err(Error::NoDevice { why, .. })) => {
            assert!(line.starts_with("device: cpu") && line.contains(&why) && !line.contains('\n'), "{line}");
        }
        (device, cuda) => panic!("auto chose {device:?} where cuda is {cuda:?}"),
    }
}

#[test]
fn cpu_is_always_there() {
    let (device, line) = Device::open(DeviceChoice::Cpu).unwrap();
    assert!(matches!(device, Device::Cpu));
    assert_eq!(line, "device: cpu");
}

/// y = a + b on the GPU, by the kernel itself.
fn add(gpu: &Arc<Gpu>, a: &Tensor, b: &Tensor, y: &mut Tensor) -> Result<()> {
    let count = y.len();
    let kernel = ResidualAddFprop {
        a: a.gpu()?.ptr(),
        b: b.gpu()?.ptr(),
        y: y.gpu_mut()?.ptr_mut(),
        count: count as i32,
    };
    gpu.launch(&kernel, Grid::linear(count.div_ceil(BLOCK_THREADS as usize), BLOCK_THREADS))
}

#[test]
#[ignore = "needs a GPU"]
fn a_gpu_copies_launches_records_and_measures() {
    let (device, _) = Device::cuda(0).unwrap();
    let Device::Gpu(gpu) = &device else { panic!("cuda opened {device:?}") };
    let values: Vec<f32> = (0..1000).map(|i| i as f32 * 0.5).collect();
    let a = Tensor::from_vec(&device, values.clone(), &[1000]).unwrap();
    assert_eq!(a.to_vec::<f32>().unwrap(), values);
    let mut y = Tensor::zeros(&device, a.dtype(), &[1000]).unwrap();
    let mut z = Tensor::zeros(&device, a.dtype(), &[1000]).unwrap();
    add(gpu, &a, &a, &mut y).unwrap();
    assert_eq!(y.to_vec::<f32>().unwrap(), values.iter().map(|x| 2.0 * x).collect::<Vec<_>>());

    let driver = gpu.driver();
    let start = driver.record_event().unwrap();
    let record = gpu.record(|| {
        add(gpu, &y, &a, &mut z)?;
        assert!(a.to_vec::<f32>().is_err(), "a copy to the host cannot be recorded");
        Ok(())
    });
    let (recording, ()) = record.unwrap();
    assert_eq!(z.to_vec::<f32>().unwrap(), vec![0.0; 1000], "recorded work is not done yet");
    recording.replay().unwrap();
    assert_eq!(z.to_vec::<f32>().unwrap(), values.iter().map(|x| 3.0 * x).collect::<Vec<_>>());
    let end = driver.record_event().unwrap();
    assert!(end.ms_since(&*start).unwrap() > 0.0);
    assert!(matches!(driver.alloc(1 << 46), Err(Error::OutOfMemory { .. })));
}
