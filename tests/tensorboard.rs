//! The event files of a run, read by the `tensorboard` package.

#[path = "cli/program.rs"]
#[expect(dead_code, reason = "some of it is for the tests of the command line")]
mod program;
#[path = "common/python.rs"]
mod python;

use program::{ended, metrics, resume, run, scratch, start, train, train_and_report};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What TensorBoard reads of a run.
struct Read {
    scalars: BTreeMap<String, Vec<(u64, f64)>>,
    pictures: BTreeMap<String, Vec<[u64; 4]>>,
}

fn read(peers: &python::Python, run: &Path) -> Read {
    let said: Value = serde_json::from_str(&peers.run("read_events.py", [run.join("tb")])).unwrap();
    Read {
        scalars: serde_json::from_value(said["scalars"].clone()).unwrap(),
        pictures: serde_json::from_value(said["pictures"].clone()).unwrap(),
    }
}

impl Read {
    /// Asserts that the scalars are those of metrics.jsonl, each once and at its step.
    fn agrees_with_the_metrics_of(&self, run: &Path) {
        let expected = |kind: &str, key: &str| -> Vec<(u64, f64)> {
            let lines = metrics(run, kind);
            // A line of an epoch counts the steps that are done; its last one is the one before.
            let offset = u64::from(kind == "epoch");
            let at = |line: &Value| (line["step"].as_u64().unwrap() - offset, line[key].as_f64().unwrap());
            lines.iter().map(at).collect()
        };
        for (tag, kind, key) in [
            ("loss/step", "step", "loss"),
            ("learning_rate", "step", "lr"),
            ("loss/train", "epoch", "train_loss"),
            ("loss/test", "epoch", "test_loss"),
            ("accuracy/train", "epoch", "train_accuracy"),
            ("accuracy/test", "epoch", "test_accuracy"),
        ] {
            let expected = expected(kind, key);
            let found = &self.scalars[tag];
            assert!(!expected.is_empty());
            let steps = |of: &[(u64, f64)]| of.iter().map(|(step, _)| *step).collect::<Vec<_>>();
            assert_eq!(steps(found), steps(&expected), "{tag}");
            for ((step, found), (_, expected)) in found.iter().zip(&expected) {
                assert_eq!(*found, f64::from(*expected as f32), "{tag} at {step}");
            }
        }
        assert!(self.scalars["images_per_second"].iter().all(|(_, speed)| *speed > 0.0));
    }
}

fn event_files(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run.join("tb")).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_is_read_back_by_tensorboard() {
    let Some(peers) = python::peers() else { return };
    let (_folder, path) = scratch();
    run(&mut train_and_report(&path)).succeeded();
    let found = read(&peers, &path);
    found.agrees_with_the_metrics_of(&path);
    assert_eq!(found.scalars["images_per_second"].len(), 3);
    // The samples before the first step, and after the last one what was got wrong.
    for (tag, at) in [("samples", 0), ("misclassified", 23)] {
        let [[step, width, height, bytes]] = found.pictures[tag][..] else { panic!("{tag}") };
        assert_eq!(step, at, "{tag}");
        assert!(width > 300 && height > 100 && bytes > 1000, "{tag}: {width}x{height}, {bytes} bytes");
    }
    // A finished run that is continued adds nothing.
    run(&mut resume(&path)).succeeded();
    assert_eq!(event_files(&path), ["events.out.tfevents.000001"]);
}

#[test]
fn a_run_that_was_killed_and_continued_is_read_as_one() {
    let Some(peers) = python::peers() else { return };
    let (_folder, path) = scratch();
    // A checkpoint each 5 steps, so that steps after it are there when the run is killed.
    let mut child = start(train(&path).args(["--epochs", "12", "--checkpoint-every", "5"]));
    while metrics(&path, "step").len() < 19 {
        assert!(child.try_wait().unwrap().is_none(), "the run has ended");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    ended(child.wait_with_output().unwrap());
    // As if the kill had come in the middle of a record.
    let first = path.join("tb/events.out.tfevents.000001");
    let bytes = fs::read(&first).unwrap();
    fs::write(&first, &bytes[..bytes.len() - 7]).unwrap();
    let whole = read(&peers, &path);
    let steps = whole.scalars["loss/step"].len();
    assert!(steps >= 17 && whole.pictures["samples"].len() == 1, "{steps} steps are whole");

    run(&mut resume(&path)).succeeded();
    let found = read(&peers, &path);
    found.agrees_with_the_metrics_of(&path);
    assert_eq!(found.pictures["samples"][0][0], 0);
    assert_eq!(event_files(&path).len(), 2);
}

#[test]
fn a_run_that_starts_over_drops_what_it_said() {
    let Some(peers) = python::peers() else { return };
    let (_folder, path) = scratch();
    run(&mut train(&path)).succeeded();
    fs::remove_file(path.join("ckpt/resume.safetensors")).unwrap();
    run(&mut resume(&path)).succeeded();
    let found = read(&peers, &path);
    found.agrees_with_the_metrics_of(&path);
    assert_eq!(found.pictures["samples"].len(), 1);
    assert_eq!(event_files(&path).len(), 2);
}

#[test]
fn can_be_left_out() {
    let (folder, path) = scratch();
    run(train(&path).arg("--no-tensorboard")).succeeded();
    assert!(!path.join("tb").exists());
    // And stays so, in the run and in one with its settings.
    fs::remove_file(path.join("ckpt/resume.safetensors")).unwrap();
    run(&mut resume(&path)).succeeded();
    assert!(!path.join("tb").exists());
    let again = folder.path().join("again");
    let mut command = program::cugrad(["train", "--config"]);
    run(command.arg(path.join("config.toml")).arg("--run-dir").arg(&again)).succeeded();
    assert!(again.join("ckpt").exists() && !again.join("tb").exists());
}

#[test]
fn a_run_from_before_there_were_event_files_gets_them_when_it_is_continued() {
    let (_folder, path) = scratch();
    run(train(&path).arg("--no-tensorboard")).succeeded();
    let config = path.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("tensorboard = false\n"), "{text}");
    fs::write(&config, text.replace("tensorboard = false\n", "")).unwrap();
    fs::remove_file(path.join("ckpt/resume.safetensors")).unwrap();
    run(&mut resume(&path)).succeeded();
    assert_eq!(event_files(&path).len(), 1);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let (_folder, path) = scratch();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("tb"), "a file where the folder is to be").unwrap();
    run(&mut train(&path)).failed(1, &["cannot create", "run/tb"]);
}
