//! A run's journal, journal.jsonl: on which machine and which images it was trained, and how long that
//! took. It holds what the metrics must not, since two runs of one seed write the same metrics.

use super::{RunDir, RunFiles};
use crate::data::Splits;
use crate::data::report::sha256;
use crate::error::{Error, Result};
use crate::files::read_whole_lines;
use crate::machine::Machine;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{Read, Write};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Entry {
    /// The program began, or went on with, the run.
    Start(Box<Start>),
    /// An epoch was done and tested.
    Epoch(EpochTime),
    /// The program ended.
    End(End),
}

/// How a run began, or went on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The local time, as [`now`] writes it.
    pub at: String,
    /// Epochs that were done before.
    pub epochs: usize,
    /// The device, as it was said.
    pub device: String,
    /// The machine.
    pub machine: Machine,
    /// The data set.
    pub data: DataMark,
}

/// What a data set is known by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataMark {
    /// What it is called, and where it was found.
    pub source: String,
    /// Training images in all.
    pub train_images: usize,
    /// Test images in all.
    pub test_images: usize,
    /// SHA-256 of the pixels and labels of the training images and of the test images, as `cugrad data`
    /// gives it.
    pub sha256: [String; 2],
}

/// How long an epoch took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochTime {
    /// Counted from 1.
    pub epoch: usize,
    /// Images trained on; fewer than all where the run went on within the epoch.
    pub images: usize,
    /// Seconds of its steps.
    pub train_seconds: f64,
    /// Seconds of the test and of the checkpoint after them.
    pub test_seconds: f64,
}

/// How the program ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// The local time, as [`now`] writes it.
    pub at: String,
    /// Why: the error, or none when the run is complete.
    pub error: Option<String>,
}

impl EpochTime {
    /// Training images a second, over the steps alone.
    pub fn images_per_second(&self) -> f64 {
        self.images as f64 / self.train_seconds.max(1e-9)
    }
}

impl DataMark {
    /// The mark of `splits`.
    pub fn of(splits: &Splits) -> DataMark {
        DataMark {
            source: splits.source.to_string(),
            train_images: splits.train.len(),
            test_images: splits.test.len(),
            sha256: [&splits.train, &splits.test].map(sha256),
        }
    }
}

/// The local time, to the second: 2026-11-22 18:15:00 +01:00.
pub fn now() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// Appends an entry to the journal of `run`, after its last whole line: what a program that was killed has
/// left of a line is dropped.
///
/// # Errors
/// [`Error::Io`] naming the journal.
pub fn append(run: &RunDir, entry: &Entry) -> Result<()> {
    let path = run.journal();
    let mut line = serde_json::to_string(entry).expect("an entry is plain numbers and strings");
    line.push('\n');
    let written = || {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path)?;
        let mut before = Vec::new();
        file.read_to_end(&mut before)?;
        let whole = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole < before.len() {
            file.set_len(whole as u64)?;
        }
        file.write_all(line.as_bytes())
    };
    written().map_err(Error::io("write", &path))
}

/// The journal of a run; empty for a run that has none.
///
/// # Errors
/// [`Error::Io`], or [`Error::Format`] for a line that is none of ours.
pub fn read_journal(run: &RunFiles) -> Result<Vec<Entry>> {
    read_whole_lines(&run.journal(), "journal line")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Preset, TrainConfig};

    #[test]
    fn half_a_line_does_not_spoil_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let config = TrainConfig::defaults(Preset::Quick);
        let run = RunDir::create(Some(&folder.path().join("run")), &config).unwrap();
        let entry =
            |epoch| Entry::Epoch(EpochTime { epoch, images: 10, train_seconds: 2.0, test_seconds: 0.5 });
        append(&run, &entry(1)).unwrap();
        let mut journal = std::fs::read(run.journal()).unwrap();
        journal.extend(b"{\"kind\":\"ep");
        std::fs::write(run.journal(), journal).unwrap();
        assert_eq!(read_journal(&run).unwrap(), [entry(1)]);
        append(&run, &entry(2)).unwrap();
        assert_eq!(read_journal(&run).unwrap(), [entry(1), entry(2)]);
    }
}
