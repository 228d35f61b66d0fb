//! The training loop.

use super::{
    Checkpoint, EpochMetrics, Evaluation, Metrics, PLAIN, Progress, RunDir, StepMetrics, Steps, TrainConfig,
    evaluate,
};
use crate::data::transforms::{order, rows};
use crate::data::{Images, Splits};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::nn::{ResNet, state};
use crate::optim::Optimizer;
use crate::optim::schedule::OneCycle;
use crate::tensor::DType;
use std::sync::atomic::{AtomicBool, Ordering};

/// Images of a test batch; it has no effect on the result but by rounding.
const TEST_BATCH: usize = 500;

/// Someone who watches a run.
pub trait Observer {
    /// A step is done, over `images` images of which `correct` were classified right.
    ///
    /// # Errors
    /// What ends the run.
    fn on_step(&mut self, step: &StepMetrics, images: usize, correct: usize) -> Result<()>;
    /// An epoch is done and tested, and about to be saved.
    ///
    /// # Errors
    /// What ends the run.
    fn on_epoch(&mut self, epoch: &EpochMetrics) -> Result<()>;
}

/// Several who watch a run, in turn.
pub struct Observers<'a>(pub Vec<&'a mut dyn Observer>);

impl Observer for Observers<'_> {
    fn on_step(&mut self, step: &StepMetrics, images: usize, correct: usize) -> Result<()> {
        self.0.iter_mut().try_for_each(|observer| observer.on_step(step, images, correct))
    }

    fn on_epoch(&mut self, epoch: &EpochMetrics) -> Result<()> {
        self.0.iter_mut().try_for_each(|observer| observer.on_epoch(epoch))
    }
}

/// What a finished run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The test after the last epoch.
    pub last: Evaluation,
    /// The best test accuracy.
    pub best_accuracy: f64,
    /// The epoch that reached it.
    pub best_epoch: usize,
}

/// A training run.
pub struct Trainer {
    config: TrainConfig,
    dtype: DType,
    train: Images,
    test: Images,
    classes: Vec<String>,
    net: ResNet,
    optimizer: Optimizer,
    steps: Steps,
    run: RunDir,
    progress: Progress,
}

impl Trainer {
    /// A run of `config` on `data`, from the start.
    ///
    /// # Errors
    /// What the device reports when it has no room.
    pub fn new(config: TrainConfig, device: &Device, data: &Splits, run: RunDir) -> Result<Trainer> {
        let dtype = config.precision.dtype();
        let net = ResNet::new(device, dtype, config.width, config.seed)?;
        let mut net = net.with_math(config.precision.math());
        Ok(Trainer {
            train: Images::new(device, &data.train, config.limit)?,
            test: Images::new(device, &data.test, config.test_limit)?,
            classes: data.train.classes.clone(),
            optimizer: Optimizer::new(config.sgd(), &mut net)?,
            progress: Progress::default(),
            steps: Steps::new(&config),
            config,
            dtype,
            net,
            run,
        })
    }

    /// Goes on from the run's checkpoint, if it has one yet.
    ///
    /// # Errors
    /// [`Error::Format`] when the checkpoint is damaged or of another network.
    pub fn resume(&mut self) -> Result<()> {
        let path = self.run.resume();
        if !path.exists() {
            return Ok(());
        }
        let damaged = |e: Error| match e {
            Error::Format { path, why } => {
                let help = "delete this file, and --resume starts the run over";
                Error::Format { path, why: format!("{why}\n  help: {help}") }
            }
            other => other,
        };
        let checkpoint = Checkpoint::read(&path).map_err(damaged)?;
        // A step recorded before would work on the tensors that are replaced here.
        self.steps = Steps::new(&self.config);
        checkpoint.restore(&mut self.net, &mut self.optimizer).map_err(|e| damaged(e.about_file(&path)))?;
        self.progress = checkpoint.progress;
        Ok(())
    }

    /// How far the run has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether all epochs are done.
    pub fn is_finished(&self) -> bool {
        self.progress.epochs >= self.config.epochs
    }

    /// Steps in an epoch; the last one may have fewer images.
    pub fn batches(&self) -> usize {
        self.train.len().div_ceil(self.config.batch)
    }

    /// Trains to the end, or until `stop` is set, which ends the run after the step or the batch of a test in hand.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after `stop`; [`Error::NotFinite`] when the loss is no number; what a
    /// file or the device reports.
    pub fn train(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome> {
        let mut metrics = Metrics::open(self.run.path(), self.progress.steps, self.progress.epochs)?;
        let ended = self.train_epochs(&mut metrics, observer, stop);
        // However the run ended, both files tell as much.
        let written = metrics.write_csv();
        let last = ended?;
        written?;
        Ok(Outcome { last, best_accuracy: self.progress.best_accuracy, best_epoch: self.progress.best_epoch })
    }

    /// The epochs that the run still lacks, and the test after the last one.
    fn train_epochs(
        &mut self,
        metrics: &mut Metrics,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Evaluation> {
        let schedule = self.config.schedule();
        let mut last = None;
        while !self.is_finished() {
            self.train_epoch(&schedule, metrics, observer, stop)?;
            let test = self.test(metrics, stop)?;
            self.end_epoch(&schedule, &test, metrics, observer)?;
            last = Some(test);
        }
        last.map_or_else(|| self.test(metrics, stop), Ok)
    }

    /// The steps that the present epoch still lacks.
    fn train_epoch(
        &mut self,
        schedule: &OneCycle,
        metrics: &mut Metrics,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<()> {
        let order = order(self.config.seed, self.progress.epochs as u32, self.train.len() as u32);
        for index in order.chunks(self.config.batch).skip(self.progress.batches) {
            let lr = self.rate(schedule, self.progress.batches);
            let (loss, correct) = self.step(index, lr)?;
            let step = StepMetrics { step: self.progress.steps, epoch: self.progress.epochs + 1, lr, loss };
            if !loss.is_finite() {
                return Err(Error::NotFinite { step: step.step, epoch: step.epoch, lr, loss });
            }
            metrics.step(step.clone())?;
            self.progress.batches += 1;
            self.progress.steps += 1;
            self.progress.loss_sum += loss * index.len() as f64;
            self.progress.correct += correct;
            self.progress.seen += index.len();
            observer.on_step(&step, index.len(), correct)?;

            let every = self.config.checkpoint_every;
            let stopping = stop.load(Ordering::Relaxed);
            if stopping || every > 0 && self.progress.steps.is_multiple_of(every) {
                self.checkpoint(metrics)?;
            }
            if stopping {
                return Err(Error::Interrupted { run: self.run.path().to_path_buf() });
            }
        }
        Ok(())
    }

    /// The learning rate of the present epoch's step `batch`.
    fn rate(&self, schedule: &OneCycle, batch: usize) -> f64 {
        schedule.rate(self.progress.epochs as f64 + batch as f64 / self.batches() as f64)
    }

    /// One step on the images `index`. Returns the mean loss and how many were classified right, both
    /// from before the update.
    fn step(&mut self, index: &[u32], lr: f64) -> Result<(f64, usize)> {
        let config = &self.config;
        let choices = rows(config.seed, self.progress.epochs as u32, index, config.augment);
        self.steps.run(&mut self.net, &mut self.optimizer, &self.train, index, choices, lr)
    }

    /// Tests the network. A test that `stop` ends is done again when the run is continued.
    fn test(&mut self, metrics: &Metrics, stop: &AtomicBool) -> Result<Evaluation> {
        let normalization = self.config.normalization.into();
        let run = self.run.path();
        let found =
            evaluate(&mut self.net, &self.test, &normalization, self.dtype, TEST_BATCH, &PLAIN, &mut || {
                match stop.load(Ordering::Relaxed) {
                    true => Err(Error::Interrupted { run: run.to_path_buf() }),
                    false => Ok(()),
                }
            });
        if let Err(Error::Interrupted { .. }) = found {
            self.checkpoint(metrics)?;
        }
        found
    }

    /// Writes down the epoch just trained and tested, and starts the next.
    fn end_epoch(
        &mut self,
        schedule: &OneCycle,
        test: &Evaluation,
        metrics: &mut Metrics,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let done = &self.progress;
        let epoch = EpochMetrics {
            epoch: done.epochs + 1,
            step: done.steps,
            lr: self.rate(schedule, done.batches - 1),
            train_loss: done.loss_sum / done.seen as f64,
            train_accuracy: done.correct as f64 / done.seen as f64,
            test_loss: test.loss,
            test_accuracy: test.accuracy(),
        };
        let better = done.best_epoch == 0 || epoch.test_accuracy > done.best_accuracy;
        let (best_accuracy, best_epoch) = match better {
            true => (epoch.test_accuracy, epoch.epoch),
            false => (done.best_accuracy, done.best_epoch),
        };
        self.progress = Progress {
            epochs: epoch.epoch,
            steps: done.steps,
            best_accuracy,
            best_epoch,
            ..Progress::default()
        };
        metrics.epoch(epoch.clone())?;
        // Before it is saved: a run that is killed in between says it twice, rather than never.
        observer.on_epoch(&epoch)?;
        if better {
            state::save(&mut self.net, &self.classes, &self.run.best())?;
        }
        state::save(&mut self.net, &self.classes, &self.run.last())?;
        self.checkpoint(metrics)
    }

    fn checkpoint(&mut self, metrics: &Metrics) -> Result<()> {
        metrics.sync()?;
        Checkpoint::write(&self.run.resume(), &mut self.net, &mut self.optimizer, &self.progress)
    }
}
