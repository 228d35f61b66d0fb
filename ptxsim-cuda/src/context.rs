//! Contexts: what a program holds of a GPU, and which of them is current on a thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::thread::ThreadId;

use cudarc::driver::sys::CUresult;

use crate::error::{Error, Result};
use crate::handle::Id;
use crate::queue::WorkId;

/// A context.
#[derive(Debug)]
pub(crate) struct Context {
    /// The GPU, by its number among those that the program sees.
    pub device: usize,
    pub is_primary: bool,
    pub flags: u32,
    /// The stream that a null handle means.
    pub legacy_stream: Id,
    /// The default stream of each thread that has used its own.
    pub thread_streams: BTreeMap<ThreadKey, Id>,
    /// The last work of streams that have ended.
    pub orphans: Vec<WorkId>,
    /// Limits that the program has set, by their number.
    pub limits: BTreeMap<u32, usize>,
    /// The cache preference, which changes nothing.
    pub cache_config: u32,
    /// The error of a kernel that failed, which every call gives from then on.
    pub failed: Option<CUresult>,
}

/// A thread, in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ThreadKey(u64);

impl ThreadKey {
    /// The calling thread.
    pub fn current() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(1);
        thread_local!(static KEY: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
        Self(KEY.with(|key| *key))
    }
}

/// The primary context of a GPU.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Primary {
    /// The context, while anybody retains it.
    pub context: Option<Id>,
    pub users: u32,
    pub flags: u32,
}

thread_local! {
    /// The contexts that the thread has pushed; the last is current.
    static STACK: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
}

/// The thread's current context.
pub(crate) fn current() -> Option<Id> {
    STACK.with_borrow(|stack| stack.last().copied())
}

/// Makes `context`, or none, current in place of what is.
pub(crate) fn set_current(context: Option<Id>) {
    STACK.with_borrow_mut(|stack| {
        stack.pop();
        stack.extend(context);
    });
}

/// Makes `context` current on top of what is.
pub(crate) fn push(context: Id) {
    STACK.with_borrow_mut(|stack| stack.push(context));
}

/// Takes away the current context.
pub(crate) fn pop() -> Result<Id> {
    STACK.with_borrow_mut(Vec::pop).ok_or_else(none_is_current)
}

/// What a call that needs a context says on a thread that has none.
pub(crate) fn none_is_current() -> Error {
    let thread = std::thread::current();
    let name = thread.name().map_or_else(|| name_of(thread.id()), |name| format!("`{name}`"));
    Error::new(
        CUresult::CUDA_ERROR_INVALID_CONTEXT,
        format!("no context is current on the thread {name}; cuCtxSetCurrent makes one so, on each thread"),
    )
}

fn name_of(id: ThreadId) -> String {
    format!("{id:?}")
}
