//! Errors by name, and what they mean.

use std::ffi::{CStr, c_char, c_uint};

use cudarc::driver::sys::CUresult;

use crate::call::{Out, anytime, put};
use crate::error::{Error, Result};

/// An error with its name and meaning.
type Meaning = (CUresult, &'static str, &'static CStr);

/// The table of errors, each with its name as text and a zero byte.
macro_rules! meanings {
    ($($name:ident: $meaning:literal,)*) => {
        &[$((CUresult::$name, concat!(stringify!($name), "\0"), $meaning)),*]
    };
}

const MEANINGS: &[Meaning] = meanings! {
    CUDA_SUCCESS: c"no error",
    CUDA_ERROR_INVALID_VALUE: c"invalid argument",
    CUDA_ERROR_OUT_OF_MEMORY: c"out of memory",
    CUDA_ERROR_NOT_INITIALIZED: c"the driver is not initialized",
    CUDA_ERROR_DEINITIALIZED: c"the driver is shutting down",
    CUDA_ERROR_PROFILER_DISABLED: c"the profiler is disabled",
    CUDA_ERROR_PROFILER_NOT_INITIALIZED: c"the profiler is not initialized",
    CUDA_ERROR_PROFILER_ALREADY_STARTED: c"the profiler was started already",
    CUDA_ERROR_PROFILER_ALREADY_STOPPED: c"the profiler was stopped already",
    CUDA_ERROR_STUB_LIBRARY: c"the library is a stub",
    CUDA_ERROR_DEVICE_UNAVAILABLE: c"the device is busy or unavailable",
    CUDA_ERROR_NO_DEVICE: c"no CUDA-capable device is there",
    CUDA_ERROR_INVALID_DEVICE: c"invalid device ordinal",
    CUDA_ERROR_DEVICE_NOT_LICENSED: c"the device has no licence",
    CUDA_ERROR_INVALID_IMAGE: c"the image of the device code is invalid",
    CUDA_ERROR_INVALID_CONTEXT: c"invalid device context",
    CUDA_ERROR_CONTEXT_ALREADY_CURRENT: c"the context is current already",
    CUDA_ERROR_MAP_FAILED: c"mapping failed",
    CUDA_ERROR_UNMAP_FAILED: c"unmapping failed",
    CUDA_ERROR_ARRAY_IS_MAPPED: c"the array is mapped",
    CUDA_ERROR_ALREADY_MAPPED: c"the resource is mapped already",
    CUDA_ERROR_NO_BINARY_FOR_GPU: c"no code for this device is in the image",
    CUDA_ERROR_ALREADY_ACQUIRED: c"the resource was acquired already",
    CUDA_ERROR_NOT_MAPPED: c"the resource is not mapped",
    CUDA_ERROR_NOT_MAPPED_AS_ARRAY: c"the resource is not mapped as an array",
    CUDA_ERROR_NOT_MAPPED_AS_POINTER: c"the resource is not mapped as a pointer",
    CUDA_ERROR_ECC_UNCORRECTABLE: c"an ECC error that cannot be corrected",
    CUDA_ERROR_UNSUPPORTED_LIMIT: c"the limit is not supported on this architecture",
    CUDA_ERROR_CONTEXT_ALREADY_IN_USE: c"the context is in use on another thread",
    CUDA_ERROR_PEER_ACCESS_UNSUPPORTED: c"peer access is not supported between these devices",
    CUDA_ERROR_INVALID_PTX: c"the PTX cannot be compiled",
    CUDA_ERROR_INVALID_GRAPHICS_CONTEXT: c"invalid graphics context",
    CUDA_ERROR_NVLINK_UNCORRECTABLE: c"an NVLink error that cannot be corrected",
    CUDA_ERROR_JIT_COMPILER_NOT_FOUND: c"the PTX compiler was not found",
    CUDA_ERROR_UNSUPPORTED_PTX_VERSION: c"the PTX was made by a newer toolchain",
    CUDA_ERROR_JIT_COMPILATION_DISABLED: c"compiling PTX is disabled",
    CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY: c"the device has no such execution affinity",
    CUDA_ERROR_INVALID_SOURCE: c"the kernel source is invalid",
    CUDA_ERROR_FILE_NOT_FOUND: c"file not found",
    CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND: c"a symbol of a shared object was not found",
    CUDA_ERROR_SHARED_OBJECT_INIT_FAILED: c"a shared object could not be initialized",
    CUDA_ERROR_OPERATING_SYSTEM: c"a call of the operating system failed",
    CUDA_ERROR_INVALID_HANDLE: c"invalid resource handle",
    CUDA_ERROR_ILLEGAL_STATE: c"the resource is in a state in which this is not possible",
    CUDA_ERROR_NOT_FOUND: c"named symbol not found",
    CUDA_ERROR_NOT_READY: c"not ready",
    CUDA_ERROR_ILLEGAL_ADDRESS: c"an illegal memory access",
    CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: c"too many resources requested for a launch",
    CUDA_ERROR_LAUNCH_TIMEOUT: c"the launch timed out",
    CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING: c"the launch uses textures another way",
    CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED: c"peer access is enabled already",
    CUDA_ERROR_PEER_ACCESS_NOT_ENABLED: c"peer access is not enabled",
    CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE: c"the primary context is active",
    CUDA_ERROR_CONTEXT_IS_DESTROYED: c"the context is destroyed",
    CUDA_ERROR_ASSERT: c"an assertion in device code failed",
    CUDA_ERROR_TOO_MANY_PEERS: c"no more peers can be mapped",
    CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED: c"the host memory is registered already",
    CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED: c"the host memory is not registered",
    CUDA_ERROR_HARDWARE_STACK_ERROR: c"a hardware stack error",
    CUDA_ERROR_ILLEGAL_INSTRUCTION: c"an illegal instruction",
    CUDA_ERROR_MISALIGNED_ADDRESS: c"a misaligned address",
    CUDA_ERROR_INVALID_ADDRESS_SPACE: c"an operation on an address space that does not have it",
    CUDA_ERROR_INVALID_PC: c"an invalid program counter",
    CUDA_ERROR_LAUNCH_FAILED: c"unspecified launch failure",
    CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE: c"too many blocks for a cooperative launch",
    CUDA_ERROR_NOT_PERMITTED: c"the operation is not permitted",
    CUDA_ERROR_NOT_SUPPORTED: c"the operation is not supported",
    CUDA_ERROR_SYSTEM_NOT_READY: c"the system is not ready",
    CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: c"the display driver and the CUDA driver do not fit together",
    CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE: c"forward compatibility is not supported on this device",
    CUDA_ERROR_MPS_CONNECTION_FAILED: c"no connection to the MPS control daemon",
    CUDA_ERROR_MPS_RPC_FAILURE: c"a remote call between MPS server and client failed",
    CUDA_ERROR_MPS_SERVER_NOT_READY: c"the MPS server is not ready",
    CUDA_ERROR_MPS_MAX_CLIENTS_REACHED: c"the MPS server takes no more clients",
    CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED: c"the MPS server takes no more connections",
    CUDA_ERROR_MPS_CLIENT_TERMINATED: c"the MPS server ended the client",
    CUDA_ERROR_CDP_NOT_SUPPORTED: c"dynamic parallelism is not supported",
    CUDA_ERROR_CDP_VERSION_MISMATCH: c"versions of dynamic parallelism do not fit together",
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED: c"the operation is not permitted while a stream is captured",
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED: c"an earlier error broke the capture",
    CUDA_ERROR_STREAM_CAPTURE_MERGE: c"the operation would merge two captures",
    CUDA_ERROR_STREAM_CAPTURE_UNMATCHED: c"the capture was not begun in this stream",
    CUDA_ERROR_STREAM_CAPTURE_UNJOINED: c"the capture has work that was not joined to its first stream",
    CUDA_ERROR_STREAM_CAPTURE_ISOLATION: c"a dependency would leave the capture",
    CUDA_ERROR_STREAM_CAPTURE_IMPLICIT: c"the legacy default stream would depend on a captured one",
    CUDA_ERROR_CAPTURED_EVENT: c"the event was last recorded in a capture",
    CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD: c"another thread began the capture",
    CUDA_ERROR_TIMEOUT: c"the wait timed out",
    CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE: c"the graph differs too much from the one to be updated",
    CUDA_ERROR_EXTERNAL_DEVICE: c"an error of an external device",
    CUDA_ERROR_INVALID_CLUSTER_SIZE: c"invalid cluster size",
    CUDA_ERROR_UNKNOWN: c"unknown error",
};

fn meaning(error: c_uint) -> Result<&'static Meaning> {
    let found = MEANINGS.iter().find(|(known, ..)| *known as c_uint == error);
    found.ok_or_else(|| Error::value(format!("{error} is no error that is known")))
}

/// The name of an error, such as `CUDA_ERROR_INVALID_VALUE`.
#[unsafe(no_mangle)]
pub extern "C" fn cuGetErrorName(error: c_uint, name: Out<'_, *const c_char>) -> CUresult {
    anytime("cuGetErrorName", || put(name, meaning(error)?.1.as_ptr().cast()))
}

/// What an error means.
#[unsafe(no_mangle)]
pub extern "C" fn cuGetErrorString(error: c_uint, text: Out<'_, *const c_char>) -> CUresult {
    anytime("cuGetErrorString", || put(text, meaning(error)?.2.as_ptr()))
}
