//! Flags over environment over file over defaults.

use crate::program::{cugrad, resume, run, scratch, train};
use std::fs;
use std::path::Path;

/// A setting of the run in `folder`, as its config.toml has it.
fn setting(folder: &Path, key: &str) -> String {
    let text = fs::read_to_string(folder.join("config.toml")).unwrap();
    let prefix = format!("{key} = ");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).to_string()
}

/// A run of one step that takes its settings from `file`.
fn from_file(file: &Path, run_dir: &Path) -> std::process::Command {
    let mut command = cugrad(["train", "--config"]);
    command.arg(file).arg("--run-dir").arg(run_dir);
    command
}

const FILE: &str = r#"
data = "embedded"
device = "cpu"
width = 2
limit = 16
test-limit = 16
epochs = 1
batch = 16
peak-epoch = 0.5
seed = 11
lr-min = 0.0001
augment = false
"#;

#[test]
fn come_from_flags_then_environment_then_file_then_defaults() {
    let (folder, path) = scratch();
    let file = folder.path().join("settings.toml");
    fs::write(&file, FILE).unwrap();

    run(&mut from_file(&file, &path)).succeeded();
    for (key, value) in [("seed", "11"), ("width", "2"), ("augment", "false"), ("momentum", "0.9")] {
        assert_eq!(setting(&path, key), value, "{key}");
    }
    assert_eq!(setting(&path, "lr-end"), "0.0001", "the rate falls to where it began");
    assert_eq!(setting(&path, "preset"), "\"quick\"");

    let path = folder.path().join("environment");
    run(from_file(&file, &path).env("CUGRAD_SEED", "12")).succeeded();
    assert_eq!(setting(&path, "seed"), "12");

    let path = folder.path().join("flag");
    run(from_file(&file, &path).env("CUGRAD_SEED", "12").args(["--seed", "13", "--nesterov"])).succeeded();
    assert_eq!(setting(&path, "seed"), "13");
    assert_eq!(setting(&path, "nesterov"), "true");

    let path = folder.path().join("last-flag");
    run(from_file(&file, &path).args(["--seed", "13", "--seed", "14"])).succeeded();
    assert_eq!(setting(&path, "seed"), "14");
}

#[test]
fn saved_with_a_run_make_it_again() {
    let (folder, path) = scratch();
    let again = folder.path().join("again");
    run(train(&path).args(["--no-augment", "--seed", "5"])).succeeded();
    run(&mut from_file(&path.join("config.toml"), &again)).succeeded();
    crate::program::assert_same_results(&path, &again);
    assert_eq!(fs::read(path.join("config.toml")).unwrap(), fs::read(again.join("config.toml")).unwrap());
}

#[test]
fn mistake_in_a_file_is_shown_with_its_line() {
    let (folder, path) = scratch();
    let file = folder.path().join("settings.toml");
    for (line, words) in [
        ("wdith = 8", ["line 3", "wdith"]),
        ("width = \"wide\"", ["line 3", "width"]),
        ("width = -1", ["line 3", "-1"]),
        ("device = \"tpu\"", ["line 3", "tpu"]),
        ("width 8", ["line 3", "width"]),
    ] {
        fs::write(&file, format!("seed = 1\n\n{line}\n")).unwrap();
        run(&mut from_file(&file, &path)).failed(1, &[words[0], words[1], "settings.toml"]);
    }
    let missing = folder.path().join("missing.toml");
    run(&mut from_file(&missing, &path)).failed(1, &["cannot read", "missing.toml"]);
    assert!(!path.exists());
}

#[test]
fn a_continued_run_keeps_its_own() {
    let (_folder, path) = scratch();
    run(&mut train(&path)).succeeded();
    run(resume(&path).args(["--seed", "3"])).failed(2, &["--resume"]);
    // The environment is the user's, not the run's.
    run(resume(&path).env("CUGRAD_SEED", "3").env("CUGRAD_DEVICE", "cpu")).succeeded();
    assert_eq!(setting(&path, "seed"), "0");
}
