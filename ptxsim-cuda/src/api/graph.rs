//! Graphs, and the capture of streams that makes them.

use std::ffi::{c_uint, c_ulonglong};
use std::mem::MaybeUninit;

use cudarc::driver::sys::{
    CUgraph, CUgraphExec, CUgraphNode, CUresult, CUstream, CUstreamCaptureStatus as Status,
};

use crate::call::{Call, Out, inside, offer, put, started};
use crate::capture::{exchange_mode, mode};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::handle::Id;

/// Begins to record a stream's work; `capture_mode` is a `CUstreamCaptureMode`.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamBeginCapture_v2(stream: CUstream, capture_mode: c_uint) -> CUresult {
    inside("cuStreamBeginCapture_v2", |call| {
        let stream = call.stream(stream)?;
        call.driver.state().begin_capture(stream, mode(capture_mode)?)
    })
}

/// Ends the recording of a stream's work, which becomes a graph.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamEndCapture(stream: CUstream, mut graph: Out<'_, CUgraph>) -> CUresult {
    inside("cuStreamEndCapture", |call| {
        offer(graph.as_deref_mut(), std::ptr::null_mut());
        let stream = call.stream(stream)?;
        let id = call.driver.state().end_capture(stream, call.name)?;
        put(graph, std::ptr::without_provenance_mut(id as usize))
    })
}

/// Whether a stream's work is recorded.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamIsCapturing(stream: CUstream, status: Out<'_, Status>) -> CUresult {
    inside("cuStreamIsCapturing", |call| {
        let id = call.stream(stream)?;
        put(status, capture_of(call, id)?.0)
    })
}

/// Whether a stream's work is recorded, in which capture, and into which graph.
fn capture_of(call: &Call, stream: Id) -> Result<(Status, Option<(Id, Id)>)> {
    let mut state = call.driver.state();
    state.expect_no_implicit(stream)?;
    let Some(captured) = &state.streams.get(stream)?.captured else {
        return Ok((Status::CU_STREAM_CAPTURE_STATUS_NONE, None));
    };
    let capture = state.captures.get(captured.capture)?;
    if capture.is_broken {
        return Ok((Status::CU_STREAM_CAPTURE_STATUS_INVALIDATED, None));
    }
    Ok((Status::CU_STREAM_CAPTURE_STATUS_ACTIVE, Some((captured.capture, capture.graph))))
}

/// Whether a stream's work is recorded, in which capture, and into which graph. The nodes that its next
/// work comes after are not told.
#[unsafe(no_mangle)]
pub extern "C" fn cuStreamGetCaptureInfo_v2(
    stream: CUstream,
    status: Out<'_, Status>,
    number: Out<'_, c_ulonglong>,
    graph: Out<'_, CUgraph>,
    nodes: Out<'_, *const CUgraphNode>,
    count: Out<'_, usize>,
) -> CUresult {
    inside("cuStreamGetCaptureInfo_v2", |call| {
        let stream = call.stream(stream)?;
        let (found, ids) = capture_of(call, stream)?;
        put(status, found)?;
        if let Some((capture, captured)) = ids {
            offer(number, capture);
            offer(graph, std::ptr::without_provenance_mut(captured as usize));
            if nodes.is_some() || count.is_some() {
                return Err(Error::not_supported("the nodes that a captured stream has come to"));
            }
        }
        Ok(())
    })
}

/// Exchanges how the thread takes the captures that are going on, a `CUstreamCaptureMode`.
#[unsafe(no_mangle)]
pub extern "C" fn cuThreadExchangeStreamCaptureMode(exchanged: Option<&mut c_uint>) -> CUresult {
    started("cuThreadExchangeStreamCaptureMode", |_| {
        let exchanged = exchanged.ok_or_else(|| Error::value("the place for the mode is null"))?;
        *exchanged = exchange_mode(mode(*exchanged)?) as c_uint;
        Ok(())
    })
}

/// Makes an empty graph.
#[unsafe(no_mangle)]
pub extern "C" fn cuGraphCreate(graph: Out<'_, CUgraph>, flags: c_uint) -> CUresult {
    started("cuGraphCreate", |driver| {
        if flags != 0 {
            return Err(Error::value(format!("the flags are {flags}; they must be 0")));
        }
        let id = driver.state().graphs.insert(Graph::default());
        put(graph, std::ptr::without_provenance_mut(id as usize))
    })
}

/// Ends a graph; what was instantiated from it stays.
#[unsafe(no_mangle)]
pub extern "C" fn cuGraphDestroy(graph: CUgraph) -> CUresult {
    started("cuGraphDestroy", |driver| driver.state().graphs.remove(graph as u64, "cuGraphDestroy").map(drop))
}

/// Makes a graph ready to be launched. No flag changes anything here.
#[unsafe(no_mangle)]
pub extern "C" fn cuGraphInstantiateWithFlags(
    executable: Out<'_, CUgraphExec>,
    graph: CUgraph,
    _flags: c_ulonglong,
) -> CUresult {
    started("cuGraphInstantiateWithFlags", |driver| {
        let mut state = driver.state();
        let new = state.graphs.get(graph as u64)?.instantiate()?;
        let id = state.executables.insert(new);
        put(executable, std::ptr::without_provenance_mut(id as usize))
    })
}

/// Queues a graph's work in a stream.
#[unsafe(no_mangle)]
pub extern "C" fn cuGraphLaunch(executable: CUgraphExec, stream: CUstream) -> CUresult {
    inside("cuGraphLaunch", |call| {
        let stream = call.stream(stream)?;
        {
            let mut state = call.driver.state();
            state.expect_uncaptured(stream)?;
            state.launch_graph(executable as u64, stream, call.name)?;
        }
        call.driver.work_ahead();
        Ok(())
    })
}

/// Has a graph made ready on the GPU, where it is already.
#[unsafe(no_mangle)]
pub extern "C" fn cuGraphUpload(executable: CUgraphExec, stream: CUstream) -> CUresult {
    inside("cuGraphUpload", |call| {
        call.stream(stream)?;
        call.driver.state().executables.get(executable as u64).map(drop)
    })
}

/// Ends a graph that could be launched; what was launched is still done.
#[unsafe(no_mangle)]
pub extern "C" fn cuGraphExecDestroy(executable: CUgraphExec) -> CUresult {
    started("cuGraphExecDestroy", |driver| {
        driver.state().executables.remove(executable as u64, "cuGraphExecDestroy").map(drop)
    })
}

/// The nodes of a graph: how many there are, and the first `count` of them.
///
/// # Safety
/// `nodes` is null or has room for `count` handles.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGraphGetNodes(
    graph: CUgraph,
    nodes: *mut MaybeUninit<CUgraphNode>,
    count: Option<&mut usize>,
) -> CUresult {
    started("cuGraphGetNodes", |driver| {
        let count = count.ok_or_else(|| Error::value("the place for the count is null"))?;
        let state = driver.state();
        let graph = state.graphs.get(graph as u64)?;
        if nodes.is_null() {
            *count = graph.nodes.len();
            return Ok(());
        }
        let given = graph.nodes.keys().take(*count);
        for (i, &node) in given.enumerate() {
            // SAFETY: `i` is less than the count that the caller has room for.
            unsafe { (*nodes.add(i)).write(std::ptr::without_provenance_mut(node as usize)) };
        }
        *count = (*count).min(graph.nodes.len());
        Ok(())
    })
}
