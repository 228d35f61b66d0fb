//! Contexts: made, made current, ended; and what is set for all of one.

use std::ffi::{c_int, c_uint, c_ulonglong, c_void};

use cudarc::driver::sys::{CUcontext, CUdevice, CUlimit, CUresult};

use crate::call::{Out, inside, offer, put, started};
use crate::context;
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::handle::Id;

/// The context of a handle, which must be there.
fn existing(driver: &Driver, handle: CUcontext) -> Result<Id> {
    let id = handle as u64;
    let state = driver.state();
    if state.contexts.contains(id) {
        return Ok(id);
    }
    let code = match state.contexts.ended_by(id) {
        Some(_) => CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED,
        None => CUresult::CUDA_ERROR_INVALID_CONTEXT,
    };
    Err(match state.contexts.get(id) {
        Err(error) => Error::new(code, error.why),
        Ok(_) => code.into(),
    })
}

/// A context's handle.
pub(crate) fn handle(id: Id) -> CUcontext {
    std::ptr::without_provenance_mut(id as usize)
}

/// Makes a context on a GPU, and makes it current.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxCreate_v2(context: Out<'_, CUcontext>, flags: c_uint, device: CUdevice) -> CUresult {
    started("cuCtxCreate_v2", |driver| {
        let device = driver.expect_device(device)?;
        let id = driver.state().create_context(device, false, flags);
        context::push(id);
        put(context, handle(id))
    })
}

/// The same; kinds of execution affinity are not simulated.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxCreate_v3(
    context: Out<'_, CUcontext>,
    _affinities: *mut c_void,
    count: c_int,
    flags: c_uint,
    device: CUdevice,
) -> CUresult {
    if count != 0 {
        return started("cuCtxCreate_v3", |_| Err(CUresult::CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY.into()));
    }
    cuCtxCreate_v2(context, flags, device)
}

/// The same; what the parameters ask for is not simulated.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxCreate_v4(
    context: Out<'_, CUcontext>,
    params: *mut c_void,
    flags: c_uint,
    device: CUdevice,
) -> CUresult {
    if !params.is_null() {
        return started("cuCtxCreate_v4", |_| Err(Error::not_supported("parameters of a context")));
    }
    cuCtxCreate_v2(context, flags, device)
}

/// Ends a context, with all that is in it.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxDestroy_v2(context: CUcontext) -> CUresult {
    started("cuCtxDestroy_v2", |driver| {
        let id = existing(driver, context)?;
        if driver.state().contexts.get(id)?.is_primary {
            return Err(Error::new(
                CUresult::CUDA_ERROR_INVALID_CONTEXT,
                "a primary context ends by cuDevicePrimaryCtxRelease",
            ));
        }
        driver.end_context(id, "cuCtxDestroy_v2")?;
        if context::current() == Some(id) {
            context::pop()?;
        }
        Ok(())
    })
}

/// The thread's current context, or null.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetCurrent(context: Out<'_, CUcontext>) -> CUresult {
    started("cuCtxGetCurrent", |_| put(context, context::current().map_or(std::ptr::null_mut(), handle)))
}

/// Makes a context, or none if it is null, the thread's current one in place of what is.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSetCurrent(context: CUcontext) -> CUresult {
    started("cuCtxSetCurrent", |driver| {
        let id = if context.is_null() { None } else { Some(existing(driver, context)?) };
        context::set_current(id);
        Ok(())
    })
}

/// Makes a context the thread's current one on top of what is.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxPushCurrent_v2(context: CUcontext) -> CUresult {
    started("cuCtxPushCurrent_v2", |driver| {
        context::push(existing(driver, context)?);
        Ok(())
    })
}

/// Takes away the thread's current context.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxPopCurrent_v2(context: Out<'_, CUcontext>) -> CUresult {
    started("cuCtxPopCurrent_v2", |_| {
        let id = context::pop()?;
        offer(context, handle(id));
        Ok(())
    })
}

/// The GPU of the current context.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetDevice(device: Out<'_, CUdevice>) -> CUresult {
    inside("cuCtxGetDevice", |call| put(device, call.device()? as CUdevice))
}

/// The flags of the current context.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetFlags(flags: Out<'_, c_uint>) -> CUresult {
    inside("cuCtxGetFlags", |call| put(flags, call.driver.state().contexts.get(call.context)?.flags))
}

/// Sets the flags of the current context, which change nothing here.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSetFlags(flags: c_uint) -> CUresult {
    inside("cuCtxSetFlags", |call| {
        call.driver.state().contexts.get_mut(call.context)?.flags = flags;
        Ok(())
    })
}

/// A number that is the context's own.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetId(context: CUcontext, number: Out<'_, c_ulonglong>) -> CUresult {
    inside("cuCtxGetId", |call| {
        let id = if context.is_null() { call.context } else { existing(call.driver, context)? };
        put(number, id)
    })
}

/// The version of the API that the context has.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetApiVersion(context: CUcontext, version: Out<'_, c_uint>) -> CUresult {
    started("cuCtxGetApiVersion", |driver| {
        if !context.is_null() {
            existing(driver, context)?;
        }
        put(version, 3020)
    })
}

/// Waits for all work in the current context.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSynchronize() -> CUresult {
    inside("cuCtxSynchronize", |call| {
        let last = {
            let mut state = call.driver.state();
            state.expect_no_capture_in(call.context)?;
            state.last_work(call.context)
        };
        call.wait(&last)
    })
}

/// Limits and what they are before they are set. A kernel of the simulator needs none of them.
const LIMITS: &[(CUlimit, usize)] = &[
    (CUlimit::CU_LIMIT_STACK_SIZE, 1024),
    (CUlimit::CU_LIMIT_PRINTF_FIFO_SIZE, 8 << 20),
    (CUlimit::CU_LIMIT_MALLOC_HEAP_SIZE, 8 << 20),
    (CUlimit::CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH, 2),
    (CUlimit::CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT, 2048),
    (CUlimit::CU_LIMIT_MAX_L2_FETCH_GRANULARITY, 64),
    (CUlimit::CU_LIMIT_PERSISTING_L2_CACHE_SIZE, 0),
];

fn default_limit(limit: c_uint) -> Result<usize> {
    let found = LIMITS.iter().find(|(known, _)| *known as c_uint == limit);
    found.map(|(_, value)| *value).ok_or_else(|| {
        Error::new(CUresult::CUDA_ERROR_UNSUPPORTED_LIMIT, format!("{limit} is no limit that is known"))
    })
}

/// A limit of the current context by its number, a `CUlimit`.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetLimit(value: Out<'_, usize>, limit: c_uint) -> CUresult {
    inside("cuCtxGetLimit", |call| {
        let default = default_limit(limit)?;
        let state = call.driver.state();
        put(value, state.contexts.get(call.context)?.limits.get(&limit).copied().unwrap_or(default))
    })
}

/// Sets a limit of the current context, which changes nothing here.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSetLimit(limit: c_uint, value: usize) -> CUresult {
    inside("cuCtxSetLimit", |call| {
        default_limit(limit)?;
        call.driver.state().contexts.get_mut(call.context)?.limits.insert(limit, value);
        Ok(())
    })
}

/// The cache preference of the current context, a `CUfunc_cache`.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetCacheConfig(config: Out<'_, c_uint>) -> CUresult {
    inside("cuCtxGetCacheConfig", |call| {
        put(config, call.driver.state().contexts.get(call.context)?.cache_config)
    })
}

/// Sets the cache preference of the current context, which changes nothing here.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSetCacheConfig(config: c_uint) -> CUresult {
    inside("cuCtxSetCacheConfig", |call| {
        if config > 3 {
            return Err(Error::value(format!("{config} is no cache preference")));
        }
        call.driver.state().contexts.get_mut(call.context)?.cache_config = config;
        Ok(())
    })
}

/// The priorities that streams can have.
#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetStreamPriorityRange(least: Out<'_, c_int>, greatest: Out<'_, c_int>) -> CUresult {
    inside("cuCtxGetStreamPriorityRange", |_| {
        offer(least, crate::stream::LEAST_PRIORITY);
        offer(greatest, crate::stream::GREATEST_PRIORITY);
        Ok(())
    })
}
