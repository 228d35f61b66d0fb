//! The primary context of a GPU, which the parts of a program share.

use std::ffi::{c_int, c_uint};

use cudarc::driver::sys::{CUcontext, CUdevice, CUresult};

use super::context::handle;
use crate::call::{Out, offer, put, started};
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::handle::Id;

impl Driver {
    /// Ends a context with all that is in it, its memory included. Queued work is done first.
    pub(crate) fn end_context(&self, id: Id, call: &'static str) -> Result {
        let last = self.state().last_work(id);
        self.finish(&last);
        let mut state = self.state();
        state.report_memory_leaks(id);
        for (address, _) in state.memory.of_context(id) {
            state.memory.remove(address, call)?;
            // What is known to be live is so to the simulator.
            let _ = self.simulator.free(address);
        }
        state.destroy_context(id, call)
    }
}

/// Makes the primary context of a GPU if it is not there, and counts one more user of it.
#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxRetain(context: Out<'_, CUcontext>, device: CUdevice) -> CUresult {
    started("cuDevicePrimaryCtxRetain", |driver| {
        let device = driver.expect_device(device)?;
        let mut state = driver.state();
        let primary = state.primaries[device];
        let id = match primary.context {
            Some(id) => id,
            None => state.create_context(device, true, primary.flags),
        };
        state.primaries[device].context = Some(id);
        state.primaries[device].users += 1;
        put(context, handle(id))
    })
}

/// Counts one user less of the primary context of a GPU; with the last one it ends.
#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxRelease_v2(device: CUdevice) -> CUresult {
    started("cuDevicePrimaryCtxRelease_v2", |driver| {
        let device = driver.expect_device(device)?;
        let ended = {
            let primary = &mut driver.state().primaries[device];
            if primary.users == 0 {
                return Err(Error::new(
                    CUresult::CUDA_ERROR_INVALID_CONTEXT,
                    "the primary context is released more often than it was retained",
                ));
            }
            primary.users -= 1;
            if primary.users == 0 { primary.context.take() } else { None }
        };
        ended.map_or(Ok(()), |id| driver.end_context(id, "cuDevicePrimaryCtxRelease_v2"))
    })
}

/// Ends the primary context of a GPU, whoever uses it.
#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxReset_v2(device: CUdevice) -> CUresult {
    started("cuDevicePrimaryCtxReset_v2", |driver| {
        let device = driver.expect_device(device)?;
        let ended = {
            let primary = &mut driver.state().primaries[device];
            primary.users = 0;
            primary.context.take()
        };
        ended.map_or(Ok(()), |id| driver.end_context(id, "cuDevicePrimaryCtxReset_v2"))
    })
}

/// The flags of the primary context of a GPU, and whether it is there.
#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxGetState(
    device: CUdevice,
    flags: Out<'_, c_uint>,
    is_active: Out<'_, c_int>,
) -> CUresult {
    started("cuDevicePrimaryCtxGetState", |driver| {
        let primary = driver.state().primaries[driver.expect_device(device)?];
        offer(flags, primary.flags);
        offer(is_active, c_int::from(primary.context.is_some()));
        Ok(())
    })
}

/// Sets the flags that the primary context of a GPU will have; they change nothing here.
#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxSetFlags_v2(device: CUdevice, flags: c_uint) -> CUresult {
    started("cuDevicePrimaryCtxSetFlags_v2", |driver| {
        let device = driver.expect_device(device)?;
        driver.state().primaries[device].flags = flags;
        Ok(())
    })
}
