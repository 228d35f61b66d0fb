//! Copies from global to shared memory that `cp.async` has begun and nobody has waited for.
//!
//! A copy reads its source when it is issued and lands as late as PTX allows, when its thread waits
//! for it. Until then its destination may be neither read nor written, by any thread.

use super::context::Context;
use super::{LANES, lanes};
use crate::fault::{Fault, FaultKind};
use crate::memory::{Addresses, AllPlanes};
use crate::types::Space;

/// The copies of one `cp.async` of a warp.
#[derive(Clone, Debug)]
struct Batch {
    pc: u32,
    /// Lanes whose copy has not landed.
    lanes: u32,
    /// The group each lane's copy belongs to.
    groups: [u32; LANES],
    offsets: Addresses,
    bytes: usize,
    data: AllPlanes,
}

/// The copies of one warp.
#[derive(Clone, Debug, Default)]
struct WarpCopies {
    /// In the order they were issued.
    batches: Vec<Batch>,
    /// Groups that each lane has committed; the next copy belongs to the group of that number.
    committed: [u32; LANES],
}

/// The copies of a block.
#[derive(Clone, Debug, Default)]
pub(crate) struct AsyncCopies {
    warps: Vec<WarpCopies>,
    /// Batches that have not landed, over all warps.
    batches: usize,
    /// For each word of shared memory, whether a copy is to land there.
    words: Vec<bool>,
}

impl AsyncCopies {
    /// None under way, for `threads` threads and `shared_bytes` bytes of shared memory.
    pub fn reset(&mut self, threads: u32, shared_bytes: usize) {
        self.warps.clear();
        self.warps.resize((threads as usize).div_ceil(LANES), WarpCopies::default());
        self.batches = 0;
        self.words.clear();
        self.words.resize(shared_bytes.div_ceil(4), false);
    }

    fn mark(&mut self, offsets: &Addresses, active: u32, bytes: usize, in_flight: bool) {
        for lane in lanes(active) {
            let first = offsets[lane] as usize / 4;
            self.words[first..first + bytes / 4].fill(in_flight);
        }
    }
}

/// Which of a thread's copies a wait is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// Those of all committed groups but the last so many.
    AllGroupsBut(u32),
    /// All of them.
    Everything,
}

impl Context<'_> {
    /// Begin a copy of `data` by each active lane to offsets in this block's shared memory, which
    /// have been checked.
    pub fn begin_copies(&mut self, offsets: &Addresses, bytes: usize, data: &AllPlanes) {
        let (active, pc, warp) = (self.active, self.pc, self.warp);
        let copies = &mut self.block().async_copies;
        copies.mark(offsets, active, bytes, true);
        copies.batches += 1;
        let WarpCopies { batches, committed } = &mut copies.warps[warp];
        batches.push(Batch { pc, lanes: active, groups: *committed, offsets: *offsets, bytes, data: *data });
    }

    /// The active lanes' copies since their last group become a group.
    pub fn commit_copies(&mut self) {
        let (active, warp) = (self.active, self.warp);
        let committed = &mut self.block().async_copies.warps[warp].committed;
        lanes(active).for_each(|lane| committed[lane] += 1);
    }

    /// Land the active lanes' copies that are due.
    pub fn land_copies(&mut self, due: Due) -> Result<(), Box<Fault>> {
        let (active, pc, warp) = (self.active, self.pc, self.warp);
        let copies = &mut self.block().async_copies.warps[warp];
        let committed = copies.committed;
        let mut batches = std::mem::take(&mut copies.batches);
        let is_due = |group: u32, lane: usize| match due {
            // Group numbers start at 0: of n committed groups, those below n - kept are due.
            Due::AllGroupsBut(kept) => u64::from(group) + u64::from(kept) < u64::from(committed[lane]),
            Due::Everything => true,
        };
        for batch in &mut batches {
            let landing = lanes(batch.lanes & active)
                .filter(|&lane| is_due(batch.groups[lane], lane))
                .fold(0, |mask, lane| mask | 1 << lane);
            batch.lanes &= !landing;
            if landing == 0 {
                continue;
            }
            self.block().async_copies.mark(&batch.offsets, landing, batch.bytes, false);
            // What the store does is put down to the copy, not to the wait.
            (self.active, self.pc) = (landing, batch.pc);
            self.store(Space::Shared, &batch.offsets, batch.bytes, &batch.data)?;
        }
        (self.active, self.pc) = (active, pc);
        let before = batches.len();
        batches.retain(|batch| batch.lanes != 0);
        let copies = &mut self.block().async_copies;
        copies.batches -= before - batches.len();
        copies.warps[warp].batches = batches;
        Ok(())
    }

    /// A fault if an access to the shared memory of block `rank` touches bytes that a copy is to fill.
    #[inline(always)]
    pub fn check_in_flight(
        &self,
        rank: usize,
        offsets: &Addresses,
        active: u32,
        bytes: usize,
    ) -> Result<(), Box<Fault>> {
        if self.blocks[rank].async_copies.batches == 0 {
            return Ok(());
        }
        let words = &self.blocks[rank].async_copies.words;
        let touches = |lane: &usize| {
            let offset = offsets[*lane] as usize;
            words[offset / 4..(offset + bytes).div_ceil(4)].contains(&true)
        };
        match lanes(active).find(touches) {
            None => Ok(()),
            Some(lane) => Err(self.in_flight(rank, lane, offsets[lane], bytes)),
        }
    }

    /// As [`Self::check_in_flight`], for one read of `bytes` bytes by the async proxy.
    pub fn check_granule_in_flight(
        &self,
        rank: usize,
        lane: usize,
        offset: u64,
        bytes: usize,
    ) -> Result<(), Box<Fault>> {
        let copies = &self.blocks[rank].async_copies;
        let (first, end) = (offset as usize / 4, (offset as usize + bytes).div_ceil(4));
        if copies.batches == 0 || !copies.words[first..end.min(copies.words.len())].contains(&true) {
            return Ok(());
        }
        Err(self.in_flight(rank, lane, offset, bytes))
    }

    #[cold]
    fn in_flight(&self, rank: usize, lane: usize, offset: u64, bytes: usize) -> Box<Fault> {
        let warps = &self.blocks[rank].async_copies.warps;
        let overlaps = |batch: &Batch, other: usize| {
            let start = batch.offsets[other];
            start < offset + bytes as u64 && offset < start + batch.bytes as u64
        };
        let found = warps.iter().enumerate().find_map(|(warp, copies)| {
            copies.batches.iter().find_map(|batch| {
                let other = lanes(batch.lanes).find(|&other| overlaps(batch, other))?;
                let committed = batch.groups[other] < copies.committed[other];
                Some(((warp * LANES + other) as u32, batch.pc, committed))
            })
        });
        // A marked word always has its batch; without one, name this access itself.
        let (thread, pc, committed) = found.unwrap_or(((self.warp * LANES + lane) as u32, self.pc, false));
        let copied_at = self.launch.place(pc);
        self.fault(lane, FaultKind::CopyInFlight { address: offset, thread, copied_at, committed })
    }
}
