//! Whole pieces of global memory, as bulk copies move them.

use super::Access;
use super::allocation::Allocation;
use super::block_races::Key;
use super::global::Trouble;
use super::pattern::Pattern;
use crate::counters::SECTOR;
use crate::fault::{Fault, FaultKind};
use crate::machine::LANES;
use crate::machine::context::Context;
use crate::types::Space;

type Result<T> = std::result::Result<T, Box<Fault>>;

impl<'a> Context<'a> {
    /// Copy global memory to `out`, on behalf of `lane`.
    pub fn read_global(&mut self, lane: usize, address: u64, out: &mut [u8]) -> Result<()> {
        let allocation = self.peek_global(lane, address, out)?;
        self.note_bulk(lane, allocation, address, out.len(), Access::Read);
        Ok(())
    }

    /// As [`Self::read_global`] without noting the access, for what is no data of the kernel's.
    pub fn peek_global(&self, lane: usize, address: u64, out: &mut [u8]) -> Result<&'a Allocation> {
        let allocation = self.allocation(lane, address, out.len())?;
        self.check_all_written(lane, allocation, address, out.len())?;
        allocation.read((address - allocation.base) as usize, out);
        Ok(allocation)
    }

    /// Copy `data` to global memory.
    pub fn write_global(&mut self, lane: usize, address: u64, data: &[u8]) -> Result<()> {
        let allocation = self.writable_allocation(lane, address, data.len())?;
        let offset = (address - allocation.base) as usize;
        if self.progress.is_in_doubt() {
            let mut old = vec![0; data.len()];
            allocation.read(offset, &mut old);
            if old != data {
                self.progress.made();
            }
        }
        allocation.write(offset, data);
        self.note_bulk(lane, allocation, address, data.len(), Access::Write);
        Ok(())
    }

    /// Replace each element of `size` bytes of global memory by `change(old, the element of data)`.
    pub fn reduce_global(
        &mut self,
        lane: usize,
        address: u64,
        data: &[u8],
        size: usize,
        change: impl Fn(u64, u64) -> u64,
    ) -> Result<()> {
        let allocation = self.writable_allocation(lane, address, data.len())?;
        self.check_all_written(lane, allocation, address, data.len())?;
        let mut changed = false;
        for (at, element) in (address..).step_by(size).zip(data.chunks_exact(size)) {
            let value = element.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
            let old = allocation.update(at, size, |old| change(old, value));
            changed |= change(old, value) != old;
        }
        if changed {
            self.progress.made();
        }
        self.note_bulk(lane, allocation, address, data.len(), Access::Atomic);
        Ok(())
    }

    fn allocation(&self, lane: usize, address: u64, bytes: usize) -> Result<&'a Allocation> {
        let launch = self.launch;
        launch.global.find(address, bytes as u64).ok_or_else(|| self.no_global(lane, address, bytes as u64))
    }

    fn writable_allocation(&self, lane: usize, address: u64, bytes: usize) -> Result<&'a Allocation> {
        match self.allocation(lane, address, bytes)? {
            allocation if allocation.writable => Ok(allocation),
            _ => Err(self.fault(lane, FaultKind::ReadOnly { space: Space::Const, address })),
        }
    }

    fn check_all_written(&self, lane: usize, from: &Allocation, address: u64, bytes: usize) -> Result<()> {
        let offset = (address - from.base) as usize;
        if self.launch.checks.uninitialised
            && let Some(unwritten) = from.first_unwritten_byte(offset, bytes)
        {
            let address = from.base + unwritten as u64;
            let kind = FaultKind::UninitialisedRead { space: Space::Global, address, bytes: 1 };
            return Err(self.fault(lane, kind));
        }
        Ok(())
    }

    /// Count an access to one piece of global memory, and note it for races between blocks.
    fn note_bulk(
        &mut self,
        lane: usize,
        allocation: &Allocation,
        address: u64,
        bytes: usize,
        access: Access,
    ) {
        let end = address + bytes as u64;
        if self.launch.traffic {
            let count = &mut self.counters.instructions[self.pc as usize];
            count.global_requests += 1;
            count.global_bytes += bytes as u64;
            count.global_sectors += end.div_ceil(SECTOR) - address / SECTOR;
        }
        let block = self.launch.linear_block(self.blocks[self.rank].index);
        let key = Key::new(block, self.pc, (self.warp * LANES + lane) as u32);
        let mut at = address;
        while at < end {
            // Bytes up to the first word and from the last on, the words between as one.
            let words = if at.is_multiple_of(4) { (end - at) / 4 * 4 } else { 0 };
            let piece = words.max(1) as usize;
            if self.launch.traffic {
                let pattern = Pattern { distinct: 1, run: (words > 0).then_some((at, piece)) };
                allocation.mark_touched(&[at; LANES], &pattern, 1, access);
            }
            if let Some(races) = &self.launch.races {
                races.note(allocation, at, piece, access, |_| key);
            }
            at += piece as u64;
        }
    }

    #[cold]
    fn no_global(&self, lane: usize, address: u64, bytes: u64) -> Box<Fault> {
        let kind = match self.launch.global.explain(address, bytes) {
            Trouble::Freed => FaultKind::UseAfterFree { address, bytes: bytes as u32 },
            Trouble::OutOfBounds(detail) => {
                FaultKind::OutOfBounds { space: Space::Global, address, bytes: bytes as u32, detail }
            }
        };
        self.fault(lane, kind)
    }
}
