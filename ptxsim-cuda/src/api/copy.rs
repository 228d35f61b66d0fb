//! Copies of memory in one row.

use std::ffi::c_void;

use cudarc::driver::sys::{CUdeviceptr, CUresult, CUstream};

use crate::call::{Call, inside};
use crate::error::{Error, Result};
use crate::work::{Copy, Place, Side, Work};

/// The null stream, in which functions without a stream work.
const DEFAULT: CUstream = std::ptr::null_mut();

/// A row of device memory, checked.
fn on_device(call: &Call, address: CUdeviceptr, bytes: usize) -> Result<Place> {
    call.driver.state().memory.find(address, bytes)?;
    Ok(Place::line(Side::Device, address))
}

/// A row of the program's memory.
fn on_host(pointer: *const c_void) -> Result<Place> {
    if pointer.is_null() {
        return Err(Error::value("the host's pointer is null"));
    }
    Ok(Place::line(Side::Host, pointer.expose_provenance() as u64))
}

/// A row of whichever memory `address` is in.
fn anywhere(call: &Call, address: CUdeviceptr, bytes: usize) -> Result<Place> {
    let is_device = {
        let state = call.driver.state();
        state.memory.containing(address).is_some() || state.memory.freed_by(address).is_some()
    };
    if is_device {
        return on_device(call, address, bytes);
    }
    on_host(std::ptr::with_exposed_provenance(address as usize))
}

/// Queues a copy in a stream, or does nothing if it is of no bytes.
fn copy(
    call: &Call,
    stream: CUstream,
    bytes: usize,
    places: impl FnOnce() -> Result<(Place, Place)>,
) -> Result<Option<u64>> {
    let stream = call.stream(stream)?;
    if bytes == 0 {
        return Ok(None);
    }
    let (to, from) = places()?;
    call.submit(stream, Work::Copy(Copy::line(from, to, bytes)))
}

/// Queues a copy between the host and a device, which the caller must not count on before it waits for it.
fn copy_async(
    call: &Call,
    stream: CUstream,
    bytes: usize,
    places: impl FnOnce() -> Result<(Place, Place)>,
) -> Result {
    let mut is_pinned = false;
    let places = || {
        let (to, from) = places()?;
        let state = call.driver.state();
        let mut hosts = [to, from].into_iter().filter(|place| place.side == Side::Host);
        is_pinned = hosts.all(|place| state.pinned.containing(place.address).is_some());
        Ok((to, from))
    };
    match copy(call, stream, bytes, places)? {
        Some(work) if call.driver.settings.waits_for_pageable && !is_pinned => call.wait(&[work]),
        _ => Ok(()),
    }
}

/// Copies from the host, and waits for it.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoD_v2(to: CUdeviceptr, from: *const c_void, bytes: usize) -> CUresult {
    inside("cuMemcpyHtoD_v2", |call| {
        let work = copy(call, DEFAULT, bytes, || Ok((on_device(call, to, bytes)?, on_host(from)?)))?;
        call.wait(work.as_slice())
    })
}

/// Copies from the host when the stream comes to it.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: CUdeviceptr,
    from: *const c_void,
    bytes: usize,
    stream: CUstream,
) -> CUresult {
    inside("cuMemcpyHtoDAsync_v2", |call| {
        copy_async(call, stream, bytes, || Ok((on_device(call, to, bytes)?, on_host(from)?)))
    })
}

/// Copies to the host, and waits for it.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoH_v2(to: *mut c_void, from: CUdeviceptr, bytes: usize) -> CUresult {
    inside("cuMemcpyDtoH_v2", |call| {
        let work = copy(call, DEFAULT, bytes, || Ok((on_host(to)?, on_device(call, from, bytes)?)))?;
        call.wait(work.as_slice())
    })
}

/// Copies to the host when the stream comes to it.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoHAsync_v2(
    to: *mut c_void,
    from: CUdeviceptr,
    bytes: usize,
    stream: CUstream,
) -> CUresult {
    inside("cuMemcpyDtoHAsync_v2", |call| {
        copy_async(call, stream, bytes, || Ok((on_host(to)?, on_device(call, from, bytes)?)))
    })
}

/// Copies within device memory; the host does not wait for it.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyDtoD_v2(to: CUdeviceptr, from: CUdeviceptr, bytes: usize) -> CUresult {
    inside("cuMemcpyDtoD_v2", |call| {
        copy(call, DEFAULT, bytes, || Ok((on_device(call, to, bytes)?, on_device(call, from, bytes)?)))
            .map(drop)
    })
}

/// Copies within device memory when the stream comes to it.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyDtoDAsync_v2(
    to: CUdeviceptr,
    from: CUdeviceptr,
    bytes: usize,
    stream: CUstream,
) -> CUresult {
    inside("cuMemcpyDtoDAsync_v2", |call| {
        copy(call, stream, bytes, || Ok((on_device(call, to, bytes)?, on_device(call, from, bytes)?)))
            .map(drop)
    })
}

/// Copies between addresses of the host or of devices, and waits for it.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpy(to: CUdeviceptr, from: CUdeviceptr, bytes: usize) -> CUresult {
    inside("cuMemcpy", |call| {
        let places = || Ok((anywhere(call, to, bytes)?, anywhere(call, from, bytes)?));
        let work = copy(call, DEFAULT, bytes, places)?;
        call.wait(work.as_slice())
    })
}

/// Copies between addresses of the host or of devices when the stream comes to it.
///
/// # Safety
/// As the module says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyAsync(
    to: CUdeviceptr,
    from: CUdeviceptr,
    bytes: usize,
    stream: CUstream,
) -> CUresult {
    inside("cuMemcpyAsync", |call| {
        copy_async(call, stream, bytes, || Ok((anywhere(call, to, bytes)?, anywhere(call, from, bytes)?)))
    })
}
