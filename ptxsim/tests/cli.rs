//! The program `ptxsim`, run as a process.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn ptxsim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ptxsim")).args(args).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn write_floats(path: &Path, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(path, bytes).expect("a file");
}

/// Files of 100 floats, and `saxpy` called on them.
struct Saxpy {
    directory: tempfile::TempDir,
}

impl Saxpy {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let values = |step: f32| (0..100).map(|i| i as f32 * step).collect::<Vec<_>>();
        write_floats(&directory.path().join("x"), &values(1.0));
        write_floats(&directory.path().join("y"), &values(-0.5));
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, count: &str, more: &[&str]) -> Output {
        let (x, y) = (self.path("x"), self.path("y"));
        let (x, y) = (format!("in:f32:{}", x.display()), format!("inout:f32:{}", y.display()));
        let file = fixture("saxpy.sm80.ptx");
        let args = ["run", &file, "--kernel", "saxpy", "--grid", "4", "--block", "32"];
        let kernel = ["--arg", count, "--arg", "f32:2", "--arg", &x, "--arg", &y];
        ptxsim(&[&args[..], &kernel, more].concat())
    }
}

#[test]
fn run_computes_and_prints_counters() {
    let saxpy = Saxpy::new();
    let output = saxpy.run("i32:100", &["--gpu", "h200", "--registers", "16"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let found = text(&output.stdout);
    assert!(found.starts_with("saxpy: 4 blocks of 32 threads"), "{found}");
    assert!(found.contains("LoadGlobal") && found.contains("not a timing"), "{found}");
    assert!(found.contains("800 different bytes read, 400 written"), "{found}");
    let y = std::fs::read(saxpy.path("y")).expect("the output");
    for (i, bytes) in y.chunks(4).enumerate() {
        assert_eq!(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]), 1.5 * i as f32);
    }
}

#[test]
fn json_holds_the_same_counts() {
    let output = Saxpy::new().run("i32:100", &["--json", "--gpu", "a100"]);
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["kernel"], "saxpy");
    assert_eq!(found["unique_bytes_read"], 800);
    assert_eq!(found["by_class"]["LoadGlobal"]["global_bytes"], 800);
    assert_eq!(found["floors"]["gpu"], "a100");
}

#[test]
fn a_fault_has_status_1_and_is_named() {
    let saxpy = Saxpy::new();
    let output = saxpy.run("i32:101", &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(message.starts_with("fault: saxpy: ") && message.contains("out-of-bounds"), "{message}");
    assert!(message.contains("block 3,0,0, thread 4,0,0"), "{message}");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["fault"]["thread"], serde_json::json!([4, 0, 0]));
}

#[test]
fn a_kernel_that_does_not_end_is_given_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("loop.ptx").display().to_string();
    let ptx = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry f(.param .u64 p) {
        .reg .b64 %a; ld.param.u64 %a, [p]; L: red.global.add.u32 [%a], 1; bra L; }";
    std::fs::write(&file, ptx).unwrap();
    let run = |ptx: &str, more: [&str; 2]| {
        std::fs::write(&file, ptx).unwrap();
        let output = ptxsim(&[&["run", &file, "--arg", "zero:u32:1"], &more[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    let found = run(ptx, ["--max-steps", "1000"]);
    assert!(found.contains("more than 1000 warp instructions"), "{found}");
    let found = run(ptx, ["--deadline", "0.05"]);
    assert!(found.contains("has not ended after 50ms"), "{found}");
    let found = run(&ptx.replace("red.global.add.u32 [%a], 1;", ""), ["--patience", "1000"]);
    assert!(found.contains("no progress in 1"), "{found}");
}

#[test]
fn wrong_calls_have_status_2_and_say_why() {
    let saxpy = Saxpy::new();
    let file = fixture("saxpy.sm80.ptx");
    let cases: [(&[&str], &str); 6] = [
        (&["run", "/nonexistent.ptx"], "/nonexistent.ptx cannot be read"),
        (&["run", &file, "--kernel", "axpy"], "no entry `axpy` in the module; it has saxpy"),
        (&["run", &file], "takes 4 parameters, not 0"),
        (&["run", &file, "--grid", "1,2,3,4"], "one to three sizes"),
        (&["run", &file, "--arg", "u16:5"], "no kind of argument"),
        (&["run", &file, "--gpu", "gtx"], "known are h200, a100, rtx4090"),
    ];
    for (args, wanted) in cases {
        let output = ptxsim(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(wanted), "{args:?}: {}", text(&output.stderr));
    }
    let broken = saxpy.path("broken.ptx");
    std::fs::write(
        &broken,
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry f() { frobnicate.b32 %r1; }",
    )
    .unwrap();
    let output = ptxsim(&["run", &broken.display().to_string()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("frobnicate"), "{}", text(&output.stderr));
    let output = ptxsim(&["list", &broken.display().to_string()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("refused: PTX line 4: unknown opcode `frobnicate`"));
}

#[test]
fn list_names_entries_and_parameters() {
    let output = ptxsim(&["list", &fixture("saxpy.sm80.ptx")]);
    assert_eq!(output.status.code(), Some(0));
    let found = text(&output.stdout);
    assert!(found.starts_with("saxpy(.u32 saxpy_param_0, .f32 saxpy_param_1, .u64"), "{found}");
    let output = ptxsim(&["list", &fixture("saxpy.sm80.ptx"), "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["entries"][0]["params"].as_array().map(Vec::len), Some(4));
}
