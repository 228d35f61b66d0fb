//! The GPUs that there are, and what they can do.

use std::ffi::{CStr, c_char, c_int, c_uint};

use cudarc::driver::sys::{CUdevice, CUresult, CUuuid};

use crate::call::{Out, put, started};
use crate::driver::Driver;
use crate::error::{Error, Result};

impl Driver {
    /// Checks that a program's number of a GPU is of one that it sees.
    pub(crate) fn expect_device(&self, device: CUdevice) -> Result<usize> {
        let count = self.settings.visible.len();
        let found = usize::try_from(device).ok().filter(|&device| device < count);
        found.ok_or_else(|| {
            Error::new(
                CUresult::CUDA_ERROR_INVALID_DEVICE,
                format!("{device} is none of the {count} devices"),
            )
        })
    }
}

/// The GPU of that number, of those that the program sees.
#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGet(device: Out<'_, CUdevice>, ordinal: c_int) -> CUresult {
    started("cuDeviceGet", |driver| {
        driver.expect_device(ordinal)?;
        put(device, ordinal)
    })
}

/// How many GPUs the program sees.
#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGetCount(count: Out<'_, c_int>) -> CUresult {
    started("cuDeviceGetCount", |driver| put(count, driver.settings.visible.len() as c_int))
}

/// Writes `text` and a zero byte to the `length` bytes at `to`, cut off if need be.
///
/// # Safety
/// `to` is null or has so many bytes.
unsafe fn put_text(to: *mut c_char, length: c_int, text: &str) -> Result {
    let room = usize::try_from(length).ok().filter(|&room| room > 0 && !to.is_null());
    let room = room.ok_or_else(|| Error::value("there is no place for the text"))?;
    let kept = text.len().min(room - 1);
    // SAFETY: `kept` bytes and the zero are at most the room there is.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), to, kept);
        *to.add(kept) = 0;
    }
    Ok(())
}

/// What the GPU is called.
///
/// # Safety
/// `name` is null or has `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, length: c_int, device: CUdevice) -> CUresult {
    started("cuDeviceGetName", |driver| {
        driver.expect_device(device)?;
        // SAFETY: as this function's.
        unsafe { put_text(name, length, driver.model().full_name) }
    })
}

/// A number that is the GPU's own.
#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGetUuid_v2(uuid: Out<'_, CUuuid>, device: CUdevice) -> CUresult {
    started("cuDeviceGetUuid_v2", |driver| {
        let number = driver.settings.visible[driver.expect_device(device)?];
        let mut bytes = *b"ptxsim simulated";
        bytes[15] = number as u8;
        put(uuid, CUuuid { bytes: bytes.map(|byte| byte as c_char) })
    })
}

/// The same, as it was before CUDA 11.4.
#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGetUuid(uuid: Out<'_, CUuuid>, device: CUdevice) -> CUresult {
    cuDeviceGetUuid_v2(uuid, device)
}

/// Bytes of memory that the GPU has.
#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceTotalMem_v2(bytes: Out<'_, usize>, device: CUdevice) -> CUresult {
    started("cuDeviceTotalMem_v2", |driver| {
        driver.expect_device(device)?;
        put(bytes, driver.settings.memory_bytes as usize)
    })
}

/// An attribute by its number, a `CUdevice_attribute`.
#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGetAttribute(
    value: Out<'_, c_int>,
    attribute: c_uint,
    device: CUdevice,
) -> CUresult {
    started("cuDeviceGetAttribute", |driver| {
        let number = driver.settings.visible[driver.expect_device(device)?];
        if attribute == 0 {
            return Err(Error::value("0 is no attribute"));
        }
        put(value, driver.model().attribute(attribute, number))
    })
}

/// The compute capability.
#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceComputeCapability(
    major: Out<'_, c_int>,
    minor: Out<'_, c_int>,
    device: CUdevice,
) -> CUresult {
    started("cuDeviceComputeCapability", |driver| {
        driver.expect_device(device)?;
        put(major, driver.model().capability.0 as c_int)?;
        put(minor, driver.model().capability.1 as c_int)
    })
}

/// The name of the GPU on the bus: `0000:01:00.0`.
///
/// # Safety
/// `name` is null or has `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetPCIBusId(name: *mut c_char, length: c_int, device: CUdevice) -> CUresult {
    started("cuDeviceGetPCIBusId", |driver| {
        let number = driver.settings.visible[driver.expect_device(device)?];
        // SAFETY: as this function's.
        unsafe { put_text(name, length, &bus_id(number)) }
    })
}

/// The GPU of that name on the bus.
///
/// # Safety
/// `name` is null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetByPCIBusId(device: Out<'_, CUdevice>, name: *const c_char) -> CUresult {
    started("cuDeviceGetByPCIBusId", |driver| {
        if name.is_null() {
            return Err(Error::value("the name is null"));
        }
        // SAFETY: as this function's.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        let found = driver.settings.visible.iter().position(|&number| bus_id(number) == name);
        let found = found.ok_or_else(|| {
            Error::new(CUresult::CUDA_ERROR_INVALID_DEVICE, format!("no device is at `{name}`"))
        })?;
        put(device, found as CUdevice)
    })
}

fn bus_id(number: usize) -> String {
    format!("0000:{:02x}:00.0", number + 1)
}
