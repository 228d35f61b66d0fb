//! How many blocks of a kernel a multiprocessor holds.

use crate::error::{Error, Result};
use crate::gpu::{Model, REGISTERS, RESERVED_SHARED_BYTES, WARP};
use crate::module::Function;

/// Registers are given to warps in pieces of this many, from one of four equal parts.
const REGISTER_PIECE: u32 = 256;
/// Shared memory is given in pieces of this many bytes.
const SHARED_PIECE: u32 = 128;
/// Threads of the largest block.
pub(crate) const MOST_THREADS: u32 = 1024;

/// Registers of a warp of `function`.
fn registers_of_warp(function: &Function) -> u32 {
    (function.registers() * WARP).next_multiple_of(REGISTER_PIECE)
}

/// The threads of the largest block for which there are registers.
pub(crate) fn most_threads(function: &Function) -> u32 {
    (REGISTERS / 4 / registers_of_warp(function) * 4 * WARP).min(MOST_THREADS)
}

/// How many blocks of `threads` threads with `dynamic` bytes of dynamic shared memory a multiprocessor holds.
pub(crate) fn blocks(function: &Function, model: &Model, threads: u32, dynamic: u32) -> Result<u32> {
    let warps = threads.div_ceil(WARP);
    if warps == 0 {
        return Err(Error::value("blocks of no threads"));
    }
    let fixed = function.code.module.entry(&function.name).map_or(0, |entry| entry.static_shared_bytes());
    if threads > MOST_THREADS || fixed.saturating_add(dynamic) > model.shared_opt_in {
        return Ok(0);
    }
    let shared = (fixed + dynamic + RESERVED_SHARED_BYTES).next_multiple_of(SHARED_PIECE);
    let by_registers = REGISTERS / 4 / registers_of_warp(function) * 4 / warps;
    let by_threads = model.threads_per_multiprocessor / (warps * WARP);
    let by_shared = model.shared_per_multiprocessor / shared;
    Ok(by_registers.min(by_threads).min(by_shared).min(model.blocks_per_multiprocessor))
}

/// The dynamic shared memory that each of `count` blocks of `threads` threads can have at once.
pub(crate) fn dynamic_shared(function: &Function, model: &Model, count: u32, threads: u32) -> Result<u32> {
    let fixed = function.code.module.entry(&function.name).map_or(0, |entry| entry.static_shared_bytes());
    if count == 0 || count > blocks(function, model, threads, 0)? {
        return Err(Error::value(format!("{count} blocks of {threads} threads do not fit a multiprocessor")));
    }
    let each = model.shared_per_multiprocessor / count / SHARED_PIECE * SHARED_PIECE;
    Ok(each.saturating_sub(RESERVED_SHARED_BYTES).min(model.shared_opt_in).saturating_sub(fixed))
}
