//! What a training run shows: a bar on a terminal, a plain line an epoch elsewhere, and the run's log.

use super::output::message;
use crate::error::Result;
use crate::train::journal::{self, Entry, EpochTime};
use crate::train::{EpochMetrics, Observer, Progress, RunDir, StepMetrics, TrainConfig};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// Prints a line to stderr and to the run's log.
///
/// # Errors
/// [`crate::Error::Io`] naming the log.
pub fn say(run: &RunDir, line: &str) -> Result<()> {
    message(line);
    run.log(line)
}

/// The progress of a run.
pub struct Bar {
    bar: ProgressBar,
    run: RunDir,
    epochs: usize,
    epoch: Tally,
}

/// What the present epoch came to so far.
struct Tally {
    started: Instant,
    /// When its last step was done.
    stepped: Instant,
    images: usize,
    correct: usize,
    loss_sum: f64,
}

impl Tally {
    fn new() -> Tally {
        let now = Instant::now();
        Tally { started: now, stepped: now, images: 0, correct: 0, loss_sum: 0.0 }
    }

    /// What the journal says of `epoch`, which has just been tested.
    fn time_of(&self, epoch: usize) -> Entry {
        Entry::Epoch(EpochTime {
            epoch,
            images: self.images,
            train_seconds: (self.stepped - self.started).as_secs_f64(),
            test_seconds: self.stepped.elapsed().as_secs_f64(),
        })
    }

    fn images_per_second(&self) -> f64 {
        self.images as f64 / self.started.elapsed().as_secs_f64().max(1e-9)
    }
}

impl Bar {
    /// A bar over all steps of the run, `progress` of which are done.
    pub fn new(config: &TrainConfig, run: &RunDir, progress: &Progress, batches: usize) -> Bar {
        let steps = (config.epochs * batches) as u64;
        let bar = ProgressBar::with_draw_target(
            Some(steps),
            if stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        let template = "{prefix} {bar:20.cyan/dim} {pos}/{len}  {msg}  {eta} left";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
        // A resumed run has not done the earlier steps at today's speed.
        bar.set_position(progress.steps as u64);
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(200));
        Bar { bar, run: run.clone(), epochs: config.epochs, epoch: Tally::new() }
    }

    /// Takes the bar off the screen.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Bar {
    fn on_step(&mut self, step: &StepMetrics, images: usize, correct: usize) -> Result<()> {
        self.epoch.stepped = Instant::now();
        self.epoch.images += images;
        self.epoch.correct += correct;
        self.epoch.loss_sum += step.loss * images as f64;
        let seen = self.epoch.images as f64;
        self.bar.set_prefix(format!("epoch {}/{}", step.epoch, self.epochs));
        self.bar.set_message(format!(
            "loss {:.3}  acc {:5.2}%  lr {:.4}  {:.0} images/s",
            self.epoch.loss_sum / seen,
            100.0 * self.epoch.correct as f64 / seen,
            step.lr,
            self.epoch.images_per_second(),
        ));
        self.bar.inc(1);
        Ok(())
    }

    fn on_epoch(&mut self, epoch: &EpochMetrics) -> Result<()> {
        let line = format!(
            "epoch {:>2}/{}  train loss {:.4} acc {:5.2}%  test loss {:.4} acc {:5.2}%  lr {:.4}  {:.0} images/s",
            epoch.epoch,
            self.epochs,
            epoch.train_loss,
            100.0 * epoch.train_accuracy,
            epoch.test_loss,
            100.0 * epoch.test_accuracy,
            epoch.lr,
            self.epoch.images_per_second(),
        );
        journal::append(&self.run, &self.epoch.time_of(epoch.epoch))?;
        self.epoch = Tally::new();
        self.bar.suspend(|| message(&line));
        self.run.log(&line)
    }
}
