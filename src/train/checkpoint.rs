//! Checkpoints: everything a run needs to go on as if it had never stopped.
//!
//! One safetensors file holds the weights (`model.*`), the optimizer's velocities (`velocity.*`) and,
//! in its metadata, how far the run had come. Random numbers need no state: they are a function of
//! the seed and the position.

use crate::error::{Error, Result};
use crate::files::{FileTensors, Metadata, read_tensors, write_tensors};
use crate::nn::{ResNet, state};
use crate::optim::Optimizer;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs completed, their test included.
    pub epochs: usize,
    /// Steps done in the epoch that comes next.
    pub batches: usize,
    /// Steps done in all.
    pub steps: usize,
    /// Sum of the losses of the images seen in the present epoch.
    pub loss_sum: f64,
    /// Images classified right in the present epoch.
    pub correct: usize,
    /// Images seen in the present epoch.
    pub seen: usize,
    /// The best test accuracy so far.
    pub best_accuracy: f64,
    /// The epoch that reached it, 0 for none.
    pub best_epoch: usize,
}

/// A checkpoint read from a file.
pub struct Checkpoint {
    tensors: FileTensors,
    /// How far the run had come.
    pub progress: Progress,
}

const PROGRESS: &str = "progress";

impl Checkpoint {
    /// Writes the state of a run, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file; the checkpoint before is then still there.
    pub fn write(
        path: &Path,
        net: &mut ResNet,
        optimizer: &mut Optimizer,
        progress: &Progress,
    ) -> Result<()> {
        let mut tensors = FileTensors::new();
        for (name, tensor) in state::to_file(net)? {
            tensors.insert(format!("model.{name}"), tensor);
        }
        for (name, velocity) in optimizer.velocities(net) {
            tensors.insert(format!("velocity.{name}"), state::filter_to_file(velocity)?);
        }
        let progress = serde_json::to_string(progress).expect("progress is plain numbers");
        write_tensors(path, &tensors, Metadata::from([(PROGRESS.into(), progress)]))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Format`] when the file is no checkpoint.
    pub fn read(path: &Path) -> Result<Checkpoint> {
        let (tensors, metadata) = read_tensors(path)?;
        let progress = metadata
            .get(PROGRESS)
            .ok_or_else(|| Error::format(path, "has no progress in its metadata: it is no checkpoint"))?;
        let progress = serde_json::from_str(progress)
            .map_err(|e| Error::format(path, format!("its progress cannot be read ({e})")))?;
        Ok(Checkpoint { tensors, progress })
    }

    /// Puts the checkpoint's weights into `net` and its velocities into `optimizer`.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first tensor that does not fit.
    pub fn restore(&self, net: &mut ResNet, optimizer: &mut Optimizer) -> Result<()> {
        state::restore(net, &self.part("model."))?;
        let velocities = self.part("velocity.");
        for (name, velocity) in optimizer.velocities(net) {
            let file = velocities
                .get(&name)
                .ok_or_else(|| Error::Config(format!("the checkpoint has no velocity of {name}")))?;
            *velocity = state::load_like(velocity, file)
                .map_err(|why| Error::Config(format!("the velocity of {name}: {why}")))?;
        }
        Ok(())
    }

    fn part(&self, prefix: &str) -> FileTensors {
        let tensors = self.tensors.iter();
        tensors.filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.into(), t.clone()))).collect()
    }
}
