//! Flags over environment over file over defaults.

use crate::program::{cugrad, metrics, resume, run, scratch, train};
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

/// A setting as a number.
fn number(folder: &Path, key: &str) -> f64 {
    setting(folder, key).parse().unwrap()
}

#[test]
fn defaults_that_others_make_impossible_are_scaled_and_said() {
    let (folder, _) = scratch();
    let train = |name: &str, more: &str| {
        let path = folder.path().join(name);
        let mut command = cugrad("train --no-report --device cpu --data embedded --width 1".split(' '));
        command.args("--limit 240 --test-limit 8 --batch 8 --run-dir".split(' ')).arg(&path);
        let ended = run(command.args(more.split(' ')));
        let said: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("settings: ")).collect();
        let said = said.concat();
        ended.succeeded();
        let log = fs::read_to_string(path.join("log")).unwrap();
        assert!(log.contains(&said), "{said} in {log}");
        (path, said)
    };
    let (one, said) = train("one", "--epochs 1");
    assert_eq!(number(&one, "peak-epoch"), 5.0 / 24.0);
    assert_eq!(said, "settings: --peak-epoch 0.208 (5/24 of --epochs)");
    // 4 steps an epoch: 5/24 of it would be less than one.
    let (step, said) = train("step", "--epochs 1 --batch 60");
    assert_eq!(number(&step, "peak-epoch"), 0.25);
    assert_eq!(said, "settings: --peak-epoch 0.25 (one step, the least)");
    let rates: Vec<f64> = metrics(&step, "step").iter().map(|step| step["lr"].as_f64().unwrap()).collect();
    assert_eq!(rates[..2], [0.001, 0.01], "the second step is the peak");
    let (given, said) = train("given", "--epochs 1 --peak-epoch 0.5");
    assert_eq!((number(&given, "peak-epoch"), said.as_str()), (0.5, ""));

    let (low, said) = train("low", "--epochs 1 --peak-epoch 0 --lr-max 0.0005");
    assert_eq!(["lr-min", "lr-max", "lr-end"].map(|key| number(&low, key)), [0.00005, 0.0005, 0.00005]);
    assert_eq!(said, "settings: --lr-min 5·10⁻⁵ (--lr-max / 10)");
    let (high, said) = train("high", "--epochs 1 --peak-epoch 0 --lr-min 0.02");
    assert_eq!(["lr-min", "lr-max", "lr-end"].map(|key| number(&high, key)), [0.02, 0.2, 0.02]);
    assert_eq!(said, "settings: --lr-max 0.2 (10 × --lr-min)");

    // What was scaled is in the run's settings: a continued run and a copy of it need not scale again.
    run(&mut resume(&one)).succeeded();
    let copy = folder.path().join("copy");
    run(&mut from_file(&one.join("config.toml"), &copy)).succeeded();
    assert_eq!(number(&copy, "peak-epoch"), 5.0 / 24.0);
}
