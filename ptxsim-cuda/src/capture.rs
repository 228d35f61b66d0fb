//! Captures: streams whose work is recorded in a graph instead of being done.
//!
//! What is not possible meanwhile gives the driver's error, and most of it breaks the capture, so that
//! nothing but its end is possible any more.

use std::cell::Cell;
use std::collections::BTreeSet;

use cudarc::driver::sys::{CUresult, CUstreamCaptureMode as Mode};

use crate::context::ThreadKey;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::handle::Id;
use crate::state::State;
use crate::stream::StreamKind;
use crate::work::Work;

/// A capture.
#[derive(Debug)]
pub(crate) struct Capture {
    /// The stream in which it began, and must end.
    pub origin: Id,
    pub context: Id,
    pub mode: Mode,
    pub thread: ThreadKey,
    /// What is recorded, under the handle that the graph will have.
    pub graph: Id,
    /// Whether something that is not possible has been tried.
    pub is_broken: bool,
}

/// A stream's, or an event's, part in a capture.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    pub capture: Id,
    /// The nodes that come last.
    pub ends: BTreeSet<Id>,
}

thread_local! {
    /// How the thread takes the captures that are going on.
    static MODE: Cell<Mode> = const { Cell::new(Mode::CU_STREAM_CAPTURE_MODE_GLOBAL) };
}

/// Sets how the thread takes captures; gives how it did before.
pub(crate) fn exchange_mode(mode: Mode) -> Mode {
    MODE.replace(mode)
}

/// The mode of that number.
pub(crate) fn mode(number: u32) -> Result<Mode> {
    let modes = [
        Mode::CU_STREAM_CAPTURE_MODE_GLOBAL,
        Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
        Mode::CU_STREAM_CAPTURE_MODE_RELAXED,
    ];
    let found = modes.into_iter().find(|mode| *mode as u32 == number);
    found.ok_or_else(|| Error::value(format!("{number} is no mode of captures")))
}

impl State {
    /// Begins to record a stream's work.
    pub fn begin_capture(&mut self, stream: Id, mode: Mode) -> Result {
        let found = self.streams.get(stream)?;
        let context = found.context;
        if found.kind == StreamKind::Legacy {
            let why = "the legacy default stream cannot be captured";
            return Err(Error::new(CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, why));
        }
        if found.captured.is_some() {
            return Err(Error::new(CUresult::CUDA_ERROR_ILLEGAL_STATE, "the stream is captured already"));
        }
        let graph = self.graphs.insert(Graph::default());
        let thread = ThreadKey::current();
        let capture =
            self.captures.insert(Capture { origin: stream, context, mode, thread, graph, is_broken: false });
        self.streams.get_mut(stream)?.captured = Some(Captured { capture, ends: BTreeSet::new() });
        Ok(())
    }

    /// Ends the recording of a stream's work; the graph's handle.
    pub fn end_capture(&mut self, stream: Id, call: &'static str) -> Result<Id> {
        let Some(Captured { capture: id, ends }) = self.streams.get(stream)?.captured.clone() else {
            return Err(Error::new(CUresult::CUDA_ERROR_ILLEGAL_STATE, "the stream is not captured"));
        };
        let capture = self.captures.get(id)?;
        if capture.origin != stream {
            let why = format!("the capture began in the stream {:#x}", capture.origin);
            return Err(self.broken(id, CUresult::CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, why));
        }
        if capture.thread != ThreadKey::current() && capture.mode != Mode::CU_STREAM_CAPTURE_MODE_RELAXED {
            let why = "another thread began the capture, which is not relaxed";
            return Err(self.broken(id, CUresult::CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, why.into()));
        }
        let capture = self.captures.remove(id, call)?;
        let joined = self.graphs.get(capture.graph)?.ancestors(&ends);
        let mut unjoined = None;
        for (other, stream) in self.streams.iter_mut() {
            if let Some(captured) = stream.captured.take_if(|captured| captured.capture == id)
                && !captured.ends.is_subset(&joined)
            {
                unjoined = Some(other);
            }
        }
        if capture.is_broken {
            self.graphs.remove(capture.graph, call)?;
            let why = "something that is not possible while a stream is captured was tried before";
            return Err(Error::new(CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, why));
        }
        if let Some(other) = unjoined {
            self.graphs.remove(capture.graph, call)?;
            let why =
                format!("the first stream does not wait for the work captured in the stream {other:#x}");
            return Err(Error::new(CUresult::CUDA_ERROR_STREAM_CAPTURE_UNJOINED, why));
        }
        Ok(capture.graph)
    }

    /// Records work of a captured stream; false if it is not captured.
    pub fn capture_work(&mut self, stream: Id, work: &Work) -> Result<bool> {
        self.expect_no_implicit(stream)?;
        let Some(Captured { capture, ends }) = self.streams.get(stream)?.captured.clone() else {
            return Ok(false);
        };
        self.expect_whole(capture)?;
        let graph = self.captures.get(capture)?.graph;
        let node = self.graphs.get_mut(graph)?.add(work.clone(), ends);
        self.streams.get_mut(stream)?.captured = Some(Captured { capture, ends: BTreeSet::from([node]) });
        Ok(true)
    }

    /// Has an event mark a point of a captured stream; false if it is not captured.
    pub fn capture_event(&mut self, stream: Id, event: Id) -> Result<bool> {
        self.expect_no_implicit(stream)?;
        let captured = self.streams.get(stream)?.captured.clone();
        if let Some(captured) = &captured {
            self.expect_whole(captured.capture)?;
        }
        let is_captured = captured.is_some();
        self.events.get_mut(event)?.captured = captured;
        Ok(is_captured)
    }

    /// Has a stream's next work come after an event where one of them is captured; false if none is.
    pub fn capture_wait(&mut self, stream: Id, event: Id) -> Result<bool> {
        self.expect_no_implicit(stream)?;
        let own = self.streams.get(stream)?.captured.clone();
        let other = self.events.get(event)?.captured.clone();
        for captured in own.iter().chain(&other) {
            self.expect_whole(captured.capture)?;
        }
        match (own, other) {
            (None, None) => Ok(false),
            (Some(own), None) if self.events.get(event)?.recorded.is_none() => {
                // An event that was never recorded is nothing to wait for.
                drop(own);
                Ok(true)
            }
            (Some(own), None) => {
                let why = "the captured stream would wait for an event outside of the capture";
                Err(self.broken(own.capture, CUresult::CUDA_ERROR_STREAM_CAPTURE_ISOLATION, why.into()))
            }
            (Some(own), Some(other)) if own.capture != other.capture => {
                let why = "the stream and the event are in two captures";
                self.break_capture(other.capture);
                Err(self.broken(own.capture, CUresult::CUDA_ERROR_STREAM_CAPTURE_MERGE, why.into()))
            }
            (own, Some(other)) => {
                let mut ends = own.map(|own| own.ends).unwrap_or_default();
                ends.extend(other.ends);
                self.streams.get_mut(stream)?.captured = Some(Captured { capture: other.capture, ends });
                Ok(true)
            }
        }
    }

    /// Fails if the stream is captured: what is asked of it is not possible then.
    pub fn expect_uncaptured(&mut self, stream: Id) -> Result {
        self.expect_no_implicit(stream)?;
        match self.streams.get(stream)?.captured.clone() {
            Some(captured) => {
                self.expect_whole(captured.capture)?;
                let why = "the stream is captured: its work is recorded, and nothing of it can be waited for";
                Err(self.broken(
                    captured.capture,
                    CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                    why.into(),
                ))
            }
            None => Ok(()),
        }
    }

    /// Fails if the event was recorded in a capture.
    pub fn expect_uncaptured_event(&mut self, event: Id) -> Result {
        match self.events.get(event)?.captured.clone() {
            Some(captured) => {
                let why = "the event was recorded in a capture, and nothing of it can be waited for";
                Err(self.broken(captured.capture, CUresult::CUDA_ERROR_CAPTURED_EVENT, why.into()))
            }
            None => Ok(()),
        }
    }

    /// Fails if any stream of the context is captured: what is asked concerns all of them.
    pub fn expect_no_capture_in(&mut self, context: Id) -> Result {
        let inside = self.captures.iter().find(|(_, capture)| capture.context == context);
        match inside.map(|(id, _)| id) {
            Some(id) => {
                let why = "a stream of the context is captured, and nothing of it can be waited for";
                Err(self.broken(id, CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, why.into()))
            }
            None => Ok(()),
        }
    }

    /// Fails if a capture forbids this thread what might wait for work, such as taking memory.
    pub fn expect_allowed(&mut self) -> Result {
        let (own, thread) = (MODE.get(), ThreadKey::current());
        let forbids = |capture: &Capture| {
            let is_own = capture.thread == thread && capture.mode != Mode::CU_STREAM_CAPTURE_MODE_RELAXED;
            match own {
                Mode::CU_STREAM_CAPTURE_MODE_RELAXED => false,
                Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL => is_own,
                Mode::CU_STREAM_CAPTURE_MODE_GLOBAL => {
                    is_own || capture.mode == Mode::CU_STREAM_CAPTURE_MODE_GLOBAL
                }
            }
        };
        let forbidding = self.captures.iter().find(|(_, capture)| forbids(capture)).map(|(id, _)| id);
        match forbidding {
            Some(id) => {
                let why = "a capture is going on that is not relaxed, and this call might wait for work";
                Err(self.broken(id, CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, why.into()))
            }
            None => Ok(()),
        }
    }

    /// Fails if the stream is the legacy default stream, and one that waits for it is captured.
    pub fn expect_no_implicit(&mut self, stream: Id) -> Result {
        let this = self.streams.get(stream)?;
        if this.kind != StreamKind::Legacy {
            return Ok(());
        }
        let context = this.context;
        let captured = self.streams.iter().find_map(|(_, other)| {
            let waits = other.context == context && other.kind != StreamKind::NonBlocking;
            other.captured.as_ref().filter(|_| waits).map(|captured| captured.capture)
        });
        match captured {
            Some(id) => {
                let why = "the legacy default stream would depend on a captured stream, which waits for it; make \
                           that stream with CU_STREAM_NON_BLOCKING, or do not use the default stream meanwhile";
                Err(self.broken(id, CUresult::CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, why.into()))
            }
            None => Ok(()),
        }
    }

    /// Fails if the capture is broken.
    fn expect_whole(&self, capture: Id) -> Result {
        match self.captures.get(capture) {
            Ok(capture) if capture.is_broken => Err(CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED.into()),
            _ => Ok(()),
        }
    }

    fn break_capture(&mut self, capture: Id) {
        if let Ok(capture) = self.captures.get_mut(capture) {
            capture.is_broken = true;
        }
    }

    /// Breaks a capture by what is not possible in it; the error.
    fn broken(&mut self, capture: Id, code: CUresult, why: String) -> Error {
        self.break_capture(capture);
        Error::new(code, why)
    }
}
