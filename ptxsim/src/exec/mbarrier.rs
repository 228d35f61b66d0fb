//! `mbarrier`: barriers in shared memory that count arrivals and the bytes of bulk copies.
//!
//! A state token holds the phase in its high half and the arrivals that were due in its low half.

use super::transfer::SPACES;
use crate::fault::{Fault, FaultKind};
use crate::lower::{Address, Build, Lowered};
use crate::machine::async_copies::Due;
use crate::machine::context::{Context, Waiting};
use crate::machine::kernel::Flow;
use crate::machine::lanes;
use crate::machine::mbarrier::{LIMIT, Mbarrier};
use crate::machine::registers::{Dst, PredDst, Src};
use crate::memory::place::Place;
use crate::types::Space;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Init,
    Invalidate,
    Arrive { drop: bool },
    Expect,
    Complete,
    Test,
    Try,
    PendingCount,
}

pub(crate) fn mbarrier(b: &mut Build<'_, '_>) -> Lowered {
    let kind = b.must_choose(
        "kind",
        &[
            ("init", Kind::Init),
            ("inval", Kind::Invalidate),
            ("arrive", Kind::Arrive { drop: false }),
            ("arrive_drop", Kind::Arrive { drop: true }),
            ("test_wait", Kind::Test),
            ("try_wait", Kind::Try),
            ("pending_count", Kind::PendingCount),
            ("expect_tx", Kind::Expect),
            ("complete_tx", Kind::Complete),
        ],
    )?;
    // Ordering and scope: memory is always consistent here.
    while ["release", "acquire", "relaxed", "cta", "cluster"].iter().any(|word| b.take(word)) {}
    let expects = b.take("expect_tx");
    let incomplete = b.take("noComplete");
    let parity = b.take("parity");
    let space = b.choose(&SPACES).unwrap_or(Space::Generic);
    if !b.take("b64") {
        return Err("needs the type .b64".into());
    }
    b.all_modifiers_taken()?;
    match kind {
        Kind::Init => {
            let (address, count) = (b.address(space)?.0, b.src()?);
            change(address, space, move |ctx, lane, place| initialise(ctx, lane, place, count))
        }
        Kind::Invalidate => {
            let address = b.address(space)?.0;
            change(address, space, |ctx, lane, place| {
                find(ctx, lane, place)?;
                ctx.blocks[place.rank].mbarriers.remove(&place.offset);
                Ok(())
            })
        }
        Kind::Expect | Kind::Complete => {
            let (address, bytes): (Address, Src<u32>) = (b.address(space)?.0, b.src()?);
            change(address, space, move |ctx, lane, place| {
                let bytes = ctx.lane(bytes, lane);
                update(ctx, lane, place, |mbarrier| match kind {
                    Kind::Expect => mbarrier.expect(bytes),
                    _ => mbarrier.complete(bytes),
                })
            })
        }
        Kind::Arrive { drop } => arrive(b, space, Arrival { drop, expects, incomplete }),
        Kind::Test | Kind::Try => wait(b, space, parity, kind == Kind::Try),
        Kind::PendingCount => {
            let (d, state): (Dst<u32>, Src<u64>) = (b.dst()?, b.src()?);
            Ok(Build::plain(move |ctx| {
                let state = ctx.get(state);
                ctx.put(d, |lane| state[lane] as u32);
            }))
        }
    }
}

type Done = Result<(), Box<Fault>>;

/// Act on the mbarrier of each active lane, lowest first.
fn change(
    address: Address,
    space: Space,
    act: impl Fn(&mut Context<'_>, usize, Place) -> Done + Send + Sync + 'static,
) -> Lowered {
    Ok(Box::new(move |ctx| {
        let addresses = address.lanes(ctx);
        for lane in lanes(ctx.active) {
            let place = ctx.place(lane, space, addresses[lane], 8, 8)?;
            act(ctx, lane, place)?;
        }
        Ok(Flow::Next)
    }))
}

fn initialise(ctx: &mut Context<'_>, lane: usize, place: Place, count: Src<u32>) -> Done {
    let count = ctx.lane(count, lane);
    if count == 0 || count > LIMIT {
        return Err(wrong(ctx, lane, place, format!("an arrival count of {count}, not of 1 to {LIMIT}")));
    }
    let block = &mut ctx.blocks[place.rank];
    if block.deliveries.iter().any(|d| d.barrier == place.offset) {
        return Err(wrong(ctx, lane, place, "initialised while bulk copies are on their way to it".into()));
    }
    block.mbarriers.insert(place.offset, Mbarrier::new(count));
    Ok(())
}

#[cold]
fn wrong(ctx: &Context<'_>, lane: usize, place: Place, detail: String) -> Box<Fault> {
    ctx.fault(lane, FaultKind::Mbarrier { address: place.offset.into(), detail })
}

/// The mbarrier at `place`, or the fault that there is none.
pub(crate) fn find(ctx: &Context<'_>, lane: usize, place: Place) -> Result<Mbarrier, Box<Fault>> {
    match ctx.blocks[place.rank].mbarriers.get(&place.offset) {
        Some(mbarrier) => Ok(*mbarrier),
        None => Err(wrong(ctx, lane, place, "used without `mbarrier.init`".into())),
    }
}

/// Change the mbarrier at `place`.
pub(crate) fn update(
    ctx: &mut Context<'_>,
    lane: usize,
    place: Place,
    act: impl FnOnce(&mut Mbarrier) -> Result<(), String>,
) -> Done {
    let mut mbarrier = find(ctx, lane, place)?;
    act(&mut mbarrier).map_err(|detail| wrong(ctx, lane, place, detail))?;
    ctx.blocks[place.rank].mbarriers.insert(place.offset, mbarrier);
    Ok(())
}

/// What sort of arrival.
#[derive(Clone, Copy)]
struct Arrival {
    drop: bool,
    expects: bool,
    incomplete: bool,
}

fn arrive(b: &mut Build<'_, '_>, space: Space, kind: Arrival) -> Lowered {
    // The form that returns no state has no destination at all.
    let returns = !matches!(b.peek(), Some(crate::parse::ast::Operand::Address { .. }));
    let state: Option<Dst<u64>> = if returns { Some(b.dst()?) } else { None };
    let (address, _) = b.address(space)?;
    let number: Option<Src<u32>> = if b.operands_left() > 0 { Some(b.src()?) } else { None };
    if number.is_none() && (kind.expects || kind.incomplete) {
        return Err("needs a count".into());
    }
    Ok(Box::new(move |ctx| {
        let addresses = address.lanes(ctx);
        let mut states = [0; 32];
        for lane in lanes(ctx.active) {
            let place = ctx.place(lane, space, addresses[lane], 8, 8)?;
            let number = number.map(|number| ctx.lane(number, lane));
            let (count, bytes) =
                if kind.expects { (1, number.unwrap_or(0)) } else { (number.unwrap_or(1), 0) };
            let before = find(ctx, lane, place)?;
            states[lane] = before.phase << 32 | u64::from(before.pending);
            if count == 0 {
                return Err(wrong(ctx, lane, place, "an arrival of 0 threads".into()));
            }
            if kind.incomplete && count >= before.pending {
                let detail = format!("`.noComplete` of {count} arrivals where {} are due", before.pending);
                return Err(wrong(ctx, lane, place, detail));
            }
            arrive_with(ctx, lane, place, |mbarrier| {
                mbarrier.expect(bytes)?;
                mbarrier.arrive(count, if kind.drop { count } else { 0 })
            })?;
        }
        if let Some(state) = state {
            ctx.put(state, |lane| states[lane]);
        }
        Ok(Flow::Next)
    }))
}

/// Let a thread's arrival change the mbarrier at `place`: who waits for the phase knows what the
/// thread's warp did before.
fn arrive_with(
    ctx: &mut Context<'_>,
    lane: usize,
    place: Place,
    act: impl FnOnce(&mut Mbarrier) -> Result<(), String>,
) -> Done {
    let mut knows = find(ctx, lane, place)?.arrived;
    if place.rank == ctx.rank {
        let warp = ctx.warp;
        ctx.block().order.release(warp, &mut knows);
    }
    update(ctx, lane, place, |mbarrier| {
        mbarrier.arrived = knows;
        act(mbarrier)
    })
}

/// `cp.async.mbarrier.arrive`: an arrival by each thread's `cp.async`, once all those before are done.
/// They land here, so that the arrival can come at once. It takes one of the arrivals that the phase
/// expects only with `.noinc`.
pub(super) fn arrive_after_copies(b: &mut Build<'_, '_>) -> Lowered {
    let counts = b.take("noinc");
    let space = b.choose(&SPACES).unwrap_or(Space::Generic);
    if !b.take("b64") {
        return Err("needs the type .b64".into());
    }
    let (address, _) = b.address(space)?;
    Ok(Box::new(move |ctx| {
        ctx.land_copies(Due::Everything)?;
        let addresses = address.lanes(ctx);
        for lane in lanes(ctx.active) {
            let place = ctx.place(lane, space, addresses[lane], 8, 8)?;
            arrive_with(ctx, lane, place, |mbarrier| {
                mbarrier.pending += u32::from(!counts);
                mbarrier.arrive(1, 0)
            })?;
        }
        Ok(Flow::Next)
    }))
}

/// What a thread waits for: a state from an arrival, or the parity of a phase.
#[derive(Clone, Copy)]
enum Awaited {
    State(Src<u64>),
    Parity(Src<u32>),
}

/// `test_wait`, and `try_wait`, which waits until some lane's phase completes.
fn wait(b: &mut Build<'_, '_>, space: Space, parity: bool, blocks: bool) -> Lowered {
    let d: PredDst = b.pred_dst()?;
    let (address, _) = b.address(space)?;
    let awaited = if parity { Awaited::Parity(b.src()?) } else { Awaited::State(b.src()?) };
    if blocks && b.operands_left() > 0 {
        // How long to wait at most, which is as long as it takes here.
        b.src::<u32>()?;
    }
    b.set_spins();
    Ok(Box::new(move |ctx| {
        let addresses = address.lanes(ctx);
        let mut complete = 0;
        let mut first = None;
        for lane in lanes(ctx.active) {
            let place = ctx.place(lane, space, addresses[lane], 8, 8)?;
            find(ctx, lane, place)?;
            let block = &mut ctx.blocks[place.rank];
            match block.land(place.offset) {
                Ok(false) => {}
                Ok(true) => ctx.progress.made(),
                Err(detail) => return Err(wrong(ctx, lane, place, detail)),
            }
            let mbarrier = find(ctx, lane, place)?;
            let done = match awaited {
                Awaited::State(state) => mbarrier.phase > ctx.lane(state, lane) >> 32,
                Awaited::Parity(parity) => mbarrier.parity_done(ctx.lane(parity, lane)),
            };
            if done && place.rank == ctx.rank {
                let warp = ctx.warp;
                ctx.block().order.acquire(warp, &mbarrier.released);
            }
            complete |= u32::from(done) << lane;
            first.get_or_insert(place);
        }
        if let (true, 0, Some(Place { rank, offset })) = (blocks, complete, first) {
            return ctx.wait(Waiting::Mbarrier { rank: rank as u32, offset });
        }
        ctx.put_pred(d, complete);
        Ok(Flow::Next)
    }))
}
