//! What is left when it should have ended: memory when its context ends, all when the process does.

use std::collections::BTreeMap;

use crate::driver;
use crate::handle::Id;
use crate::memory::Block;
use crate::report;
use crate::state::State;
use crate::stream::StreamKind;

/// Has what is left reported when the process ends.
pub(crate) fn report_at_exit() {
    extern "C" fn at_exit() {
        if let Some(state) = driver::at_rest() {
            state.report_leaks();
        }
    }
    // SAFETY: the function may be called at exit: it waits for nothing. If it cannot be noted, leaks are
    // not reported.
    let _ = unsafe { libc::atexit(at_exit) };
}

impl State {
    /// Reports the memory that was taken in a context and not given back.
    pub fn report_memory_leaks(&self, context: Id) {
        report_blocks(&self.memory.of_context(context));
        let pinned = self.pinned.taken(context);
        if pinned > 0 {
            report::leak("cuMemHostAlloc", "pieces of pinned memory taken", pinned);
        }
    }

    fn report_leaks(&self) {
        for (context, _) in self.contexts.iter() {
            self.report_memory_leaks(context);
        }
        let own = |kind| matches!(kind, StreamKind::Blocking | StreamKind::NonBlocking);
        let counts = [
            ("cuStreamCreate", "streams made", self.streams.iter().filter(|(_, s)| own(s.kind)).count()),
            ("cuEventCreate", "events made", self.events.iter().count()),
            ("cuModuleLoad", "modules loaded", self.modules.iter().count()),
            ("cuGraphCreate", "graphs made", self.graphs.iter().count()),
            ("cuGraphInstantiate", "graphs instantiated", self.executables.iter().count()),
            ("cuLaunchKernel", "launches, never waited for and never done, queued", self.queue.launches()),
        ];
        for (call, what, count) in counts.into_iter().filter(|(.., count)| *count > 0) {
            report::leak(call, what, count);
        }
    }
}

fn report_blocks(blocks: &[(u64, Block)]) {
    let mut by_call: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (_, block) in blocks {
        let (count, bytes) = by_call.entry(block.call).or_default();
        *count += 1;
        *bytes += block.bytes;
    }
    for (call, (count, bytes)) in by_call {
        report::leak(call, &format!("allocations of {bytes} bytes in all, made"), count);
    }
}
