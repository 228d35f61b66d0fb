//! The places a data set is looked for in, and what is said about what was found.

use std::fs;
use std::path::{Path, PathBuf};

use cugrad::Error;
use cugrad::data::cifar10::{FOLDER, RECORD_BYTES, RECORDS, TEST_FILE, TRAIN_FILES};
use cugrad::data::download::Download;
use cugrad::data::report::Report;
use cugrad::data::source::{Found, Places, Source, Wanted, load};
use sha2::{Digest, Sha256};

/// A folder that is taken for the data set, though it is empty of images.
fn mark(dir: &Path) -> PathBuf {
    let folder = dir.join(FOLDER);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(TEST_FILE), "").unwrap();
    folder
}

fn places_in(dir: &Path) -> Places {
    let place = |name| Some(dir.join(name));
    Places {
        flag: place("flag"),
        variable: place("variable"),
        working_folder: place("data"),
        cache: place("cache"),
        download: None,
    }
}

#[test]
fn the_first_place_that_has_data_wins() {
    let dir = tempfile::tempdir().unwrap();
    let mut places = places_in(dir.path());
    let expect = |places: &Places, name: &str, found| {
        assert_eq!(places.find().unwrap(), Some((dir.path().join(name).join(FOLDER), found)));
    };
    for name in ["flag", "variable", "data", "cache"] {
        mark(&dir.path().join(name));
    }
    expect(&places, "flag", Found::Flag);
    places.flag = None;
    expect(&places, "variable", Found::Variable);
    places.variable = None;
    expect(&places, "data", Found::WorkingFolder);
    fs::remove_dir_all(dir.path().join("data")).unwrap();
    expect(&places, "cache", Found::Cache);
    fs::remove_dir_all(dir.path().join("cache")).unwrap();
    assert_eq!(places.find().unwrap(), None);
}

#[test]
fn a_named_place_without_data_is_an_error_and_no_fallback() {
    let dir = tempfile::tempdir().unwrap();
    mark(&dir.path().join("data"));
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let cases = [
        (dir.path().join("absent"), "there is no such folder"),
        (file, "that is not a folder"),
        (empty, "none of its files"),
    ];
    for (place, expected) in cases {
        let by_flag = Places { flag: Some(place.clone()), ..places_in(dir.path()) };
        let by_variable = Places { flag: None, variable: Some(place.clone()), ..places_in(dir.path()) };
        for (places, name) in [(by_flag, "--data-dir"), (by_variable, "CUGRAD_DATA")] {
            match load(Wanted::Auto, &places, &mut |_| {}) {
                Err(error @ Error::Config(_)) => {
                    let text = error.to_string();
                    assert!(text.contains(expected) && text.contains(name), "{text}");
                    assert!(text.contains(&place.display().to_string()), "{text}");
                    assert_eq!(error.exit_status(), 2);
                }
                other => panic!("expected an error, found {:?}", other.map(|splits| splits.source)),
            }
        }
    }
}

#[test]
fn damaged_data_is_an_error_and_no_fallback() {
    let dir = tempfile::tempdir().unwrap();
    let folder = mark(&dir.path().join("data"));
    let places = Places { flag: None, variable: None, ..places_in(dir.path()) };
    match load(Wanted::Auto, &places, &mut |_| {}) {
        Err(Error::Format { path, .. }) => assert_eq!(path, folder.join(TRAIN_FILES[0])),
        other => panic!("expected an error, found {:?}", other.map(|splits| splits.source)),
    }
}

#[test]
fn without_data_auto_falls_back_and_says_why_and_cifar10_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let offline = Places { flag: None, variable: None, ..places_in(dir.path()) };
    let unreachable = Places {
        download: Some(Download {
            urls: vec!["http://127.0.0.1:1/archive".into()],
            ..Download::cifar10(&[])
        }),
        ..offline.clone()
    };
    let homeless = Places { cache: None, ..unreachable.clone() };
    for (places, expected) in
        [(offline, "CUGRAD_NO_FETCH"), (unreachable, "http://127.0.0.1:1/archive"), (homeless, "HOME")]
    {
        let splits = load(Wanted::Auto, &places, &mut |_| {}).unwrap();
        let line = splits.source.to_string();
        assert!(matches!(splits.source, Source::Embedded { instead: Some(_) }));
        assert!(line.contains(expected) && line.contains("--data-dir"), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");

        match load(Wanted::Cifar10, &places, &mut |_| {}) {
            Err(Error::Download { .. }) => {}
            other => panic!("expected an error, found {:?}", other.map(|splits| splits.source)),
        }
    }
}

#[test]
fn the_embedded_set_is_had_for_the_asking() {
    // Not even a wrong --data-dir is looked at.
    let places = Places { flag: Some("absent".into()), ..Places::default() };
    let splits = load(Wanted::Embedded, &places, &mut |_| panic!("no download")).unwrap();
    assert_eq!(splits.source, Source::Embedded { instead: None });

    let report = Report::new(&splits).unwrap();
    assert_eq!(report.source, "the embedded set of drawn images");
    assert_eq!(report.verify(), [""; 0]);
    assert_eq!(report.files, []);
    let [train, test] = &report.splits;
    assert_eq!((train.name, train.images, train.counts), ("train", 5000, [500; 10]));
    assert_eq!((test.name, test.images, test.counts), ("test", 1000, [100; 10]));
}

/// Writes a data set of full size: grey images, with the labels in turn.
fn write_full_size(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (grey, name) in TRAIN_FILES.into_iter().chain([TEST_FILE]).enumerate() {
        let mut bytes = vec![grey as u8 * 51; RECORDS * RECORD_BYTES];
        for (index, record) in bytes.chunks_exact_mut(RECORD_BYTES).enumerate() {
            record[0] = (index % 10) as u8;
        }
        fs::write(folder.join(name), bytes).unwrap();
    }
}

#[test]
fn files_of_full_size_are_loaded_reported_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(FOLDER);
    write_full_size(&folder);
    let places = Places { flag: Some(dir.path().into()), ..Places::default() };
    let splits = load(Wanted::Auto, &places, &mut |_| panic!("no download")).unwrap();
    assert_eq!(splits.source, Source::Cifar10 { folder: folder.clone(), found: Found::Flag });

    let report = Report::new(&splits).unwrap();
    assert_eq!(report.verify(), [""; 0]);
    let [train, test] = &report.splits;
    assert_eq!((train.images, train.counts), (50_000, [5_000; 10]));
    assert_eq!((test.images, test.counts), (10_000, [1_000; 10]));
    // Five greys of 0, 1/5 … 4/5.
    assert!((train.channels.mean[0] - 0.4).abs() < 1e-12);
    assert!((train.channels.std[2] - 0.08f64.sqrt()).abs() < 1e-12);
    assert_eq!(report.files.len(), 6, "the file of class names is missing, and may be");
    for file in &report.files {
        let bytes = fs::read(&file.path).unwrap();
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((file.bytes, &file.sha256), (bytes.len() as u64, &digest));
    }

    // One label changed and one batch copied over another: sound records, but not as published.
    let first = folder.join(TRAIN_FILES[0]);
    let mut bytes = fs::read(&first).unwrap();
    bytes[0] = 9;
    fs::write(&first, bytes).unwrap();
    fs::copy(folder.join(TRAIN_FILES[1]), folder.join(TRAIN_FILES[2])).unwrap();
    let splits = load(Wanted::Auto, &places, &mut |_| {}).unwrap();
    let findings = Report::new(&splits).unwrap().verify();
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert!(findings[0].contains("train: expected 5000 images of class airplane, found 4999"));
    assert!(findings[1].contains("class truck, found 5001"));
    assert!(findings[2].contains("data_batch_2.bin") && findings[2].ends_with("are the same"));
}
