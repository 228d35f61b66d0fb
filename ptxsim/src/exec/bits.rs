//! Logic, shifts and bit fields.

use super::map::{map1, map2, map3, map4};
use crate::lower::{Build, Lowered};
use crate::types::Type;

/// A bitwise operation on words or predicates.
fn logic(b: &mut Build<'_, '_>, words: impl Fn(u64, u64) -> u64 + Copy + Send + Sync + 'static) -> Lowered {
    match b.ty()? {
        Type::Pred => {
            let (d, x, y) = (b.pred_dst()?, b.pred_src()?, b.pred_src()?);
            Ok(Build::plain(move |ctx| {
                let (x, y) = (ctx.get_pred(x), ctx.get_pred(y));
                ctx.put_pred(d, words(x.into(), y.into()) as u32);
            }))
        }
        Type::B16 => map2(b, move |x: u16, y: u16| words(x.into(), y.into()) as u16),
        Type::B32 => map2(b, move |x: u32, y: u32| words(x.into(), y.into()) as u32),
        Type::B64 => map2(b, words),
        other => b.bad_type(other),
    }
}

pub(crate) fn and(b: &mut Build<'_, '_>) -> Lowered {
    logic(b, |x, y| x & y)
}

pub(crate) fn or(b: &mut Build<'_, '_>) -> Lowered {
    logic(b, |x, y| x | y)
}

pub(crate) fn xor(b: &mut Build<'_, '_>) -> Lowered {
    logic(b, |x, y| x ^ y)
}

pub(crate) fn not(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::Pred => {
            let (d, x) = (b.pred_dst()?, b.pred_src()?);
            Ok(Build::plain(move |ctx| {
                let x = ctx.get_pred(x);
                ctx.put_pred(d, !x);
            }))
        }
        Type::B16 => map1(b, |x: u16| !x),
        Type::B32 => map1(b, |x: u32| !x),
        Type::B64 => map1(b, |x: u64| !x),
        other => b.bad_type(other),
    }
}

pub(crate) fn cnot(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::B16 => map1(b, |x: u16| u16::from(x == 0)),
        Type::B32 => map1(b, |x: u32| u32::from(x == 0)),
        Type::B64 => map1(b, |x: u64| u64::from(x == 0)),
        other => b.bad_type(other),
    }
}

// Shift amounts beyond the width give all zeros (or all signs), never a wrapped amount.

pub(crate) fn shl(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::B16 => map2(b, |x: u16, n: u32| if n < 16 { x << n } else { 0 }),
        Type::B32 => map2(b, |x: u32, n: u32| if n < 32 { x << n } else { 0 }),
        Type::B64 => map2(b, |x: u64, n: u32| if n < 64 { x << n } else { 0 }),
        other => b.bad_type(other),
    }
}

pub(crate) fn shr(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::B16 | Type::U16 => map2(b, |x: u16, n: u32| if n < 16 { x >> n } else { 0 }),
        Type::B32 | Type::U32 => map2(b, |x: u32, n: u32| if n < 32 { x >> n } else { 0 }),
        Type::B64 | Type::U64 => map2(b, |x: u64, n: u32| if n < 64 { x >> n } else { 0 }),
        Type::S16 => map2(b, |x: i16, n: u32| x >> n.min(15)),
        Type::S32 => map2(b, |x: i32, n: u32| x >> n.min(31)),
        Type::S64 => map2(b, |x: i64, n: u32| x >> n.min(63)),
        other => b.bad_type(other),
    }
}

pub(crate) fn shf(b: &mut Build<'_, '_>) -> Lowered {
    let left = b.must_choose("direction", &[("l", true), ("r", false)])?;
    let wrap = b.must_choose("mode", &[("wrap", true), ("clamp", false)])?;
    match b.ty()? {
        Type::B32 => map3(b, move |low: u32, high: u32, n: u32| {
            let n = if wrap { n & 31 } else { n.min(32) };
            let both = u64::from(high) << 32 | u64::from(low);
            if left { ((both << n) >> 32) as u32 } else { (both >> n) as u32 }
        }),
        other => b.bad_type(other),
    }
}

pub(crate) fn popc(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::B32 => map1(b, u32::count_ones),
        Type::B64 => map1(b, u64::count_ones),
        other => b.bad_type(other),
    }
}

pub(crate) fn clz(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::B32 => map1(b, u32::leading_zeros),
        Type::B64 => map1(b, u64::leading_zeros),
        other => b.bad_type(other),
    }
}

pub(crate) fn brev(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::B32 => map1(b, u32::reverse_bits),
        Type::B64 => map1(b, u64::reverse_bits),
        other => b.bad_type(other),
    }
}

/// Position of the highest one (or, of a negative number, zero); all ones if there is none.
fn find(x: u64, bits: u32, shift_amount: bool) -> u32 {
    match x.checked_ilog2() {
        None => u32::MAX,
        Some(at) if shift_amount => bits - 1 - at,
        Some(at) => at,
    }
}

pub(crate) fn bfind(b: &mut Build<'_, '_>) -> Lowered {
    let amount = b.take("shiftamt");
    match b.ty()? {
        Type::U32 => map1(b, move |x: u32| find(x.into(), 32, amount)),
        Type::U64 => map1(b, move |x: u64| find(x, 64, amount)),
        Type::S32 => map1(b, move |x: i32| find(u64::from((x ^ (x >> 31)) as u32), 32, amount)),
        Type::S64 => map1(b, move |x: i64| find((x ^ (x >> 63)) as u64, 64, amount)),
        other => b.bad_type(other),
    }
}

/// The `length` bits of `x` (`bits` wide) from `start` up, sign-extended or not.
fn extract(x: u64, bits: u32, start: u32, length: u32, signed: bool) -> u64 {
    let (start, length) = (start & 0xff, length & 0xff);
    if length == 0 {
        return 0;
    }
    // Beyond the top stands the sign, as if the number went on.
    let sign_at = (start + length - 1).min(bits - 1);
    let sign = signed && x >> sign_at & 1 != 0;
    let field = if start < bits { x >> start } else { 0 };
    let kept = length.min(bits.saturating_sub(start));
    let mask = if kept >= 64 { u64::MAX } else { (1 << kept) - 1 };
    field & mask | if sign { !mask } else { 0 }
}

pub(crate) fn bfe(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::U32 => map3(b, |x: u32, s: u32, n: u32| extract(x.into(), 32, s, n, false) as u32),
        Type::S32 => map3(b, |x: u32, s: u32, n: u32| extract(x.into(), 32, s, n, true) as u32),
        Type::U64 => map3(b, |x: u64, s: u32, n: u32| extract(x, 64, s, n, false)),
        Type::S64 => map3(b, |x: u64, s: u32, n: u32| extract(x, 64, s, n, true)),
        other => b.bad_type(other),
    }
}

/// `into` with `length` bits from `start` up replaced by the low bits of `field`.
fn insert(field: u64, into: u64, start: u32, length: u32, bits: u32) -> u64 {
    let (start, length) = (start & 0xff, length & 0xff);
    if start >= bits || length == 0 {
        return into;
    }
    let ones = if length >= 64 { u64::MAX } else { (1 << length) - 1 };
    let mask = ones << start;
    into & !mask | field << start & mask
}

pub(crate) fn bfi(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::B32 => map4(b, |x: u32, y: u32, s: u32, n: u32| insert(x.into(), y.into(), s, n, 32) as u32),
        Type::B64 => map4(b, |x: u64, y: u64, s: u32, n: u32| insert(x, y, s, n, 64)),
        other => b.bad_type(other),
    }
}

pub(crate) fn bmsk(b: &mut Build<'_, '_>) -> Lowered {
    let wrap = b.must_choose("mode", &[("wrap", true), ("clamp", false)])?;
    match b.ty()? {
        Type::B32 => map2(b, move |start: u32, width: u32| {
            let (start, width) = if wrap { (start & 31, width & 31) } else { (start, width.min(32)) };
            if start > 31 { 0 } else { (((1u64 << width) - 1) << start) as u32 }
        }),
        other => b.bad_type(other),
    }
}

pub(crate) fn szext(b: &mut Build<'_, '_>) -> Lowered {
    let wrap = b.must_choose("mode", &[("wrap", true), ("clamp", false)])?;
    let ty = b.ty()?;
    if !matches!(ty, Type::U32 | Type::S32) {
        return b.bad_type(ty);
    }
    map2(b, move |x: u32, n: u32| {
        let n = if wrap { n & 31 } else { n.min(32) };
        if n == 0 {
            0
        } else if ty.is_signed() {
            ((x << (32 - n)) as i32 >> (32 - n)) as u32
        } else {
            x << (32 - n) >> (32 - n)
        }
    })
}

pub(crate) fn prmt(b: &mut Build<'_, '_>) -> Lowered {
    let mode =
        b.choose(&[("f4e", 1), ("b4e", 2), ("rc8", 3), ("ecl", 4), ("ecr", 5), ("rc16", 6)]).unwrap_or(0);
    match b.ty()? {
        Type::B32 => map3(b, move |x: u32, y: u32, selector: u32| permute(x, y, selector, mode)),
        other => b.bad_type(other),
    }
}

fn permute(x: u32, y: u32, selector: u32, mode: u32) -> u32 {
    let bytes = (u64::from(y) << 32 | u64::from(x)).to_le_bytes();
    let at = selector & 3;
    let pick = |i: u32| match mode {
        0 => {
            let nibble = selector >> (4 * i) & 0xf;
            let byte = bytes[(nibble & 7) as usize];
            // The high bit of a selector repeats the byte's sign.
            if nibble & 8 == 0 { byte } else { ((byte as i8) >> 7) as u8 }
        }
        1 => bytes[((at + i) & 7) as usize],
        2 => bytes[(at.wrapping_sub(i) & 7) as usize],
        3 => bytes[at as usize],
        4 => bytes[at.max(i) as usize],
        5 => bytes[at.min(i) as usize],
        _ => bytes[((at & 1) * 2 + (i & 1)) as usize],
    };
    u32::from_le_bytes([pick(0), pick(1), pick(2), pick(3)])
}

pub(crate) fn lop3(b: &mut Build<'_, '_>) -> Lowered {
    let ty = b.ty()?;
    if ty != Type::B32 {
        return b.bad_type(ty);
    }
    map4(b, |x: u32, y: u32, z: u32, table: u32| {
        (0..8).filter(|i| table >> i & 1 != 0).fold(0, |out, i| {
            let pick = |v: u32, bit: u32| if i & bit != 0 { v } else { !v };
            out | pick(x, 4) & pick(y, 2) & pick(z, 1)
        })
    })
}

/// The position of the `offset`-th one of `mask`, counted from `base` up or down.
pub(crate) fn fns(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::B32 => map3(b, |mask: u32, base: u32, offset: i32| {
            let base = (base & 31) as i32;
            if offset == 0 {
                return if mask >> base & 1 != 0 { base as u32 } else { u32::MAX };
            }
            let step = offset.signum();
            let mut left = offset.unsigned_abs();
            let mut at = base;
            while (0..32).contains(&at) {
                if mask >> at & 1 != 0 {
                    left -= 1;
                    if left == 0 {
                        return at as u32;
                    }
                }
                at += step;
            }
            u32::MAX
        }),
        other => b.bad_type(other),
    }
}
