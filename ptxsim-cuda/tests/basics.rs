//! The driver's functions as cudarc's safe layer and its raw functions call them.

mod common;

use std::ffi::c_void;
use std::ptr::null_mut;

use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg};

use common::kernels::add;
use common::run;

#[test]
fn kernels_run_and_copies_arrive() {
    run("adds_to_a_vector", &[]).passed(&[]);
    // cudarc's shorter way counts on that copies to memory which is not pinned are waited for.
    run("adds_to_a_vector", &[("PTXSIM_PAGEABLE", "sync"), ("NO_WAIT", "1")]).passed(&[]);
}

#[test]
#[ignore = "a program, run by `kernels_run_and_copies_arrive`"]
fn adds_to_a_vector() {
    let context = CudaContext::new(0).unwrap();
    assert_eq!(context.compute_capability().unwrap(), (9, 0));
    assert!(context.name().unwrap().contains("H100"));
    let stream = context.new_stream().unwrap();
    let values: Vec<f32> = (0..1000).map(|i| i as f32).collect();
    let mut data = stream.clone_htod(&values).unwrap();
    let (count, by) = (values.len() as u32, 0.5f32);
    let function = add(&context);
    for _ in 0..3 {
        let mut builder = stream.launch_builder(&function);
        builder.arg(&mut data).arg(&count).arg(&by);
        // SAFETY: the arguments are those of the kernel, which stays within the vector.
        unsafe { builder.launch(LaunchConfig::for_num_elems(count)) }.unwrap();
    }
    let wanted: Vec<f32> = values.iter().map(|x| x + 1.5).collect();
    let got = stream.clone_dtoh(&data).unwrap();
    if std::env::var("NO_WAIT").is_err() {
        stream.synchronize().unwrap();
    }
    assert!(got == wanted, "{got:?}");
}

#[test]
fn a_fault_stays_and_is_told_whole() {
    run("reads_beyond_the_end", &[("PTXSIM_ORDER", "late")]).passed(&[
        "out-of-bounds global access",
        "CUDA_ERROR_ILLEGAL_ADDRESS",
        "add",
    ]);
}

#[test]
#[ignore = "a program, run by `a_fault_stays_and_is_told_whole`"]
fn reads_beyond_the_end() {
    let context = CudaContext::new(0).unwrap();
    let stream = context.new_stream().unwrap();
    let mut data = stream.clone_htod(&[1.0f32; 100]).unwrap();
    let (count, by) = (101u32, 1.0f32);
    let function = add(&context);
    let mut builder = stream.launch_builder(&function);
    builder.arg(&mut data).arg(&count).arg(&by);
    // SAFETY: it is the simulator's memory that the kernel leaves.
    unsafe { builder.launch(LaunchConfig::for_num_elems(count)) }.unwrap();
    for _ in 0..2 {
        let error = stream.synchronize().unwrap_err();
        assert_eq!(error.0, CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    }
    // It would be freed in the context that failed.
    std::mem::forget(data);
}

#[test]
fn threads_need_a_context_each() {
    run("takes_memory_on_another_thread", &[])
        .passed(&["cuMemAlloc_v2: CUDA_ERROR_INVALID_CONTEXT", "no context is current"]);
}

#[test]
#[ignore = "a program, run by `threads_need_a_context_each`"]
fn takes_memory_on_another_thread() {
    let _context = CudaContext::new(0).unwrap();
    let allocate = || {
        let mut address = 0;
        // SAFETY: the result has a place.
        unsafe { sys::cuMemAlloc_v2(&mut address, 16) }
    };
    assert_eq!(allocate(), CUresult::CUDA_SUCCESS);
    assert_eq!(std::thread::spawn(allocate).join().unwrap(), CUresult::CUDA_ERROR_INVALID_CONTEXT);
}

#[test]
fn what_is_not_there_says_its_name_once() {
    let outcome = run("asks_for_what_is_not_there", &[]).passed(&["not supported: cuArrayCreate_v2"]);
    assert_eq!(outcome.said().matches("cuArrayCreate_v2").count(), 1, "{}", outcome.said());
}

#[test]
#[ignore = "a program, run by `what_is_not_there_says_its_name_once`"]
fn asks_for_what_is_not_there() {
    let _context = CudaContext::new(0).unwrap();
    for _ in 0..2 {
        let mut array = null_mut();
        // SAFETY: nothing is looked at.
        let status = unsafe { sys::cuArrayCreate_v2(&mut array, std::ptr::null()) };
        assert_eq!(status, CUresult::CUDA_ERROR_NOT_SUPPORTED);
    }
}

#[test]
fn functions_are_found_by_name_and_version() {
    run("looks_up_functions", &[]).passed(&[]);
}

#[test]
#[ignore = "a program, run by `functions_are_found_by_name_and_version`"]
fn looks_up_functions() {
    use sys::CUdriverProcAddressQueryResult as Found;
    let look_up = |name: &std::ffi::CStr, version: i32| {
        let (mut function, mut found) = (null_mut::<c_void>(), Found::CU_GET_PROC_ADDRESS_SUCCESS);
        // SAFETY: the name is a C string, the results have places.
        let status =
            unsafe { sys::cuGetProcAddress_v2(name.as_ptr(), &mut function, version, 0, &mut found) };
        (status, function, found)
    };
    for name in [c"cuInit", c"cuMemAlloc", c"cuMemAlloc_v2", c"cuCtxCreate", c"cuArrayCreate"] {
        let (status, function, found) = look_up(name, 12000);
        assert_eq!((status, found), (CUresult::CUDA_SUCCESS, Found::CU_GET_PROC_ADDRESS_SUCCESS), "{name:?}");
        assert!(!function.is_null());
    }
    assert_eq!(look_up(c"cuMemAlloc", 12000).1, look_up(c"cuMemAlloc_v2", 12000).1);
    // cuCtxCreate_v4 came with 12.5.
    assert_ne!(look_up(c"cuCtxCreate", 12000).1, look_up(c"cuCtxCreate", 13000).1);
    let (status, function, found) = look_up(c"cuTeleport", 12000);
    assert_eq!(
        (status, found),
        (CUresult::CUDA_ERROR_NOT_FOUND, Found::CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND)
    );
    assert!(function.is_null());
}

#[test]
fn devices_are_those_that_the_environment_shows() {
    let count = |variables: &[(&str, &str)]| {
        let outcome = run("prints_what_it_sees", variables).passed(&[]);
        outcome.said().lines().find_map(|line| line.strip_prefix("sees ")).unwrap().to_owned()
    };
    assert_eq!(count(&[]), "1 sm_90");
    assert_eq!(count(&[("PTXSIM_DEVICES", "3"), ("PTXSIM_GPU", "a100")]), "3 sm_80");
    assert_eq!(count(&[("PTXSIM_DEVICES", "3"), ("CUDA_VISIBLE_DEVICES", "2,0")]), "2 sm_90");
    assert_eq!(count(&[("CUDA_VISIBLE_DEVICES", "")]), "CUDA_ERROR_NO_DEVICE");
    assert_eq!(count(&[("PTXSIM_GPU", "h1000")]), "CUDA_ERROR_SYSTEM_NOT_READY");
}

#[test]
#[ignore = "a program, run by `devices_are_those_that_the_environment_shows`"]
fn prints_what_it_sees() {
    // SAFETY: 0 is the only flag there is.
    let status = unsafe { sys::cuInit(0) };
    if status != CUresult::CUDA_SUCCESS {
        return eprintln!("sees {status:?}");
    }
    let count = CudaContext::device_count().unwrap();
    let (major, minor) = CudaContext::new(0).unwrap().compute_capability().unwrap();
    eprintln!("sees {count} sm_{major}{minor}");
}
