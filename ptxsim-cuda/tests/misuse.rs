//! Mistakes in the use of the driver, planted in programs: each is found and named.

mod common;

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::sys::{self, CUdeviceptr, CUfunction, CUmodule, CUresult, CUstream};
use cudarc::driver::{CudaContext, result};

use common::kernels;
use common::run;

/// A stream on the first GPU, with `add` loaded and 1000 floats that are written: what goes wrong is up to
/// the program, so none of cudarc's guards is in the way.
struct Setup {
    _context: Arc<CudaContext>,
    stream: CUstream,
    module: CUmodule,
    add: CUfunction,
    data: CUdeviceptr,
}

const COUNT: u32 = 1000;
const BYTES: usize = 4 * COUNT as usize;

impl Setup {
    fn new() -> Self {
        let context = CudaContext::new(0).unwrap();
        let text = std::ffi::CString::new(kernels::ADD).unwrap();
        // SAFETY: the image and the name are C strings, and the sizes are the buffer's.
        unsafe {
            let module = result::module::load_data(text.as_ptr().cast()).unwrap();
            let add = result::module::get_function(module, c"add".to_owned()).unwrap();
            let data = result::malloc_sync(BYTES).unwrap();
            result::memset_d8_sync(data, 0, BYTES).unwrap();
            let stream = result::stream::create(result::stream::StreamKind::NonBlocking).unwrap();
            result::ctx::synchronize().unwrap();
            Self { _context: context, stream, module, add, data }
        }
    }

    fn launch(&self) -> CUresult {
        self.launch_with(0, self.data, COUNT)
    }

    /// Launches `add` on `data`, of `count` floats.
    fn launch_with(&self, shared_bytes: u32, mut data: CUdeviceptr, mut count: u32) -> CUresult {
        let mut by = 1.0f32;
        let mut params: [*mut c_void; 3] =
            [(&raw mut data).cast(), (&raw mut count).cast(), (&raw mut by).cast()];
        let (params, extra) = (params.as_mut_ptr(), std::ptr::null_mut());
        // SAFETY: the parameters are as many as those of `add`, and as large.
        unsafe { sys::cuLaunchKernel(self.add, 8, 1, 1, 128, 1, 1, shared_bytes, self.stream, params, extra) }
    }

    fn wait(&self) -> CUresult {
        // SAFETY: the stream is live.
        unsafe { sys::cuStreamSynchronize(self.stream) }
    }
}

const SUCCESS: CUresult = CUresult::CUDA_SUCCESS;

#[test]
fn memory_freed_while_a_launch_is_queued() {
    let words = ["use after free", "was freed by cuMemFree_v2 while this was queued"];
    run("frees_before_the_launch_is_done", &[]).passed(&words);
    // Done as it is queued, all is well.
    let quiet = run("frees_before_the_launch_is_done", &[("PTXSIM_ORDER", "early"), ("EXPECT", "ok")]);
    assert!(!quiet.passed(&[]).said().contains("use after free"));
}

#[test]
#[ignore = "a program, run by `memory_freed_while_a_launch_is_queued`"]
fn frees_before_the_launch_is_done() {
    let setup = Setup::new();
    assert_eq!(setup.launch(), SUCCESS);
    // SAFETY: the memory is live; that it is in use is the mistake.
    unsafe { result::free_sync(setup.data) }.unwrap();
    let wanted = if std::env::var("EXPECT").is_ok() { SUCCESS } else { CUresult::CUDA_ERROR_ILLEGAL_ADDRESS };
    assert_eq!(setup.wait(), wanted);
}

#[test]
fn memory_freed_while_a_copy_is_queued() {
    let words = ["cuMemcpyDtoHAsync_v2: CUDA_ERROR_ILLEGAL_ADDRESS", "was freed by cuMemFree_v2 while"];
    run("frees_before_the_copy_is_done", &[]).passed(&words);
}

#[test]
#[ignore = "a program, run by `memory_freed_while_a_copy_is_queued`"]
fn frees_before_the_copy_is_done() {
    let setup = Setup::new();
    let mut host = vec![0u8; BYTES];
    // SAFETY: the memory is live; that it is in use is the mistake.
    unsafe {
        result::memcpy_dtoh_async(&mut host, setup.data, setup.stream).unwrap();
        result::free_sync(setup.data).unwrap();
    }
    assert_eq!(setup.wait(), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
}

#[test]
fn host_memory_dropped_before_the_copy_is_done() {
    let words =
        ["cuMemcpyHtoDAsync_v2", "are not all memory of this program", "freed before the copy was done"];
    run("drops_the_source_too_early", &[]).passed(&words);
}

#[test]
#[ignore = "a program, run by `host_memory_dropped_before_the_copy_is_done`"]
fn drops_the_source_too_early() {
    let setup = Setup::new();
    // So large that it goes back to the system at once.
    let large = 64 << 20;
    // SAFETY: the sizes are the buffers'; that one is dropped is the mistake.
    unsafe {
        let data = result::malloc_sync(large).unwrap();
        let source = vec![1u8; large];
        result::memcpy_htod_async(data, &source, setup.stream).unwrap();
    }
    assert_eq!(setup.wait(), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
}

#[test]
fn host_memory_written_before_the_copy_is_done() {
    for program in ["overwrites_the_source_too_early", "writes_the_target_too_early"] {
        run(program, &[]).passed(&["misuse", "changed after the call and before the copy was done"]);
        let quiet = run(program, &[("PTXSIM_ORDER", "early")]).passed(&[]);
        assert!(!quiet.said().contains("misuse"), "{}", quiet.said());
    }
}

#[test]
#[ignore = "a program, run by `host_memory_written_before_the_copy_is_done`"]
fn overwrites_the_source_too_early() {
    let setup = Setup::new();
    let mut source = vec![1u8; BYTES];
    // SAFETY: the sizes are the buffer's.
    unsafe { result::memcpy_htod_async(setup.data, &source, setup.stream) }.unwrap();
    std::hint::black_box(&mut source)[100] = 2;
    assert_eq!(setup.wait(), SUCCESS);
}

#[test]
#[ignore = "a program, run by `host_memory_written_before_the_copy_is_done`"]
fn writes_the_target_too_early() {
    let setup = Setup::new();
    let mut target = vec![7u8; BYTES];
    // SAFETY: the sizes are the buffer's.
    unsafe { result::memcpy_dtoh_async(&mut target, setup.data, setup.stream) }.unwrap();
    std::hint::black_box(&mut target)[0] = 2;
    assert_eq!(setup.wait(), SUCCESS);
}

#[test]
fn copies_through_one_buffer_are_no_mistake() {
    let outcome = run("copies_out_and_in_again", &[]).passed(&[]);
    assert!(!outcome.said().contains("misuse"), "{}", outcome.said());
}

#[test]
#[ignore = "a program, run by `copies_through_one_buffer_are_no_mistake`"]
fn copies_out_and_in_again() {
    let setup = Setup::new();
    let mut host = vec![7u8; BYTES];
    // SAFETY: the sizes are the buffers'.
    unsafe {
        let other = result::malloc_sync(BYTES).unwrap();
        result::memset_d8_async(setup.data, 3, BYTES, setup.stream).unwrap();
        result::memcpy_dtoh_async(&mut host, setup.data, setup.stream).unwrap();
        result::memcpy_htod_async(other, &host, setup.stream).unwrap();
        result::memcpy_dtoh_async(&mut host, other, setup.stream).unwrap();
        assert_eq!(setup.wait(), SUCCESS);
        assert_eq!(host, vec![3u8; BYTES]);
        for memory in [setup.data, other] {
            result::free_sync(memory).unwrap();
        }
    }
}

#[test]
fn bytes_never_written_are_copied_to_the_host() {
    run("copies_what_was_never_written", &[]).passed(&["misuse", "have been written", "cuMemcpyDtoH_v2"]);
}

#[test]
#[ignore = "a program, run by `bytes_never_written_are_copied_to_the_host`"]
fn copies_what_was_never_written() {
    let _setup = Setup::new();
    let mut host = [0u8; 16];
    // SAFETY: the sizes are the buffer's.
    unsafe { result::memcpy_dtoh_sync(&mut host, result::malloc_sync(16).unwrap()) }.unwrap();
}

#[test]
fn arguments_in_the_wrong_order() {
    let words = ["CUDA_ERROR_ILLEGAL_ADDRESS", "out-of-bounds global access", "no allocation is near"];
    run("swaps_two_arguments", &[]).passed(&words);
}

#[test]
#[ignore = "a program, run by `arguments_in_the_wrong_order`"]
fn swaps_two_arguments() {
    let setup = Setup::new();
    // The lower half of an address that is not the first one.
    assert_eq!(setup.launch_with(0, u64::from(COUNT), (setup.data + 400) as u32), SUCCESS);
    assert_eq!(setup.wait(), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
}

#[test]
fn arguments_of_the_wrong_size() {
    let words = ["cuLaunchKernel: CUDA_ERROR_INVALID_VALUE", "takes 16 bytes of parameters", "has 12"];
    run("packs_too_few_arguments", &[]).passed(&words);
    let words = ["parameter 2 of the 3 of `add` (`by`)", "are not all memory of this program"];
    run("passes_two_pointers_of_three", &[]).passed(&words);
}

#[test]
#[ignore = "a program, run by `arguments_of_the_wrong_size`"]
fn packs_too_few_arguments() {
    let setup = Setup::new();
    // The pointer and the count, without the summand.
    let mut buffer = [setup.data as u32, (setup.data >> 32) as u32, COUNT];
    let mut size = size_of_val(&buffer);
    let mut extra: [*mut c_void; 5] = [
        std::ptr::without_provenance_mut(1),
        buffer.as_mut_ptr().cast(),
        std::ptr::without_provenance_mut(2),
        (&raw mut size).cast(),
        std::ptr::null_mut(),
    ];
    let (params, extra) = (std::ptr::null_mut(), extra.as_mut_ptr());
    // SAFETY: the list says how large its buffer is.
    let status = unsafe { sys::cuLaunchKernel(setup.add, 1, 1, 1, 1, 1, 1, 0, setup.stream, params, extra) };
    assert_eq!(status, CUresult::CUDA_ERROR_INVALID_VALUE);
}

#[test]
#[ignore = "a program, run by `arguments_of_the_wrong_size`"]
fn passes_two_pointers_of_three() {
    let setup = Setup::new();
    let (mut data, mut count) = (setup.data, COUNT);
    let mut params: [*mut c_void; 3] =
        [(&raw mut data).cast(), (&raw mut count).cast(), std::ptr::without_provenance_mut(12)];
    let (params, extra) = (params.as_mut_ptr(), std::ptr::null_mut());
    // SAFETY: a parameter that is not there is the mistake, which is an error.
    let status = unsafe { sys::cuLaunchKernel(setup.add, 1, 1, 1, 1, 1, 1, 0, setup.stream, params, extra) };
    assert_eq!(status, CUresult::CUDA_ERROR_INVALID_VALUE);
}

#[test]
fn more_shared_memory_than_was_asked_for() {
    let words = ["49664 bytes of dynamic shared memory", "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES"];
    run("launches_without_the_attribute", &[]).passed(&words);
}

#[test]
#[ignore = "a program, run by `more_shared_memory_than_was_asked_for`"]
fn launches_without_the_attribute() {
    use sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES as ATTRIBUTE;
    let setup = Setup::new();
    assert_eq!(setup.launch_with(49152, setup.data, COUNT), SUCCESS);
    assert_eq!(setup.launch_with(49664, setup.data, COUNT), CUresult::CUDA_ERROR_INVALID_VALUE);
    // SAFETY: the function is live.
    unsafe { result::function::set_function_attribute(setup.add, ATTRIBUTE, 49664) }.unwrap();
    assert_eq!(setup.launch_with(49664, setup.data, COUNT), SUCCESS);
    // SAFETY: the function is live.
    assert!(unsafe { result::function::set_function_attribute(setup.add, ATTRIBUTE, 300 << 10) }.is_err());
    assert_eq!(setup.wait(), SUCCESS);
}

#[test]
fn module_unloaded_while_its_kernel_is_queued() {
    run("unloads_too_early", &[]).passed(&["cuModuleUnload: misuse: `add` of the module is still queued"]);
}

#[test]
#[ignore = "a program, run by `module_unloaded_while_its_kernel_is_queued`"]
fn unloads_too_early() {
    let setup = Setup::new();
    assert_eq!(setup.launch(), SUCCESS);
    // SAFETY: the module is live; that it is in use is the mistake.
    unsafe { result::module::unload(setup.module) }.unwrap();
    assert_eq!(setup.wait(), SUCCESS);
}

#[test]
fn handles_used_after_their_end() {
    let words = ["cuStreamSynchronize: misuse: the stream", "was ended by cuStreamDestroy_v2"];
    run("waits_for_an_ended_stream", &[]).passed(&words);
}

#[test]
#[ignore = "a program, run by `handles_used_after_their_end`"]
fn waits_for_an_ended_stream() {
    let setup = Setup::new();
    // SAFETY: the stream is live.
    unsafe { result::stream::destroy(setup.stream) }.unwrap();
    assert_eq!(setup.wait(), CUresult::CUDA_ERROR_INVALID_HANDLE);
}

#[test]
fn what_is_left_at_exit() {
    let words =
        ["leak: 1 allocations of 4000 bytes in all, made by cuMemAlloc_v2", "launches, never waited for"];
    run("leaves_all_as_it_is", &[]).passed(&words);
}

#[test]
#[ignore = "a program, run by `what_is_left_at_exit`"]
fn leaves_all_as_it_is() {
    let setup = Setup::new();
    assert_eq!(setup.launch(), SUCCESS);
    std::mem::forget(setup);
}

#[test]
fn waits_inside_a_capture() {
    let words = ["cuStreamSynchronize: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "the stream is captured"];
    run("synchronizes_while_capturing", &[]).passed(&words);
}

#[test]
#[ignore = "a program, run by `waits_inside_a_capture`"]
fn synchronizes_while_capturing() {
    use sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
    let setup = Setup::new();
    let mut graph = std::ptr::null_mut();
    // SAFETY: the stream is live, and the graph has a place.
    unsafe {
        result::stream::begin_capture(setup.stream, CU_STREAM_CAPTURE_MODE_RELAXED).unwrap();
        assert_eq!(setup.launch(), SUCCESS);
        assert_eq!(setup.wait(), CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        assert_eq!(setup.launch(), CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        let ended = sys::cuStreamEndCapture(setup.stream, &mut graph);
        assert_eq!(ended, CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    }
    assert_eq!(setup.launch(), SUCCESS);
    assert_eq!(setup.wait(), SUCCESS);
}
