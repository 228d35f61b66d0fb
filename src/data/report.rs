//! What can be said about a data set: where it is, what it holds, whether that is as it should be.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::cifar10::{NAMES_FILE, TEST_FILE, TRAIN_FILES};
use super::source::{Source, Splits};
use super::{CLASSES, ChannelStatistics, Dataset};
use crate::error::{Error, Result};

/// A data set described.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Where it was found, in words.
    pub source: String,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The training and the test images.
    pub splits: [SplitReport; 2],
    /// The files it was read from; none for the embedded set.
    pub files: Vec<FileReport>,
}

/// One split described.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitReport {
    /// `train` or `test`.
    pub name: &'static str,
    /// Number of images.
    pub images: usize,
    /// Images of each class.
    pub counts: [usize; CLASSES],
    /// Means and deviations of the channels.
    pub channels: ChannelStatistics,
    /// SHA-256 of the pixels `[T,32,32,3]` followed by the labels `[T]`.
    pub sha256: String,
}

/// One file described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
}

impl Report {
    /// Describes `splits`, reading the files it came from once more.
    ///
    /// # Errors
    /// [`Error::Io`] names a file that can no longer be read.
    pub fn new(splits: &Splits) -> Result<Report> {
        let files = match &splits.source {
            Source::Cifar10 { folder, .. } => describe_files(folder)?,
            Source::Embedded { .. } => Vec::new(),
        };
        Ok(Report {
            source: splits.source.to_string(),
            classes: splits.train.classes.clone(),
            splits: [describe("train", &splits.train), describe("test", &splits.test)],
            files,
        })
    }

    /// What is odd about the data set, one sentence each; nothing, if it is as published.
    ///
    /// That the files are whole and the labels in range was checked when they were read; this is what
    /// only the whole shows.
    pub fn verify(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for split in &self.splits {
            let expected = split.images / CLASSES;
            for (class, &count) in self.classes.iter().zip(&split.counts) {
                if count != expected {
                    findings.push(format!(
                        "{}: expected {expected} images of class {class}, found {count}",
                        split.name
                    ));
                }
            }
        }
        let [train, test] = &self.splits;
        if train.sha256 == test.sha256 {
            findings.push("the training images and the test images are the same".into());
        }
        for (index, file) in self.files.iter().enumerate() {
            if let Some(same) = self.files[..index].iter().find(|other| other.sha256 == file.sha256) {
                findings.push(format!("{} and {} are the same", same.path.display(), file.path.display()));
            }
        }
        findings
    }
}

fn describe(name: &'static str, split: &Dataset) -> SplitReport {
    SplitReport {
        name,
        images: split.len(),
        counts: split.counts(),
        channels: split.channel_statistics(),
        sha256: sha256(split),
    }
}

/// SHA-256 of the pixels `[T,32,32,3]` of a split followed by its labels `[T]`.
pub fn sha256(split: &Dataset) -> String {
    hex(&Sha256::new().chain_update(&split.images).chain_update(&split.labels).finalize())
}

/// Describes the data set's files in `folder`; the one with the class names may be missing.
fn describe_files(folder: &Path) -> Result<Vec<FileReport>> {
    let batches = TRAIN_FILES.into_iter().chain([TEST_FILE]);
    let names = Some(NAMES_FILE).filter(|name| folder.join(name).exists());
    batches.chain(names).map(|name| describe_file(folder.join(name))).collect()
}

fn describe_file(path: PathBuf) -> Result<FileReport> {
    let mut file = File::open(&path).map_err(Error::io("read", &path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let count = file.read(&mut buffer).map_err(Error::io("read", &path))?;
        if count == 0 {
            break;
        }
        bytes += count as u64;
        hasher.update(&buffer[..count]);
    }
    Ok(FileReport { path, bytes, sha256: hex(&hasher.finalize()) })
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
