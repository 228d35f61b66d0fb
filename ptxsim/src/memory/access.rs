//! Loads, stores and atomics of a warp in any state space, with their checks.

use std::cell::Cell;

use super::allocation::Allocation;
use super::global::Trouble;
use super::place::Place;
use super::{Access, Addresses, NO_DATA, Planes, SHARED_RANK_SHIFT, resolve_generic};
use crate::fault::{Fault, FaultKind};
use crate::machine::context::Context;
use crate::machine::{LANES, lanes};
use crate::types::Space;

type Result<T> = std::result::Result<T, Box<Fault>>;

/// What the lanes of an access have in common.
struct Extent {
    low: u64,
    high: u64,
    aligned: bool,
}

fn extent(addresses: &Addresses, active: u32, bytes: u64) -> Extent {
    let (mut low, mut high, mut all) = (u64::MAX, 0, 0);
    if active == u32::MAX {
        for &address in addresses {
            low = low.min(address);
            high = high.max(address);
            all |= address;
        }
    } else {
        for lane in lanes(active) {
            let address = addresses[lane];
            low = low.min(address);
            high = high.max(address);
            all |= address;
        }
    }
    Extent { low, high, aligned: all & (bytes - 1) == 0 }
}

impl Context<'_> {
    /// Load `bytes` bytes (1, 2, 4, 8, 16 or 32) from each active lane's address.
    pub fn load(
        &mut self,
        space: Space,
        addresses: &Addresses,
        bytes: usize,
        out: &mut Planes,
    ) -> Result<()> {
        self.each_space(space, addresses, |ctx, space, addresses, active| match space {
            Space::Shared => ctx.each_shared_block(addresses, active, bytes, |ctx, rank, offsets, active| {
                ctx.check_in_flight(rank, offsets, active, bytes)?;
                ctx.check_copies(rank, offsets, active, bytes, false)?;
                ctx.observe_shared(rank, (addresses, offsets), active, bytes, Access::Read)?;
                ctx.blocks[rank].shared.load(offsets, active, bytes, out);
                Ok(())
            }),
            Space::Local => {
                ctx.check_local(addresses, active, bytes)?;
                for lane in lanes(active) {
                    let offset = addresses[lane] as usize;
                    if ctx.launch.checks.uninitialised && !ctx.local.is_written(lane, offset, bytes) {
                        return Err(ctx.unwritten(lane, Space::Local, addresses[lane], bytes));
                    }
                    for (index, plane) in out.iter_mut().enumerate().take(bytes.div_ceil(4)) {
                        plane[lane] = ctx.local.load(lane, offset, index);
                    }
                    if bytes < 4 {
                        out[0][lane] &= (1 << (bytes * 8)) - 1;
                    }
                }
                Ok(())
            }
            Space::Param => ctx.load_param(addresses, active, bytes, out),
            _ => ctx.each_allocation(addresses, active, bytes, |ctx, allocation, active| {
                ctx.observe_global(allocation, addresses, active, bytes, Access::Read)?;
                allocation.load(addresses, active, bytes, out);
                Ok(())
            }),
        })
    }

    /// Store `bytes` bytes to each active lane's address.
    pub fn store(&mut self, space: Space, addresses: &Addresses, bytes: usize, data: &Planes) -> Result<()> {
        self.each_space(space, addresses, |ctx, space, addresses, active| match space {
            Space::Shared => ctx.each_shared_block(addresses, active, bytes, |ctx, rank, offsets, active| {
                ctx.check_in_flight(rank, offsets, active, bytes)?;
                ctx.check_copies(rank, offsets, active, bytes, true)?;
                ctx.observe_shared(rank, (addresses, offsets), active, bytes, Access::Write)?;
                if ctx.progress.is_in_doubt() {
                    let mut old = NO_DATA;
                    ctx.blocks[rank].shared.load(offsets, active, bytes, &mut old);
                    ctx.note_change(active, bytes, &old, data);
                }
                ctx.blocks[rank].shared.store(offsets, active, bytes, data);
                Ok(())
            }),
            Space::Local => {
                ctx.check_local(addresses, active, bytes)?;
                for lane in lanes(active) {
                    let offset = addresses[lane] as usize;
                    for (index, plane) in data.iter().enumerate().take(bytes.div_ceil(4)) {
                        ctx.local.store(lane, offset, index, bytes.min(4), plane[lane]);
                    }
                }
                Ok(())
            }
            Space::Param | Space::Const => Err(ctx.read_only(space, addresses, active)),
            _ => ctx.each_allocation(addresses, active, bytes, |ctx, allocation, active| {
                if !allocation.writable {
                    return Err(ctx.read_only(Space::Const, addresses, active));
                }
                ctx.observe_global(allocation, addresses, active, bytes, Access::Write)?;
                if ctx.progress.is_in_doubt() {
                    let mut old = NO_DATA;
                    allocation.load(addresses, active, bytes, &mut old);
                    ctx.note_change(active, bytes, &old, data);
                }
                allocation.store(addresses, active, bytes, data);
                Ok(())
            }),
        })
    }

    /// Replace the value of 2, 4 or 8 bytes at each active lane's address, lowest lane first, by
    /// `change(lane, old)`; returns the old values.
    pub fn atomic(
        &mut self,
        space: Space,
        addresses: &Addresses,
        bytes: usize,
        change: impl Fn(usize, u64) -> u64,
    ) -> Result<[u64; LANES]> {
        let mut old = [0; LANES];
        let changed = Cell::new(false);
        let change = |lane: usize, old: u64| {
            let new = change(lane, old);
            changed.set(changed.get() | (new != old));
            new
        };
        self.each_space(space, addresses, |ctx, space, addresses, active| match space {
            Space::Shared => ctx.each_shared_block(addresses, active, bytes, |ctx, rank, offsets, active| {
                ctx.check_in_flight(rank, offsets, active, bytes)?;
                ctx.check_copies(rank, offsets, active, bytes, true)?;
                ctx.observe_shared(rank, (addresses, offsets), active, bytes, Access::Atomic)?;
                let shared = &mut ctx.blocks[rank].shared;
                for lane in lanes(active) {
                    old[lane] = shared.update(offsets[lane] as usize, bytes, |value| change(lane, value));
                }
                Ok(())
            }),
            Space::Global | Space::Generic => {
                ctx.each_allocation(addresses, active, bytes, |ctx, allocation, active| {
                    if !allocation.writable {
                        return Err(ctx.read_only(Space::Const, addresses, active));
                    }
                    ctx.observe_global(allocation, addresses, active, bytes, Access::Atomic)?;
                    for lane in lanes(active) {
                        old[lane] = allocation.update(addresses[lane], bytes, |value| change(lane, value));
                    }
                    Ok(())
                })
            }
            _ => {
                let detail = format!("an atomic on {} memory", space.name());
                Err(ctx.fault(ctx.leader(), FaultKind::Misuse { detail }))
            }
        })?;
        if changed.get() {
            self.progress.made();
        }
        Ok(old)
    }

    /// Note a store of `data` where `old` was as progress, if it changes anything.
    #[cold]
    fn note_change(&mut self, active: u32, bytes: usize, old: &Planes, data: &Planes) {
        let mask = if bytes < 4 { (1 << (bytes * 8)) - 1 } else { u32::MAX };
        let changed = |lane: usize| {
            old.iter().zip(data).take(bytes.div_ceil(4)).any(|(old, new)| (old[lane] ^ new[lane]) & mask != 0)
        };
        if lanes(active).any(changed) {
            self.progress.made();
        }
    }

    /// Check that the active lanes may copy `bytes` bytes to these shared addresses of their own block.
    pub fn check_copy_target(&mut self, addresses: &Addresses, bytes: usize) -> Result<()> {
        let active = self.active;
        if let Some(lane) = lanes(active).find(|&lane| addresses[lane] >> SHARED_RANK_SHIFT != 0) {
            let detail = format!("cp.async to {:#x}, which is no address of `.shared::cta`", addresses[lane]);
            return Err(self.fault(lane, FaultKind::Misuse { detail }));
        }
        self.each_shared_block(addresses, active, bytes, |ctx, rank, offsets, active| {
            ctx.check_in_flight(rank, offsets, active, bytes)?;
            // The copy may land at once; it is noted again when it does.
            if ctx.watches_races_in(rank) {
                ctx.note_shared_race(rank, offsets, active, bytes, Access::Write)?;
            }
            Ok(())
        })
    }

    /// Call `each` for every state space that the active lanes address, with addresses in that space.
    fn each_space(
        &mut self,
        space: Space,
        addresses: &Addresses,
        mut each: impl FnMut(&mut Self, Space, &Addresses, u32) -> Result<()>,
    ) -> Result<()> {
        let active = self.active;
        if space != Space::Generic {
            return each(self, space, addresses, active);
        }
        let mut rest = active;
        while rest != 0 {
            let (found, _) = resolve_generic(addresses[rest.trailing_zeros() as usize]);
            let same = lanes(rest).filter(|&lane| resolve_generic(addresses[lane]).0 == found);
            let group = same.fold(0, |mask, lane| mask | 1 << lane);
            let resolved = std::array::from_fn(|lane| resolve_generic(addresses[lane]).1);
            each(self, found, &resolved, group)?;
            rest &= !group;
        }
        Ok(())
    }

    /// Call `each` for every allocation that the `active` lanes address, after the checks.
    fn each_allocation(
        &mut self,
        addresses: &Addresses,
        active: u32,
        bytes: usize,
        mut each: impl FnMut(&mut Self, &Allocation, u32) -> Result<()>,
    ) -> Result<()> {
        let size = bytes as u64;
        let Extent { low, high, aligned } = extent(addresses, active, size);
        // Accesses beyond an allocation are never carried out, checks or not: there is nothing there.
        if aligned
            && let Some(span) = (high - low).checked_add(size)
            && let Some(allocation) = self.launch.global.find(low, span)
        {
            return each(self, allocation, active);
        }
        for lane in lanes(active) {
            let address = addresses[lane];
            let Some(allocation) = self.launch.global.find(address, size) else {
                let kind = match self.launch.global.explain(address, size) {
                    Trouble::Freed => FaultKind::UseAfterFree { address, bytes: bytes as u32 },
                    Trouble::OutOfBounds(detail) => {
                        FaultKind::OutOfBounds { space: Space::Global, address, bytes: bytes as u32, detail }
                    }
                };
                return Err(self.fault(lane, kind));
            };
            if address & (size - 1) != 0 {
                return Err(self.misaligned(lane, Space::Global, address, bytes));
            }
            each(self, allocation, 1 << lane)?;
        }
        Ok(())
    }

    /// Call `each` for every block of the cluster whose shared memory the `active` lanes address.
    fn each_shared_block(
        &mut self,
        addresses: &Addresses,
        active: u32,
        bytes: usize,
        mut each: impl FnMut(&mut Self, usize, &Addresses, u32) -> Result<()>,
    ) -> Result<()> {
        let size = bytes as u64;
        let Extent { low, high, aligned } = extent(addresses, active, size);
        let own = self.blocks[self.rank].shared.bytes() as u64;
        let inside = high < own && size <= own - high;
        if aligned && inside && !self.launch.shared_layout.leaves_variables(low, high + size) {
            return each(self, self.rank, addresses, active);
        }
        for lane in lanes(active) {
            let address = addresses[lane];
            let Place { rank, offset } = self.shared_place(lane, address, bytes)?;
            let offset = u64::from(offset);
            if offset & (size - 1) != 0 {
                return Err(self.misaligned(lane, Space::Shared, address, bytes));
            }
            let mut offsets = *addresses;
            offsets[lane] = offset;
            each(self, rank, &offsets, 1 << lane)?;
        }
        Ok(())
    }

    fn check_local(&self, addresses: &Addresses, active: u32, bytes: usize) -> Result<()> {
        let limit = self.local.bytes() as u64;
        for lane in lanes(active) {
            let address = addresses[lane];
            if address.checked_add(bytes as u64).is_none_or(|end| end > limit) {
                let detail = format!("the thread's local memory has {limit} bytes");
                let kind =
                    FaultKind::OutOfBounds { space: Space::Local, address, bytes: bytes as u32, detail };
                return Err(self.fault(lane, kind));
            }
            if address & (bytes as u64 - 1) != 0 {
                return Err(self.misaligned(lane, Space::Local, address, bytes));
            }
        }
        Ok(())
    }

    fn load_param(&self, addresses: &Addresses, active: u32, bytes: usize, out: &mut Planes) -> Result<()> {
        for lane in lanes(active) {
            let address = addresses[lane];
            let params = self.launch.params;
            let data = usize::try_from(address).ok().and_then(|a| params.get(a..a.checked_add(bytes)?));
            let Some(data) = data else {
                let detail = format!("the kernel's parameters have {} bytes", params.len());
                let kind =
                    FaultKind::OutOfBounds { space: Space::Param, address, bytes: bytes as u32, detail };
                return Err(self.fault(lane, kind));
            };
            if address & (bytes as u64 - 1) != 0 {
                return Err(self.misaligned(lane, Space::Param, address, bytes));
            }
            for (plane, chunk) in out.iter_mut().zip(data.chunks(4)) {
                plane[lane] = chunk.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
            }
        }
        Ok(())
    }

    fn misaligned(&self, lane: usize, space: Space, address: u64, bytes: usize) -> Box<Fault> {
        self.fault(lane, FaultKind::Misaligned { space, address, bytes: bytes as u32 })
    }

    fn read_only(&self, space: Space, addresses: &Addresses, active: u32) -> Box<Fault> {
        let lane = active.trailing_zeros() as usize & 31;
        self.fault(lane, FaultKind::ReadOnly { space, address: addresses[lane] })
    }
}
