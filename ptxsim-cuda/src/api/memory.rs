//! Device memory: taken, given back, asked about.

use cudarc::driver::sys::{CUdeviceptr, CUresult};

use crate::call::{Call, Out, inside, offer, put};
use crate::error::{Error, Result};
use crate::gpu::PITCH;
use crate::memory::Block;

impl Call {
    /// Takes device memory.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<CUdeviceptr> {
        if bytes == 0 {
            return Err(Error::value("0 bytes"));
        }
        let device = self.device()?;
        let mut state = self.driver.state();
        state.expect_allowed()?;
        state.memory.expect_room(device, bytes)?;
        let address = self
            .driver
            .simulator
            .alloc(bytes)
            .map_err(|error| Error::new(CUresult::CUDA_ERROR_OUT_OF_MEMORY, error.to_string()))?;
        state.memory.insert(address, Block { bytes, device, context: self.context, call: self.name });
        Ok(address)
    }
}

/// Takes device memory.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemAlloc_v2(address: Out<'_, CUdeviceptr>, bytes: usize) -> CUresult {
    inside("cuMemAlloc_v2", |call| put(address, call.allocate(bytes)?))
}

/// Takes device memory for rows that start at multiples of 512 bytes.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemAllocPitch_v2(
    address: Out<'_, CUdeviceptr>,
    pitch: Out<'_, usize>,
    width: usize,
    height: usize,
    element_bytes: u32,
) -> CUresult {
    inside("cuMemAllocPitch_v2", |call| {
        if !matches!(element_bytes, 4 | 8 | 16) {
            return Err(Error::value(format!("elements of {element_bytes} bytes; they can have 4, 8 or 16")));
        }
        let row = width.checked_next_multiple_of(PITCH).unwrap_or(usize::MAX);
        let bytes = row.checked_mul(height).ok_or_else(|| {
            Error::new(CUresult::CUDA_ERROR_OUT_OF_MEMORY, format!("{height} rows of {width} bytes"))
        })?;
        put(address, call.allocate(bytes)?)?;
        put(pitch, row)
    })
}

/// Gives device memory back, at once: work that is still queued finds it gone.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemFree_v2(address: CUdeviceptr) -> CUresult {
    inside("cuMemFree_v2", |call| {
        if address == 0 {
            return Ok(());
        }
        let mut state = call.driver.state();
        state.expect_allowed()?;
        state.memory.remove(address, call.name)?;
        // What is known to be live is so to the simulator.
        let _ = call.driver.simulator.free(address);
        Ok(())
    })
}

/// Bytes of device memory that are free, and that there are.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemGetInfo_v2(free: Out<'_, usize>, total: Out<'_, usize>) -> CUresult {
    inside("cuMemGetInfo_v2", |call| {
        let device = call.device()?;
        let (free_bytes, total_bytes) = call.driver.state().memory.free_and_total(device);
        offer(free, free_bytes as usize);
        offer(total, total_bytes as usize);
        Ok(())
    })
}

/// The start and size of the allocation that an address lies in.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemGetAddressRange_v2(
    start: Out<'_, CUdeviceptr>,
    bytes: Out<'_, usize>,
    address: CUdeviceptr,
) -> CUresult {
    inside("cuMemGetAddressRange_v2", |call| {
        let state = call.driver.state();
        let (found, block) = state
            .memory
            .find(address, 0)
            .map_err(|error| Error::new(CUresult::CUDA_ERROR_NOT_FOUND, error.why))?;
        offer(start, found);
        offer(bytes, block.bytes);
        Ok(())
    })
}
