//! Launches.

use std::ffi::{c_uint, c_void};

use cudarc::driver::sys::{
    CUfunction, CUlaunchAttribute, CUlaunchAttributeID as Attribute, CUlaunchConfig, CUresult, CUstream,
};

use crate::call::{Call, inside};
use crate::error::{Error, Result};
use crate::host;
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
        let shape = Shape { grid, block, shared_bytes, cluster: None, is_cooperative: false };
        launch(call, function, shape, stream, params, extra)
    })
}

/// Launches a kernel whose blocks wait for one another, and all run at once.
///
/// # Safety
/// `params` points to as many arguments as the kernel takes.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn cuLaunchCooperativeKernel(
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
) -> CUresult {
    inside("cuLaunchCooperativeKernel", |call| {
        let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        let shape = Shape { grid, block, shared_bytes, cluster: None, is_cooperative: true };
        launch(call, function, shape, stream, params, std::ptr::null_mut())
    })
}

/// Launches a kernel with attributes: clusters, cooperation, a start before the kernel before has ended
/// (which is allowed, and not done).
///
/// # Safety
/// `params` or `extra` point to as many arguments as the kernel takes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuLaunchKernelEx(
    config: Option<&CUlaunchConfig>,
    function: CUfunction,
    params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> CUresult {
    inside("cuLaunchKernelEx", |call| {
        let config = config.ok_or_else(|| Error::value("the configuration is null"))?;
        launch(call, function, shape_of(config)?, config.hStream, params, extra)
    })
}

/// The shape of a launch with attributes.
pub(crate) fn shape_of(config: &CUlaunchConfig) -> Result<Shape> {
    let mut shape = Shape {
        grid: [config.gridDimX, config.gridDimY, config.gridDimZ],
        block: [config.blockDimX, config.blockDimY, config.blockDimZ],
        shared_bytes: config.sharedMemBytes,
        cluster: None,
        is_cooperative: false,
    };
    for number in 0..config.numAttrs as usize {
        // An attribute is its number, and from its eighth byte on the value.
        let mut bytes = [0; size_of::<CUlaunchAttribute>()];
        let at = config.attrs.expose_provenance() + number * bytes.len();
        host::read(at as u64, &mut bytes).map_err(Error::value)?;
        let word = |i: usize| u32::from_ne_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let (id, value) = (word(0), [word(8), word(12), word(16)]);
        if id == Attribute::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION as u32 {
            shape.cluster = Some(value);
        } else if id == Attribute::CU_LAUNCH_ATTRIBUTE_COOPERATIVE as u32 {
            shape.is_cooperative = value[0] != 0;
        } else if id > Attribute::CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN as u32 {
            return Err(Error::not_supported(format!("the launch attribute {id}")));
        }
    }
    Ok(shape)
}
