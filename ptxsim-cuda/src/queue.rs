//! What is queued and not yet done, and which of it may be done next.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::handle::Id;
use crate::settings::Order;
use crate::state::State;
use crate::stream::StreamKind;
use crate::watch::{self, Fingerprint};
use crate::work::{Copy, Work};

/// A piece of queued work; later ones have greater numbers.
pub(crate) type WorkId = u64;

/// A piece of work that waits its turn.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub work: Work,
    pub context: Id,
    /// The function that queued it.
    pub call: &'static str,
    /// What the program's memory was that it copies from or to.
    pub watch: Option<Fingerprint>,
    /// What must be done before it.
    needs: Vec<WorkId>,
}

/// All work that is not done.
#[derive(Debug)]
pub(crate) struct Queue {
    order: Order,
    random: u64,
    waiting: BTreeMap<WorkId, Queued>,
    /// What is being done now; it still stands in `waiting`.
    running: Option<WorkId>,
    next: WorkId,
}

impl Queue {
    pub fn new(order: Order) -> Self {
        let random = if let Order::Random(seed) = order { seed } else { 0 };
        Self { order, random, waiting: BTreeMap::new(), running: None, next: 1 }
    }

    /// Adds work that must come after `needs`.
    pub fn push(&mut self, context: Id, call: &'static str, work: Work, needs: Vec<WorkId>) -> WorkId {
        let id = self.next;
        self.next += 1;
        let needs = needs.into_iter().filter(|need| self.waiting.contains_key(need)).collect();
        let watch = self.watch(&work);
        self.waiting.insert(id, Queued { work, context, call, watch, needs });
        id
    }

    /// What the program's memory of a copy is now, unless the copy is done at once.
    fn watch(&self, work: &Work) -> Option<Fingerprint> {
        match work {
            // What cannot be read fails in the copy.
            Work::Copy(copy) if self.order != Order::Early => Fingerprint::of(copy).ok().flatten(),
            _ => None,
        }
    }

    /// Has what queued copies expect of the program's memory be what it is now, after work in its order has
    /// written to that memory between these addresses, or everywhere.
    pub fn watch_anew(&mut self, written: Option<(u64, u64)>) {
        let is_written = |copy: &Copy| match (watch::host_range(copy), written) {
            (Some((start, end)), Some((from, to))) => start < to && from < end,
            (range, _) => range.is_some(),
        };
        for queued in self.waiting.values_mut() {
            if let Work::Copy(copy) = &queued.work
                && queued.watch.is_some()
                && is_written(copy)
            {
                queued.watch = Fingerprint::of(copy).ok().flatten();
            }
        }
    }

    /// Whether it is done, or was dropped.
    pub fn is_done(&self, id: WorkId) -> bool {
        !self.waiting.contains_key(&id)
    }

    /// Takes up one piece of work that must come before `targets` or is one of them; none if all are done.
    pub fn start_towards(&mut self, targets: &[WorkId]) -> Option<(WorkId, Queued)> {
        let needed = self.needed(targets);
        let ready: Vec<WorkId> = needed.into_iter().filter(|id| self.is_ready(*id)).collect();
        let chosen = match self.order {
            Order::Early => ready.first(),
            Order::Late => ready.last(),
            Order::Random(_) => ready.get(self.random_below(ready.len().max(1))),
        };
        let chosen = *chosen?;
        self.start(chosen)
    }

    /// Takes up one piece of work, now that something was queued, if the order has it so.
    pub fn start_any(&mut self) -> Option<(WorkId, Queued)> {
        match self.order {
            Order::Late => None,
            Order::Early => {
                let first = *self.waiting.keys().find(|id| self.is_ready(**id))?;
                self.start(first)
            }
            Order::Random(_) => {
                let ready: Vec<WorkId> =
                    self.waiting.keys().copied().filter(|id| self.is_ready(*id)).collect();
                let chosen = self.random_below(2 * ready.len().max(1));
                self.start(*ready.get(chosen)?)
            }
        }
    }

    /// Ends the work that was taken up.
    pub fn finish(&mut self, id: WorkId) {
        self.waiting.remove(&id);
        self.running = None;
    }

    /// Forgets what is queued in a context.
    pub fn drop_context(&mut self, context: Id) {
        let running = self.running;
        self.waiting.retain(|id, queued| queued.context != context || Some(*id) == running);
    }

    /// How many launches are queued.
    pub fn launches(&self) -> usize {
        self.waiting.values().filter(|queued| matches!(queued.work, Work::Launch(_))).count()
    }

    /// A kernel of a module that is queued, if there is one.
    pub fn launch_of(&self, module: Id) -> Option<&str> {
        self.waiting.values().find_map(|queued| match &queued.work {
            Work::Launch(launch) if launch.module == module => Some(launch.kernel.as_str()),
            _ => None,
        })
    }

    fn start(&mut self, id: WorkId) -> Option<(WorkId, Queued)> {
        let queued = self.waiting.get(&id)?.clone();
        self.running = Some(id);
        Some((id, queued))
    }

    fn is_ready(&self, id: WorkId) -> bool {
        let is_free = |queued: &Queued| queued.needs.iter().all(|need| self.is_done(*need));
        self.running != Some(id) && self.waiting.get(&id).is_some_and(is_free)
    }

    /// `targets`, and all that they need, as far as it is not done.
    fn needed(&self, targets: &[WorkId]) -> BTreeSet<WorkId> {
        let mut needed = BTreeSet::new();
        let mut open = targets.to_vec();
        while let Some(id) = open.pop() {
            if let Some(queued) = self.waiting.get(&id)
                && needed.insert(id)
            {
                open.extend(&queued.needs);
            }
        }
        needed
    }

    /// A number below `end` (splitmix64).
    fn random_below(&mut self, end: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

impl State {
    /// Queues work in a stream; none if it is recorded instead.
    pub fn enqueue(&mut self, stream: Id, call: &'static str, work: Work) -> Result<Option<WorkId>> {
        if self.capture_work(stream, &work)? {
            return Ok(None);
        }
        let needs = self.before(stream)?;
        self.enqueue_after(stream, call, work, needs).map(Some)
    }

    /// Queues work in a stream, which must come after `needs` as well.
    pub fn enqueue_after(
        &mut self,
        stream: Id,
        call: &'static str,
        work: Work,
        needs: Vec<WorkId>,
    ) -> Result<WorkId> {
        let context = self.streams.get(stream)?.context;
        let id = self.queue.push(context, call, work, needs);
        self.streams.get_mut(stream)?.last = Some(id);
        Ok(id)
    }

    /// What the next work of a stream comes after: its last; in the legacy default stream that of all
    /// blocking streams, and in those that of the legacy default stream.
    pub fn before(&self, stream: Id) -> Result<Vec<WorkId>> {
        let this = self.streams.get(stream)?;
        let mut needs: Vec<WorkId> = this.last.into_iter().collect();
        match this.kind {
            StreamKind::NonBlocking => {}
            StreamKind::Legacy => {
                let blocking = self.streams.iter().filter(|(_, other)| {
                    other.context == this.context && other.kind != StreamKind::NonBlocking
                });
                needs.extend(blocking.filter_map(|(_, other)| other.last));
            }
            StreamKind::Blocking | StreamKind::PerThread => {
                let legacy = self.contexts.get(this.context)?.legacy_stream;
                needs.extend(self.streams.get(legacy)?.last);
            }
        }
        Ok(needs)
    }
}
