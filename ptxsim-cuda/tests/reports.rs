//! The file that `PTXSIM_REPORT` names: a line of JSON for each launch and each finding.

mod common;

use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg};
use serde_json::Value;

use common::kernels::add;
use common::run;

#[test]
fn launches_faults_and_leaks_are_lines_of_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.jsonl");
    run("launches_twice_and_fails", &[("PTXSIM_REPORT", path.to_str().unwrap())]).passed(&[]);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [launch, fault, leak, ..] = &lines[..] else { panic!("three lines are expected:\n{text}") };
    let launch = &launch["launch"];
    assert_eq!((&launch["call"], &launch["kernel"]), (&"cuLaunchKernel".into(), &"add".into()));
    assert_eq!((&launch["grid"][0], &launch["block"][0]), (&1.into(), &1024.into()));
    // A hundred threads read four bytes each.
    assert_eq!(launch["unique_bytes_read"], 400);
    assert_eq!(launch["by_class"]["LoadGlobal"]["thread_instructions"], 100);
    let fault = &fault["fault"];
    assert_eq!(
        (&fault["call"], &fault["error"]),
        (&"cuLaunchKernel".into(), &"CUDA_ERROR_ILLEGAL_ADDRESS".into())
    );
    assert_eq!(
        (&fault["kernel_fault"]["kernel"], &fault["kernel_fault"]["thread"][0]),
        (&"add".into(), &100.into())
    );
    assert_eq!((&leak["leak"]["call"], &leak["leak"]["count"]), (&"cuMemAllocAsync".into(), &1.into()));
}

#[test]
#[ignore = "a program, run by `launches_faults_and_leaks_are_lines_of_json`"]
fn launches_twice_and_fails() {
    let context = CudaContext::new(0).unwrap();
    let stream = context.new_stream().unwrap();
    let mut data = stream.clone_htod(&[1.0f32; 100]).unwrap();
    let function = add(&context);
    for count in [100u32, 101] {
        let mut builder = stream.launch_builder(&function);
        builder.arg(&mut data).arg(&count).arg(&1.0f32);
        // SAFETY: it is the simulator's memory that the kernel leaves.
        unsafe { builder.launch(LaunchConfig::for_num_elems(count)) }.unwrap();
    }
    assert!(stream.synchronize().is_err());
    std::mem::forget(data);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error() {
    let variables = [("PTXSIM_REPORT", "/no/such/folder/report.jsonl")];
    run("opens_the_gpu", &variables)
        .passed(&["PTXSIM_REPORT", "/no/such/folder/report.jsonl cannot be written"]);
}

#[test]
#[ignore = "a program, run by `a_file_that_cannot_be_written_is_an_error`"]
fn opens_the_gpu() {
    assert!(CudaContext::new(0).is_err());
}
