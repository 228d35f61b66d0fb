//! CIFAR-10 in its official binary layout.
//!
//! A folder `cifar-10-batches-bin` with `data_batch_1.bin` … `data_batch_5.bin` and `test_batch.bin`
//! of 10,000 records each, and `batches.meta.txt` with the ten names, one a line. A record is a
//! label byte, then 1024 bytes of red, 1024 of green, 1024 of blue, each plane row by row. In memory
//! the pixels are NHWC.
//!
//! Source: <https://www.cs.toronto.edu/~kriz/cifar.html>

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{CHANNELS, CLASSES, Dataset, IMAGE_BYTES, SIDE};
use crate::error::{Error, Result};

/// The folder's official name.
pub const FOLDER: &str = "cifar-10-batches-bin";
/// The files of training images, in order.
pub const TRAIN_FILES: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
/// The file of test images.
pub const TEST_FILE: &str = "test_batch.bin";
/// The file with the names of the classes; where it is missing, [`CLASS_NAMES`] are used.
pub const NAMES_FILE: &str = "batches.meta.txt";
/// The official names of the classes.
pub const CLASS_NAMES: [&str; CLASSES] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
/// Records in each file.
pub const RECORDS: usize = 10_000;
/// Bytes of a record: the label and the pixels.
pub const RECORD_BYTES: usize = 1 + IMAGE_BYTES;

/// The folder that holds the files: `dir` itself or its `cifar-10-batches-bin`.
///
/// A folder with any one of the batches is taken for the data set, so that an incomplete one is
/// reported by [`load`] rather than passed over.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be looked into; that it does not exist is no error.
pub fn find(dir: &Path) -> Result<Option<PathBuf>> {
    for folder in [dir.to_path_buf(), dir.join(FOLDER)] {
        for name in TRAIN_FILES.into_iter().chain([TEST_FILE]) {
            let file = folder.join(name);
            match file.symlink_metadata() {
                Ok(_) => return Ok(Some(folder)),
                Err(error) if is_absence(&error) => {}
                Err(error) => return Err(Error::io("read", file)(error)),
            }
        }
    }
    Ok(None)
}

/// Whether the error says that there is no such file, or that a part of its path is no folder.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Reads the training and the test images of the data set in `folder` (as [`find`] returned it).
///
/// # Errors
/// [`Error::Io`] names a file that cannot be read, [`Error::Format`] a damaged one, the record and
/// what was expected.
pub fn load(folder: &Path) -> Result<(Dataset, Dataset)> {
    load_records(folder, RECORDS)
}

/// [`load`] for files of another number of records than the official one.
///
/// # Errors
/// As [`load`].
pub fn load_records(folder: &Path, records: usize) -> Result<(Dataset, Dataset)> {
    let classes = read_names(&folder.join(NAMES_FILE))?;
    let read = |files: &[&str]| {
        let mut split = Dataset { images: Vec::new(), labels: Vec::new(), classes: classes.clone() };
        for name in files {
            append_batch(&folder.join(name), records, &mut split)?;
        }
        Ok(split)
    };
    Ok((read(&TRAIN_FILES)?, read(&[TEST_FILE])?))
}

/// Appends the `records` images of one file to `split`.
fn append_batch(path: &Path, records: usize, split: &mut Dataset) -> Result<()> {
    let expected = records * RECORD_BYTES;
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => damaged(path, "the file is missing"),
        _ => Error::io("read", path)(error),
    })?;
    let mut bytes = Vec::with_capacity(expected);
    // One byte more than expected is enough to know that a file is too long.
    file.take(expected as u64 + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() < expected {
        let (record, rest) = (bytes.len() / RECORD_BYTES, bytes.len() % RECORD_BYTES);
        return Err(damaged(
            path,
            &format!(
                "record {record} is cut off after {rest} of {RECORD_BYTES} bytes: \
                 expected {records} records ({expected} bytes), found {} bytes",
                bytes.len()
            ),
        ));
    }
    if bytes.len() > expected {
        return Err(damaged(
            path,
            &format!(
                "there are bytes after record {}: expected {records} records ({expected} bytes)",
                records - 1
            ),
        ));
    }
    split.labels.reserve(records);
    split.images.reserve(records * IMAGE_BYTES);
    for (index, record) in bytes.chunks_exact(RECORD_BYTES).enumerate() {
        let (label, planes) = (record[0], &record[1..]);
        if usize::from(label) >= CLASSES {
            return Err(damaged(
                path,
                &format!("record {index} has label {label}: expected 0 to {}", CLASSES - 1),
            ));
        }
        split.labels.push(label);
        let (red, rest) = planes.split_at(SIDE * SIDE);
        let (green, blue) = rest.split_at(SIDE * SIDE);
        for ((&r, &g), &b) in red.iter().zip(green).zip(blue) {
            let pixel: [u8; CHANNELS] = [r, g, b];
            split.images.extend_from_slice(&pixel);
        }
    }
    Ok(())
}

/// The ten class names of `batches.meta.txt`, or the official ones where there is no such file.
fn read_names(path: &Path) -> Result<Vec<String>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(CLASS_NAMES.map(String::from).to_vec());
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(damaged(path, "expected text, found bytes that are not UTF-8"));
        }
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    if names.len() != CLASSES {
        return Err(damaged(
            path,
            &format!("expected {CLASSES} class names, one a line, found {}", names.len()),
        ));
    }
    Ok(names)
}

/// An error about a file of the data set, with what to do.
fn damaged(path: &Path, why: &str) -> Error {
    Error::format(path, format!("{why}\n  help: the data set is damaged; remove its folder and get it again"))
}
