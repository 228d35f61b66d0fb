//! The scripts that measure and report: the README's results, the comparison with the peer, and the
//! examination on a GPU, here without one.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn script(name: &str) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name));
    command.env_remove("OUT").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn write_json(path: PathBuf, value: &Value) -> PathBuf {
    fs::write(&path, value.to_string()).unwrap();
    path
}

#[test]
fn the_readmes_results_are_those_of_the_files() {
    let output = script("update-readme").arg("--check").output().expect("this test needs Python 3");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// A benchmark of ours and one of the peer, with one row in common on each rung.
fn measurements() -> (Value, Value) {
    let row = |op: &str, rung: &str, us: f64| json!({"op": op, "pass": "dgrad", "rung": rung, "us": us});
    let ours = json!({
        "version": "0.1.0", "commit": "abc", "device": "a GPU", "batch": 512, "dtype": "torch.float32",
        "ceilings": {"matmul_tflops": 400.0, "copy_tb_s": 4.0},
        "step": {"eager": {"ms": 40.0, "images_per_s": 12800.0}},
        "ops": [
            row("layer1.conv", "production", 50.0),
            row("layer1.conv", "naive", 900.0),
            row("fc", "production", 1.0),
        ],
    });
    let peer = json!({
        "torch": "2.9", "batch": 512, "dtype": "torch.bfloat16",
        "ceilings": {"matmul_tflops": 800.0, "copy_tb_s": 4.0},
        "step": {
            "eager": {"ms": 20.0, "images_per_s": 25600.0},
            "compile": {"error": "no compiler"},
            "compile_max_autotune": {"ms": 10.0, "images_per_s": 51200.0},
        },
        "ops": [{"op": "layer1.conv", "pass": "dgrad", "us": 100.0}],
    });
    (ours, peer)
}

fn compare(ours: &Value, peer: &Value, arguments: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    let ours = write_json(folder.path().join("ours.json"), ours);
    let peer = write_json(folder.path().join("peer.json"), peer);
    script("compare-peer").args([ours, peer]).args(arguments).output().unwrap()
}

#[test]
fn the_comparison_gives_ratios_line_by_line() {
    let (ours, peer) = measurements();
    let table = text(&compare(&ours, &peer, &[]).stdout);
    let ratio = |start: &str| {
        let line = table.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{table}"));
        line.split_whitespace().last().unwrap().to_string()
    };
    assert_eq!(ratio("layer1.conv  "), "0.50");
    assert_eq!(ratio("layer1.conv (naive)"), "9.00");
    // Against the peer's best way, and never against one that failed.
    assert_eq!(ratio("training step (eager; compile_max_autotune)"), "4.00");
    assert_eq!(ratio("ceiling matmul"), "0.50");
    assert!(!table.contains("\nfc "), "the peer has no such row:\n{table}");

    let markdown = text(&compare(&ours, &peer, &["--markdown"]).stdout);
    assert!(markdown.contains("| layer1.conv | dgrad | 50.0 | 100.0 | 0.50 |"), "{markdown}");
    assert!(markdown.contains("float32") && markdown.contains("bfloat16"), "{markdown}");
}

#[test]
fn the_comparison_refuses_files_that_do_not_belong_together() {
    let (ours, mut peer) = measurements();
    peer["batch"] = json!(32);
    let output = compare(&ours, &peer, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("512"), "{}", text(&output.stderr));
    let output = compare(&ours, &json!({}), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("error: "), "{}", text(&output.stderr));
}

#[test]
fn the_readme_is_written_from_the_newest_results_of_each_machine() {
    let root = TempDir::new().unwrap();
    let (ours, peer) = measurements();
    let golden = root.path().join("tests/golden");
    fs::create_dir_all(&golden).unwrap();
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/train_parity.json"),
        golden.join("train_parity.json"),
    )
    .unwrap();
    for (date, us) in [("2026-01-02", 70.0), ("2026-01-01", 60.0)] {
        let folder = root.path().join("benches/results").join(format!("{date}-gpu"));
        fs::create_dir_all(&folder).unwrap();
        let mut ours = ours.clone();
        ours["ops"][0]["us"] = json!(us);
        write_json(folder.join("bench.json"), &ours);
        write_json(folder.join("peer.json"), &peer);
    }
    let readme = root.path().join("README.md");
    let run = |check: bool| {
        let mut command = script("update-readme");
        command.arg("--root").arg(root.path()).args(check.then_some("--check")).output().unwrap()
    };
    fs::write(&readme, "before\n<!-- results: start -->\nold\n<!-- results: end -->\nafter\n").unwrap();
    assert_eq!(run(true).status.code(), Some(1));
    assert!(run(false).status.success());
    assert!(run(true).status.success());
    let written = fs::read_to_string(&readme).unwrap();
    assert!(written.starts_with("before\n") && written.ends_with("\nafter\n"), "{written}");
    assert!(written.contains("| layer1.conv | dgrad | 70.0 |") && !written.contains("60.0"), "{written}");
    fs::write(&readme, "no markers\n").unwrap();
    assert_eq!(run(false).status.code(), Some(1));
}

/// A pack whose programs are these shell scripts.
fn pack(programs: &[(&str, &str)]) -> TempDir {
    let pack = TempDir::new().unwrap();
    for (name, body) in programs {
        let path = pack.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    pack
}

fn check(pack: &TempDir, out: &TempDir, arguments: &[&str]) -> (Output, Value) {
    let mut command = script("gpu-check");
    command.arg("--pack").arg(pack.path()).arg("--out").arg(out.path()).args(arguments);
    let output = command.output().unwrap();
    let summary = fs::read_to_string(out.path().join("gpu-check.json")).unwrap_or("null".into());
    (output, serde_json::from_str(&summary).unwrap())
}

fn result<'a>(summary: &'a Value, stage: &str) -> &'a str {
    let stages = summary["stages"].as_array().unwrap();
    let found = stages.iter().find(|s| s["stage"] == stage).unwrap_or_else(|| panic!("{stage}: {summary}"));
    found["result"].as_str().unwrap()
}

const TRAIN: &str = r#"[ "$1" = train ] && echo '{"run": "x", "test_accuracy": 0.5, "epochs": []}'; exit 0"#;

#[test]
fn a_stage_that_fails_does_not_stop_the_next() {
    let pack = pack(&[
        ("cugrad", TRAIN),
        ("gpu-test", "echo what went wrong; exit 3"),
        ("bench", "exit 0"),
        ("peer_torch.py", "this is no Python"),
    ]);
    let out = TempDir::new().unwrap();
    let (output, summary) = check(&pack, &out, &["--dry-run"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(result(&summary, "tests without a GPU"), "failed");
    assert_eq!(result(&summary, "bench"), "passed");
    assert_eq!(result(&summary, "memcheck"), "skipped");
    assert_eq!(result(&summary, "peer (PyTorch)"), "failed");
    assert_eq!(result(&summary, "training run"), "passed");
    assert!(said.contains("what went wrong") && said.lines().any(|l| l.starts_with("stage ")), "{said}");
    let train: Value = serde_json::from_slice(&fs::read(out.path().join("train.json")).unwrap()).unwrap();
    assert_eq!(train["data"], "the embedded set");
    assert!(train["seconds"].is_number() && train.get("run").is_none());
}

#[test]
fn a_stage_that_runs_over_is_ended_and_the_next_runs() {
    let pack = pack(&[("cugrad", TRAIN), ("gpu-test", "sleep 60"), ("bench", "exit 0")]);
    let out = TempDir::new().unwrap();
    let (output, summary) =
        check(&pack, &out, &["--dry-run", "--limit", "2", "--only", "list", "--only", "bench"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(result(&summary, "list of GPU tests"), "timed out");
    // The call's own time was used up by then.
    assert_eq!(result(&summary, "bench"), "skipped");
}

#[test]
fn a_folder_that_is_no_pack_is_refused() {
    let (pack, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (output, _) = check(&pack, &out, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("gpu-pack"), "{}", text(&output.stderr));
}
