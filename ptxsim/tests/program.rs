//! `ptxsim run -- PROGRAM`: programs that call the CUDA driver, and what the status says of them.
//!
//! The programs are tests that are ignored, and run by those that say what must come of them.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

/// `data[i] = i` for the threads of a block.
const NUMBER: &str = "
.version 7.0
.target sm_80
.address_size 64
.visible .entry number(.param .u64 data) {
    .reg .b32 %r<2>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [data];
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd2, %r1, 4;
    add.s64 %rd3, %rd1, %rd2;
    st.global.u32 [%rd3], %r1;
    ret;
}";

/// The library that was built with this test.
fn library() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name("libptxsim_cuda.so")
}

/// `ptxsim run` with these options, then `--` and the program.
fn ptxsim(options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ptxsim"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PTXSIM_")) {
        command.env_remove(name);
    }
    command.args(["run", "--library"]).arg(library()).args(options).arg("--").args(program);
    command
}

/// Runs the ignored test `name` of this binary.
fn run(options: &[&str], name: &str) -> Output {
    let own = std::env::current_exe().unwrap();
    ptxsim(options, &[own.to_str().unwrap(), "--exact", name, "--ignored", "--nocapture"]).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_program_without_faults_has_its_own_status() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.jsonl");
    let output = run(&["--gpu", "a100", "--report", report.to_str().unwrap()], "numbers_eight");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!said(&output).contains("found"), "{}", said(&output));
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains("\"kernel\":\"number\""), "{report}");
}

#[test]
fn a_fault_of_a_program_that_succeeds_is_status_86() {
    let output = run(&[], "numbers_nine");
    assert_eq!(output.status.code(), Some(86), "{}", said(&output));
    assert!(said(&output).contains("out-of-bounds global access of 4 bytes"), "{}", said(&output));
    assert!(said(&output).contains("ptxsim: found: fault 1, misuse 0"), "{}", said(&output));
}

#[test]
#[ignore = "a program"]
fn numbers_eight() {
    assert!(CudaContext::new(0).unwrap().name().unwrap().contains("A100"));
    assert_eq!(number(8), Some((0..8).collect()));
}

#[test]
#[ignore = "a program"]
fn numbers_nine() {
    assert_eq!(number(9), None);
}

/// What `threads` threads write to eight numbers.
fn number(threads: u32) -> Option<Vec<u32>> {
    let context = CudaContext::new(0).unwrap();
    let stream = context.new_stream().unwrap();
    let function = context.load_module(Ptx::from_src(NUMBER)).unwrap().load_function("number").unwrap();
    let mut data = stream.alloc_zeros::<u32>(8).unwrap();
    let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: it is the simulator's memory that the kernel leaves.
    unsafe { stream.launch_builder(&function).arg(&mut data).launch(config) }.unwrap();
    stream.synchronize().ok()?;
    let mut numbers = vec![0; 8];
    stream.memcpy_dtoh(&data, &mut numbers).unwrap();
    stream.synchronize().unwrap();
    Some(numbers)
}

#[test]
fn other_programs_have_their_status_and_are_told_of() {
    let output = ptxsim(&[], &["sh", "-c", "exit 7"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(said(&output).contains("has not called the CUDA driver"), "{}", said(&output));
    let output = ptxsim(&[], &["sh", "-c", "kill -KILL $$"]).output().unwrap();
    assert_eq!(output.status.code(), Some(137));
}

#[cfg(unix)]
#[test]
fn signals_are_passed_on() {
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done";
    let mut child = ptxsim(&[], &["sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

#[test]
fn wrong_calls_have_status_2_and_say_why() {
    let cases: [(&[&str], &[&str], &str); 4] = [
        (&[], &["/no/such/program"], "/no/such/program cannot be run"),
        (&["--library", "/no/library"], &["true"], "cannot be used multiple times"),
        (&["--grid", "4"], &["true"], "cannot be used with"),
        (&["--devices", "none"], &["true"], "invalid value"),
    ];
    for (options, program, wanted) in cases {
        let output = ptxsim(options, program).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        assert!(said(&output).contains(wanted), "{options:?}: {}", said(&output));
    }
    let alone = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ptxsim")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        said(&output)
    };
    assert!(alone(&["run", "--order", "late", "file.ptx"]).contains("cannot be used with"));
    assert!(alone(&["run", "--library", "/no/library", "--", "true"]).contains("/no/library is no file"));
    assert!(alone(&["run"]).contains("required"));
}
