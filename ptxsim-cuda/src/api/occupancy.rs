//! How many blocks of a function a multiprocessor holds, and which blocks fill the GPU.
//!
//! The registers of a function are an estimate, so a GPU's numbers may differ.

use std::ffi::{c_int, c_uint};

use cudarc::driver::sys::{CUfunction, CUlaunchConfig, CUresult};

use super::launch::shape_of;
use crate::call::{Call, Out, inside, put};
use crate::error::{Error, Result};
use crate::gpu::WARP;
use crate::module::Function;
use crate::occupancy;

/// Shared memory for a block of that many threads, as the program says it.
type SharedOfBlock = Option<unsafe extern "C" fn(c_int) -> usize>;

fn function(call: &Call, handle: CUfunction) -> Result<Function> {
    Ok(call.driver.state().functions.get(handle as u64)?.clone())
}

fn blocks(call: &Call, handle: CUfunction, threads: c_int, dynamic: usize) -> Result<c_int> {
    let threads = u32::try_from(threads).map_err(|_| Error::value(format!("blocks of {threads} threads")))?;
    let dynamic = u32::try_from(dynamic).unwrap_or(u32::MAX);
    let function = function(call, handle)?;
    Ok(occupancy::blocks(&function, call.driver.model(), threads, dynamic)? as c_int)
}

/// How many blocks of a function a multiprocessor holds.
#[unsafe(no_mangle)]
pub extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    count: Out<'_, c_int>,
    function: CUfunction,
    threads: c_int,
    dynamic: usize,
) -> CUresult {
    inside("cuOccupancyMaxActiveBlocksPerMultiprocessor", |call| {
        put(count, blocks(call, function, threads, dynamic)?)
    })
}

/// How many blocks of a function a multiprocessor holds; the flags change nothing here.
#[unsafe(no_mangle)]
pub extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    count: Out<'_, c_int>,
    function: CUfunction,
    threads: c_int,
    dynamic: usize,
    flags: c_uint,
) -> CUresult {
    inside("cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags", |call| {
        expect_flags(flags)?;
        put(count, blocks(call, function, threads, dynamic)?)
    })
}

fn expect_flags(flags: c_uint) -> Result {
    match flags {
        0 | 1 => Ok(()),
        _ => Err(Error::value(format!("the flags are {flags}; they can be 0 or 1"))),
    }
}

/// The block with which a function fills a multiprocessor best, and the grid that fills the GPU.
///
/// # Safety
/// `shared_of_block` can be called.
unsafe fn best_block(
    call: &Call,
    handle: CUfunction,
    shared_of_block: SharedOfBlock,
    dynamic: usize,
    limit: c_int,
) -> Result<(c_int, c_int)> {
    let function = function(call, handle)?;
    let entry = function.code.module.entry(&function.name);
    let compiled =
        entry.ok().and_then(|entry| entry.max_threads()).map_or(u32::MAX, |most| most.iter().product());
    let limit = u32::try_from(limit).ok().filter(|&limit| limit > 0).unwrap_or(u32::MAX);
    let most = occupancy::most_threads(&function).min(compiled).min(limit);
    let mut best = (0, 0, 0);
    for threads in (1..=most / WARP).rev().map(|warps| warps * WARP) {
        let dynamic = match shared_of_block {
            // SAFETY: as this function's.
            Some(shared) => unsafe { shared(threads as c_int) },
            None => dynamic,
        };
        let held = blocks(call, handle, threads as c_int, dynamic)?;
        let filled = held * threads as c_int;
        if filled > best.0 {
            best = (filled, held, threads as c_int);
        }
    }
    let (_, held, threads) = best;
    Ok((held * call.driver.model().multiprocessors as c_int, threads))
}

/// The block with which a function fills a multiprocessor best, and the least grid that fills the GPU.
///
/// # Safety
/// `shared_of_block` is null or can be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuOccupancyMaxPotentialBlockSize(
    grid: Out<'_, c_int>,
    block: Out<'_, c_int>,
    function: CUfunction,
    shared_of_block: SharedOfBlock,
    dynamic: usize,
    limit: c_int,
) -> CUresult {
    inside("cuOccupancyMaxPotentialBlockSize", |call| {
        // SAFETY: as this function's.
        let best = unsafe { best_block(call, function, shared_of_block, dynamic, limit) }?;
        put(grid, best.0)?;
        put(block, best.1)
    })
}

/// The same; the flags change nothing here.
///
/// # Safety
/// `shared_of_block` is null or can be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuOccupancyMaxPotentialBlockSizeWithFlags(
    grid: Out<'_, c_int>,
    block: Out<'_, c_int>,
    function: CUfunction,
    shared_of_block: SharedOfBlock,
    dynamic: usize,
    limit: c_int,
    flags: c_uint,
) -> CUresult {
    inside("cuOccupancyMaxPotentialBlockSizeWithFlags", |call| {
        expect_flags(flags)?;
        // SAFETY: as this function's.
        let best = unsafe { best_block(call, function, shared_of_block, dynamic, limit) }?;
        put(grid, best.0)?;
        put(block, best.1)
    })
}

/// The dynamic shared memory that blocks of a function can have, if a multiprocessor is to hold so many.
#[unsafe(no_mangle)]
pub extern "C" fn cuOccupancyAvailableDynamicSMemPerBlock(
    dynamic: Out<'_, usize>,
    handle: CUfunction,
    count: c_int,
    threads: c_int,
) -> CUresult {
    inside("cuOccupancyAvailableDynamicSMemPerBlock", |call| {
        let positive = |n: c_int| u32::try_from(n).map_err(|_| Error::value(format!("{n} is negative")));
        let (count, threads) = (positive(count)?, positive(threads)?);
        let function = function(call, handle)?;
        put(dynamic, occupancy::dynamic_shared(&function, call.driver.model(), count, threads)? as usize)
    })
}

/// Multiprocessors of a GPU in groups of this many share clusters.
const GROUP: u32 = 16;

/// How many clusters of a launch the GPU holds at once.
#[unsafe(no_mangle)]
pub extern "C" fn cuOccupancyMaxActiveClusters(
    count: Out<'_, c_int>,
    function: CUfunction,
    config: Option<&CUlaunchConfig>,
) -> CUresult {
    inside("cuOccupancyMaxActiveClusters", |call| {
        let shape = shape_of(config.ok_or_else(|| Error::value("the configuration is null"))?)?;
        let cluster: u32 = shape.cluster.unwrap_or([1; 3]).iter().product();
        let threads: u32 = shape.block.iter().product();
        let held = blocks(call, function, threads as c_int, shape.shared_bytes as usize)?;
        let groups = call.driver.model().multiprocessors / GROUP;
        put(count, (groups * (held as u32 * GROUP / cluster.max(1))) as c_int)
    })
}

/// The largest cluster with which a launch is possible.
#[unsafe(no_mangle)]
pub extern "C" fn cuOccupancyMaxPotentialClusterSize(
    size: Out<'_, c_int>,
    handle: CUfunction,
    config: Option<&CUlaunchConfig>,
) -> CUresult {
    inside("cuOccupancyMaxPotentialClusterSize", |call| {
        let shape = shape_of(config.ok_or_else(|| Error::value("the configuration is null"))?)?;
        let threads: u32 = shape.block.iter().product();
        let function = function(call, handle)?;
        let model = call.driver.model();
        if !model.has_clusters() || occupancy::blocks(&function, model, threads, shape.shared_bytes)? == 0 {
            return Err(CUresult::CUDA_ERROR_INVALID_CLUSTER_SIZE.into());
        }
        put(size, if function.allows_large_clusters() { 16 } else { 8 })
    })
}
