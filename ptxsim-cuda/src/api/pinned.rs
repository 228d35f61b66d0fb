//! Pinned memory of the host: taken, registered, given back. Kernels have no access to it.

use std::ffi::{c_uint, c_void};

use cudarc::driver::sys::{CU_MEMHOSTALLOC_WRITECOMBINED, CU_MEMHOSTREGISTER_READ_ONLY, CUresult};

use crate::call::{Call, Out, inside, put};
use crate::error::{Error, Result};
use crate::pinned::{Pin, Source};

/// Every flag of memory that is taken, and of memory that is registered: each list is its bits up to the last.
const TAKEN_FLAGS: c_uint = 2 * CU_MEMHOSTALLOC_WRITECOMBINED - 1;
const REGISTERED_FLAGS: c_uint = 2 * CU_MEMHOSTREGISTER_READ_ONLY - 1;

fn expect_valid(bytes: usize, flags: c_uint, known: c_uint) -> Result {
    if bytes == 0 {
        return Err(Error::value("0 bytes"));
    }
    if flags & !known != 0 {
        return Err(Error::value(format!("the flags are {flags:#x}; they can be of {known:#x}")));
    }
    Ok(())
}

fn take(call: &Call, place: Out<'_, *mut c_void>, bytes: usize, flags: c_uint) -> Result {
    expect_valid(bytes, flags, TAKEN_FLAGS)?;
    let mut state = call.driver.state();
    state.expect_allowed()?;
    let address = state.pinned.take(bytes, flags, call.context)?;
    put(place, std::ptr::with_exposed_provenance_mut(address as usize))
}

/// Takes pinned memory.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemHostAlloc(place: Out<'_, *mut c_void>, bytes: usize, flags: c_uint) -> CUresult {
    inside("cuMemHostAlloc", |call| take(call, place, bytes, flags))
}

/// Takes pinned memory.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemAllocHost_v2(place: Out<'_, *mut c_void>, bytes: usize) -> CUresult {
    inside("cuMemAllocHost_v2", |call| take(call, place, bytes, 0))
}

/// Gives pinned memory back, at once: copies that are still queued find it gone.
///
/// # Safety
/// Nothing reads or writes the memory any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFreeHost(start: *mut c_void) -> CUresult {
    inside("cuMemFreeHost", |call| {
        let mut state = call.driver.state();
        state.expect_allowed()?;
        state.pinned.release(start.addr() as u64, Source::Taken)
    })
}

/// The flags with which pinned memory was taken or registered.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemHostGetFlags(flags: Out<'_, c_uint>, pointer: *mut c_void) -> CUresult {
    inside("cuMemHostGetFlags", |call| {
        let state = call.driver.state();
        let found = state.pinned.containing(pointer.addr() as u64);
        let (_, pin) = found.ok_or_else(|| Error::value(format!("{pointer:p} is in no pinned memory")))?;
        put(flags, pin.flags)
    })
}

/// Pins memory that the program has.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemHostRegister_v2(start: *mut c_void, bytes: usize, flags: c_uint) -> CUresult {
    inside("cuMemHostRegister_v2", |call| {
        expect_valid(bytes, flags, REGISTERED_FLAGS)?;
        if start.is_null() {
            return Err(Error::value("the memory is at null"));
        }
        let mut state = call.driver.state();
        state.expect_allowed()?;
        let pin = Pin { bytes, flags, context: call.context, source: Source::Registered };
        state.pinned.register(start.addr() as u64, pin)
    })
}

/// Ends that the program's memory is pinned.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemHostUnregister(start: *mut c_void) -> CUresult {
    inside("cuMemHostUnregister", |call| {
        let mut state = call.driver.state();
        state.expect_allowed()?;
        state.pinned.release(start.addr() as u64, Source::Registered)
    })
}
