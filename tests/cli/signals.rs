//! Runs that a signal stops: the step in hand is saved, and the rest of the run has the same bits.

use crate::program::{
    Ended, assert_same_results, ended, metrics, resume, run, scratch, start, train, wait_for_steps,
};
use libc::{SIG_DFL, SIG_IGN, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Sends `signal` to our own child.
fn send(child: &Child, signal: i32) {
    // SAFETY: the child has not been waited for, so its number is no other process's.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

/// Starts `command` with `signal` at its default, or ignored, whatever this process has.
fn start_with(command: &mut Command, signal: i32, disposition: libc::sighandler_t) -> Child {
    // SAFETY: signal() may be called between fork and exec.
    unsafe {
        command.pre_exec(move || {
            libc::signal(signal, disposition);
            Ok(())
        })
    };
    start(command)
}

/// What became of a run of 24 steps that got `signal` after its fourth.
fn stopped_by(signal: i32, folder: &Path, flags: &[&str]) -> Ended {
    let mut command = train(folder);
    let mut child = start_with(command.args(["--checkpoint-every", "0"]).args(flags), signal, SIG_DFL);
    wait_for_steps(&mut child, folder, 4);
    send(&child, signal);
    ended(child.wait_with_output().unwrap())
}

#[test]
fn a_stopped_run_is_saved_and_the_rest_has_the_same_bits() {
    let (folder, whole) = scratch();
    run(train(&whole).args(["--checkpoint-every", "0"])).succeeded();
    for (signal, name, flags) in [
        (SIGINT, "Ctrl-C", &[][..]),
        (SIGTERM, "SIGTERM", &[]),
        (SIGHUP, "SIGHUP", &[]),
        (SIGUSR1, "SIGUSR1", &["--stop-on-usr1"]),
    ] {
        let path = folder.path().join(name);
        let output = stopped_by(signal, &path, flags);
        assert!(output.stderr.contains(name), "{}", output.stderr);
        output.failed(128 + signal, &["stopping after this step", "interrupted", "--resume"]);
        let steps = metrics(&path, "step").len();
        assert!((4..24).contains(&steps), "{name}: stopped after {steps} steps");
        let csv = std::fs::read_to_string(path.join("metrics.csv")).unwrap();
        assert_eq!(csv.lines().filter(|line| line.starts_with("step,")).count(), steps);

        let output = run(&mut resume(&path));
        assert!(output.stderr.contains(&format!("at step {steps}")), "{}", output.stderr);
        output.succeeded();
        assert_same_results(&whole, &path);
    }
}

#[test]
fn usr1_stops_a_run_only_where_it_is_asked_to() {
    let (_folder, path) = scratch();
    assert_eq!(stopped_by(SIGUSR1, &path, &[]).status.signal(), Some(SIGUSR1));
}

#[test]
fn a_second_signal_ends_a_run_at_once() {
    for (first, second) in [(SIGTERM, SIGTERM), (SIGHUP, SIGTERM), (SIGINT, SIGINT)] {
        let (_folder, path) = scratch();
        // Its first step takes seconds.
        let mut command = train(&path);
        command.args("--width 64 --batch 256".split(' '));
        let mut child = start_with(&mut command, first, SIG_DFL);
        let started = Instant::now();
        while !path.join("journal.jsonl").exists() {
            assert!(started.elapsed() < Duration::from_secs(60), "the run does not begin");
            assert!(child.try_wait().unwrap().is_none(), "the run has ended");
            std::thread::sleep(Duration::from_millis(2));
        }
        send(&child, first);
        // Signals that come together are one.
        std::thread::sleep(Duration::from_millis(200));
        send(&child, second);
        let output = ended(child.wait_with_output().unwrap());
        assert_eq!(output.status.code(), Some(128 + second), "{}", output.stderr);
        assert_eq!(metrics(&path, "step").len(), 0, "the step was finished");
    }
}

#[test]
fn a_test_in_hand_is_stopped_and_done_again() {
    let (folder, whole) = scratch();
    let stopped = folder.path().join("stopped");
    // One step an epoch, and a test that takes about a second.
    let flags = "--epochs 2 --limit 16 --test-limit 1000 --width 32".split(' ');
    run(train(&whole).args(flags.clone())).succeeded();
    let mut command = train(&stopped);
    let mut child = start_with(command.args(flags), SIGTERM, SIG_DFL);
    wait_for_steps(&mut child, &stopped, 1);
    send(&child, SIGTERM);
    ended(child.wait_with_output().unwrap()).failed(143, &["interrupted", "--resume"]);
    assert_eq!(metrics(&stopped, "epoch").len(), 0, "the test was finished");
    run(&mut resume(&stopped)).succeeded();
    assert_same_results(&whole, &stopped);
}

#[test]
fn a_run_that_nohup_started_outlives_its_terminal() {
    let (_folder, path) = scratch();
    let mut child = start_with(&mut train(&path), SIGHUP, SIG_IGN);
    wait_for_steps(&mut child, &path, 4);
    send(&child, SIGHUP);
    ended(child.wait_with_output().unwrap()).succeeded();
    assert_eq!(metrics(&path, "step").len(), 24);
}

#[test]
fn a_hangup_that_comes_twice_is_one() {
    let (_folder, path) = scratch();
    let mut command = train(&path);
    command.args("--width 32 --batch 256 --limit 1024".split(' '));
    let mut child = start_with(&mut command, SIGHUP, SIG_DFL);
    wait_for_steps(&mut child, &path, 1);
    for _ in 0..2 {
        send(&child, SIGHUP);
        std::thread::sleep(Duration::from_millis(20));
    }
    ended(child.wait_with_output().unwrap()).failed(129, &["interrupted", "--resume"]);
    assert!(path.join("ckpt/resume.safetensors").exists());
}
