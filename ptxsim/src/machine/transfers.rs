//! Work of the async proxy that is under way in a block: bulk copies, and wgmma's reads.

use std::collections::VecDeque;

use super::cluster::Block;
use super::context::Context;
use super::lanes;
use crate::exec::bulk_reduce::Reduction;
use crate::fault::Fault;
use crate::memory::shadow::{Busy, GRANULE};
use crate::memory::swizzle::Swizzle;

/// Data on its way to a block's shared memory, to land when its mbarrier is next tested.
///
/// Landing as late as a program can tell makes a read that does not wait fault in every run.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Offset of the mbarrier that counts the bytes.
    pub barrier: u32,
    /// Where the data goes: dense from `start`, then each 16 bytes swizzled.
    pub start: u32,
    pub swizzle: Swizzle,
    /// How it changes what is there; none if it overwrites it.
    pub reduction: Option<Reduction>,
    pub data: Vec<u8>,
}

impl Delivery {
    /// Shared offset of each granule of `bytes` bytes from `start`.
    pub fn granules(start: u32, bytes: usize, swizzle: Swizzle) -> impl Iterator<Item = usize> {
        (0..bytes).step_by(GRANULE).map(move |at| swizzle.apply(start as usize + at) / GRANULE)
    }
}

impl Block {
    /// Land what is under way to the mbarrier at `barrier`: whether that changes memory, or an error if
    /// the bytes are too many.
    pub fn land(&mut self, barrier: u32) -> Result<bool, String> {
        let mut changed = false;
        let mut at = 0;
        while at < self.deliveries.len() {
            if self.deliveries[at].barrier != barrier {
                at += 1;
                continue;
            }
            let Delivery { start, swizzle, reduction, mut data, .. } = self.deliveries.remove(at);
            let granules = Delivery::granules(start, data.len(), swizzle);
            for (granule, chunk) in granules.zip(data.chunks_mut(GRANULE)) {
                let mut old = [0; GRANULE];
                self.shared.read_bytes(granule * GRANULE, &mut old);
                if let Some(reduction) = reduction {
                    reduction.apply(&old, chunk);
                }
                changed |= old != *chunk;
                self.shared.write_bytes(granule * GRANULE, chunk);
                self.shared.shadow.end_incoming(granule);
            }
            if let Some(barrier) = self.mbarriers.get_mut(&barrier) {
                barrier.complete(data.len() as u32)?;
            }
        }
        Ok(changed)
    }
}

impl Context<'_> {
    /// A fault if the active threads end while their bulk stores still read shared memory, or with
    /// them the block while bulk copies are on their way to it.
    #[inline(always)]
    pub fn check_unfinished_copies(&self) -> Result<(), Box<Fault>> {
        if !self.launch.kernel.uses_async_proxy || !self.launch.checks.async_proxy {
            return Ok(());
        }
        for lane in lanes(self.active) {
            let BulkGroups { open, committed } = &self.bulk[lane];
            if let Some(&granule) = open.iter().chain(committed.iter().flatten()).next() {
                return Err(self.unfinished(lane, (granule * GRANULE) as u64, Busy::Outgoing));
            }
        }
        let block = &self.blocks[self.rank];
        match block.deliveries.first() {
            Some(delivery) if block.live == self.active.count_ones() => {
                Err(self.unfinished(self.leader(), delivery.start.into(), Busy::Incoming))
            }
            _ => Ok(()),
        }
    }
}

/// The bulk stores of one thread: granules that each group still reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct BulkGroups {
    /// Of the group not committed yet.
    pub open: Vec<usize>,
    pub committed: VecDeque<Vec<usize>>,
}

/// The wgmma of a warpgroup: how many each warp has run, and what they still read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warpgroup {
    pub issued: [u64; 4],
    /// Number of the wgmma within its warp, and the granules it reads.
    pub reads: Vec<(u64, Vec<usize>)>,
    /// B of the last wgmma, each at its number modulo [`RIGHTS`]: the first warp to run one reads B for
    /// all four.
    pub rights: [Right; RIGHTS],
}

/// How many wgmma a warp may run ahead of the others of its group and leave them its B.
pub(crate) const RIGHTS: usize = 16;

/// The operand B of a wgmma, laid out for multiplication.
#[derive(Clone, Debug, Default)]
pub(crate) struct Right {
    /// Which wgmma it is of: its number within its warp, its instruction and B's descriptor.
    pub key: (u64, u32, u64),
    /// The warp of the group that has read it, and the granules where it lay.
    pub reader: usize,
    pub granules: Vec<usize>,
    /// Eight columns after the other, each by k: columns 0, 2, 4, 6, which one register of D holds, then
    /// 1, 3, 5, 7, which the next one does; each four twice, for vectors of eight.
    pub columns: Vec<[[f32; 8]; 2]>,
}
