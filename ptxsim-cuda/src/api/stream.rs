//! Streams.

use std::ffi::{c_int, c_uint, c_ulonglong, c_void};

use cudarc::driver::sys::{CUcontext, CUevent, CUresult, CUstream};

use super::context::handle;
use crate::call::{Call, Out, inside, offer, put};
use crate::error::{Error, Result};
use crate::handle::Id;
use crate::stream::{GREATEST_PRIORITY, LEAST_PRIORITY, Stream, StreamKind};
use crate::work::{HostCall, HostFunction, Work};

/// Flag of streams that do not wait for the legacy default stream, nor that for them.
const NON_BLOCKING: c_uint = 1;

fn create(call: &Call, flags: c_uint, priority: c_int) -> Result<CUstream> {
    let kind = match flags {
        0 => StreamKind::Blocking,
        NON_BLOCKING => StreamKind::NonBlocking,
        _ => return Err(Error::value(format!("the flags are {flags}; they can be 0 or 1"))),
    };
    let priority = priority.clamp(GREATEST_PRIORITY, LEAST_PRIORITY);
    let stream = Stream { priority, ..Stream::new(call.context, kind) };
    Ok(std::ptr::without_provenance_mut(call.driver.state().streams.insert(stream) as usize))
}

/// Makes a stream.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamCreate(stream: Out<'_, CUstream>, flags: c_uint) -> CUresult {
    inside("cuStreamCreate", |call| put(stream, create(call, flags, LEAST_PRIORITY)?))
}

/// Makes a stream of some priority, which changes nothing here.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamCreateWithPriority(
    stream: Out<'_, CUstream>,
    flags: c_uint,
    priority: c_int,
) -> CUresult {
    inside("cuStreamCreateWithPriority", |call| put(stream, create(call, flags, priority)?))
}

/// Ends a stream; what is queued in it is still done.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamDestroy_v2(stream: CUstream) -> CUresult {
    inside("cuStreamDestroy_v2", |call| {
        let mut state = call.driver.state();
        let id = state.own_stream(stream)?;
        let ended = state.streams.remove(id, call.name)?;
        // Who waits for the context waits for this, too.
        if let Some(last) = ended.last
            && let Ok(context) = state.contexts.get_mut(ended.context)
        {
            context.orphans.push(last);
        }
        Ok(())
    })
}

/// Waits for a stream's work.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamSynchronize(stream: CUstream) -> CUresult {
    inside("cuStreamSynchronize", |call| {
        let id = call.stream(stream)?;
        let targets = last(call, id)?;
        call.wait(&targets)
    })
}

/// The last work of a stream, and of those that it waits for without further ado.
fn last(call: &Call, stream: Id) -> Result<Vec<u64>> {
    let mut state = call.driver.state();
    state.expect_uncaptured(stream)?;
    match state.streams.get(stream)?.kind {
        StreamKind::Legacy => state.before(stream),
        _ => Ok(state.streams.get(stream)?.last.into_iter().collect()),
    }
}

/// Whether a stream's work is done. What is not yet is done now, for the next time.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamQuery(stream: CUstream) -> CUresult {
    inside("cuStreamQuery", |call| {
        let id = call.stream(stream)?;
        let targets = last(call, id)?;
        call.query(&targets)
    })
}

/// Has the stream's next work come after an event.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamWaitEvent(stream: CUstream, event: CUevent, _flags: c_uint) -> CUresult {
    inside("cuStreamWaitEvent", |call| {
        let stream = call.stream(stream)?;
        let mut state = call.driver.state();
        if state.capture_wait(stream, event as u64)? {
            return Ok(());
        }
        let Some(recorded) = state.events.get(event as u64)?.recorded else { return Ok(()) };
        let mut needs = state.before(stream)?;
        needs.push(recorded);
        state.enqueue_after(stream, call.name, Work::Join, needs)?;
        drop(state);
        call.driver.work_ahead();
        Ok(())
    })
}

/// Calls a function of the program when the stream comes to it.
///
/// # Safety
/// The function takes that data, from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuLaunchHostFunc(
    stream: CUstream,
    function: Option<unsafe extern "C" fn(*mut c_void)>,
    data: *mut c_void,
) -> CUresult {
    inside("cuLaunchHostFunc", |call| {
        let stream = call.stream(stream)?;
        let function = function.ok_or_else(|| Error::value("the function is null"))?;
        let data = data.expose_provenance();
        call.submit(stream, Work::Host(HostCall { function: HostFunction::Plain(function), data })).map(drop)
    })
}

/// Calls a function of the program with the stream and its status when the stream comes to it.
///
/// # Safety
/// The function takes that data, from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamAddCallback(
    stream: CUstream,
    function: Option<unsafe extern "C" fn(CUstream, CUresult, *mut c_void)>,
    data: *mut c_void,
    _flags: c_uint,
) -> CUresult {
    inside("cuStreamAddCallback", |call| {
        let id = call.stream(stream)?;
        call.driver.state().expect_uncaptured(id)?;
        let function = function.ok_or_else(|| Error::value("the function is null"))?;
        let function = HostFunction::Callback(function, stream as u64);
        call.submit(id, Work::Host(HostCall { function, data: data.expose_provenance() })).map(drop)
    })
}

/// The context of a stream.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamGetCtx(stream: CUstream, context: Out<'_, CUcontext>) -> CUresult {
    inside("cuStreamGetCtx", |call| {
        let id = call.stream(stream)?;
        put(context, handle(call.driver.state().streams.get(id)?.context))
    })
}

/// The context of a stream, which is of no green one.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamGetCtx_v2(
    stream: CUstream,
    context: Out<'_, CUcontext>,
    green: Out<'_, *mut c_void>,
) -> CUresult {
    inside("cuStreamGetCtx_v2", |call| {
        let id = call.stream(stream)?;
        offer(context, handle(call.driver.state().streams.get(id)?.context));
        offer(green, std::ptr::null_mut());
        Ok(())
    })
}

/// The flags of a stream.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamGetFlags(stream: CUstream, flags: Out<'_, c_uint>) -> CUresult {
    inside("cuStreamGetFlags", |call| {
        let id = call.stream(stream)?;
        let is_free = call.driver.state().streams.get(id)?.kind == StreamKind::NonBlocking;
        put(flags, if is_free { NON_BLOCKING } else { 0 })
    })
}

/// A number that is the stream's own.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamGetId(stream: CUstream, number: Out<'_, c_ulonglong>) -> CUresult {
    inside("cuStreamGetId", |call| put(number, call.stream(stream)?))
}

/// The priority of a stream.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamGetPriority(stream: CUstream, priority: Out<'_, c_int>) -> CUresult {
    inside("cuStreamGetPriority", |call| {
        let id = call.stream(stream)?;
        put(priority, call.driver.state().streams.get(id)?.priority)
    })
}
