//! Places in shared memory, and what asynchronous work allows there.

use super::shadow::{Busy, GRANULE};
use super::{Addresses, SHARED_RANK_SHIFT, resolve_generic};
use crate::fault::{Fault, FaultKind};
use crate::machine::LANES;
use crate::machine::context::Context;
use crate::types::Space;

type Result<T> = std::result::Result<T, Box<Fault>>;

/// A place in the shared memory of one block of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub rank: usize,
    pub offset: u32,
}

impl Context<'_> {
    /// Where `bytes` bytes at `lane`'s shared or generic `address` are.
    pub fn place(&self, lane: usize, space: Space, address: u64, bytes: usize, align: u64) -> Result<Place> {
        let (space, address) =
            if space == Space::Generic { resolve_generic(address) } else { (space, address) };
        if space != Space::Shared {
            let detail = format!("address {address:#x} is in {} memory, not in shared", space.name());
            return Err(self.fault(lane, FaultKind::Misuse { detail }));
        }
        let Place { rank, offset } = self.shared_place(lane, address, bytes)?;
        if !u64::from(offset).is_multiple_of(align) {
            let detail = format!("shared address {address:#x} is no multiple of {align}");
            return Err(self.fault(lane, FaultKind::Misuse { detail }));
        }
        Ok(Place { rank, offset })
    }

    /// The block of the cluster and the offset there that a shared address of `bytes` bytes names.
    pub fn shared_place(&self, lane: usize, address: u64, bytes: usize) -> Result<Place> {
        let offset = address & ((1 << SHARED_RANK_SHIFT) - 1);
        let rank = match address >> SHARED_RANK_SHIFT {
            0 => self.rank,
            tagged => tagged as usize - 1,
        };
        let end = offset + bytes as u64;
        let detail = match self.blocks.get(rank) {
            Some(block)
                if end > block.shared.bytes() as u64
                    || self.launch.shared_layout.leaves_variables(offset, end) =>
            {
                self.launch.explain_shared(offset, bytes as u64)
            }
            Some(block) if block.live == 0 => {
                let detail =
                    format!("the block of rank {rank} in the cluster has ended, and its memory with it");
                return Err(self.fault(lane, FaultKind::Misuse { detail }));
            }
            Some(_) => return Ok(Place { rank, offset: offset as u32 }),
            None => format!("the cluster has no block of rank {rank}"),
        };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Err(self.fault(lane, FaultKind::OutOfBounds { space: Space::Shared, address, bytes, detail }))
    }

    /// A fault if asynchronous work is not done with what an ordinary access touches; notes a store.
    #[inline(always)]
    pub fn check_copies(
        &mut self,
        rank: usize,
        offsets: &Addresses,
        active: u32,
        bytes: usize,
        writes: bool,
    ) -> Result<()> {
        let first_thread = self.warp * LANES;
        let own = rank == self.rank;
        let block = &mut self.blocks[rank];
        let (shadow, now) = (&mut block.shared.shadow, block.order.now());
        if let Some((lane, busy)) = shadow.conflict(offsets, active, bytes, writes) {
            return Err(self.unfinished(lane, offsets[lane], busy));
        }
        if writes && own {
            shadow.store(offsets, active, bytes, first_thread, now);
        }
        Ok(())
    }

    /// The fault of touching what asynchronous work is not done with.
    #[cold]
    pub fn unfinished(&self, lane: usize, address: u64, busy: Busy) -> Box<Fault> {
        let state = match busy {
            Busy::Incoming => "is still to be filled",
            Busy::Outgoing => "is still being read",
        };
        self.fault(lane, FaultKind::UnfinishedCopy { address, state })
    }

    /// A fault unless the async proxy may read `granule` of block `rank`.
    #[inline]
    pub fn check_async_read(&self, lane: usize, rank: usize, granule: usize) -> Result<()> {
        let shared = &self.blocks[rank].shared;
        let written = !self.launch.checks.uninitialised || shared.is_granule_written(granule);
        if written && shared.shadow.is_untouched(granule) {
            return Ok(());
        }
        self.check_async_read_closely(lane, rank, granule)
    }

    fn check_async_read_closely(&self, lane: usize, rank: usize, granule: usize) -> Result<()> {
        let shared = &self.blocks[rank].shared;
        let address = (granule * GRANULE) as u64;
        if let Some(busy) = shared.shadow.busy(granule, false) {
            return Err(self.unfinished(lane, address, busy));
        }
        self.check_granule_in_flight(rank, lane, address, GRANULE)?;
        let reader = (rank == self.rank).then_some(self.warp);
        if let Some(writer) = shared.shadow.unfenced(granule, &self.blocks[rank].order, reader) {
            return Err(self.fault(lane, FaultKind::MissingProxyFence { address, writer: writer as u32 }));
        }
        if self.launch.checks.uninitialised
            && let Some(place) = shared.first_unwritten_byte(granule * GRANULE, GRANULE)
        {
            let kind = FaultKind::UninitialisedRead { space: Space::Shared, address: place as u64, bytes: 1 };
            return Err(self.fault(lane, kind));
        }
        Ok(())
    }
}
