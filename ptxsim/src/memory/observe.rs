//! What is noted of every access whose place is right: traffic, what has been written, and races with
//! other accesses.

use super::allocation::Allocation;
use super::block_races::Key;
use super::pattern::Pattern;
use super::shadow::GRANULE;
use super::traffic::{sectors, wavefronts};
use super::warp_races::{Earlier, Site};
use super::{Access, Addresses};
use crate::fault::{Fault, FaultKind};
use crate::machine::context::Context;
use crate::machine::{LANES, lanes};
use crate::types::Space;

impl Context<'_> {
    /// Note an access of the active lanes to one allocation; a fault if it reads what nothing has
    /// written. Races between blocks are only noted here; they are reported when the launch ends.
    pub(super) fn observe_global(
        &mut self,
        allocation: &Allocation,
        addresses: &Addresses,
        active: u32,
        bytes: usize,
        access: Access,
    ) -> Result<(), Box<Fault>> {
        let (traffic, uninitialised) = (self.launch.traffic, self.launch.checks.uninitialised);
        if !traffic && !uninitialised && self.launch.races.is_none() {
            return Ok(());
        }
        let pattern = Pattern::of(addresses, active, bytes);
        if uninitialised {
            if access == Access::Write {
                allocation.mark_lanes_written(addresses, &pattern, bytes);
            } else if let Some(lane) = allocation.first_unwritten(addresses, &pattern, bytes) {
                return Err(self.unwritten(lane, Space::Global, addresses[lane], bytes));
            }
        }
        if traffic {
            let count = &mut self.counters.instructions[self.pc as usize];
            count.global_requests += 1;
            count.global_bytes += u64::from(active.count_ones()) * bytes as u64;
            count.global_sectors += sectors(addresses, &pattern);
            allocation.mark_touched(addresses, &pattern, bytes, access);
        }
        let Some(races) = &self.launch.races else { return Ok(()) };
        let Some(access) = self.checked(access) else { return Ok(()) };
        let block = self.launch.linear_block(self.blocks[self.rank].index);
        let key = |lane: usize| Key::new(block, self.pc, (self.warp * LANES + lane) as u32);
        match pattern.run_of_neighbours() {
            Some((first, (start, length))) => {
                races.note(allocation, start, length, access, |at| key(first + at / bytes));
            }
            None => {
                for lane in lanes(pattern.distinct) {
                    races.note(allocation, addresses[lane], bytes, access, |_| key(lane));
                }
            }
        }
        Ok(())
    }

    /// Note an access of the active lanes to `offsets` in the shared memory of block `rank` of the
    /// cluster; a fault if it races with an earlier one or reads what nothing has written. The memory
    /// of other blocks is not watched for races.
    pub(super) fn observe_shared(
        &mut self,
        rank: usize,
        (addresses, offsets): (&Addresses, &Addresses),
        active: u32,
        bytes: usize,
        access: Access,
    ) -> Result<(), Box<Fault>> {
        let (traffic, uninitialised) = (self.launch.traffic, self.launch.checks.uninitialised);
        let races = self.watches_races_in(rank);
        if !traffic && !uninitialised && !races {
            return Ok(());
        }
        let pattern = Pattern::of(offsets, active, bytes);
        if traffic {
            let passes = wavefronts(offsets, active, bytes, &pattern);
            let count = &mut self.counters.instructions[self.pc as usize];
            count.shared_requests += 1;
            count.shared_bytes += u64::from(active.count_ones()) * bytes as u64;
            count.shared_wavefronts += passes.taken;
            count.shared_ideal += passes.ideal;
        }
        if races {
            self.note_shared_race(rank, offsets, pattern.distinct, bytes, access)?;
        }
        if uninitialised {
            let shared = &mut self.blocks[rank].shared;
            if access == Access::Write {
                shared.mark_lanes_written(offsets, &pattern, bytes);
            } else if let Some(lane) = shared.first_unwritten(offsets, &pattern, bytes) {
                return Err(self.unwritten(lane, Space::Shared, addresses[lane], bytes));
            }
        }
        Ok(())
    }

    /// Whether accesses to the shared memory of block `rank` can race: it has several warps and is this
    /// warp's own.
    pub(super) fn watches_races_in(&self, rank: usize) -> bool {
        self.launch.checks.races && rank == self.rank && self.launch.threads() > LANES as u32
    }

    /// Note an access of the `active` lanes to this block's shared memory; a fault if it races with an
    /// earlier one.
    pub(super) fn note_shared_race(
        &mut self,
        rank: usize,
        offsets: &Addresses,
        active: u32,
        bytes: usize,
        access: Access,
    ) -> Result<(), Box<Fault>> {
        let Some(access) = self.checked(access) else { return Ok(()) };
        let block = &mut self.blocks[rank];
        for lane in lanes(active) {
            let offset = offsets[lane];
            let site = Site::new((self.warp * LANES + lane) as u32, self.pc);
            if let Some(earlier) = block.races.note(&block.order, offset as usize, bytes, access, site) {
                return Err(self.shared_race(lane, offset, access, earlier));
            }
        }
        Ok(())
    }

    #[cold]
    fn shared_race(&self, lane: usize, address: u64, access: Access, earlier: Earlier) -> Box<Fault> {
        let kind = FaultKind::SharedRace {
            address,
            other_thread: earlier.site.thread(),
            other_source: self.launch.place(earlier.site.pc()),
            hazard: access.hazard_after(earlier.access),
        };
        self.fault(lane, kind)
    }

    /// A fault if wgmma's reads of granules of this block's shared memory race with earlier stores of
    /// other warps. Later stores need not know of them: wgmma's own rules keep those away.
    pub fn check_wgmma_reads(&self, granules: &[usize]) -> Result<(), Box<Fault>> {
        if !self.watches_races_in(self.rank) {
            return Ok(());
        }
        let block = &self.blocks[self.rank];
        let site = Site::new((self.warp * LANES) as u32, self.pc);
        for &granule in granules {
            let offset = granule * GRANULE;
            if let Some(earlier) = block.races.look(&block.order, offset, GRANULE, site) {
                return Err(self.shared_race(0, offset as u64, Access::Read, earlier));
            }
        }
        Ok(())
    }

    /// Note that a bulk copy reads or writes granules of this block's shared memory on behalf of
    /// `lane`; a fault if that races with an earlier access of another warp.
    pub fn note_bulk_copy(
        &mut self,
        lane: usize,
        granules: &[usize],
        access: Access,
    ) -> Result<(), Box<Fault>> {
        if !self.watches_races_in(self.rank) {
            return Ok(());
        }
        let mut offsets = [0; LANES];
        for &granule in granules {
            offsets[lane] = (granule * GRANULE) as u64;
            self.note_shared_race(self.rank, &offsets, 1 << lane, GRANULE, access)?;
        }
        Ok(())
    }

    /// What the access counts as for races: strong stores as atomics, strong loads not at all.
    fn checked(&self, access: Access) -> Option<Access> {
        let strong = self.launch.kernel.instructions[self.pc as usize].spins;
        match access {
            Access::Read if strong => None,
            Access::Write if strong => Some(Access::Atomic),
            other => Some(other),
        }
    }

    /// The fault of reading what nothing has written.
    #[cold]
    pub(super) fn unwritten(&self, lane: usize, space: Space, address: u64, bytes: usize) -> Box<Fault> {
        self.fault(lane, FaultKind::UninitialisedRead { space, address, bytes: bytes as u32 })
    }
}
