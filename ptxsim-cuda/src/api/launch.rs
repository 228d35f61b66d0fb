//! Launches.

use std::ffi::{c_uint, c_void};

use cudarc::driver::sys::{CUfunction, CUresult, CUstream};

use crate::call::{Call, inside};
use crate::error::Result;
use crate::launch::{Shape, prepare};
use crate::work::Work;

/// Queues a launch in a stream.
fn launch(
    call: &Call,
    function: CUfunction,
    shape: Shape,
    stream: CUstream,
    params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> Result {
    let stream = call.stream(stream)?;
    let function = call.driver.state().functions.get(function as u64)?.clone();
    let launch = prepare(&function, call.driver.model(), shape, params, extra)?;
    call.submit(stream, Work::Launch(launch)).map(drop)
}

/// Launches a kernel.
///
/// # Safety
/// `params` or `extra` point to as many arguments as the kernel takes.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn cuLaunchKernel(
    function: CUfunction,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared_bytes: c_uint,
    stream: CUstream,
    params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> CUresult {
    inside("cuLaunchKernel", |call| {
        let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        let shape = Shape { grid, block, shared_bytes, cluster: None };
        launch(call, function, shape, stream, params, extra)
    })
}
