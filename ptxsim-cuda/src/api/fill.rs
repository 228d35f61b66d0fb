//! Memory filled with one value.

use std::ffi::{c_uchar, c_uint, c_ushort};

use cudarc::driver::sys::{CUdeviceptr, CUresult, CUstream};

use crate::call::{Call, inside};
use crate::error::{Error, Result};
use crate::work::{Fill, Work};

/// The null stream, in which functions without a stream work.
const DEFAULT: CUstream = std::ptr::null_mut();

/// Queues a fill in a stream, or does nothing if it is of no bytes.
fn fill(call: &Call, stream: CUstream, fill: Fill) -> Result {
    let stream = call.stream(stream)?;
    let Fill { to, width, count, rows, pitch, .. } = fill;
    if count == 0 || rows == 0 {
        return Ok(());
    }
    if !to.is_multiple_of(width as u64) || (rows > 1 && !pitch.is_multiple_of(width)) {
        return Err(Error::value(format!("{to:#x}, or a pitch of {pitch}, is no multiple of {width} bytes")));
    }
    let row = count.checked_mul(width).filter(|row| rows == 1 || *row <= pitch);
    let bytes = row.and_then(|row| Some((rows - 1).checked_mul(pitch)? + row));
    let bytes = bytes.ok_or_else(|| {
        Error::value(format!("{rows} rows of {count} elements of {width} bytes, {pitch} bytes apart"))
    })?;
    call.driver.state().memory.find(to, bytes)?;
    call.submit(stream, Work::Fill(fill)).map(drop)
}

fn line(to: CUdeviceptr, value: u32, width: usize, count: usize) -> Fill {
    Fill { to, pitch: 0, value, width, count, rows: 1 }
}

/// Sets `count` bytes; the host does not wait for it.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD8_v2(to: CUdeviceptr, value: c_uchar, count: usize) -> CUresult {
    inside("cuMemsetD8_v2", |call| fill(call, DEFAULT, line(to, value.into(), 1, count)))
}

/// Sets `count` times two bytes; the host does not wait for it.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD16_v2(to: CUdeviceptr, value: c_ushort, count: usize) -> CUresult {
    inside("cuMemsetD16_v2", |call| fill(call, DEFAULT, line(to, value.into(), 2, count)))
}

/// Sets `count` times four bytes; the host does not wait for it.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD32_v2(to: CUdeviceptr, value: c_uint, count: usize) -> CUresult {
    inside("cuMemsetD32_v2", |call| fill(call, DEFAULT, line(to, value, 4, count)))
}

/// Sets `count` bytes when the stream comes to it.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD8Async(
    to: CUdeviceptr,
    value: c_uchar,
    count: usize,
    stream: CUstream,
) -> CUresult {
    inside("cuMemsetD8Async", |call| fill(call, stream, line(to, value.into(), 1, count)))
}

/// Sets `count` times two bytes when the stream comes to it.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD16Async(
    to: CUdeviceptr,
    value: c_ushort,
    count: usize,
    stream: CUstream,
) -> CUresult {
    inside("cuMemsetD16Async", |call| fill(call, stream, line(to, value.into(), 2, count)))
}

/// Sets `count` times four bytes when the stream comes to it.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD32Async(
    to: CUdeviceptr,
    value: c_uint,
    count: usize,
    stream: CUstream,
) -> CUresult {
    inside("cuMemsetD32Async", |call| fill(call, stream, line(to, value, 4, count)))
}
