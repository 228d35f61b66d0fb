//! A run, read back from its folder.

use crate::error::{Error, Result};
use crate::optim::lr_finder::{RangeTest, Sample, Suggestion, Sweep};
use crate::train::journal::{End, Entry, EpochTime, Start, read_journal};
use crate::train::{EpochMetrics, RunFiles, StepMetrics, TrainConfig, read_config, read_metrics};
use serde::Deserialize;
use std::path::Path;

/// What a run has left in its folder so far. It may still be going on.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its files.
    pub files: RunFiles,
    /// What it is called: its folder's name.
    pub name: String,
    /// Its settings.
    pub config: TrainConfig,
    /// Its steps.
    pub steps: Vec<StepMetrics>,
    /// Its epochs.
    pub epochs: Vec<EpochMetrics>,
    /// What happened when, on which machine; empty for a run without a journal.
    pub journal: Vec<Entry>,
    /// What its range test found, if it had one.
    pub range_test: Option<FoundRates>,
}

/// The range test of a run and what it suggested.
#[derive(Clone, Debug)]
pub struct FoundRates {
    /// The test.
    pub sweep: Sweep,
    /// What it suggested.
    pub suggestion: Suggestion,
}

impl Run {
    /// Reads the run in `folder`. A last line that was cut off when the run was killed is left out.
    ///
    /// # Errors
    /// [`Error::Format`] when it is no run's folder, has no metrics, or a file holds something else;
    /// [`Error::Io`].
    pub fn read(folder: &Path) -> Result<Run> {
        let config = read_config(folder)?;
        let files = RunFiles::new(folder);
        if !files.metrics().exists() {
            let why = "has no metrics.jsonl: nothing was trained in it yet";
            return Err(Error::format(folder, why));
        }
        let (steps, epochs) = read_metrics(folder)?;
        Ok(Run {
            name: name_of(folder),
            config,
            steps,
            epochs,
            journal: read_journal(&files)?,
            range_test: read_range_test(&files)?,
            files,
        })
    }

    /// How the program began, or last went on with, the run.
    pub fn last_start(&self) -> Option<&Start> {
        self.journal.iter().rev().find_map(|entry| match entry {
            Entry::Start(start) => Some(&**start),
            _ => None,
        })
    }

    /// How the program ended, unless it is still at work or was killed.
    pub fn end(&self) -> Option<&End> {
        match self.journal.last() {
            Some(Entry::End(end)) => Some(end),
            _ => None,
        }
    }

    /// How long `epoch` took, if it was timed. An epoch that was trained again counts as it was last.
    pub fn time_of(&self, epoch: usize) -> Option<&EpochTime> {
        self.journal.iter().rev().find_map(|entry| match entry {
            Entry::Epoch(time) if time.epoch == epoch => Some(time),
            _ => None,
        })
    }

    /// Training images a second over the epochs that were timed.
    pub fn images_per_second(&self) -> Option<f64> {
        let times = || self.epochs.iter().filter_map(|e| self.time_of(e.epoch));
        let seconds: f64 = times().map(|time| time.train_seconds).sum();
        (seconds > 0.0).then(|| times().map(|time| time.images as f64).sum::<f64>() / seconds)
    }

    /// Seconds of all epochs, tests included, if each of them was timed.
    pub fn seconds(&self) -> Option<f64> {
        let seconds = |time: &EpochTime| time.train_seconds + time.test_seconds;
        self.epochs.iter().map(|e| self.time_of(e.epoch).map(seconds)).sum()
    }

    /// The epoch with the best test accuracy, the first of equals, as the run keeps it.
    pub fn best(&self) -> Option<&EpochMetrics> {
        self.epochs.iter().rev().max_by(|a, b| a.test_accuracy.total_cmp(&b.test_accuracy))
    }

    /// Whether all epochs are done.
    pub fn is_complete(&self) -> bool {
        self.epochs.len() >= self.config.epochs
    }
}

/// The last part of a path, also of `.`.
fn name_of(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned()
}

fn read_range_test(files: &RunFiles) -> Result<Option<FoundRates>> {
    /// As `lr-find` writes it.
    #[derive(Deserialize)]
    struct File {
        suggestion: Suggestion,
        test: RangeTest,
        diverged: bool,
        samples: Vec<Sample>,
    }
    let path = files.lr_find();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", &path)(e)),
    };
    let File { suggestion, test, diverged, samples } =
        serde_json::from_str(&text).map_err(|e| Error::format(&path, format!("is no range test ({e})")))?;
    Ok(Some(FoundRates { sweep: Sweep { test, samples, diverged }, suggestion }))
}
