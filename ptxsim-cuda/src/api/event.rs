//! Events.

use std::ffi::c_uint;

use cudarc::driver::sys::{CUevent, CUresult, CUstream};

use crate::call::{Call, Out, inside, put};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::state::State;
use crate::work::Work;

/// Flags of events.
const BLOCKING_SYNC: c_uint = 1;
const DISABLE_TIMING: c_uint = 2;
const INTERPROCESS: c_uint = 4;

/// Makes an event.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventCreate(event: Out<'_, CUevent>, flags: c_uint) -> CUresult {
    inside("cuEventCreate", |call| {
        if flags & !(BLOCKING_SYNC | DISABLE_TIMING | INTERPROCESS) != 0 {
            return Err(Error::value(format!("the flags are {flags}; they can be 1, 2 and 4 together")));
        }
        if flags & INTERPROCESS != 0 {
            return Err(Error::not_supported("events of several processes"));
        }
        let new = Event {
            context: call.context,
            no_timing: flags & DISABLE_TIMING != 0,
            recorded: None,
            done_at: None,
            captured: None,
        };
        let id = call.driver.state().events.insert(new);
        put(event, std::ptr::without_provenance_mut(id as usize))
    })
}

/// Ends an event.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventDestroy_v2(event: CUevent) -> CUresult {
    inside("cuEventDestroy_v2", |call| call.driver.state().events.remove(event as u64, call.name).map(drop))
}

/// Has an event mark the present point of a stream.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventRecord(event: CUevent, stream: CUstream) -> CUresult {
    inside("cuEventRecord", |call| {
        let stream = call.stream(stream)?;
        let id = event as u64;
        let mut state = call.driver.state();
        state.events.get(id)?;
        if state.capture_event(stream, id)? {
            return Ok(());
        }
        let work = state.enqueue(stream, call.name, Work::Record { event: id })?;
        let event = state.events.get_mut(id)?;
        (event.recorded, event.done_at) = (work, None);
        drop(state);
        call.driver.work_ahead();
        Ok(())
    })
}

/// The same; the only flag is for graphs of other processes.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventRecordWithFlags(event: CUevent, stream: CUstream, _flags: c_uint) -> CUresult {
    cuEventRecord(event, stream)
}

/// The work that marks an event's point, if there is any to wait for.
fn recorded(call: &Call, event: CUevent) -> Result<Option<u64>> {
    let mut state = call.driver.state();
    state.expect_uncaptured_event(event as u64)?;
    Ok(state.events.get(event as u64)?.recorded)
}

/// Waits for an event.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventSynchronize(event: CUevent) -> CUresult {
    inside("cuEventSynchronize", |call| {
        let recorded = recorded(call, event)?;
        call.wait(recorded.as_slice())
    })
}

/// Whether an event has come. If it has not, what comes before it is done now, for the next time.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventQuery(event: CUevent) -> CUresult {
    inside("cuEventQuery", |call| {
        let recorded = recorded(call, event)?;
        call.query(recorded.as_slice())
    })
}

/// Milliseconds between two events: the time that the simulation took, no GPU's.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventElapsedTime(milliseconds: Out<'_, f32>, start: CUevent, end: CUevent) -> CUresult {
    inside("cuEventElapsedTime", |call| put(milliseconds, elapsed(&call.driver.state(), start, end)?))
}

/// The same, as it is since CUDA 12.8.
#[unsafe(no_mangle)]
pub extern "C" fn cuEventElapsedTime_v2(
    milliseconds: Out<'_, f32>,
    start: CUevent,
    end: CUevent,
) -> CUresult {
    inside("cuEventElapsedTime_v2", |call| put(milliseconds, elapsed(&call.driver.state(), start, end)?))
}

fn elapsed(state: &State, start: CUevent, end: CUevent) -> Result<f32> {
    let events = [state.events.get(start as u64)?, state.events.get(end as u64)?];
    if events.iter().any(|event| event.no_timing || event.recorded.is_none()) {
        return Err(Error::new(
            CUresult::CUDA_ERROR_INVALID_HANDLE,
            "both events must have been recorded, and made without CU_EVENT_DISABLE_TIMING",
        ));
    }
    let [Some(start), Some(end)] = events.map(|event| event.done_at) else {
        return Err(CUresult::CUDA_ERROR_NOT_READY.into());
    };
    let forth = end.saturating_duration_since(start).as_secs_f32();
    let back = start.saturating_duration_since(end).as_secs_f32();
    Ok((forth - back) * 1000.0)
}
