//! The time of a whole training step.

use super::{Effort, Timing};
use crate::data::{CHANNELS, CLASSES, SIDE};
use crate::device::Device;
use crate::error::Result;
use crate::nn::{Mode, ResNet};
use crate::ops::sgd::Sgd;
use crate::ops::softmax_nll::softmax_nll;
use crate::optim::Optimizer;
use crate::random::{Purpose, Stream};
use crate::tape::Tape;
use crate::tensor::{DType, Tensor};
use serde::Serialize;
use std::time::Instant;

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
    /// Forward, loss, backward and SGD on `n` random images that are on the device already, by the
    /// host's clock, with the loss read back at the end: what a training loop sees.
    ///
    /// # Errors
    /// What the device reports.
    pub fn measure(device: &Device, n: usize, effort: Effort) -> Result<StepTime> {
        let mut stream = Stream::new(0, Purpose::Test, 0, 1);
        let pixels = (0..n * SIDE * SIDE * CHANNELS).map(|_| stream.between(-2.0, 2.0)).collect();
        let x = Tensor::from_vec::<f32>(device, pixels, &[n, SIDE, SIDE, CHANNELS])?;
        let labels = (0..n).map(|_| stream.below(CLASSES as u32) as i32).collect();
        let labels = Tensor::from_vec::<i32>(device, labels, &[n])?;
        let mut net = ResNet::new(device, DType::F32, 64, 0)?;
        let sgd = Sgd { momentum: 0.9, weight_decay: 5e-4, l1: 0.0, nesterov: true };
        let mut optimizer = Optimizer::new(sgd, &mut net)?;
        let mut step = || -> Result<f64> {
            let started = Instant::now();
            let mut tape = Tape::recording();
            let logits = net.forward(&mut tape, &x, Mode::Train)?;
            let loss = softmax_nll(&mut tape, &logits, &labels, 0.0)?;
            let gradients = tape.backward(&loss)?;
            // Small enough that the loss stays a number however often this is repeated.
            optimizer.step(&mut net, &gradients, 1e-4)?;
            loss.to_f64_vec()?;
            if let Device::Gpu(gpu) = device {
                gpu.driver().synchronize()?;
            }
            Ok(started.elapsed().as_secs_f64())
        };
        step()?;
        let started = Instant::now();
        let mut seconds = Vec::new();
        while seconds.len() < effort.least
            || seconds.len() < effort.most && started.elapsed() < 5 * effort.budget
        {
            seconds.push(step()?);
        }
        let Timing { seconds, spread, repeats } = Timing::of(&seconds);
        Ok(StepTime { ms: seconds * 1e3, images_per_s: n as f64 / seconds, spread, repeats })
    }
}
