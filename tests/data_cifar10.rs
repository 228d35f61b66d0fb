//! Reading CIFAR-10's binary layout, sound and damaged.

use std::fs;
use std::path::Path;

use cugrad::Error;
use cugrad::data::cifar10::{self, CLASS_NAMES, FOLDER, NAMES_FILE, RECORD_BYTES, TEST_FILE, TRAIN_FILES};

const RECORDS: usize = 3;

/// The byte of image `image` (counted over all files) at row `y`, column `x`, channel `c`.
fn pixel(image: usize, y: usize, x: usize, c: usize) -> u8 {
    (image * 31 + y * 7 + x * 3 + c * 101) as u8
}

/// Writes a sound data set of 3 records a file into `folder`.
fn write_data_set(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (file, name) in TRAIN_FILES.into_iter().chain([TEST_FILE]).enumerate() {
        let mut bytes = Vec::new();
        for image in file * RECORDS..(file + 1) * RECORDS {
            bytes.push((image % 10) as u8);
            for c in 0..3 {
                for y in 0..32 {
                    bytes.extend((0..32).map(|x| pixel(image, y, x, c)));
                }
            }
        }
        fs::write(folder.join(name), bytes).unwrap();
    }
    fs::write(folder.join(NAMES_FILE), CLASS_NAMES.join("\n") + "\n\n").unwrap();
}

fn sound() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_data_set(dir.path());
    dir
}

/// The message of the [`Error::Format`] about the file `name` that loading `dir` ends with.
fn format_error(dir: &Path, name: &str) -> String {
    match cifar10::load_records(dir, RECORDS) {
        Err(Error::Format { path, why }) => {
            assert_eq!(path, dir.join(name));
            assert!(why.contains("help:"), "{why}");
            why
        }
        other => panic!("expected a format error about {name}, found {other:?}"),
    }
}

#[test]
fn planes_become_nhwc_and_files_keep_their_order() {
    let dir = sound();
    let (train, test) = cifar10::load_records(dir.path(), RECORDS).unwrap();
    assert_eq!((train.len(), test.len()), (15, 3));
    assert_eq!(train.classes, CLASS_NAMES);
    for (split, first) in [(&train, 0), (&test, 15)] {
        for index in 0..split.len() {
            let image = split.image(index).unwrap();
            assert_eq!(usize::from(split.labels[index]), (first + index) % 10);
            for (position, &value) in image.iter().enumerate() {
                let (y, x, c) = (position / 96, position / 3 % 32, position % 3);
                assert_eq!(value, pixel(first + index, y, x, c), "image {index} at {y},{x},{c}");
            }
        }
        assert!(split.image(split.len()).is_none());
    }
}

#[test]
fn the_folder_or_its_parent_is_found() {
    let parent = tempfile::tempdir().unwrap();
    assert_eq!(cifar10::find(parent.path()).unwrap(), None);
    assert_eq!(cifar10::find(&parent.path().join("absent")).unwrap(), None);
    let folder = parent.path().join(FOLDER);
    write_data_set(&folder);
    assert_eq!(cifar10::find(parent.path()).unwrap(), Some(folder.clone()));
    assert_eq!(cifar10::find(&folder).unwrap(), Some(folder.clone()));
    assert_eq!(cifar10::find(&folder.join(TEST_FILE)).unwrap(), None, "a file is no data set");
}

#[test]
fn a_file_cut_at_any_record_boundary_and_beside_it_is_rejected() {
    for name in [TRAIN_FILES[0], TRAIN_FILES[4], TEST_FILE] {
        let dir = sound();
        let whole = fs::read(dir.path().join(name)).unwrap();
        for boundary in (0..=RECORDS).map(|record| record * RECORD_BYTES) {
            for length in [boundary.wrapping_sub(1), boundary, boundary + 1] {
                if length >= whole.len() {
                    continue;
                }
                fs::write(dir.path().join(name), &whole[..length]).unwrap();
                let why = format_error(dir.path(), name);
                let (record, rest) = (length / RECORD_BYTES, length % RECORD_BYTES);
                assert!(
                    why.contains(&format!("record {record} is cut off after {rest} of 3073 bytes")),
                    "{why}"
                );
                assert!(why.contains("expected 3 records (9219 bytes)"), "{why}");
                assert!(why.contains(&format!("found {length} bytes")), "{why}");
            }
        }
    }
}

#[test]
fn a_file_that_is_too_long_is_rejected() {
    for extra in [1, RECORD_BYTES] {
        let dir = sound();
        let path = dir.path().join(TRAIN_FILES[2]);
        let mut bytes = fs::read(&path).unwrap();
        bytes.resize(bytes.len() + extra, 0);
        fs::write(&path, bytes).unwrap();
        let why = format_error(dir.path(), TRAIN_FILES[2]);
        assert!(why.contains("after record 2: expected 3 records (9219 bytes)"), "{why}");
    }
}

#[test]
fn a_label_above_nine_is_rejected() {
    for (record, label) in [(0, 10), (1, 11), (2, 255)] {
        let dir = sound();
        let path = dir.path().join(TEST_FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes[record * RECORD_BYTES] = label;
        fs::write(&path, bytes).unwrap();
        let why = format_error(dir.path(), TEST_FILE);
        assert!(why.contains(&format!("record {record} has label {label}: expected 0 to 9")), "{why}");
    }
}

#[test]
fn a_missing_batch_is_named() {
    for name in TRAIN_FILES.into_iter().chain([TEST_FILE]) {
        let dir = sound();
        fs::remove_file(dir.path().join(name)).unwrap();
        // What is left still counts as the data set, so that the user hears of the loss.
        assert_eq!(cifar10::find(dir.path()).unwrap().as_deref(), Some(dir.path()));
        assert!(format_error(dir.path(), name).contains("missing"));
    }
}

#[test]
fn a_batch_that_cannot_be_read_is_named() {
    let dir = sound();
    let path = dir.path().join(TRAIN_FILES[1]);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    match cifar10::load_records(dir.path(), RECORDS) {
        Err(Error::Io { action: "read", path: named, .. }) => assert_eq!(named, path),
        other => panic!("expected an error about reading, found {other:?}"),
    }
}

#[test]
fn class_names_may_be_missing_but_not_wrong() {
    let dir = sound();
    let path = dir.path().join(NAMES_FILE);
    fs::remove_file(&path).unwrap();
    assert_eq!(cifar10::load_records(dir.path(), RECORDS).unwrap().0.classes, CLASS_NAMES);
    fs::write(&path, "cat\ndog\n").unwrap();
    assert!(format_error(dir.path(), NAMES_FILE).contains("expected 10 class names, one a line, found 2"));
    fs::write(&path, [0xFF, 0xFE]).unwrap();
    assert!(format_error(dir.path(), NAMES_FILE).contains("not UTF-8"));
}

#[test]
fn the_official_size_is_ten_thousand_records() {
    let dir = sound();
    match cifar10::load(dir.path()) {
        Err(Error::Format { why, .. }) => {
            assert!(why.contains("expected 10000 records (30730000 bytes), found 9219 bytes"), "{why}");
        }
        other => panic!("expected a format error, found {other:?}"),
    }
}

#[test]
fn statistics_and_counts_are_those_of_the_images() {
    let (mut train, _) = cifar10::load_records(sound().path(), RECORDS).unwrap();
    assert_eq!(train.counts(), [2, 2, 2, 2, 2, 1, 1, 1, 1, 1]);
    let statistics = train.channel_statistics();
    for c in 0..3 {
        let values: Vec<f64> =
            train.images.iter().skip(c).step_by(3).map(|&v| f64::from(v) / 255.0).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((statistics.mean[c] - mean).abs() < 1e-12);
        assert!((statistics.std[c] - variance.sqrt()).abs() < 1e-12);
    }
    train.truncate(4);
    assert_eq!((train.len(), train.images.len()), (4, 4 * 3072));
    train.truncate(100);
    assert_eq!(train.len(), 4);
}
