//! What is noted of every access that has passed its checks: traffic, and races with other accesses.

use super::block_races::Key;
use super::global::Allocation;
use super::traffic::{sectors, wavefronts};
use super::warp_races::Site;
use super::{Access, Addresses};
use crate::fault::{Fault, FaultKind};
use crate::machine::context::Context;
use crate::machine::{LANES, lanes};

impl Context<'_> {
    /// Note an access of the active lanes to one allocation. Races between blocks are only noted here;
    /// they are reported when the launch ends.
    pub(super) fn observe_global(
        &mut self,
        allocation: &Allocation,
        addresses: &Addresses,
        active: u32,
        bytes: usize,
        access: Access,
    ) {
        if self.launch.traffic {
            let count = &mut self.counters.instructions[self.pc as usize];
            count.global_requests += 1;
            count.global_bytes += u64::from(active.count_ones()) * bytes as u64;
            count.global_sectors += sectors(addresses, active);
            allocation.mark_lanes_touched(addresses, active, bytes, access);
        }
        let Some(races) = &self.launch.races else { return };
        let Some(access) = self.checked(access) else { return };
        let block = self.launch.linear_block(self.blocks[self.rank].index);
        let mut last = None;
        for lane in lanes(active) {
            let address = addresses[lane];
            if last != Some(address) {
                last = Some(address);
                let key = Key::new(block, self.pc, (self.warp * LANES + lane) as u32);
                races.note(allocation, address, bytes, access, key);
            }
        }
    }

    /// Note an access of the active lanes to the shared memory of block `rank` of the cluster. The
    /// memory of other blocks is not watched for races.
    pub(super) fn observe_shared(
        &mut self,
        rank: usize,
        offsets: &Addresses,
        active: u32,
        bytes: usize,
        access: Access,
    ) -> Result<(), Box<Fault>> {
        if self.launch.traffic {
            let passes = wavefronts(offsets, active, bytes);
            let count = &mut self.counters.instructions[self.pc as usize];
            count.shared_requests += 1;
            count.shared_bytes += u64::from(active.count_ones()) * bytes as u64;
            count.shared_wavefronts += passes.taken;
            count.shared_ideal += passes.ideal;
        }
        self.note_shared_race(rank, offsets, active, bytes, access)
    }

    /// Note an access of the active lanes to shared memory; a fault if it races with an earlier one.
    pub(super) fn note_shared_race(
        &mut self,
        rank: usize,
        offsets: &Addresses,
        active: u32,
        bytes: usize,
        access: Access,
    ) -> Result<(), Box<Fault>> {
        if !self.launch.checks.races || self.launch.threads() <= LANES as u32 || rank != self.rank {
            return Ok(());
        }
        let Some(access) = self.checked(access) else { return Ok(()) };
        let block = &mut self.blocks[rank];
        let mut last = None;
        for lane in lanes(active) {
            let offset = offsets[lane];
            if last == Some(offset) {
                continue;
            }
            last = Some(offset);
            let site = Site { thread: (self.warp * LANES + lane) as u32, pc: self.pc };
            let Some(earlier) = block.races.note(&block.order, offset as usize, bytes, access, site) else {
                continue;
            };
            let kind = FaultKind::SharedRace {
                address: offset,
                other_thread: earlier.site.thread,
                other_source: self.launch.place(earlier.site.pc),
                hazard: access.hazard_after(earlier.access),
            };
            return Err(self.fault(lane, kind));
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
}
