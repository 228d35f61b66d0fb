//! Instructions by which the lanes of a warp see one another.

use std::ops::ControlFlow;

use crate::fault::FaultKind;
use crate::lower::{Build, Lowered};
use crate::machine::context::{Context, Waiting};
use crate::machine::kernel::{Flow, Step};
use crate::machine::registers::{Dst, PredDst, Scalar, Src, Word};
use crate::machine::{LANES, lanes};
use crate::types::Type;

/// Wait until all lanes that the active lanes name are here; then what they name, by lane.
fn gather(ctx: &mut Context<'_>, members: Src<u32>) -> ControlFlow<Step, [u32; LANES]> {
    let members = ctx.get(members);
    let named = lanes(ctx.active).fold(0, |m, lane| m | members[lane]);
    if let Some(lane) = lanes(ctx.active).find(|&lane| members[lane] >> lane & 1 == 0) {
        let detail = format!("lane {lane} is not in its own member mask {:#010x}", members[lane]);
        return ControlFlow::Break(Err(ctx.fault(lane, FaultKind::Misuse { detail })));
    }
    if named & ctx.live & !ctx.active != 0 {
        return ControlFlow::Break(ctx.wait(Waiting::WarpSync { mask: named }));
    }
    ControlFlow::Continue(members)
}

/// Run `act` once all lanes that take part are here.
fn together(
    members: Src<u32>,
    act: impl Fn(&mut Context<'_>, [u32; LANES]) + Send + Sync + 'static,
) -> crate::machine::kernel::Action {
    Box::new(move |ctx| match gather(ctx, members) {
        ControlFlow::Break(step) => step,
        ControlFlow::Continue(members) => {
            act(ctx, members);
            Ok(Flow::Next)
        }
    })
}

/// The mask operand of a `.sync` form; older forms without it mean the active lanes and are refused.
fn need_sync(b: &mut Build<'_, '_>) -> Result<(), String> {
    if b.take("sync") { Ok(()) } else { Err("the form without `.sync` is gone since sm_70".into()) }
}

#[derive(Clone, Copy)]
enum Mode {
    Up,
    Down,
    Butterfly,
    Index,
}

pub(crate) fn shfl(b: &mut Build<'_, '_>) -> Lowered {
    need_sync(b)?;
    let mode = b.must_choose(
        "mode",
        &[("up", Mode::Up), ("down", Mode::Down), ("bfly", Mode::Butterfly), ("idx", Mode::Index)],
    )?;
    let ty = b.ty()?;
    if ty != Type::B32 {
        return b.bad_type(ty);
    }
    let (first, second) = b.dst_pair()?;
    let d: Dst<u32> = b.dst_of(first)?;
    let p: Option<PredDst> = second.map(|p| b.pred_dst_of(p)).transpose()?;
    let (a, by, clamp): (Src<u32>, Src<u32>, Src<u32>) = (b.src()?, b.src()?, b.src()?);
    let members = b.src()?;
    Ok(together(members, move |ctx, _| {
        let (a, by, clamp) = (ctx.get(a), ctx.get(by), ctx.get(clamp));
        let mut from = [0; LANES];
        let mut valid = 0;
        for (lane, from) in from.iter_mut().enumerate() {
            let (source, inside) = source_lane(mode, lane as i32, by[lane], clamp[lane]);
            *from = if inside { source as usize & 31 } else { lane };
            valid |= u32::from(inside) << lane;
        }
        ctx.put(d, |lane| a[from[lane]]);
        if let Some(p) = p {
            ctx.put_pred(p, valid);
        }
    }))
}

/// Where `lane` reads from, and whether that is inside its segment.
fn source_lane(mode: Mode, lane: i32, by: u32, clamp: u32) -> (i32, bool) {
    let by = (by & 31) as i32;
    let (limit, segment) = ((clamp & 31) as i32, (clamp >> 8 & 31) as i32);
    let low = lane & segment;
    let high = low | limit & !segment;
    match mode {
        Mode::Up => (lane - by, lane - by >= high),
        Mode::Down => (lane + by, lane + by <= high),
        Mode::Butterfly => (lane ^ by, lane ^ by <= high),
        Mode::Index => {
            let source = low | by & !segment;
            (source, source <= high)
        }
    }
}

pub(crate) fn vote(b: &mut Build<'_, '_>) -> Lowered {
    need_sync(b)?;
    #[derive(Clone, Copy, PartialEq)]
    enum Vote {
        All,
        Any,
        Uniform,
        Ballot,
    }
    let kind = b.must_choose(
        "kind",
        &[("all", Vote::All), ("any", Vote::Any), ("uni", Vote::Uniform), ("ballot", Vote::Ballot)],
    )?;
    let ty = b.ty()?;
    if kind == Vote::Ballot {
        if ty != Type::B32 {
            return b.bad_type(ty);
        }
        let d: Dst<u32> = b.dst()?;
        let a = b.pred_src()?;
        let members = b.src()?;
        return Ok(together(members, move |ctx, members| {
            let votes = ctx.get_pred(a) & ctx.active;
            ctx.put(d, |lane| votes & members[lane]);
        }));
    }
    if ty != Type::Pred {
        return b.bad_type(ty);
    }
    let (d, a) = (b.pred_dst()?, b.pred_src()?);
    let members = b.src()?;
    Ok(together(members, move |ctx, members| {
        let votes = ctx.get_pred(a);
        let holds = lanes(ctx.active).fold(0, |m, lane| {
            let group = members[lane] & ctx.active;
            let holds = match kind {
                Vote::All => votes & group == group,
                Vote::Any | Vote::Ballot => votes & group != 0,
                Vote::Uniform => matches!(votes & group, v if v == 0 || v == group),
            };
            m | u32::from(holds) << lane
        });
        ctx.put_pred(d, holds);
    }))
}

pub(crate) fn match_(b: &mut Build<'_, '_>) -> Lowered {
    let all = b.must_choose("kind", &[("any", false), ("all", true)])?;
    need_sync(b)?;
    match b.ty()? {
        Type::B32 => match_of::<u32>(b, all),
        Type::B64 => match_of::<u64>(b, all),
        other => b.bad_type(other),
    }
}

fn match_of<T: Scalar>(b: &mut Build<'_, '_>, all: bool) -> Lowered {
    let (first, second) = b.dst_pair()?;
    let d: Dst<u32> = b.dst_of(first)?;
    let p = second.map(|p| b.pred_dst_of(p)).transpose()?;
    let a: Src<T> = b.src()?;
    let members = b.src()?;
    Ok(together(members, move |ctx, members| {
        let a = ctx.get(a).map(Word::to_bits);
        let mut equal = [0; LANES];
        let mut agree = 0;
        for lane in lanes(ctx.active) {
            let group = members[lane] & ctx.active;
            let same = lanes(group).filter(|&other| a[other] == a[lane]).fold(0, |m, other| m | 1 << other);
            equal[lane] = if !all || same == group { same } else { 0 };
            agree |= u32::from(same == group) << lane;
        }
        ctx.put(d, |lane| equal[lane]);
        if let Some(p) = p {
            ctx.put_pred(p, agree);
        }
    }))
}

pub(crate) fn redux(b: &mut Build<'_, '_>) -> Lowered {
    need_sync(b)?;
    type Reduce = fn(u32, u32) -> u32;
    let signed_min: Reduce = |x, y| (x as i32).min(y as i32) as u32;
    let signed_max: Reduce = |x, y| (x as i32).max(y as i32) as u32;
    let name =
        b.must_choose("operation", &[("add", 0), ("min", 1), ("max", 2), ("and", 3), ("or", 4), ("xor", 5)])?;
    let ty = b.ty()?;
    let reduce: Reduce = match (name, ty) {
        (0, Type::U32 | Type::S32) => u32::wrapping_add,
        (1, Type::U32) => u32::min,
        (2, Type::U32) => u32::max,
        (1, Type::S32) => signed_min,
        (2, Type::S32) => signed_max,
        (3, Type::B32) => |x, y| x & y,
        (4, Type::B32) => |x, y| x | y,
        (5, Type::B32) => |x, y| x ^ y,
        _ => return b.bad_type(ty),
    };
    let (d, a): (Dst<u32>, Src<u32>) = (b.dst()?, b.src()?);
    let members = b.src()?;
    Ok(together(members, move |ctx, members| {
        let a = ctx.get(a);
        let active = ctx.active;
        ctx.put(d, |lane| lanes(members[lane] & active).map(|i| a[i]).reduce(reduce).unwrap_or(0));
    }))
}

/// `elect.sync`: the lowest lane that takes part is the leader.
pub(crate) fn elect(b: &mut Build<'_, '_>) -> Lowered {
    need_sync(b)?;
    let (first, second) = b.dst_pair()?;
    let d: Dst<u32> = b.dst_of(first)?;
    let p = b.pred_dst_of(second.ok_or("needs a predicate after `|`")?)?;
    let members = b.src()?;
    Ok(together(members, move |ctx, members| {
        let active = ctx.active;
        let leader = |lane: usize| (members[lane] & active).trailing_zeros() & 31;
        ctx.put(d, leader);
        ctx.put_pred(p, lanes(active).fold(0, |m, lane| m | 1 << leader(lane)));
    }))
}

pub(crate) fn activemask(b: &mut Build<'_, '_>) -> Lowered {
    let ty = b.ty()?;
    if ty != Type::B32 {
        return b.bad_type(ty);
    }
    let d: Dst<u32> = b.dst()?;
    Ok(Build::plain(move |ctx| {
        let active = ctx.active;
        ctx.put(d, |_| active);
    }))
}
