//! The time of a whole training step.

use super::{Effort, Timing, measure};
use crate::data::{Batch, CHANNELS, CLASSES, SIDE};
use crate::device::Device;
use crate::error::Result;
use crate::nn::ResNet;
use crate::ops::math::MathMode;
use crate::ops::sgd::Sgd;
use crate::optim::Optimizer;
use crate::random::{Purpose, Stream};
use crate::tensor::{DType, Tensor};
use crate::train::{StepOutput, step};
use serde::Serialize;
use std::time::Instant;

/// Times of the step by how it is run.
pub type Measured = Vec<(&'static str, Result<StepTime>)>;

/// What a training step takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepTime {
    /// Milliseconds: the median.
    pub ms: f64,
    /// Images a second at that.
    pub images_per_s: f64,
    /// As [`Timing::spread`].
    pub spread: f64,
    /// Repeats.
    pub repeats: usize,
}

impl StepTime {
    /// The steps of a training loop on `n` random images that are on the device already, by the host's
    /// clock, with loss and count read back at the end. By how they are run: `eager`, kernel by kernel,
    /// and on a GPU also `replayed`, as training does it, and both with tf32 products. One that fails
    /// stands as its error.
    ///
    /// # Errors
    /// What the device reports before the first step.
    pub fn measure(device: &Device, n: usize, effort: Effort) -> Result<Measured> {
        let mut stream = Stream::new(0, Purpose::Test, 0, 1);
        let pixels = (0..n * SIDE * SIDE * CHANNELS).map(|_| stream.between(-2.0, 2.0)).collect();
        let labels = (0..n).map(|_| stream.below(CLASSES as u32) as i32).collect();
        let batch = Batch {
            x: Tensor::from_vec::<f32>(device, pixels, &[n, SIDE, SIDE, CHANNELS])?,
            labels: Tensor::from_vec::<i32>(device, labels, &[n])?,
        };
        let Device::Gpu(gpu) = device else {
            let mut training = Training::new(device, MathMode::F32)?;
            return Ok(vec![("eager", time(n, effort, || training.run(&batch)?.read()))]);
        };
        let mut measured = Vec::new();
        for (math, eager, replayed) in
            [(MathMode::F32, "eager", "replayed"), (MathMode::Tf32, "eager tf32", "replayed tf32")]
        {
            let mut training = Training::new(device, math)?;
            measured.push((eager, time(n, effort, || training.run(&batch)?.read())));
            let recorded = gpu.record(|| training.run(&batch)).and_then(|(work, output)| {
                time(n, effort, || {
                    work.replay()?;
                    output.read()
                })
            });
            measured.push((replayed, recorded));
        }
        Ok(measured)
    }
}

/// A network in training.
struct Training {
    net: ResNet,
    optimizer: Optimizer,
}

impl Training {
    fn new(device: &Device, math: MathMode) -> Result<Training> {
        const SGD: Sgd = Sgd { momentum: 0.9, weight_decay: 5e-4, l1: 0.0, nesterov: true };
        let mut net = ResNet::new(device, DType::F32, 64, 0)?.with_math(math);
        let mut optimizer = Optimizer::new(SGD, &mut net)?;
        // Small enough that the loss stays a number however often the step is repeated.
        optimizer.set_rate(1e-4)?;
        Ok(Training { net, optimizer })
    }

    fn run(&mut self, batch: &Batch) -> Result<StepOutput> {
        step(&mut self.net, &mut self.optimizer, batch, 0.0)
    }
}

/// The time of a step of `n` images, after one that is not counted.
fn time(n: usize, effort: Effort, mut step: impl FnMut() -> Result<(f64, usize)>) -> Result<StepTime> {
    step()?;
    let effort = Effort { budget: 5 * effort.budget, ..effort };
    let Timing { seconds, spread, repeats } = measure(effort, 1, || {
        let started = Instant::now();
        step()?;
        Ok(started.elapsed())
    })?;
    Ok(StepTime { ms: seconds * 1e3, images_per_s: n as f64 / seconds, spread, repeats })
}
