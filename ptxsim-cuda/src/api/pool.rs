//! Device memory in the order of streams.

use cudarc::driver::sys::{CUdeviceptr, CUresult, CUstream};

use crate::call::{Out, inside, put};
use crate::error::Error;
use crate::work::Work;

/// Takes device memory. It is there at once, though only the stream's later work may count on it.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemAllocAsync(address: Out<'_, CUdeviceptr>, bytes: usize, stream: CUstream) -> CUresult {
    inside("cuMemAllocAsync", |call| {
        let stream = call.stream(stream)?;
        if call.driver.state().streams.get(stream)?.captured.is_some() {
            return Err(Error::not_supported("memory that is taken by a graph"));
        }
        put(address, call.allocate(bytes)?)
    })
}

/// Gives device memory back when the stream comes to it.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemFreeAsync(address: CUdeviceptr, stream: CUstream) -> CUresult {
    inside("cuMemFreeAsync", |call| {
        let stream = call.stream(stream)?;
        if address == 0 {
            return Ok(());
        }
        {
            let state = call.driver.state();
            if state.streams.get(stream)?.captured.is_some() {
                return Err(Error::not_supported("memory that is given back by a graph"));
            }
            let (start, _) = state.memory.find(address, 0)?;
            if start != address {
                return Err(Error::value(format!(
                    "{address:#x} is not the start of an allocation, which is {start:#x}"
                )));
            }
        }
        call.submit(stream, Work::Free { address }).map(drop)
    })
}
