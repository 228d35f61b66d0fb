//! What the async proxy (bulk copies and wgmma) has to do with a block's shared memory.
//!
//! Ordinary loads and stores go through the generic proxy. A granule of 16 bytes that a bulk copy is
//! yet to fill cannot be touched before the copy's mbarrier phase completes, one that a bulk store or
//! wgmma is still reading cannot be written, and between an ordinary store and a read by the async proxy
//! must come a `fence.proxy.async`: of the storing thread, or of a warp that knows the store to be over.

use super::Addresses;
use super::order::Order;
use crate::machine::{LANES, lanes};

/// Bytes of a granule.
pub(crate) const GRANULE: usize = 16;

/// The shadow of one block's shared memory; empty for kernels that do not use the async proxy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shadow {
    /// Copies yet to write each granule.
    incoming: Vec<u16>,
    /// Operations yet to read each granule.
    outgoing: Vec<u16>,
    /// Who last stored to each word: the thread's number plus 1, above the time.
    stores: Vec<u64>,
    /// When each thread last ran a proxy fence.
    fences: Vec<u32>,
}

/// Why an access to shared memory is not allowed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    Incoming,
    Outgoing,
}

impl Shadow {
    /// Fresh, for `bytes` bytes of memory and `threads` threads; both 0 for none.
    pub fn reset(&mut self, bytes: usize, threads: usize) {
        let granules = bytes.div_ceil(GRANULE);
        for marks in [&mut self.incoming, &mut self.outgoing] {
            marks.clear();
            marks.resize(granules, 0);
        }
        self.stores.clear();
        self.stores.resize(granules * (GRANULE / 4), 0);
        self.fences.clear();
        self.fences.resize(threads, 0);
    }

    /// The first active lane whose access of `bytes` bytes is not allowed yet.
    #[inline(always)]
    pub fn conflict(
        &self,
        offsets: &Addresses,
        active: u32,
        bytes: usize,
        writes: bool,
    ) -> Option<(usize, Busy)> {
        if self.incoming.is_empty() {
            return None;
        }
        lanes(active).find_map(|lane| {
            let first = offsets[lane] as usize / GRANULE;
            let last = (offsets[lane] as usize + bytes - 1) / GRANULE;
            (first..=last).find_map(|granule| self.busy(granule, writes)).map(|busy| (lane, busy))
        })
    }

    /// Whether `granule` is not free to be read or written.
    pub fn busy(&self, granule: usize, writes: bool) -> Option<Busy> {
        if self.incoming.get(granule).is_some_and(|&n| n > 0) {
            return Some(Busy::Incoming);
        }
        (writes && self.outgoing.get(granule).is_some_and(|&n| n > 0)).then_some(Busy::Outgoing)
    }

    /// Whether no copy is to fill `granule` and no thread has stored there.
    #[inline]
    pub fn is_untouched(&self, granule: usize) -> bool {
        self.incoming.get(granule).is_none_or(|&copies| copies == 0)
            && self.stores.get(granule * 4..granule * 4 + 4).is_none_or(|stamps| stamps == [0; 4])
    }

    /// Note ordinary stores, `now`, of the threads from `first_thread` on.
    #[inline(always)]
    pub fn store(&mut self, offsets: &Addresses, active: u32, bytes: usize, first_thread: usize, now: u32) {
        if self.stores.is_empty() {
            return;
        }
        for lane in lanes(active) {
            let thread = first_thread + lane;
            let stamp = (thread as u64 + 1) << 32 | u64::from(now);
            let first = offsets[lane] as usize / 4;
            self.stores[first..first + bytes.div_ceil(4)].fill(stamp);
        }
    }

    /// `thread` has run a proxy fence at `time`.
    pub fn fence(&mut self, thread: usize, time: u32) {
        if let Some(fence) = self.fences.get_mut(thread) {
            *fence = time;
        }
    }

    /// The thread whose stores to `granule` have passed no proxy fence that `reader` can count on: its own
    /// after the store, or one that the reading warp, of the same block, knows to be later.
    pub fn unfenced(&self, granule: usize, order: &Order, reader: Option<usize>) -> Option<usize> {
        let words = self.stores.get(granule * 4..granule * 4 + 4)?;
        words.iter().find_map(|&stamp| {
            let thread = (stamp >> 32).checked_sub(1)? as usize;
            let time = stamp as u32;
            let fenced = self.fences.get(thread).is_some_and(|&fence| time < fence)
                || reader.is_some_and(|reader| order.is_fenced(reader, thread / LANES, time));
            (!fenced).then_some(thread)
        })
    }

    /// A copy is to write `granule`.
    pub fn add_incoming(&mut self, granule: usize) {
        change(&mut self.incoming, granule, 1);
    }

    /// It has; what ordinary stores wrote there before is gone.
    pub fn end_incoming(&mut self, granule: usize) {
        change(&mut self.incoming, granule, -1);
        if let Some(words) = self.stores.get_mut(granule * 4..granule * 4 + 4) {
            words.fill(0);
        }
    }

    /// An operation is to read `granule`.
    pub fn add_outgoing(&mut self, granule: usize) {
        change(&mut self.outgoing, granule, 1);
    }

    /// It has.
    pub fn end_outgoing(&mut self, granule: usize) {
        change(&mut self.outgoing, granule, -1);
    }
}

fn change(marks: &mut [u16], granule: usize, by: i16) {
    if let Some(mark) = marks.get_mut(granule) {
        *mark = mark.saturating_add_signed(by);
    }
}
