//! `cp.async.bulk`: copies of whole pieces of memory through the async proxy, and their groups.
//!
//! A copy to shared memory lands when its mbarrier is next tested, see
//! [`crate::machine::transfers`]; what it copies is read when it is issued. A copy to global memory
//! is done when it is issued, and its source counts as being read until the thread waits for its group.

use super::bulk_reduce::Reduction;
use super::mbarrier::find;
use super::tma_tensor;
use super::transfer::SPACES;
use crate::counters::Class;
use crate::fault::{Fault, FaultKind};
use crate::lower::{Address, Build, Lowered};
use crate::machine::context::Context;
use crate::machine::kernel::Flow;
use crate::machine::lanes;
use crate::machine::registers::Src;
use crate::machine::transfers::Delivery;
use crate::memory::Access;
use crate::memory::place::Place;
use crate::memory::shadow::{Busy, GRANULE};
use crate::memory::swizzle::Swizzle;
use crate::types::Space;

/// `cp.async.bulk` in all its forms.
pub(crate) fn bulk(b: &mut Build<'_, '_>) -> Lowered {
    b.set_class(Class::Async);
    b.set_async_proxy();
    if b.take("commit_group") {
        return Ok(Build::plain(|ctx| {
            for lane in lanes(ctx.active) {
                let groups = &mut ctx.bulk[lane];
                groups.committed.push_back(std::mem::take(&mut groups.open));
            }
        }));
    }
    if b.take("wait_group") {
        return wait_group(b);
    }
    let prefetch = b.take("prefetch");
    if b.take("tensor") {
        let kind = if prefetch { tma_tensor::Kind::Prefetch } else { tma_tensor::Kind::Copy };
        return tma_tensor::copy(b, kind);
    }
    if prefetch {
        b.take("L2");
        return nothing(b);
    }
    transfer(b, None)
}

/// A copy, or a reduction, between global and shared memory: what follows `.bulk`.
pub(super) fn transfer(b: &mut Build<'_, '_>, reduction: Option<Reduction>) -> Lowered {
    let ends: Vec<Space> = std::iter::from_fn(|| b.choose(&SPACES)).collect();
    let counted = b.take("mbarrier::complete_tx::bytes");
    let grouped = b.take("bulk_group");
    let multicast = b.take("multicast::cluster");
    let hint = b.take("L2::cache_hint");
    b.all_modifiers_taken()?;
    let (to, from) = match (&ends[..], counted, grouped) {
        ([Space::Shared, Space::Global], true, false) if reduction.is_none() => (Space::Shared, Space::Global),
        ([Space::Shared, Space::Shared], true, false) if !multicast => (Space::Shared, Space::Shared),
        ([Space::Global, Space::Shared], false, true) if !multicast => (Space::Global, Space::Shared),
        _ => return Err("needs global to shared or shared to shared with `.mbarrier::complete_tx::bytes`, or shared to global with `.bulk_group`".into()),
    };
    let (destination, _) = b.address(to)?;
    let (source, _) = b.address(from)?;
    let bytes: Src<u32> = b.src()?;
    let barrier = if counted { Some(b.address(Space::Shared)?.0) } else { None };
    let mask: Option<Src<u16>> = if multicast { Some(b.src()?) } else { None };
    if hint {
        b.src::<u64>()?;
    }
    Ok(Box::new(move |ctx| {
        let (destinations, sources) = (destination.lanes(ctx), source.lanes(ctx));
        let barriers = barrier.map(|barrier: Address| barrier.lanes(ctx));
        for lane in lanes(ctx.active) {
            let bytes = ctx.lane(bytes, lane) as usize;
            check_size(ctx, lane, bytes)?;
            let mut data = vec![0; bytes];
            match from {
                Space::Global => {
                    check_aligned(ctx, lane, sources[lane])?;
                    ctx.read_global(lane, sources[lane], &mut data)?;
                }
                _ => {
                    let place = ctx.place(lane, Space::Shared, sources[lane], bytes, 16)?;
                    let granules = read_shared(ctx, lane, place, Swizzle::None, &mut data)?;
                    if to == Space::Global {
                        ctx.bulk[lane].open.extend(granules);
                    }
                }
            }
            match &barriers {
                Some(barriers) => {
                    let place = ctx.place(lane, Space::Shared, destinations[lane], bytes, 16)?;
                    let barrier = ctx.place(lane, Space::Shared, barriers[lane], 8, 8)?;
                    let mask = mask.map(|mask| ctx.lane(mask, lane));
                    let swizzle = Swizzle::None;
                    send(ctx, lane, Sending { place, barrier, mask, swizzle, reduction, data })?;
                }
                None => {
                    check_aligned(ctx, lane, destinations[lane])?;
                    match reduction {
                        None => ctx.write_global(lane, destinations[lane], &data)?,
                        Some(reduction) => reduction.to_global(ctx, lane, destinations[lane], &data)?,
                    }
                }
            }
        }
        Ok(Flow::Next)
    }))
}

/// A prefetch: its operands are decoded, nothing is done.
pub(super) fn nothing(b: &mut Build<'_, '_>) -> Lowered {
    let hint = b.take("L2::cache_hint");
    b.choose(&SPACES);
    b.address(Space::Global)?;
    b.src::<u32>()?;
    if hint {
        b.src::<u64>()?;
    }
    Ok(Build::plain(|_| {}))
}

fn wait_group(b: &mut Build<'_, '_>) -> Lowered {
    // Whether the data has been written or only read makes no difference here: both are at once.
    b.take("read");
    let left: Src<u32> = b.src()?;
    Ok(Build::plain(move |ctx| {
        for lane in lanes(ctx.active) {
            let left = ctx.lane(left, lane) as usize;
            while ctx.bulk[lane].committed.len() > left {
                let done = ctx.bulk[lane].committed.pop_front().unwrap_or_default();
                let shadow = &mut ctx.blocks[ctx.rank].shared.shadow;
                done.into_iter().for_each(|granule| shadow.end_outgoing(granule));
            }
        }
    }))
}

fn check_size(ctx: &Context<'_>, lane: usize, bytes: usize) -> Result<(), Box<Fault>> {
    if bytes > 0 && bytes.is_multiple_of(GRANULE) {
        return Ok(());
    }
    let detail = format!("a bulk copy of {bytes} bytes; it must be a positive multiple of 16");
    Err(ctx.fault(lane, FaultKind::Misuse { detail }))
}

fn check_aligned(ctx: &Context<'_>, lane: usize, address: u64) -> Result<(), Box<Fault>> {
    if address.is_multiple_of(16) {
        return Ok(());
    }
    Err(ctx.fault(lane, FaultKind::Misaligned { space: Space::Global, address, bytes: 16 }))
}

/// Copy shared memory at `place` to `data` through the async proxy; returns the granules read, which
/// are noted as being read if they are this block's.
pub(super) fn read_shared(
    ctx: &mut Context<'_>,
    lane: usize,
    place: Place,
    swizzle: Swizzle,
    data: &mut [u8],
) -> Result<Vec<usize>, Box<Fault>> {
    let granules: Vec<usize> = Delivery::granules(place.offset, data.len(), swizzle).collect();
    for (&granule, chunk) in granules.iter().zip(data.chunks_mut(GRANULE)) {
        ctx.check_async_read(lane, place.rank, granule)?;
        ctx.blocks[place.rank].shared.read_bytes(granule * GRANULE, chunk);
        if place.rank == ctx.rank {
            ctx.blocks[place.rank].shared.shadow.add_outgoing(granule);
        }
    }
    if place.rank == ctx.rank {
        ctx.note_bulk_copy(lane, &granules, Access::Read)?;
    }
    Ok(granules)
}

/// What [`send`] brings to shared memory.
pub(super) struct Sending {
    pub place: Place,
    /// The mbarrier that counts the bytes, in the same block.
    pub barrier: Place,
    /// The blocks of the cluster that get it at the same offsets; none for that of `place`.
    pub mask: Option<u16>,
    pub swizzle: Swizzle,
    /// What to do with what is there; none to overwrite it.
    pub reduction: Option<Reduction>,
    pub data: Vec<u8>,
}

/// Send data to shared memory, where it lands when its mbarrier is next tested.
pub(super) fn send(ctx: &mut Context<'_>, lane: usize, sending: Sending) -> Result<(), Box<Fault>> {
    let Sending { place, barrier, mask, swizzle, reduction, data } = sending;
    if place.rank != barrier.rank {
        let detail = "the destination and its mbarrier are in different blocks".to_owned();
        return Err(ctx.fault(lane, FaultKind::Misuse { detail }));
    }
    let mask = u32::from(mask.unwrap_or(1 << place.rank));
    if mask == 0 || mask >> ctx.blocks.len() != 0 {
        let detail = format!("a multicast mask of {mask:#x} in a cluster of {} blocks", ctx.blocks.len());
        return Err(ctx.fault(lane, FaultKind::Misuse { detail }));
    }
    for rank in lanes(mask) {
        find(ctx, lane, Place { rank, ..barrier })?;
        for granule in Delivery::granules(place.offset, data.len(), swizzle) {
            match (ctx.blocks[rank].shared.shadow.busy(granule, true), reduction) {
                // Reductions into one place may overtake one another.
                (Some(Busy::Incoming), Some(_)) => {}
                (Some(busy), _) => return Err(ctx.unfinished(lane, (granule * GRANULE) as u64, busy)),
                (None, Some(_)) => ctx.check_async_read(lane, rank, granule)?,
                (None, None) => {}
            }
            ctx.blocks[rank].shared.shadow.add_incoming(granule);
        }
        if rank == ctx.rank {
            let granules: Vec<usize> = Delivery::granules(place.offset, data.len(), swizzle).collect();
            ctx.note_bulk_copy(lane, &granules, Access::Write)?;
            // Who waits for the phase that counts these bytes knows that they are there.
            let warp = ctx.warp;
            let block = ctx.block();
            if let Some(mbarrier) = block.mbarriers.get_mut(&barrier.offset) {
                block.order.release(warp, &mut mbarrier.arrived);
            }
        }
        let data = data.clone();
        let delivery = Delivery { barrier: barrier.offset, start: place.offset, swizzle, reduction, data };
        ctx.blocks[rank].deliveries.push(delivery);
    }
    Ok(())
}
