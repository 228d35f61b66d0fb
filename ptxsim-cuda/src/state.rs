//! What the driver knows, guarded by one lock.

use cudarc::driver::sys::CUresult;

use crate::capture::Capture;
use crate::context::{Context, Primary};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::graph::{Executable, Graph};
use crate::handle::{Id, Table};
use crate::memory::Memory;
use crate::module::{Function, Module};
use crate::pinned::Pinned;
use crate::queue::Queue;
use crate::stream::{Stream, StreamKind};

/// Everything that programs have made.
#[derive(Debug)]
pub(crate) struct State {
    pub contexts: Table<Context>,
    /// By GPU.
    pub primaries: Vec<Primary>,
    pub streams: Table<Stream>,
    pub events: Table<Event>,
    pub modules: Table<Module>,
    pub functions: Table<Function>,
    pub graphs: Table<Graph>,
    pub executables: Table<Executable>,
    pub captures: Table<Capture>,
    pub memory: Memory,
    pub pinned: Pinned,
    pub queue: Queue,
}

impl State {
    pub fn new(devices: usize, memory_bytes: u64, queue: Queue) -> Self {
        Self {
            contexts: Table::new("context"),
            primaries: vec![Primary::default(); devices],
            streams: Table::new("stream"),
            events: Table::new("event"),
            modules: Table::new("module"),
            functions: Table::new("function"),
            graphs: Table::new("graph"),
            executables: Table::new("executable graph"),
            captures: Table::new("capture"),
            memory: Memory::new(devices, memory_bytes),
            pinned: Pinned::default(),
            queue,
        }
    }

    /// A new context on `device`.
    pub fn create_context(&mut self, device: usize, is_primary: bool, flags: u32) -> Id {
        let context = self.contexts.insert(Context {
            device,
            is_primary,
            flags,
            legacy_stream: 0,
            thread_streams: Default::default(),
            orphans: Vec::new(),
            limits: Default::default(),
            cache_config: 0,
            failed: None,
        });
        let legacy = self.streams.insert(Stream::new(context, StreamKind::Legacy));
        if let Ok(context) = self.contexts.get_mut(context) {
            context.legacy_stream = legacy;
        }
        context
    }

    /// Ends a context and all that is in it; `call` is the function that asks for it.
    pub fn destroy_context(&mut self, id: Id, call: &'static str) -> Result {
        self.contexts
            .remove(id, call)
            .map_err(|error| Error::new(CUresult::CUDA_ERROR_INVALID_CONTEXT, error.why))?;
        self.queue.drop_context(id);
        self.pinned.end_context(id);
        fn end<T>(table: &mut Table<T>, call: &'static str, is_inside: impl Fn(&T) -> bool) {
            let inside: Vec<Id> =
                table.iter().filter(|(_, thing)| is_inside(thing)).map(|(id, _)| id).collect();
            for id in inside {
                // It was found a moment ago.
                let _ = table.remove(id, call);
            }
        }
        end(&mut self.streams, call, |stream| stream.context == id);
        end(&mut self.events, call, |event| event.context == id);
        end(&mut self.functions, call, |function| function.context == id);
        end(&mut self.modules, call, |module| module.context == id);
        Ok(())
    }

    /// Has a context's queued work dropped, and its calls give `code` from now on.
    pub fn fail_context(&mut self, context: Id, code: CUresult) {
        self.queue.drop_context(context);
        if let Ok(context) = self.contexts.get_mut(context) {
            context.failed.get_or_insert(code);
        }
    }
}
