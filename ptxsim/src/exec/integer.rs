//! Arithmetic: integers here; a float type hands over to [`float`](super::float).

use super::carry::{carry, mad_carry};
use super::float;
use super::map::{map1, map2, map3};
use crate::fault::FaultKind;
use crate::lower::{Build, Lowered};
use crate::machine::kernel::Flow;
use crate::machine::lanes;
use crate::machine::registers::{Dst, Scalar, Src};
use crate::types::Type;

/// `map2` with a method of the integer type that `ty` names.
macro_rules! integers2 {
    ($b:ident, $ty:expr, $method:ident) => {
        match $ty {
            Type::U16 => map2($b, u16::$method),
            Type::S16 => map2($b, i16::$method),
            Type::U32 => map2($b, u32::$method),
            Type::S32 => map2($b, i32::$method),
            Type::U64 => map2($b, u64::$method),
            Type::S64 => map2($b, i64::$method),
            other => $b.bad_type(other),
        }
    };
}

/// A packed pair of 16-bit integers.
fn pairs(
    f: impl Fn(u16, u16) -> u16 + Send + Sync + 'static,
) -> impl Fn(u32, u32) -> u32 + Send + Sync + 'static {
    move |a, b| u32::from(f(a as u16, b as u16)) | u32::from(f((a >> 16) as u16, (b >> 16) as u16)) << 16
}

/// Packed 16-bit types, which exist for add, min and max only.
fn packed(b: &mut Build<'_, '_>) -> Option<bool> {
    b.choose(&[("u16x2", false), ("s16x2", true)])
}

pub(crate) fn add(b: &mut Build<'_, '_>) -> Lowered {
    if packed(b).is_some() {
        return map2(b, pairs(u16::wrapping_add));
    }
    let ty = b.ty()?;
    if ty.is_float() {
        return float::add(b, ty);
    }
    if b.take("cc") {
        return carry(b, ty, false, false, true);
    }
    if b.take("sat") {
        return if ty == Type::S32 { map2(b, i32::saturating_add) } else { b.bad_type(ty) };
    }
    integers2!(b, ty, wrapping_add)
}

pub(crate) fn sub(b: &mut Build<'_, '_>) -> Lowered {
    let ty = b.ty()?;
    if ty.is_float() {
        return float::sub(b, ty);
    }
    if b.take("cc") {
        return carry(b, ty, true, false, true);
    }
    if b.take("sat") {
        return if ty == Type::S32 { map2(b, i32::saturating_sub) } else { b.bad_type(ty) };
    }
    integers2!(b, ty, wrapping_sub)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Low,
    High,
    Wide,
}

pub(super) fn part(b: &mut Build<'_, '_>) -> Result<Part, String> {
    b.must_choose("part of the product", &[("lo", Part::Low), ("hi", Part::High), ("wide", Part::Wide)])
}

pub(super) fn high<T: Into<i128>>(a: T, b: T, bits: u32) -> i128 {
    (a.into() * b.into()) >> bits
}

pub(super) fn high_u64(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

pub(crate) fn mul(b: &mut Build<'_, '_>) -> Lowered {
    let ty = b.ty()?;
    if ty.is_float() {
        return float::mul(b, ty);
    }
    match (part(b)?, ty) {
        (Part::Low, _) => integers2!(b, ty, wrapping_mul),
        (Part::High, Type::U16) => map2(b, |a: u16, b: u16| high(a, b, 16) as u16),
        (Part::High, Type::S16) => map2(b, |a: i16, b: i16| high(a, b, 16) as i16),
        (Part::High, Type::U32) => map2(b, |a: u32, b: u32| ((u64::from(a) * u64::from(b)) >> 32) as u32),
        (Part::High, Type::S32) => map2(b, |a: i32, b: i32| ((i64::from(a) * i64::from(b)) >> 32) as i32),
        (Part::High, Type::U64) => map2(b, high_u64),
        (Part::High, Type::S64) => map2(b, |a: i64, b: i64| high(a, b, 64) as i64),
        (Part::Wide, Type::U16) => map2(b, |a: u16, b: u16| u32::from(a) * u32::from(b)),
        (Part::Wide, Type::S16) => map2(b, |a: i16, b: i16| i32::from(a) * i32::from(b)),
        (Part::Wide, Type::U32) => map2(b, |a: u32, b: u32| u64::from(a) * u64::from(b)),
        (Part::Wide, Type::S32) => map2(b, |a: i32, b: i32| i64::from(a) * i64::from(b)),
        _ => b.bad_type(ty),
    }
}

pub(crate) fn mad(b: &mut Build<'_, '_>) -> Lowered {
    let ty = b.ty()?;
    if ty.is_float() {
        return float::fused(b, ty);
    }
    let part = part(b)?;
    if b.take("cc") {
        return mad_carry(b, ty, part, false, true);
    }
    if b.take("sat") {
        return match (part, ty) {
            (Part::High, Type::S32) => {
                map3(b, |a: i32, b: i32, c: i32| (high(a, b, 32) as i32).saturating_add(c))
            }
            _ => b.bad_type(ty),
        };
    }
    match (part, ty) {
        (Part::Low, Type::U16 | Type::S16) => {
            map3(b, |a: u16, b: u16, c: u16| a.wrapping_mul(b).wrapping_add(c))
        }
        (Part::Low, Type::U32 | Type::S32) => {
            map3(b, |a: u32, b: u32, c: u32| a.wrapping_mul(b).wrapping_add(c))
        }
        (Part::Low, Type::U64 | Type::S64) => {
            map3(b, |a: u64, b: u64, c: u64| a.wrapping_mul(b).wrapping_add(c))
        }
        (Part::High, Type::U16) => map3(b, |a: u16, b: u16, c: u16| (high(a, b, 16) as u16).wrapping_add(c)),
        (Part::High, Type::S16) => map3(b, |a: i16, b: i16, c: i16| (high(a, b, 16) as i16).wrapping_add(c)),
        (Part::High, Type::U32) => map3(b, |a: u32, b: u32, c: u32| (high(a, b, 32) as u32).wrapping_add(c)),
        (Part::High, Type::S32) => map3(b, |a: i32, b: i32, c: i32| (high(a, b, 32) as i32).wrapping_add(c)),
        (Part::High, Type::U64) => map3(b, |a: u64, b: u64, c: u64| high_u64(a, b).wrapping_add(c)),
        (Part::High, Type::S64) => map3(b, |a: i64, b: i64, c: i64| (high(a, b, 64) as i64).wrapping_add(c)),
        (Part::Wide, Type::U16) => {
            map3(b, |a: u16, b: u16, c: u32| (u32::from(a) * u32::from(b)).wrapping_add(c))
        }
        (Part::Wide, Type::S16) => {
            map3(b, |a: i16, b: i16, c: i32| (i32::from(a) * i32::from(b)).wrapping_add(c))
        }
        (Part::Wide, Type::U32) => {
            map3(b, |a: u32, b: u32, c: u64| (u64::from(a) * u64::from(b)).wrapping_add(c))
        }
        (Part::Wide, Type::S32) => {
            map3(b, |a: i32, b: i32, c: i64| (i64::from(a) * i64::from(b)).wrapping_add(c))
        }
        _ => b.bad_type(ty),
    }
}

fn sign24(v: u32) -> i64 {
    i64::from((v << 8) as i32 >> 8)
}

fn zero24(v: u32) -> i64 {
    i64::from(v & 0xff_ffff)
}

/// The low or high 32 bits of the 48-bit product of 24-bit values.
fn product24(b: &mut Build<'_, '_>) -> Result<impl Fn(u32, u32) -> u32 + Send + Sync + 'static, String> {
    let shift = b.must_choose("part of the product", &[("lo", 0), ("hi", 16)])?;
    let ty = b.ty()?;
    let extend = match ty {
        Type::U32 => zero24,
        Type::S32 => sign24,
        other => return b.bad_type(other),
    };
    Ok(move |x, y| ((extend(x) * extend(y)) >> shift) as u32)
}

pub(crate) fn mul24(b: &mut Build<'_, '_>) -> Lowered {
    let product = product24(b)?;
    map2(b, product)
}

pub(crate) fn mad24(b: &mut Build<'_, '_>) -> Lowered {
    let saturate = b.take("sat");
    let product = product24(b)?;
    map3(b, move |x: u32, y: u32, c: u32| {
        let p = product(x, y);
        if saturate { (p as i32).saturating_add(c as i32) as u32 } else { p.wrapping_add(c) }
    })
}

/// Division or remainder; a zero divisor is a fault, or all ones and the dividend with the check off.
fn divide<T: Scalar + PartialEq + Default>(
    build: &mut Build<'_, '_>,
    f: impl Fn(T, T) -> T + Send + Sync + 'static,
    by_zero: impl Fn(T) -> T + Send + Sync + 'static,
) -> Lowered {
    let (d, a, b): (Dst<T>, Src<T>, Src<T>) = (build.dst()?, build.src()?, build.src()?);
    Ok(Box::new(move |ctx| {
        let (a, b) = (ctx.get(a), ctx.get(b));
        let zero = T::default();
        if ctx.launch.checks.divide_by_zero
            && let Some(lane) = lanes(ctx.active).find(|&i| T::load(b[i]) == zero)
        {
            return Err(ctx.fault(lane, FaultKind::DivideByZero));
        }
        ctx.put(d, |i| {
            let (a, b) = (T::load(a[i]), T::load(b[i]));
            if b == zero { by_zero(a) } else { f(a, b) }
        });
        Ok(Flow::Next)
    }))
}

pub(crate) fn div(b: &mut Build<'_, '_>) -> Lowered {
    let ty = b.ty()?;
    match ty {
        Type::U16 => divide(b, u16::wrapping_div, |_| u16::MAX),
        Type::S16 => divide(b, i16::wrapping_div, |_| -1),
        Type::U32 => divide(b, u32::wrapping_div, |_| u32::MAX),
        Type::S32 => divide(b, i32::wrapping_div, |_| -1),
        Type::U64 => divide(b, u64::wrapping_div, |_| u64::MAX),
        Type::S64 => divide(b, i64::wrapping_div, |_| -1),
        other => float::div(b, other),
    }
}

pub(crate) fn rem(b: &mut Build<'_, '_>) -> Lowered {
    let ty = b.ty()?;
    match ty {
        Type::U16 => divide(b, u16::wrapping_rem, |a| a),
        Type::S16 => divide(b, i16::wrapping_rem, |a| a),
        Type::U32 => divide(b, u32::wrapping_rem, |a| a),
        Type::S32 => divide(b, i32::wrapping_rem, |a| a),
        Type::U64 => divide(b, u64::wrapping_rem, |a| a),
        Type::S64 => divide(b, i64::wrapping_rem, |a| a),
        other => b.bad_type(other),
    }
}

pub(crate) fn abs(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::S16 => map1(b, i16::wrapping_abs),
        Type::S32 => map1(b, i32::wrapping_abs),
        Type::S64 => map1(b, i64::wrapping_abs),
        other => float::abs(b, other),
    }
}

pub(crate) fn neg(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::S16 => map1(b, i16::wrapping_neg),
        Type::S32 => map1(b, i32::wrapping_neg),
        Type::S64 => map1(b, i64::wrapping_neg),
        other => float::neg(b, other),
    }
}

fn min_max(b: &mut Build<'_, '_>, is_max: bool) -> Lowered {
    let relu = b.take("relu");
    if let Some(signed) = packed(b) {
        let pick = move |x: u16, y: u16| match (signed, is_max) {
            (true, true) => (x as i16).max(y as i16) as u16,
            (true, false) => (x as i16).min(y as i16) as u16,
            (false, true) => x.max(y),
            (false, false) => x.min(y),
        };
        return map2(b, pairs(move |x, y| if relu { (pick(x, y) as i16).max(0) as u16 } else { pick(x, y) }));
    }
    let ty = b.ty()?;
    if ty.is_float() {
        return float::min_max(b, ty, is_max, relu);
    }
    if relu {
        return match ty {
            Type::S32 => map2(b, move |x: i32, y: i32| if is_max { x.max(y) } else { x.min(y) }.max(0)),
            other => b.bad_type(other),
        };
    }
    if is_max { integers2!(b, ty, max) } else { integers2!(b, ty, min) }
}

pub(crate) fn min(b: &mut Build<'_, '_>) -> Lowered {
    min_max(b, false)
}

pub(crate) fn max(b: &mut Build<'_, '_>) -> Lowered {
    min_max(b, true)
}

pub(crate) fn sad(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::U16 => map3(b, |x: u16, y: u16, c: u16| c.wrapping_add(x.abs_diff(y))),
        Type::S16 => map3(b, |x: i16, y: i16, c: u16| c.wrapping_add(x.abs_diff(y))),
        Type::U32 => map3(b, |x: u32, y: u32, c: u32| c.wrapping_add(x.abs_diff(y))),
        Type::S32 => map3(b, |x: i32, y: i32, c: u32| c.wrapping_add(x.abs_diff(y))),
        Type::U64 => map3(b, |x: u64, y: u64, c: u64| c.wrapping_add(x.abs_diff(y))),
        Type::S64 => map3(b, |x: i64, y: i64, c: u64| c.wrapping_add(x.abs_diff(y))),
        other => b.bad_type(other),
    }
}
