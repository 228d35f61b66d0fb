//! The training step on a GPU: its numbers, its repeatability, its memory.

use crate::common::compare::assert_close;
use crate::{bits, gpu};
use cugrad::device::Gpu;
use cugrad::nn::{Mode, ResNet};
use cugrad::ops::sgd::Sgd;
use cugrad::ops::softmax_nll::softmax_nll;
use cugrad::optim::{Optimizer, parameters};
use cugrad::random::{Purpose, Stream};
use cugrad::{DType, Device, Error, Result, Tape, Tensor};

const SGD: Sgd = Sgd { momentum: 0.9, weight_decay: 5e-4, l1: 0.0, nesterov: false };

/// A network in training, with one batch.
struct Training {
    net: ResNet,
    optimizer: Optimizer,
    x: Tensor,
    labels: Tensor,
}

impl Training {
    fn new(device: &Device, dtype: DType, width: usize, images: usize) -> Training {
        let mut stream = Stream::new(1, Purpose::Test, 0, 0);
        let pixels: Vec<f32> = (0..images * 32 * 32 * 3).map(|_| stream.between(-2.0, 2.0)).collect();
        let shape = [images, 32, 32, 3];
        let x = match dtype {
            DType::F64 => Tensor::from_vec(device, pixels.into_iter().map(f64::from).collect(), &shape),
            _ => Tensor::from_vec(device, pixels, &shape),
        };
        let labels: Vec<i32> = (0..images).map(|_| stream.below(10) as i32).collect();
        let mut net = ResNet::new(device, dtype, width, 0).unwrap();
        Training {
            optimizer: Optimizer::new(SGD, &mut net).unwrap(),
            net,
            x: x.unwrap(),
            labels: Tensor::from_vec(device, labels, &[images]).unwrap(),
        }
    }

    /// One step; returns the loss and the gradients by name.
    fn step(&mut self) -> Result<(f64, Vec<(String, Tensor)>)> {
        let mut tape = Tape::recording();
        let logits = self.net.forward(&mut tape, &self.x, Mode::Train)?;
        let loss = softmax_nll(&mut tape, &logits, &self.labels, 0.0)?;
        let gradients = tape.backward(&loss)?;
        let by_name = parameters(&mut self.net)
            .filter_map(|(name, parameter)| Some((name, gradients.get(parameter)?.clone())))
            .collect();
        self.optimizer.step(&mut self.net, &gradients, 1e-3)?;
        Ok((loss.to_f64_vec()?[0], by_name))
    }
}

#[test]
#[ignore = "needs a GPU"]
fn small_training_step_matches_the_f64_reference() {
    let (device, _) = gpu();
    let (width, images) = (8, 4);
    let (loss, gradients) = Training::new(&device, DType::F32, width, images).step().unwrap();
    let (want_loss, want) = Training::new(&Device::Cpu, DType::F64, width, images).step().unwrap();
    assert!((loss - want_loss).abs() < 1e-5 * want_loss.abs(), "loss {loss} instead of {want_loss}");
    assert_eq!(gradients.len(), want.len());
    for ((name, got), (_, want)) in gradients.iter().zip(&want) {
        let (values, want) = (got.to_f64_vec().unwrap(), want.to_f64_vec().unwrap());
        if name.ends_with("conv.bias") {
            // Batch norm hides it: the true gradient is zero, and what is left is rounding.
            assert!(values.iter().all(|v| v.abs() < 1e-5), "{name}: {values:?}");
        } else {
            assert_close(name, &values, &want, got.shape(), 1e-3);
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn two_runs_have_the_same_bits() {
    let (device, _) = gpu();
    let run = || {
        let mut training = Training::new(&device, DType::F32, 32, 64);
        let losses: Vec<u64> = (0..5).map(|_| training.step().unwrap().0.to_bits()).collect();
        let weights: Vec<_> = parameters(&mut training.net).map(|(_, t)| bits(t)).collect();
        (losses, weights)
    };
    assert!(run() == run(), "the same steps gave other bits");
}

#[test]
#[ignore = "needs a GPU"]
fn a_recorded_forward_pass_is_the_eager_one() {
    let (device, gpu) = gpu();
    let mut training = Training::new(&device, DType::F32, 16, 8);
    training.step().unwrap();
    let mut forward = || training.net.forward(&mut Tape::no_grad(), &training.x, Mode::Eval).unwrap();
    let eager = bits(&forward());
    gpu.driver().begin_capture().unwrap();
    let mut recorded = forward();
    let graph = gpu.driver().end_capture().unwrap();
    recorded.gpu_mut().unwrap().fill(0xff).unwrap();
    graph.launch().unwrap();
    assert!(bits(&recorded) == eager, "the replay has other bits than the eager pass");
}

#[test]
#[ignore = "needs a GPU"]
fn a_thousand_steps_need_no_more_memory_than_ten() {
    let (device, gpu) = gpu();
    let mut training = Training::new(&device, DType::F32, 8, 16);
    for _ in 0..10 {
        training.step().unwrap();
    }
    let free = free_bytes(&gpu);
    for _ in 0..990 {
        training.step().unwrap();
    }
    assert_eq!(free_bytes(&gpu), free, "free memory after 10 and after 1,000 steps");
}

/// Free device memory, as the driver says when it is asked for more than there can be.
fn free_bytes(gpu: &Gpu) -> usize {
    match gpu.driver().alloc(usize::MAX / 2) {
        Err(Error::OutOfMemory { free, .. }) => free,
        other => panic!("expected OutOfMemory, found {other:?}"),
    }
}
