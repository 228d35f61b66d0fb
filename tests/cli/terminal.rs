//! What goes to stdout, what to stderr, and what it looks like off a terminal.

use crate::program::{cugrad, cugrad_in_shell, run, scratch, train};

#[test]
fn training_prints_plain_lines_off_a_terminal() {
    let (_folder, path) = scratch();
    let output = run(&mut train(&path));
    assert!(!output.stderr.contains('\u{1b}') && !output.stderr.contains('\r'), "{}", output.stderr);
    let epochs = output.stderr.lines().filter(|line| line.starts_with("epoch")).count();
    assert_eq!(epochs, 3, "{}", output.stderr);
    assert!(output.stderr.contains("device: cpu") && output.stderr.contains("data: "), "{}", output.stderr);

    assert!(!output.stdout.contains('\u{1b}'), "{}", output.stdout);
    assert!(!output.stdout.contains("device:"), "a message on stdout: {}", output.stdout);
    assert!(output.stdout.contains("test accuracy"), "{}", output.stdout);
    assert!(output.stdout.ends_with(&format!("run {}\n", path.display())), "{}", output.stdout);
}

#[test]
fn log_tells_how_the_run_was_made() {
    let (_folder, path) = scratch();
    run(&mut train(&path)).succeeded();
    let log = std::fs::read_to_string(path.join("log")).unwrap();
    for word in [env!("CARGO_PKG_VERSION"), "threads", "\"width\":4", "device: cpu", "epoch  3/3", "finished"]
    {
        assert!(log.contains(word), "no `{word}` in: {log}");
    }
    #[cfg(target_os = "linux")]
    assert!(log.contains("peak memory"), "{log}");
}

#[test]
fn outcome_can_be_had_as_json() {
    let (_folder, path) = scratch();
    let text = run(train(&path).arg("--json")).succeeded();
    let outcome: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(outcome["epochs"].as_array().unwrap().len(), 3);
    assert_eq!(outcome["test_images"], 64);
    assert_eq!(outcome["test_accuracy"], outcome["epochs"][2]["test_accuracy"]);
}

#[cfg(unix)]
#[test]
fn reader_may_leave_a_pipe() {
    for arguments in ["summary", "op --list", "summary --json", "kernels list", "kernels profile relu_fprop"]
    {
        let program = cugrad(arguments.split(' '));
        // The reader is gone before the first line is written.
        let script = "{ sleep 0.2; \"$0\" \"$@\"; echo status $? >&2; } | true";
        let output = run(&mut cugrad_in_shell(script, &program));
        assert_eq!(output.stderr, "status 0\n", "{arguments}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn result_that_cannot_be_written_is_an_error() {
    let script = "\"$0\" \"$@\" > /dev/full";
    for arguments in ["summary", "op --list", "kernels list", "kernels profile relu_fprop"] {
        let program = cugrad(arguments.split(' '));
        run(&mut cugrad_in_shell(script, &program)).failed(1, &["cannot write standard output"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn messages_that_cannot_be_written_do_not_stop_a_run() {
    let (_folder, path) = scratch();
    let output = run(&mut cugrad_in_shell("\"$0\" \"$@\" 2> /dev/full", &train(&path)));
    assert!(output.succeeded().contains("test accuracy"));
}

#[test]
fn help_has_no_colours_off_a_terminal() {
    for command in ["train", "eval", "summary", "step", "op", "data"] {
        let help = run(&mut cugrad([command, "--help"])).succeeded();
        assert!(help.contains("Usage:") && !help.contains('\u{1b}'), "{help}");
    }
}
