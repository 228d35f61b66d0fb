//! Streams: work that is done in the order in which it is queued.

use std::cell::Cell;

use cudarc::driver::sys::{CUresult, CUstream};

use crate::capture::Captured;
use crate::context::ThreadKey;
use crate::error::{Error, Result};
use crate::handle::Id;
use crate::queue::WorkId;
use crate::state::State;

/// A stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub context: Id,
    pub kind: StreamKind,
    pub priority: i32,
    /// The work queued last, all of which may be done.
    pub last: Option<WorkId>,
    /// Its part in a capture, if its work is recorded.
    pub captured: Option<Captured>,
}

/// Which stream it is, and whether it waits for the legacy default stream and that for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamKind {
    /// The default stream that a null handle means.
    Legacy,
    /// A thread's own default stream.
    PerThread,
    Blocking,
    NonBlocking,
}

impl Stream {
    pub fn new(context: Id, kind: StreamKind) -> Self {
        Self { context, kind, priority: 0, last: None, captured: None }
    }
}

/// The priorities that streams can have; the greatest is the smallest number.
pub(crate) const LEAST_PRIORITY: i32 = 0;
pub(crate) const GREATEST_PRIORITY: i32 = -5;

/// Handles that stand for the default streams, with null for the first of them.
const LEGACY: u64 = 1;
const PER_THREAD: u64 = 2;

thread_local! {
    /// Whether a null handle means the thread's own default stream, as in the functions whose names end in
    /// `_ptsz` or `_ptds`.
    static NULL_IS_OWN: Cell<bool> = const { Cell::new(false) };
}

/// Calls `function` so that a null handle means the thread's own default stream in it.
pub(crate) fn with_own_default<R>(function: impl FnOnce() -> R) -> R {
    let before = NULL_IS_OWN.replace(true);
    let result = function();
    NULL_IS_OWN.set(before);
    result
}

impl State {
    /// The stream that `handle` means to a thread whose current context is `context`.
    pub fn stream(&mut self, context: Id, handle: CUstream) -> Result<Id> {
        match handle as u64 {
            PER_THREAD => self.thread_stream(context),
            0 if NULL_IS_OWN.get() => self.thread_stream(context),
            0 | LEGACY => Ok(self.contexts.get(context)?.legacy_stream),
            id => self.streams.get(id).map(|_| id),
        }
    }

    /// The calling thread's own default stream.
    fn thread_stream(&mut self, context: Id) -> Result<Id> {
        let thread = ThreadKey::current();
        if let Some(&stream) = self.contexts.get(context)?.thread_streams.get(&thread) {
            return Ok(stream);
        }
        let stream = self.streams.insert(Stream::new(context, StreamKind::PerThread));
        self.contexts.get_mut(context)?.thread_streams.insert(thread, stream);
        Ok(stream)
    }

    /// A stream that the program made, by its handle.
    pub fn own_stream(&self, handle: CUstream) -> Result<Id> {
        let id = handle as u64;
        match self.streams.get(id)?.kind {
            StreamKind::Blocking | StreamKind::NonBlocking => Ok(id),
            StreamKind::Legacy | StreamKind::PerThread => {
                Err(Error::new(CUresult::CUDA_ERROR_INVALID_HANDLE, "a default stream cannot be destroyed"))
            }
        }
    }

    /// The last work of all streams of a context, also of those that have ended.
    pub fn last_work(&self, context: Id) -> Vec<WorkId> {
        let inside = self.streams.iter().filter(|(_, stream)| stream.context == context);
        let orphans = self.contexts.get(context).map_or(&[][..], |context| &context.orphans);
        inside.filter_map(|(_, stream)| stream.last).chain(orphans.iter().copied()).collect()
    }
}
