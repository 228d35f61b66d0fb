//! What the warps of a block know of one another.
//!
//! Time counts arrivals at barriers and proxy fences. Each warp knows up to which time the accesses of
//! every other warp lie behind it, and up to which time a proxy fence came between: what it learns where it
//! passes a barrier that the other has arrived at.

/// Most warps of a block.
const WARPS: usize = 32;

/// A time for each warp.
type Times = [u32; WARPS];

/// What a barrier passes on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Horizon {
    /// Up to which time each warp's accesses are over.
    over: Times,
    /// Up to which time a proxy fence has come after them.
    fenced: Times,
}

/// Add what `from` says to `to`.
pub(crate) fn merge(to: &mut Horizon, from: &Horizon) {
    merge_times(&mut to.over, &from.over);
    merge_times(&mut to.fenced, &from.fenced);
}

fn merge_times(to: &mut Times, from: &Times) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = (*to).max(*from));
}

/// Which accesses each warp knows to be over.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    now: u32,
    known: Vec<Horizon>,
    /// The latest time each warp knows anything of.
    latest: Times,
}

impl Default for Order {
    fn default() -> Self {
        Self { now: 1, known: Vec::new(), latest: [0; WARPS] }
    }
}

impl Order {
    /// Begin a block of `warps` warps: all before is over.
    pub fn reset(&mut self, warps: usize) {
        self.now += 1;
        self.known.clear();
        let start = Horizon { over: [self.now; WARPS], fenced: [self.now; WARPS] };
        self.known.resize(warps, start);
        self.latest = [self.now; WARPS];
    }

    /// The time of what happens now.
    #[inline]
    pub fn now(&self) -> u32 {
        self.now
    }

    /// The latest time that `warp` knows anything of.
    #[inline]
    pub fn latest(&self, warp: usize) -> u32 {
        self.latest[warp]
    }

    /// Up to which time `warp` knows the accesses of each warp to be over.
    #[inline]
    pub fn over(&self, warp: usize) -> &[u32; WARPS] {
        &self.known[warp].over
    }

    /// `warp` arrives: who passes after it knows what it did until now.
    pub fn release(&mut self, warp: usize, to: &mut Horizon) {
        self.end_step(warp);
        self.latest[warp] = self.now;
        merge(to, &self.known[warp]);
    }

    /// `warp` passes and learns what those who arrived knew.
    pub fn acquire(&mut self, warp: usize, from: &Horizon) {
        merge(&mut self.known[warp], from);
        self.latest[warp] = self.latest[warp].max(from.over.iter().copied().max().unwrap_or(0));
    }

    /// The lanes of `warp` have met: what each did is over for the others.
    pub fn end_step(&mut self, warp: usize) {
        self.now += 1;
        self.known[warp].over[warp] = self.now;
    }

    /// `warp` runs a proxy fence: what it knows to be over has passed one. Returns the time, after all
    /// that lanes of it did before.
    pub fn fence(&mut self, warp: usize) -> u32 {
        self.now += 1;
        let Horizon { over, fenced } = &mut self.known[warp];
        merge_times(fenced, over);
        self.now
    }

    /// Whether `warp` knows that a proxy fence came after what `other` did at `time`.
    pub fn is_fenced(&self, warp: usize, other: usize, time: u32) -> bool {
        time < self.known[warp].fenced[other]
    }

    /// Whether `warp` knows that accesses of `other` at `time` are over.
    #[inline]
    pub fn is_over(&self, warp: usize, other: usize, time: u32) -> bool {
        warp == other || time < self.known[warp].over[other]
    }

    /// Whether time is about to wrap, so that what is dated must be cleared and time begun anew.
    pub fn is_old(&self) -> bool {
        self.now > u32::MAX / 2
    }
}
