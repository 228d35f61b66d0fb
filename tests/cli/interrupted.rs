//! Runs that cannot go on: they say why, leave what they have whole, and can be continued.

use crate::program::{
    assert_same_results, cugrad_in_shell, ended, metrics, resume, run, scratch, start, train,
};
use std::fs;

#[test]
fn loss_that_is_no_number_stops_the_run() {
    let (_folder, path) = scratch();
    let output = run(train(&path).args(["--lr-min", "1e6", "--lr-max", "1e6"]));
    output.failed(1, &["the loss is", "at step", "learning rate 1000000", "lower --lr-max"]);
    // The steps before are written down, in both files.
    let steps = metrics(&path, "step").len();
    let csv = fs::read_to_string(path.join("metrics.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + steps);
    assert!(!path.join("ckpt/last.safetensors").exists());
}

#[test]
fn folder_that_holds_no_run_is_refused() {
    let (folder, missing) = scratch();
    run(&mut resume(folder.path())).failed(1, &["no run's folder", "config.toml"]);
    run(&mut resume(&missing)).failed(1, &["cannot read", "config.toml"]);
}

#[test]
fn folder_of_another_run_is_not_overwritten() {
    let (_folder, path) = scratch();
    run(&mut train(&path)).succeeded();
    let before = fs::read(path.join("metrics.jsonl")).unwrap();
    run(&mut train(&path)).failed(2, &["already holds a run", "--resume"]);
    assert_eq!(fs::read(path.join("metrics.jsonl")).unwrap(), before);
}

#[test]
fn folder_that_cannot_be_made_is_an_error() {
    let (_folder, path) = scratch();
    fs::write(&path, "a file where the folder is to be").unwrap();
    run(&mut train(&path)).failed(1, &["cannot create", "run/ckpt"]);
}

#[test]
fn run_is_trained_by_one_process_at_a_time() {
    let (_folder, path) = scratch();
    let mut first = start(train(&path).args(["--epochs", "1000"]));
    while metrics(&path, "step").is_empty() {
        assert!(first.try_wait().unwrap().is_none(), "the first run has ended");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    run(&mut resume(&path)).failed(2, &["another cugrad is at work"]);
    first.kill().unwrap();
    ended(first.wait_with_output().unwrap());
}

#[test]
fn metrics_that_were_removed_are_missed() {
    let (_folder, path) = scratch();
    run(&mut train(&path)).succeeded();
    let metrics = path.join("metrics.jsonl");
    let whole = fs::read_to_string(&metrics).unwrap();
    let said = |text: &str| {
        fs::write(&metrics, text).unwrap();
        let output = run(&mut resume(&path));
        let said = output.stderr.clone();
        output.succeeded();
        said
    };
    assert!(!said(&whole).contains("warning"));
    let some: String = whole.lines().skip(3).map(|line| format!("{line}\n")).collect();
    let warning = "lacks 3 of the 24 steps and 0 of the 3 epochs";
    assert!(said(&some).contains(warning), "{some}");
    fs::remove_file(&metrics).unwrap();
    let said = run(&mut resume(&path)).stderr;
    assert!(said.contains("warning: metrics.jsonl lacks 24 of the 24 steps and 3 of the 3 epochs"), "{said}");
    assert!(fs::read_to_string(path.join("log")).unwrap().contains(warning));
}

#[test]
fn damaged_checkpoint_says_what_to_do() {
    let (folder, path) = scratch();
    let whole = folder.path().join("whole");
    run(&mut train(&whole)).succeeded();
    run(&mut train(&path)).succeeded();
    let checkpoint = path.join("ckpt/resume.safetensors");
    let bytes = fs::read(&checkpoint).unwrap();

    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&checkpoint, &bytes[..length]).unwrap();
        run(&mut resume(&path)).failed(1, &["resume.safetensors", "not a whole", "help: delete this file"]);
    }
    fs::copy(path.join("ckpt/last.safetensors"), &checkpoint).unwrap();
    run(&mut resume(&path)).failed(1, &["resume.safetensors", "no checkpoint", "help: delete this file"]);

    // The advice holds.
    fs::remove_file(&checkpoint).unwrap();
    run(&mut resume(&path)).succeeded();
    assert_same_results(&whole, &path);
}

#[test]
fn config_of_a_run_is_checked_when_it_is_continued() {
    let (_folder, path) = scratch();
    run(&mut train(&path)).succeeded();
    let config = path.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("batch = 32", "batch = 0")).unwrap();
    run(&mut resume(&path)).failed(1, &["config.toml", "--batch is 0"]);
    fs::write(&config, text.replace("width = 4", "width = 5")).unwrap();
    run(&mut resume(&path)).failed(1, &["resume.safetensors", "shape"]);
    fs::write(&config, text.replace("batch = 32", "bunch = 32")).unwrap();
    run(&mut resume(&path)).failed(1, &["config.toml", "bunch"]);
}

/// A limit on the size of files stands in for a full disk.
#[cfg(target_os = "linux")]
#[test]
fn full_disk_loses_nothing() {
    let (folder, path) = scratch();
    let whole = folder.path().join("whole");
    run(&mut train(&whole)).succeeded();

    let mut program = train(&path);
    // Its pictures would fill the disk before a checkpoint does.
    program.arg("--no-tensorboard");
    let mut limited = cugrad_in_shell("trap '' XFSZ; ulimit -f 40; exec \"$0\" \"$@\"", &program);
    run(&mut limited).failed(1, &["cannot write", "ckpt/", "File too large"]);
    assert!(!path.join("ckpt/last.safetensors").exists());

    run(&mut resume(&path)).succeeded();
    assert_same_results(&whole, &path);
}
