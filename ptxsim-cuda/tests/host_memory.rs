//! Pinned memory, and what the driver tells of addresses.

mod common;

use std::ffi::{CStr, c_void};
use std::ptr::null_mut;

use cudarc::driver::sys::{self, CUpointer_attribute as Attribute, CUresult};
use cudarc::driver::{CudaContext, result};

use common::run;

const SUCCESS: CUresult = CUresult::CUDA_SUCCESS;
const BYTES: usize = 5000;

/// Pinned memory, taken.
fn take() -> *mut c_void {
    let mut memory = null_mut();
    // SAFETY: the result has a place.
    unsafe { sys::cuMemHostAlloc(&mut memory, BYTES, 0) }.result().unwrap();
    memory
}

#[test]
fn copies_pass_through_pinned_memory() {
    let outcome = run("copies_through_pinned_memory", &[]).passed(&[]);
    assert!(!outcome.said().contains("misuse") && !outcome.said().contains("leak"), "{}", outcome.said());
}

#[test]
#[ignore = "a program, run by `copies_pass_through_pinned_memory`"]
fn copies_through_pinned_memory() {
    let context = CudaContext::new(0).unwrap();
    let stream = context.new_stream().unwrap();
    // SAFETY: every element is written before it is read.
    let mut pinned = unsafe { context.alloc_pinned::<u8>(BYTES) }.unwrap();
    let values: Vec<u8> = (0..BYTES).map(|i| (i * 7) as u8).collect();
    pinned.as_mut_slice().unwrap().copy_from_slice(&values);
    let data = stream.clone_htod(&pinned).unwrap();
    stream.synchronize().unwrap();
    pinned.as_mut_slice().unwrap().fill(0);
    stream.memcpy_dtoh(&data, &mut pinned).unwrap();
    stream.synchronize().unwrap();
    assert_eq!(pinned.as_slice().unwrap(), values);
}

#[test]
fn pinned_memory_freed_before_the_copy_is_done() {
    let words = ["cuMemcpyHtoDAsync_v2", "the buffer was freed before the copy was done"];
    // A copy from pinned memory is not waited for, even where others are.
    run("frees_pinned_memory_too_early", &[("PTXSIM_PAGEABLE", "sync")]).passed(&words);
}

#[test]
#[ignore = "a program, run by `pinned_memory_freed_before_the_copy_is_done`"]
fn frees_pinned_memory_too_early() {
    let context = CudaContext::new(0).unwrap();
    let (stream, memory) = (context.new_stream().unwrap(), take());
    // SAFETY: the sizes are the buffers'; that one is freed is the mistake.
    unsafe {
        let data = result::malloc_sync(BYTES).unwrap();
        let queued = sys::cuMemcpyHtoDAsync_v2(data, memory, BYTES, stream.cu_stream());
        assert_eq!((queued, sys::cuMemFreeHost(memory)), (SUCCESS, SUCCESS));
    }
    assert_eq!(stream.synchronize().unwrap_err().0, CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
}

#[test]
fn pinned_memory_has_its_rules() {
    run("breaks_the_rules_of_pinned_memory", &[]).passed(&["is pinned already", "leak: 1 pieces of pinned"]);
}

#[test]
#[ignore = "a program, run by `pinned_memory_has_its_rules`"]
fn breaks_the_rules_of_pinned_memory() {
    let _context = CudaContext::new(0).unwrap();
    let mut own = vec![0u8; BYTES];
    let (own, inside) = (own.as_mut_ptr().cast::<c_void>(), own[100..].as_mut_ptr().cast::<c_void>());
    let (mut taken, mut flags) = (null_mut(), 0);
    // SAFETY: results have places, and the memory outlives its registration.
    unsafe {
        assert_eq!(sys::cuMemHostAlloc(&mut taken, 0, 0), CUresult::CUDA_ERROR_INVALID_VALUE);
        assert_eq!(sys::cuMemHostAlloc(&mut taken, 1, 8), CUresult::CUDA_ERROR_INVALID_VALUE);
        assert_eq!(sys::cuMemHostAlloc(&mut taken, 1, 5), SUCCESS);
        assert_eq!((sys::cuMemHostGetFlags(&mut flags, taken), flags), (SUCCESS, 5));
        assert_eq!(sys::cuMemHostRegister_v2(own, BYTES, 0), SUCCESS);
        let again = sys::cuMemHostRegister_v2(inside, 10, 0);
        assert_eq!(again, CUresult::CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
        assert_eq!(sys::cuMemFreeHost(own), CUresult::CUDA_ERROR_INVALID_VALUE);
        assert_eq!(sys::cuMemHostUnregister(own), SUCCESS);
        let twice = sys::cuMemHostUnregister(own);
        assert_eq!(twice, CUresult::CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
        assert_eq!(sys::cuMemHostGetFlags(&mut flags, own), CUresult::CUDA_ERROR_INVALID_VALUE);
    }
}

#[test]
fn addresses_are_told_apart() {
    run("asks_what_addresses_are", &[]).passed(&[]);
}

/// An attribute of `address`; `T` is its type.
fn attribute<T: Default>(attribute: Attribute, address: u64) -> Result<T, CUresult> {
    let mut value = T::default();
    // SAFETY: the place is of the attribute's type.
    match unsafe { sys::cuPointerGetAttribute((&raw mut value).cast(), attribute, address) } {
        SUCCESS => Ok(value),
        error => Err(error),
    }
}

#[test]
#[ignore = "a program, run by `addresses_are_told_apart`"]
fn asks_what_addresses_are() {
    use Attribute::{
        CU_POINTER_ATTRIBUTE_DEVICE_POINTER as DEVICE, CU_POINTER_ATTRIBUTE_HOST_POINTER as HOST,
        CU_POINTER_ATTRIBUTE_MEMORY_TYPE as TYPE, CU_POINTER_ATTRIBUTE_RANGE_SIZE as SIZE,
        CU_POINTER_ATTRIBUTE_RANGE_START_ADDR as START,
    };
    let _context = CudaContext::new(0).unwrap();
    // SAFETY: the memory is freed below.
    let (on_device, pinned) = (unsafe { result::malloc_sync(BYTES) }.unwrap(), take());
    let at = pinned as u64;
    assert_eq!(attribute::<u32>(TYPE, on_device + 9), Ok(sys::CUmemorytype::CU_MEMORYTYPE_DEVICE as u32));
    assert_eq!(attribute::<u32>(TYPE, at + 9), Ok(sys::CUmemorytype::CU_MEMORYTYPE_HOST as u32));
    assert_eq!(attribute::<u64>(START, on_device + 9), Ok(on_device));
    assert_eq!(attribute::<u64>(SIZE, at + 9), Ok(BYTES as u64));
    assert_eq!(attribute::<u64>(DEVICE, on_device + 9), Ok(on_device + 9));
    assert_eq!(attribute::<u64>(HOST, on_device), Err(CUresult::CUDA_ERROR_INVALID_VALUE));
    assert_eq!(attribute::<u32>(TYPE, &raw const at as u64), Err(CUresult::CUDA_ERROR_INVALID_VALUE));
    let (mut of, mut ordinal, mut kind) =
        ([TYPE, Attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL], 7i32, 7u32);
    let mut places = [(&raw mut kind).cast(), (&raw mut ordinal).cast()];
    // SAFETY: the places are of the attributes' types, and the memory is freed once.
    unsafe {
        let unknown = &raw const at as u64;
        let asked = sys::cuPointerGetAttributes(2, of.as_mut_ptr(), places.as_mut_ptr(), unknown);
        assert_eq!((asked, kind, ordinal), (SUCCESS, 0, -2));
        result::free_sync(on_device).unwrap();
        assert_eq!(sys::cuMemFreeHost(pinned), SUCCESS);
    }
}

#[test]
fn functions_are_those_of_the_version_that_is_asked_for() {
    run("asks_for_functions_by_name", &[]).passed(&[]);
}

#[test]
#[ignore = "a program, run by `functions_are_those_of_the_version_that_is_asked_for`"]
fn asks_for_functions_by_name() {
    let address = |name: &CStr, version: i32| {
        let (mut found, mut status) =
            (null_mut(), sys::CUdriverProcAddressQueryResult::CU_GET_PROC_ADDRESS_SUCCESS);
        // SAFETY: the results have places.
        let got = unsafe { sys::cuGetProcAddress_v2(name.as_ptr(), &mut found, version, 0, &mut status) };
        (got == SUCCESS).then_some(found as usize)
    };
    // A function that is newer than the driver is not given, whatever the program was compiled for.
    assert!(address(c"cuCtxGetDevice", 12000).is_some());
    assert_eq!(address(c"cuCtxGetDevice", 13000), address(c"cuCtxGetDevice", 12000));
    assert_ne!(address(c"cuStreamGetCtx", 12090), address(c"cuStreamGetCtx", 12000));
    assert_eq!(address(c"cuNoSuchFunction", 12000), None);
}
