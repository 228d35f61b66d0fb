//! Functions in which a null stream means the thread's own default stream.
//!
//! Programs that are compiled with `CUDA_API_PER_THREAD_DEFAULT_STREAM` call these.

use std::ffi::{c_int, c_uchar, c_uint, c_ushort, c_void};

use cudarc::driver::sys::{
    CUdeviceptr, CUevent, CUfunction, CUgraphExec, CUlaunchConfig, CUresult, CUstream,
};

use super::copy::*;
use super::event::*;
use super::fill::*;
use super::graph::*;
use super::launch::*;
use super::pool::*;
use super::stream::*;
use crate::call::Out;
use crate::stream::with_own_default;

/// Functions that call those of a plain name with another meaning of null.
macro_rules! per_thread {
    ($($name:ident = $plain:ident($($argument:ident: $ty:ty),* $(,)?);)*) => {$(
        #[doc = concat!("[`", stringify!($plain), "`], where a null stream means the thread's own.")]
        ///
        /// # Safety
        /// As that.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments, unused_unsafe)]
        pub unsafe extern "C" fn $name($($argument: $ty),*) -> CUresult {
            // SAFETY: as this function's.
            with_own_default(|| unsafe { $plain($($argument),*) })
        }
    )*};
}

type Parameters = *mut *mut c_void;
type HostFunction = Option<unsafe extern "C" fn(*mut c_void)>;
type Callback = Option<unsafe extern "C" fn(CUstream, CUresult, *mut c_void)>;

per_thread! {
    cuMemcpy_ptds = cuMemcpy(to: CUdeviceptr, from: CUdeviceptr, bytes: usize);
    cuMemcpyAsync_ptsz = cuMemcpyAsync(to: CUdeviceptr, from: CUdeviceptr, bytes: usize, stream: CUstream);
    cuMemcpyHtoD_v2_ptds = cuMemcpyHtoD_v2(to: CUdeviceptr, from: *const c_void, bytes: usize);
    cuMemcpyHtoDAsync_v2_ptsz =
        cuMemcpyHtoDAsync_v2(to: CUdeviceptr, from: *const c_void, bytes: usize, stream: CUstream);
    cuMemcpyDtoH_v2_ptds = cuMemcpyDtoH_v2(to: *mut c_void, from: CUdeviceptr, bytes: usize);
    cuMemcpyDtoHAsync_v2_ptsz =
        cuMemcpyDtoHAsync_v2(to: *mut c_void, from: CUdeviceptr, bytes: usize, stream: CUstream);
    cuMemcpyDtoD_v2_ptds = cuMemcpyDtoD_v2(to: CUdeviceptr, from: CUdeviceptr, bytes: usize);
    cuMemcpyDtoDAsync_v2_ptsz =
        cuMemcpyDtoDAsync_v2(to: CUdeviceptr, from: CUdeviceptr, bytes: usize, stream: CUstream);
    cuMemsetD8_v2_ptds = cuMemsetD8_v2(to: CUdeviceptr, value: c_uchar, count: usize);
    cuMemsetD16_v2_ptds = cuMemsetD16_v2(to: CUdeviceptr, value: c_ushort, count: usize);
    cuMemsetD32_v2_ptds = cuMemsetD32_v2(to: CUdeviceptr, value: c_uint, count: usize);
    cuMemsetD8Async_ptsz = cuMemsetD8Async(to: CUdeviceptr, value: c_uchar, count: usize, stream: CUstream);
    cuMemsetD16Async_ptsz = cuMemsetD16Async(to: CUdeviceptr, value: c_ushort, count: usize, stream: CUstream);
    cuMemsetD32Async_ptsz = cuMemsetD32Async(to: CUdeviceptr, value: c_uint, count: usize, stream: CUstream);
    cuMemAllocAsync_ptsz = cuMemAllocAsync(address: Out<'_, CUdeviceptr>, bytes: usize, stream: CUstream);
    cuMemFreeAsync_ptsz = cuMemFreeAsync(address: CUdeviceptr, stream: CUstream);
    cuLaunchKernel_ptsz = cuLaunchKernel(
        function: CUfunction, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint, block_x: c_uint,
        block_y: c_uint, block_z: c_uint, shared_bytes: c_uint, stream: CUstream, params: Parameters,
        extra: Parameters);
    cuLaunchKernelEx_ptsz = cuLaunchKernelEx(
        config: Option<&CUlaunchConfig>, function: CUfunction, params: Parameters, extra: Parameters);
    cuLaunchCooperativeKernel_ptsz = cuLaunchCooperativeKernel(
        function: CUfunction, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint, block_x: c_uint,
        block_y: c_uint, block_z: c_uint, shared_bytes: c_uint, stream: CUstream, params: Parameters);
    cuLaunchHostFunc_ptsz = cuLaunchHostFunc(stream: CUstream, function: HostFunction, data: *mut c_void);
    cuGraphLaunch_ptsz = cuGraphLaunch(executable: CUgraphExec, stream: CUstream);
    cuEventRecord_ptsz = cuEventRecord(event: CUevent, stream: CUstream);
    cuEventRecordWithFlags_ptsz = cuEventRecordWithFlags(event: CUevent, stream: CUstream, flags: c_uint);
    cuStreamSynchronize_ptsz = cuStreamSynchronize(stream: CUstream);
    cuStreamQuery_ptsz = cuStreamQuery(stream: CUstream);
    cuStreamWaitEvent_ptsz = cuStreamWaitEvent(stream: CUstream, event: CUevent, flags: c_uint);
    cuStreamAddCallback_ptsz =
        cuStreamAddCallback(stream: CUstream, function: Callback, data: *mut c_void, flags: c_uint);
    cuStreamBeginCapture_v2_ptsz = cuStreamBeginCapture_v2(stream: CUstream, capture_mode: c_uint);
    cuStreamGetPriority_ptsz = cuStreamGetPriority(stream: CUstream, priority: Out<'_, c_int>);
    cuStreamGetFlags_ptsz = cuStreamGetFlags(stream: CUstream, flags: Out<'_, c_uint>);
}
