//! The program, called as a user calls it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a call of the program came to.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// The program, with nothing of this machine's environment that it would listen to.
pub fn cugrad<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cugrad"));
    for name in ["CUGRAD_DEVICE", "CUGRAD_SEED", "CUGRAD_PRESET", "CUGRAD_DATA", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.env("CUGRAD_NO_FETCH", "1").args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end. No test lets a panic pass.
pub fn run(command: &mut Command) -> Ended {
    ended(command.output().unwrap())
}

pub fn ended(output: Output) -> Ended {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ended = Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

impl Ended {
    /// Asserts that all went well, and gives back what the program printed.
    pub fn succeeded(self) -> String {
        assert!(self.status.success(), "{}: {}", self.status, self.stderr);
        self.stdout
    }

    /// Asserts that the program ended with `status` and an error that contains each of `words`.
    pub fn failed(self, status: i32, words: &[&str]) {
        assert_eq!(self.status.code(), Some(status), "{}", self.stderr);
        assert!(self.stderr.contains("error: "), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "expected `{word}` in: {}", self.stderr);
        }
    }
}

/// A shell command that calls `program` as `"$0" "$@"`.
pub fn cugrad_in_shell(script: &str, program: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(program.get_program()).args(program.get_args()).stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// A tiny run on the CPU, 24 steps, in `folder`.
pub fn train(folder: &Path) -> Command {
    let mut command = train_and_report(folder);
    command.arg("--no-report");
    command
}

/// The same, with its report.
pub fn train_and_report(folder: &Path) -> Command {
    let mut command = cugrad("train --device cpu --data embedded --width 4 --limit 256".split(' '));
    command.args("--test-limit 64 --epochs 3 --batch 32 --checkpoint-every 3 --run-dir".split(' '));
    command.arg(folder);
    command
}

/// The continuation of the run in `folder`.
pub fn resume(folder: &Path) -> Command {
    let mut command = cugrad(["train", "--no-report", "--resume"]);
    command.arg(folder);
    command
}

/// A folder for the runs of one test.
pub fn scratch() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("run");
    (folder, run)
}

/// The files of a run that must be the same whenever the run is.
pub const RESULTS: [&str; 4] =
    ["metrics.jsonl", "metrics.csv", "ckpt/best.safetensors", "ckpt/last.safetensors"];

/// Asserts that two runs have left the same bytes.
pub fn assert_same_results(a: &Path, b: &Path) {
    for name in RESULTS {
        let [a, b] = [a, b].map(|run| std::fs::read(run.join(name)).unwrap());
        assert!(a == b, "{name} differs: {} and {} bytes", a.len(), b.len());
    }
}

/// The lines of metrics.jsonl of one kind, `step` or `epoch`.
pub fn metrics(run: &Path, kind: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    // A run that is still going on may have written half a line.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line["kind"] == kind).collect()
}

/// Starts a command whose output is kept for [`Child::wait_with_output`].
pub fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the run in `folder` has written `steps` steps, or its process has ended.
pub fn wait_for_steps(child: &mut Child, folder: &Path, steps: usize) {
    let started = Instant::now();
    while metrics(folder, "step").len() < steps && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(60), "the run does not get to step {steps}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
