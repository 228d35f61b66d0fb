//! What is known of an address.

use std::ffi::{c_uint, c_void};

use cudarc::driver::sys::{CUdeviceptr, CUmemorytype, CUpointer_attribute as Attribute, CUresult};

use crate::call::started;
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::handle::Id;
use crate::host;

/// A piece of memory that the driver knows.
struct Region {
    start: u64,
    bytes: usize,
    context: Id,
    device: usize,
    is_device: bool,
}

fn region(driver: &Driver, address: u64) -> Option<Region> {
    let state = driver.state();
    if let Some((&start, block)) = state.memory.containing(address) {
        let (bytes, context, device) = (block.bytes, block.context, block.device);
        return Some(Region { start, bytes, context, device, is_device: true });
    }
    let (start, pin) = state.pinned.containing(address)?;
    let device = state.contexts.get(pin.context).map_or(0, |context| context.device);
    Some(Region { start, bytes: pin.bytes, context: pin.context, device, is_device: false })
}

/// An attribute of `address` as the bytes that the program's place for it takes. Attributes of an address
/// that the driver does not know are zeros.
fn value(address: u64, region: Option<&Region>, attribute: c_uint) -> Result<Vec<u8>> {
    let is = |known: Attribute| known as c_uint == attribute;
    let yes_or_no = |yes: bool| Ok(vec![u8::from(yes)]);
    let word = |value: u32| Ok(value.to_ne_bytes().to_vec());
    let long = |value: u64| Ok(value.to_ne_bytes().to_vec());
    let of = |value: fn(&Region) -> u64| long(region.map_or(0, value));
    let is_device = region.is_some_and(|region| region.is_device);
    if is(Attribute::CU_POINTER_ATTRIBUTE_CONTEXT) {
        of(|region| region.context)
    } else if is(Attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE) {
        word(match region {
            None => 0,
            Some(_) if is_device => CUmemorytype::CU_MEMORYTYPE_DEVICE as u32,
            Some(_) => CUmemorytype::CU_MEMORYTYPE_HOST as u32,
        })
    } else if is(Attribute::CU_POINTER_ATTRIBUTE_DEVICE_POINTER) {
        long(if is_device { address } else { 0 })
    } else if is(Attribute::CU_POINTER_ATTRIBUTE_HOST_POINTER) {
        long(if region.is_some() && !is_device { address } else { 0 })
    } else if is(Attribute::CU_POINTER_ATTRIBUTE_BUFFER_ID)
        || is(Attribute::CU_POINTER_ATTRIBUTE_RANGE_START_ADDR)
    {
        of(|region| region.start)
    } else if is(Attribute::CU_POINTER_ATTRIBUTE_RANGE_SIZE) {
        of(|region| region.bytes as u64)
    } else if is(Attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL) {
        const NONE: i32 = -2;
        word(region.map_or(NONE as u32, |region| region.device as u32))
    } else if is(Attribute::CU_POINTER_ATTRIBUTE_MAPPED) {
        yes_or_no(is_device)
    } else if is(Attribute::CU_POINTER_ATTRIBUTE_IS_MANAGED)
        || is(Attribute::CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
        || is(Attribute::CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE)
        || is(Attribute::CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE)
    {
        yes_or_no(false)
    } else {
        Err(Error::not_supported(format!("the attribute {attribute} of a pointer")))
    }
}

fn give(place: *mut c_void, bytes: &[u8]) -> Result {
    host::write(place.expose_provenance() as u64, bytes).map_err(Error::value)
}

/// An attribute of an address that the driver knows.
///
/// # Safety
/// `place` is for a value of the attribute's type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuPointerGetAttribute(
    place: *mut c_void,
    attribute: c_uint,
    address: CUdeviceptr,
) -> CUresult {
    started("cuPointerGetAttribute", |driver| {
        let found = region(driver, address);
        let bytes = value(address, found.as_ref(), attribute)?;
        let points = |known: Attribute| known as c_uint == attribute && bytes.iter().all(|&byte| byte == 0);
        // Which is no mistake: programs ask so what an address is.
        if found.is_none()
            || points(Attribute::CU_POINTER_ATTRIBUTE_DEVICE_POINTER)
            || points(Attribute::CU_POINTER_ATTRIBUTE_HOST_POINTER)
        {
            return Err(CUresult::CUDA_ERROR_INVALID_VALUE.into());
        }
        give(place, &bytes)
    })
}

/// Several attributes of any address.
///
/// # Safety
/// Both lists have `count` entries; each place is for a value of its attribute's type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuPointerGetAttributes(
    count: c_uint,
    attributes: *const c_uint,
    places: *const *mut c_void,
    address: CUdeviceptr,
) -> CUresult {
    started("cuPointerGetAttributes", |driver| {
        if attributes.is_null() || places.is_null() {
            return Err(Error::value("a list is null"));
        }
        let found = region(driver, address);
        for i in 0..count as usize {
            // SAFETY: as this function's.
            let (attribute, place) = unsafe { (*attributes.add(i), *places.add(i)) };
            give(place, &value(address, found.as_ref(), attribute)?)?;
        }
        Ok(())
    })
}
