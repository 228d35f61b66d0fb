//! The training step: done at once, or recorded once and replayed.

use super::TrainConfig;
use crate::data::{Batch, Draw, Images};
use crate::device::{Device, Recording};
use crate::error::Result;
use crate::nn::{Mode, ResNet};
use crate::ops::augment::Normalization;
use crate::ops::metrics::correct;
use crate::ops::softmax_nll::softmax_nll;
use crate::optim::Optimizer;
use crate::tape::Tape;
use crate::tensor::{DType, Tensor};

/// What a step leaves on the device, both from before its update.
pub struct StepOutput {
    /// The mean loss, `[1]`.
    pub loss: Tensor,
    /// How many images were classified right, I32 `[1]`.
    pub correct: Tensor,
}

impl StepOutput {
    /// Both, after all work that is queued.
    ///
    /// # Errors
    /// What the device reports of that work.
    pub fn read(&self) -> Result<(f64, usize)> {
        Ok((self.loss.to_f64_vec()?[0], self.correct.to_vec::<i32>()?[0] as usize))
    }
}

/// One step of `net` on `batch`: forward, loss, backward, update, at the rate that `optimizer` has.
///
/// # Errors
/// What the operations report.
pub fn step(
    net: &mut ResNet,
    optimizer: &mut Optimizer,
    batch: &Batch,
    label_smoothing: f64,
) -> Result<StepOutput> {
    let mut tape = Tape::recording();
    let logits = net.forward(&mut tape, &batch.x, Mode::Train)?;
    let loss = softmax_nll(&mut tape, &logits, &batch.labels, label_smoothing)?;
    let gradients = tape.backward(&loss)?;
    optimizer.update(net, &gradients)?;
    Ok(StepOutput { loss, correct: correct(&logits, &batch.labels)? })
}

/// The steps of a run.
///
/// On a GPU the first step of a whole batch is done at once, which loads the kernels; the second is
/// recorded, and from then on a step is the new images' numbers, the new learning rate, and one
/// replay: the same work in the same order, without the host's time between the kernels. The last
/// batch of an epoch may be smaller, and is done at once.
///
/// The recording works on the tensors that `net` and `optimizer` had: after replacing any of them, use
/// new `Steps`.
pub struct Steps {
    batch: usize,
    normalization: Normalization,
    label_smoothing: f64,
    dtype: DType,
    whole_batches: usize,
    recorded: Option<Recorded>,
}

/// A step with the places of what goes in and what comes out.
struct Recorded {
    draw: Draw,
    work: Recording,
    output: StepOutput,
}

impl Steps {
    /// Steps as `config` says.
    pub fn new(config: &TrainConfig) -> Steps {
        Steps {
            batch: config.batch,
            normalization: config.normalization.into(),
            label_smoothing: config.label_smoothing,
            dtype: config.precision.dtype(),
            whole_batches: 0,
            recorded: None,
        }
    }

    /// One step on the images `index`, changed as `choices` says, at the learning rate `lr`. Returns
    /// the mean loss and how many were classified right, both from before the update.
    ///
    /// # Errors
    /// What the operations or the device report.
    pub fn run(
        &mut self,
        net: &mut ResNet,
        optimizer: &mut Optimizer,
        images: &Images,
        index: &[u32],
        choices: Vec<i32>,
        lr: f64,
    ) -> Result<(f64, usize)> {
        optimizer.set_rate(lr)?;
        let is_whole = index.len() == self.batch;
        self.whole_batches += usize::from(is_whole);
        let recorded = match (self.recorded.take(), net.device()) {
            (Some(mut recorded), _) if is_whole => {
                images.redraw(&mut recorded.draw, index, &choices)?;
                net.count_batch();
                recorded
            }
            (None, Device::Gpu(gpu)) if is_whole && self.whole_batches > 1 => {
                let draw = images.draw(index, choices)?;
                let (work, output) = gpu.record(|| {
                    let batch = images.apply(&draw, &self.normalization, self.dtype)?;
                    step(net, optimizer, &batch, self.label_smoothing)
                })?;
                Recorded { draw, work, output }
            }
            (recorded, _) => {
                self.recorded = recorded;
                let batch = images.batch(index, choices, &self.normalization, self.dtype)?;
                return step(net, optimizer, &batch, self.label_smoothing)?.read();
            }
        };
        recorded.work.replay()?;
        self.recorded.insert(recorded).output.read()
    }
}
