//! Moves: registers, packed vectors, special registers, addresses.

use super::map::{map1, map2};
use crate::lower::{Build, Lowered};
use crate::machine::context::Context;
use crate::machine::kernel::Action;
use crate::machine::registers::{Bank, Dst, PredSrc, Scalar, Slot, Src};
use crate::memory::{SHARED_RANK_SHIFT, SHARED_WINDOW, resolve_generic, to_generic};
use crate::parse::ast::Operand;
use crate::types::{Space, Type};

/// Copy one register to another of the same bank.
pub(crate) fn copy(to: Slot, from: Slot) -> Action {
    if to.bank == Bank::Predicate {
        let (to, from) = (to.index, from.index);
        return Build::plain(move |ctx| {
            let bits = ctx.get_pred(PredSrc { index: from, negated: false });
            ctx.put_pred(crate::machine::registers::PredDst { index: to }, bits);
        });
    }
    Build::plain(move |ctx| {
        let bits = ctx.get_bits(from);
        ctx.put_bits(to, |i| bits[i]);
    })
}

/// Special registers whose value changes while a warp runs.
fn changing(name: &str) -> Option<fn(&Context<'_>) -> u64> {
    Some(match name {
        "%clock" | "%clock_hi" | "%clock64" => |ctx| ctx.clock,
        // A nanosecond an instruction: monotonic and the same in every run.
        "%globaltimer" | "%globaltimer_lo" => |ctx| ctx.clock,
        "%globaltimer_hi" => |ctx| ctx.clock >> 32,
        _ => return None,
    })
}

fn mov_bits<T: Scalar>(b: &mut Build<'_, '_>) -> Lowered {
    let (d, a): (Dst<T>, Src<T>) = (b.dst()?, b.src()?);
    Ok(Build::plain(move |ctx| {
        let a = ctx.get(a);
        ctx.put(d, |i| T::load(a[i]));
    }))
}

/// One part of a packed value: where it is kept and how wide it is.
fn parts(
    items: &[Operand],
    total: u32,
    mut slot: impl FnMut(&Operand, u32) -> Result<Slot, String>,
) -> Result<Vec<(Slot, u32)>, String> {
    let width = total / items.len().max(1) as u32;
    if width * items.len() as u32 != total || !matches!(width, 16 | 32) {
        return Err(format!("{} elements do not make {total} bits", items.len()));
    }
    items.iter().enumerate().map(|(i, item)| Ok((slot(item, width)?, i as u32 * width))).collect()
}

/// `mov.b64 d, {a, b}`
fn pack(b: &mut Build<'_, '_>, to: &Operand, items: &[Operand], bits: u32) -> Lowered {
    let sources = parts(items, bits, |item, width| match width {
        16 => b.src_of::<u16>(item).map(|s| Slot { bank: Bank::Word, index: s.index }),
        _ => b.src_of::<u32>(item).map(|s| Slot { bank: Bank::Word, index: s.index }),
    })?;
    let mask = if sources.len() as u32 * 32 == bits { u64::from(u32::MAX) } else { 0xffff };
    let (d, width) = b.register_dst(to, if bits == 64 { Bank::Double } else { Bank::Word }, bits)?;
    if width != bits {
        return Err(format!("the destination has {width} bits, not {bits}"));
    }
    Ok(Build::plain(move |ctx| {
        let mut out = [0; 32];
        for &(slot, shift) in &sources {
            let row = ctx.get_bits(slot);
            for (out, value) in out.iter_mut().zip(row) {
                *out |= (value & mask) << shift;
            }
        }
        ctx.put_bits(d, |i| out[i]);
    }))
}

/// `mov.b64 {d, e}, a`
fn unpack(b: &mut Build<'_, '_>, items: &[Operand], bits: u32) -> Lowered {
    let targets = parts(items, bits, |item, width| match width {
        16 => b.dst_of::<u16>(item).map(|d| Slot { bank: Bank::Word, index: d.index }),
        _ => b.dst_of::<u32>(item).map(|d| Slot { bank: Bank::Word, index: d.index }),
    })?;
    let a = match bits {
        64 => Slot { bank: Bank::Double, index: b.src::<u64>()?.index },
        _ => Slot { bank: Bank::Word, index: b.src::<u32>()?.index },
    };
    Ok(Build::plain(move |ctx| {
        let row = ctx.get_bits(a);
        for &(slot, shift) in &targets {
            ctx.put_bits(slot, |i| row[i] >> shift);
        }
    }))
}

pub(crate) fn mov(b: &mut Build<'_, '_>) -> Lowered {
    let ty = b.ty()?;
    if ty == Type::Pred {
        let (d, a) = (b.pred_dst()?, b.pred_src()?);
        return Ok(Build::plain(move |ctx| {
            let a = ctx.get_pred(a);
            ctx.put_pred(d, a);
        }));
    }
    if let Some(Operand::Vector(items)) = b.peek() {
        b.operand()?;
        return unpack(b, items, ty.bits());
    }
    if let Some(source) = b.peek_second() {
        if let Operand::Vector(items) = source {
            let to = b.operand()?;
            b.operand()?;
            return pack(b, to, items, ty.bits());
        }
        if let Some(read) = Build::name_of(source).and_then(changing) {
            let to = b.operand()?;
            b.operand()?;
            let (d, _) = b.register_dst(to, Bank::Word, ty.bits())?;
            return Ok(Build::plain(move |ctx| {
                let value = read(ctx);
                ctx.put_bits(d, |_| value);
            }));
        }
    }
    match ty.bits() {
        16 => mov_bits::<u16>(b),
        32 => mov_bits::<u32>(b),
        64 => mov_bits::<u64>(b),
        _ => b.bad_type(ty),
    }
}

/// State spaces as `cvta`, `isspacep` and the memory instructions name them.
pub(crate) const SPACES: [(&str, Space); 9] = [
    ("global", Space::Global),
    ("shared", Space::Shared),
    ("shared::cta", Space::Shared),
    ("shared::cluster", Space::Shared),
    ("local", Space::Local),
    ("const", Space::Const),
    ("param", Space::Param),
    ("param::entry", Space::Param),
    ("param::func", Space::Param),
];

pub(crate) fn cvta(b: &mut Build<'_, '_>) -> Lowered {
    let to_space = b.take("to");
    let space = b.must_choose("state space", &SPACES)?;
    match b.ty()? {
        Type::U64 => {}
        other => return b.bad_type(other),
    }
    let window = to_generic(space, 0);
    if to_space {
        map1(b, move |a: u64| a.wrapping_sub(window))
    } else {
        map1(b, move |a: u64| a.wrapping_add(window))
    }
}

pub(crate) fn isspacep(b: &mut Build<'_, '_>) -> Lowered {
    let space = b.must_choose("state space", &SPACES)?;
    let d = b.pred_dst()?;
    let a: Src<u64> = b.src()?;
    Ok(Build::plain(move |ctx| {
        let a = ctx.get(a);
        let mask = (0..32).fold(0, |m, i| {
            let (found, address) = resolve_generic(a[i]);
            let inside = match space {
                Space::Const => {
                    found == Space::Global && ctx.launch.global.find(address, 1).is_some_and(|a| !a.writable)
                }
                _ => found == space,
            };
            m | u32::from(inside) << i
        });
        ctx.put_pred(d, mask);
    }))
}

/// The address, in another block of the cluster, of what `a` is in one's own.
pub(crate) fn mapa(b: &mut Build<'_, '_>) -> Lowered {
    let in_shared = b.take("shared::cluster");
    let map = move |a: u64, rank: u32| {
        let (window, address) =
            if in_shared { (0, a) } else { (SHARED_WINDOW, a.wrapping_sub(SHARED_WINDOW)) };
        let offset = address & ((1 << SHARED_RANK_SHIFT) - 1);
        window + (((u64::from(rank) + 1) << SHARED_RANK_SHIFT) | offset)
    };
    match b.ty()? {
        Type::U32 if in_shared => map2(b, move |a: u32, rank: u32| map(a.into(), rank) as u32),
        Type::U64 => map2(b, move |a: u64, rank: u32| map(a, rank)),
        other => b.bad_type(other),
    }
}
