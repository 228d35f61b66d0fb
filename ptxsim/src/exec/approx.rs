//! Reciprocals, roots and transcendental functions.
//!
//! The approximate forms are computed in f64 and rounded once, which is closer than PTX asks for.

use super::float::{Mode, ROUNDINGS, flush, halves};
use super::map::map1;
use crate::counters::Class;
use crate::lower::{Build, Lowered};
use crate::softfloat::{self, BF16_FORMAT, F16_FORMAT, F32_FORMAT, F64_FORMAT, Format, Number, Rounding};
use crate::types::Type;

/// An `.approx` function in f32 or half precision.
fn approx(b: &mut Build<'_, '_>, f: fn(f64) -> f64) -> Lowered {
    if !b.take("approx") {
        return Err("needs `.approx`".into());
    }
    let ftz = b.take("ftz");
    let ty = b.ty()?;
    match ty {
        Type::F32 => map1(b, move |x: f32| {
            let out = f(if ftz { flush(x) } else { x }.into()) as f32;
            if ftz { flush(out) } else { out }
        }),
        Type::F16 => map1(b, move |x: u16| half(F16_FORMAT, f, ftz, x)),
        Type::Bf16 => map1(b, move |x: u16| half(BF16_FORMAT, f, ftz, x)),
        Type::F16x2 => map1(b, move |x: u32| halves(|[x, ..]| half(F16_FORMAT, f, ftz, x), [x, 0, 0])),
        Type::Bf16x2 => map1(b, move |x: u32| halves(|[x, ..]| half(BF16_FORMAT, f, ftz, x), [x, 0, 0])),
        other => b.bad_type(other),
    }
}

fn half(format: Format, f: fn(f64) -> f64, ftz: bool, x: u16) -> u16 {
    let implicit = 1u16 << format.mantissa_bits;
    let flush = |x: u16| if ftz && x & 0x7fff < implicit { x & 0x8000 } else { x };
    let wide = F64_FORMAT.pack(format.unpack(flush(x).into()), Rounding::NearestEven);
    flush(format.pack(Number::from_f64(f(f64::from_bits(wide))), Rounding::NearestEven) as u16)
}

pub(crate) fn ex2(b: &mut Build<'_, '_>) -> Lowered {
    approx(b, f64::exp2)
}

pub(crate) fn lg2(b: &mut Build<'_, '_>) -> Lowered {
    approx(b, f64::log2)
}

pub(crate) fn sin(b: &mut Build<'_, '_>) -> Lowered {
    approx(b, f64::sin)
}

pub(crate) fn cos(b: &mut Build<'_, '_>) -> Lowered {
    approx(b, f64::cos)
}

pub(crate) fn tanh(b: &mut Build<'_, '_>) -> Lowered {
    // `tanh` alone has no `.ftz`; taking it does no harm, for the result is within the same bound.
    approx(b, f64::tanh)
}

/// The coarse f64 forms keep the upper 32 bits only and flush subnormals.
fn coarse(f: fn(f64) -> f64, x: f64) -> f64 {
    let flush = |x: f64| if x.is_subnormal() { 0f64.copysign(x) } else { x };
    let out = flush(f(flush(x)));
    if out.is_nan() { out } else { f64::from_bits(out.to_bits() >> 32 << 32) }
}

pub(crate) fn rsqrt(b: &mut Build<'_, '_>) -> Lowered {
    // A negative zero gives a negative infinity, which 1/sqrt does by itself.
    let f: fn(f64) -> f64 = |x| 1.0 / x.sqrt();
    rooted(b, f, None)
}

pub(crate) fn rcp(b: &mut Build<'_, '_>) -> Lowered {
    rooted(
        b,
        |x| 1.0 / x,
        Some(|format, x, r| {
            let one = format.pack(Number::from_f64(1.0), r);
            softfloat::divide(format, one, x, r)
        }),
    )
}

pub(crate) fn sqrt(b: &mut Build<'_, '_>) -> Lowered {
    rooted(b, f64::sqrt, Some(softfloat::square_root))
}

/// `rcp`, `sqrt` and `rsqrt`: approximate, or exactly rounded where `exact` says how.
fn rooted(
    b: &mut Build<'_, '_>,
    f: fn(f64) -> f64,
    exact: Option<fn(Format, u64, Rounding) -> u64>,
) -> Lowered {
    if b.take("approx") {
        let ftz = b.take("ftz");
        b.set_class(Class::Transcendental);
        return match b.ty()? {
            Type::F32 => map1(b, move |x: f32| {
                let out = f(if ftz { flush(x) } else { x }.into()) as f32;
                if ftz { flush(out) } else { out }
            }),
            Type::F64 if ftz => map1(b, move |x: f64| coarse(f, x)),
            Type::F64 => map1(b, f),
            other => b.bad_type(other),
        };
    }
    let Some(exact) = exact else { return Err("needs `.approx`".into()) };
    let rounding = b.must_choose("rounding or `.approx`", &ROUNDINGS)?;
    let mode = Mode { rounding, ftz: b.take("ftz"), sat: false, relu: false };
    match (b.ty()?, rounding) {
        // f64 has more than twice f32's digits, so rounding twice is rounding once.
        (Type::F32, Rounding::NearestEven) => {
            map1(b, move |x: f32| mode.output(f(mode.input(x).into()) as f32))
        }
        (Type::F32, _) => map1(b, move |x: f32| {
            let bits = exact(F32_FORMAT, mode.input(x).to_bits().into(), rounding);
            mode.output(f32::from_bits(bits as u32))
        }),
        (Type::F64, Rounding::NearestEven) => {
            b.set_class(Class::F64);
            map1(b, f)
        }
        (Type::F64, _) => {
            b.set_class(Class::F64);
            map1(b, move |x: f64| f64::from_bits(exact(F64_FORMAT, x.to_bits(), rounding)))
        }
        (other, _) => b.bad_type(other),
    }
}
