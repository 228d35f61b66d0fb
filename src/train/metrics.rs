//! The numbers of a run: metrics.jsonl, one line a step and one an epoch, and the same as
//! metrics.csv. They hold no clock time, so two runs of one seed write the same bytes.

use crate::error::{Error, Result};
use crate::files::{read_whole_lines, write_atomically};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// One training step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Counted from 0 over the whole run.
    pub step: usize,
    /// Counted from 1.
    pub epoch: usize,
    /// The learning rate it used.
    pub lr: f64,
    /// The mean loss of its images, before the update.
    pub loss: f64,
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Counted from 1.
    pub epoch: usize,
    /// Steps done by its end.
    pub step: usize,
    /// The learning rate of its last step.
    pub lr: f64,
    /// The mean loss over the training images as they were trained on.
    pub train_loss: f64,
    /// The share of them that was classified right.
    pub train_accuracy: f64,
    /// The mean loss over the test images after the epoch.
    pub test_loss: f64,
    /// The share of them that was classified right.
    pub test_accuracy: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line {
    Step(StepMetrics),
    Epoch(EpochMetrics),
}

/// The metrics files of a run, open for appending.
pub struct Metrics {
    jsonl: PathBuf,
    csv: PathBuf,
    file: File,
}

impl Metrics {
    /// Starts the files in `folder`, or goes on with those of a run that had done `steps` steps:
    /// what was written after the checkpoint that the run goes on from is dropped.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Format`] for a line that is none of ours.
    pub fn open(folder: &Path, steps: usize, epochs: usize) -> Result<Metrics> {
        let (jsonl, csv) = (folder.join("metrics.jsonl"), folder.join("metrics.csv"));
        let kept: Vec<Line> = read_lines(&jsonl)?
            .into_iter()
            .filter(|line| match line {
                Line::Step(s) => s.step < steps,
                Line::Epoch(e) => e.epoch <= epochs,
            })
            .collect();
        let text = kept.iter().map(to_json).collect::<String>();
        write_atomically(&jsonl, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&jsonl).map_err(Error::io("open", &jsonl))?;
        let metrics = Metrics { jsonl, csv, file };
        metrics.write_csv()?;
        Ok(metrics)
    }

    /// Appends a step.
    pub fn step(&mut self, step: StepMetrics) -> Result<()> {
        self.append(&Line::Step(step))
    }

    /// Appends an epoch, and brings metrics.csv up to date.
    pub fn epoch(&mut self, epoch: EpochMetrics) -> Result<()> {
        self.append(&Line::Epoch(epoch))?;
        self.write_csv()
    }

    /// Flushes metrics.jsonl to the disk, so that it is never behind a checkpoint.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io("write", &self.jsonl))
    }

    fn append(&mut self, line: &Line) -> Result<()> {
        self.file.write_all(to_json(line).as_bytes()).map_err(Error::io("write", &self.jsonl))
    }

    /// metrics.csv, made anew from metrics.jsonl.
    pub fn write_csv(&self) -> Result<()> {
        let mut csv =
            String::from("kind,epoch,step,lr,loss,train_loss,train_accuracy,test_loss,test_accuracy\n");
        for line in read_lines(&self.jsonl)? {
            csv += &match line {
                Line::Step(s) => format!("step,{},{},{},{},,,,\n", s.epoch, s.step, s.lr, s.loss),
                Line::Epoch(e) => format!(
                    "epoch,{},{},{},,{},{},{},{}\n",
                    e.epoch, e.step, e.lr, e.train_loss, e.train_accuracy, e.test_loss, e.test_accuracy
                ),
            };
        }
        write_atomically(&self.csv, csv.as_bytes())
    }
}

/// How many of the first `steps` steps and `epochs` epochs the metrics of the run in `folder` do not tell
/// of: none, unless someone has removed what was written.
///
/// # Errors
/// As [`Metrics::open`].
pub fn missing_metrics(folder: &Path, steps: usize, epochs: usize) -> Result<(usize, usize)> {
    let (mut told_steps, mut told_epochs) = (BTreeSet::new(), BTreeSet::new());
    for line in read_lines(&folder.join("metrics.jsonl"))? {
        match line {
            Line::Step(s) => told_steps.extend((s.step < steps).then_some(s.step)),
            Line::Epoch(e) => told_epochs.extend((e.epoch <= epochs).then_some(e.epoch)),
        }
    }
    Ok((steps - told_steps.len(), epochs - told_epochs.len()))
}

/// What the metrics of the run in `folder` tell of: its steps and its epochs.
///
/// # Errors
/// As [`Metrics::open`].
pub fn read_metrics(folder: &Path) -> Result<(Vec<StepMetrics>, Vec<EpochMetrics>)> {
    let (mut steps, mut epochs) = (Vec::new(), Vec::new());
    for line in read_lines(&folder.join("metrics.jsonl"))? {
        match line {
            Line::Step(step) => steps.push(step),
            Line::Epoch(epoch) => epochs.push(epoch),
        }
    }
    Ok((steps, epochs))
}

fn read_lines(path: &Path) -> Result<Vec<Line>> {
    read_whole_lines(path, "metrics line")
}

fn to_json(line: &Line) -> String {
    // Only maps with keys that are no strings fail, and there are none.
    serde_json::to_string(line).expect("metrics are plain numbers") + "\n"
}
