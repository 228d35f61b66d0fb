//! Addition, subtraction and multiply-add through the carry flag.

use super::integer::{Part, high, high_u64, part};
use crate::lower::{Build, Lowered};
use crate::machine::lanes;
use crate::machine::registers::{Dst, PredSrc, Scalar, Src};
use crate::types::Type;

pub(crate) fn addc(b: &mut Build<'_, '_>) -> Lowered {
    let writes = b.take("cc");
    let ty = b.ty()?;
    carry(b, ty, false, true, writes)
}

pub(crate) fn subc(b: &mut Build<'_, '_>) -> Lowered {
    let writes = b.take("cc");
    let ty = b.ty()?;
    carry(b, ty, true, true, writes)
}

/// Addition or subtraction through the carry flag.
pub(super) fn carry(b: &mut Build<'_, '_>, ty: Type, subtract: bool, reads: bool, writes: bool) -> Lowered {
    match ty.bits() {
        32 => carry_of::<u32>(b, subtract, reads, writes, |a, b, c| {
            let sum = u64::from(a) + u64::from(b) + u64::from(c);
            (sum as u32, sum >> 32 != 0)
        }),
        64 => carry_of::<u64>(b, subtract, reads, writes, |a, b, c| {
            let sum = u128::from(a) + u128::from(b) + u128::from(c);
            (sum as u64, sum >> 64 != 0)
        }),
        _ => b.bad_type(ty),
    }
}

fn carry_of<T: Scalar + std::ops::Not<Output = T>>(
    build: &mut Build<'_, '_>,
    subtract: bool,
    reads: bool,
    writes: bool,
    sum: impl Fn(T, T, bool) -> (T, bool) + Send + Sync + 'static,
) -> Lowered {
    let (d, a, b): (Dst<T>, Src<T>, Src<T>) = (build.dst()?, build.src()?, build.src()?);
    let flag = build.carry_flag();
    Ok(Build::plain(move |ctx| {
        let (a, b) = (ctx.get(a), ctx.get(b));
        // a - b - borrow is a + !b + !borrow; the flag holds the carry, borrow inverted.
        let old = ctx.get_pred(PredSrc { index: flag.index, negated: false });
        let value = |i: usize| {
            let b = T::load(b[i]);
            let into = if reads { old >> i & 1 != 0 } else { subtract };
            sum(T::load(a[i]), if subtract { !b } else { b }, into)
        };
        let flags = lanes(ctx.active).fold(0, |m, i| m | u32::from(value(i).1) << i);
        ctx.put(d, |i| value(i).0);
        if writes {
            ctx.put_pred(flag, flags);
        }
    }))
}

pub(crate) fn madc(b: &mut Build<'_, '_>) -> Lowered {
    let ty = b.ty()?;
    let part = part(b)?;
    let writes = b.take("cc");
    mad_carry(b, ty, part, true, writes)
}

/// `mad` through the carry flag.
pub(super) fn mad_carry(b: &mut Build<'_, '_>, ty: Type, part: Part, reads: bool, writes: bool) -> Lowered {
    match (ty, part) {
        (Type::U32 | Type::S32, Part::Low) => mad_carry_of(b, reads, writes, u32::wrapping_mul, add32),
        (Type::U32, Part::High) => {
            mad_carry_of(b, reads, writes, |a, b| ((u64::from(a) * u64::from(b)) >> 32) as u32, add32)
        }
        (Type::S32, Part::High) => {
            mad_carry_of(b, reads, writes, |a: u32, b: u32| high(a as i32, b as i32, 32) as u32, add32)
        }
        (Type::U64 | Type::S64, Part::Low) => mad_carry_of(b, reads, writes, u64::wrapping_mul, add64),
        (Type::U64, Part::High) => mad_carry_of(b, reads, writes, high_u64, add64),
        (Type::S64, Part::High) => {
            mad_carry_of(b, reads, writes, |a: u64, b: u64| high(a as i64, b as i64, 64) as u64, add64)
        }
        _ => b.bad_type(ty),
    }
}

fn add32(a: u32, b: u32, carry: bool) -> (u32, bool) {
    let sum = u64::from(a) + u64::from(b) + u64::from(carry);
    (sum as u32, sum >> 32 != 0)
}

fn add64(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let sum = u128::from(a) + u128::from(b) + u128::from(carry);
    (sum as u64, sum >> 64 != 0)
}

fn mad_carry_of<T: Scalar>(
    build: &mut Build<'_, '_>,
    reads: bool,
    writes: bool,
    product: impl Fn(T, T) -> T + Send + Sync + 'static,
    sum: impl Fn(T, T, bool) -> (T, bool) + Send + Sync + 'static,
) -> Lowered {
    let (d, a, b, c): (Dst<T>, Src<T>, Src<T>, Src<T>) =
        (build.dst()?, build.src()?, build.src()?, build.src()?);
    let flag = build.carry_flag();
    Ok(Build::plain(move |ctx| {
        let (a, b, c) = (ctx.get(a), ctx.get(b), ctx.get(c));
        let old = ctx.get_pred(PredSrc { index: flag.index, negated: false });
        let value =
            |i: usize| sum(product(T::load(a[i]), T::load(b[i])), T::load(c[i]), reads && old >> i & 1 != 0);
        let flags = lanes(ctx.active).fold(0, |m, i| m | u32::from(value(i).1) << i);
        ctx.put(d, |i| value(i).0);
        if writes {
            ctx.put_pred(flag, flags);
        }
    }))
}
