//! A run's TensorBoard event files: the scalars of each step and epoch, and pictures.
//!
//! A file is a row of records, each an event of TensorBoard's protobuf schema between its length and a
//! checksum. A record is written in one piece, so that a run that was killed leaves whole ones and at
//! most a part of the last, where readers stop.
//!
//! A run that goes on begins the next file. Its first event says at which step, and TensorBoard then
//! drops what the files before it say of that step and of later ones. So the scalars of an epoch stand
//! at its last step, which is before the one that the next epoch begins with.

use super::{EpochMetrics, Observer, StepMetrics};
use crate::error::{Error, Result};
use prost::{Message, Oneof};
use std::fs::{File, OpenOptions};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

/// How the name of every event file begins; its number follows, and TensorBoard reads in that order.
const PREFIX: &str = "events.out.tfevents.";

/// An event file, open for writing, and what is needed to tell an epoch's speed.
pub struct TensorBoard {
    path: PathBuf,
    file: File,
    /// When the epoch's first step began.
    started: Instant,
    /// When its latest step ended.
    latest: Instant,
    /// Images trained on since.
    images: usize,
}

impl TensorBoard {
    /// Begins the next event file in `folder`, which is made if need be, for a run that has done `steps`
    /// steps.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file or folder.
    pub fn create(folder: &Path, steps: usize) -> Result<TensorBoard> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let path = folder.join(format!("{PREFIX}{:06}", last_number(folder)? + 1));
        let create = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = create.map_err(Error::io("create", &path))?;
        let now = Instant::now();
        let mut board = TensorBoard { path, file, started: now, latest: now, images: 0 };
        board.write(0, What::FileVersion("brain.Event:2".into()))?;
        board.write(steps, What::SessionLog(SessionLog { status: SESSION_START }))?;
        Ok(board)
    }

    /// Writes a picture, a PNG file's bytes, at `step`.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file; [`Error::Format`] when `png` is no PNG file.
    pub fn picture(&mut self, step: usize, tag: &str, png: &[u8]) -> Result<()> {
        let reader = png::Decoder::new(Cursor::new(png)).read_info();
        let reader = reader.map_err(|e| Error::format(&self.path, format!("{tag} is no PNG: {e}")))?;
        let (width, height) = reader.info().size();
        let image = Image {
            height: height as i32,
            width: width as i32,
            colorspace: reader.info().color_type.samples() as i32,
            png: png.to_vec(),
        };
        self.write(step, summary([(tag, Shown::Image(image))]))
    }

    fn scalars<const N: usize>(&mut self, step: usize, scalars: [(&str, f64); N]) -> Result<()> {
        self.write(step, summary(scalars.map(|(tag, value)| (tag, Shown::Scalar(value as f32)))))
    }

    fn write(&mut self, step: usize, what: What) -> Result<()> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A clock before 1970 is no reason to stop.
        let wall_time = since.map_or(0.0, |since| since.as_secs_f64());
        let event = Event { wall_time, step: step as i64, what: Some(what) };
        self.file.write_all(&record(&event.encode_to_vec())).map_err(Error::io("write", &self.path))
    }
}

impl Observer for TensorBoard {
    fn on_step(&mut self, step: &StepMetrics, images: usize, _correct: usize) -> Result<()> {
        self.images += images;
        self.latest = Instant::now();
        self.scalars(step.step, [("loss/step", step.loss), ("learning_rate", step.lr)])
    }

    fn on_epoch(&mut self, epoch: &EpochMetrics) -> Result<()> {
        let last_step = epoch.step - 1;
        self.scalars(
            last_step,
            [
                ("loss/train", epoch.train_loss),
                ("loss/test", epoch.test_loss),
                ("accuracy/train", epoch.train_accuracy),
                ("accuracy/test", epoch.test_accuracy),
            ],
        )?;
        // None, if the run was continued between an epoch's last step and its test.
        if self.images > 0 {
            let seconds = (self.latest - self.started).as_secs_f64().max(1e-9);
            self.scalars(last_step, [("images_per_second", self.images as f64 / seconds)])?;
        }
        (self.started, self.images) = (Instant::now(), 0);
        Ok(())
    }
}

/// The number of the last event file in `folder`, 0 if there is none.
fn last_number(folder: &Path) -> Result<u32> {
    let mut last = 0;
    for entry in std::fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let name = entry.map_err(Error::io("read", folder))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse().ok());
        last = last.max(number.unwrap_or(0));
    }
    Ok(last)
}

/// A record of a TFRecord file: length, its checksum, data, its checksum.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &checksum(&length), data, &checksum(data)].concat()
}

/// CRC-32C, masked as the format has it, so that the checksum of data with checksums is a good one, too.
fn checksum(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn summary<const N: usize>(values: [(&str, Shown); N]) -> What {
    let values = values.map(|(tag, shown)| Value { tag: tag.into(), shown: Some(shown) });
    What::Summary(Summary { value: values.to_vec() })
}

// The part of TensorBoard's schema that is written, after event.proto and summary.proto.

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// The status of a session that starts.
const SESSION_START: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(oneof = "Shown", tags = "2, 4")]
    shown: Option<Shown>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Shown {
    #[prost(float, tag = "2")]
    Scalar(f32),
    #[prost(message, tag = "4")]
    Image(Image),
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    /// Samples of a pixel.
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    png: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_masked_crc32c() {
        // The published check value of CRC-32C, 0xe3069283, masked by hand.
        assert_eq!(u32::from_le_bytes(checksum(b"123456789")), 0x2507_c60d_u32.wrapping_add(0xa282_ead8));
    }

    #[test]
    fn files_are_numbered_on() {
        let folder = tempfile::tempdir().unwrap();
        for steps in [0, 3, 5] {
            TensorBoard::create(folder.path(), steps).unwrap();
        }
        assert_eq!(last_number(folder.path()).unwrap(), 3);
        std::fs::write(folder.path().join("events.out.tfevents.000041"), "").unwrap();
        TensorBoard::create(folder.path(), 0).unwrap();
        assert!(folder.path().join("events.out.tfevents.000042").exists());
    }

    #[test]
    fn a_picture_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::create(folder.path(), 0).unwrap();
        assert!(
            board.picture(0, "samples", b"no picture").unwrap_err().to_string().contains("samples is no PNG")
        );
    }
}
