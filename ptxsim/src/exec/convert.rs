//! `cvt`: between all numeric types, with every rounding.

use super::float::{flush, saturate};
use super::map::{Pure, map1, map2};
use crate::lower::{Build, Lowered};
use crate::machine::registers::{Bank, Slot};
use crate::softfloat::{
    BF16_FORMAT, E4M3_FORMAT, E5M2_FORMAT, F16_FORMAT, F32_FORMAT, F64_FORMAT, Format, Number, Rounding,
    TF32_FORMAT,
};
use crate::types::Type;

const ROUNDINGS: [(&str, (Rounding, bool)); 9] = [
    ("rn", (Rounding::NearestEven, false)),
    ("rna", (Rounding::NearestAway, false)),
    ("rz", (Rounding::Zero, false)),
    ("rm", (Rounding::Down, false)),
    ("rp", (Rounding::Up, false)),
    ("rni", (Rounding::NearestEven, true)),
    ("rzi", (Rounding::Zero, true)),
    ("rmi", (Rounding::Down, true)),
    ("rpi", (Rounding::Up, true)),
];

/// What a conversion does besides changing the type.
#[derive(Clone, Copy)]
struct Mode {
    rounding: Rounding,
    /// Round a float to an integer value.
    integral: bool,
    ftz: bool,
    sat: bool,
    relu: bool,
    satfinite: bool,
}

fn format(ty: Type) -> Option<Format> {
    match ty {
        Type::F16 | Type::F16x2 => Some(F16_FORMAT),
        Type::Bf16 | Type::Bf16x2 => Some(BF16_FORMAT),
        Type::E4m3x2 => Some(E4M3_FORMAT),
        Type::E5m2x2 => Some(E5M2_FORMAT),
        Type::Tf32 => Some(TF32_FORMAT),
        Type::F32 => Some(F32_FORMAT),
        Type::F64 => Some(F64_FORMAT),
        _ => None,
    }
}

pub(crate) fn cvt(b: &mut Build<'_, '_>) -> Lowered {
    let (rounding, integral) = b.choose(&ROUNDINGS).unwrap_or((Rounding::NearestEven, false));
    let mode = Mode {
        rounding,
        integral,
        ftz: b.take("ftz"),
        sat: b.take("sat"),
        relu: b.take("relu"),
        satfinite: b.take("satfinite"),
    };
    let (to, from) = (b.ty()?, b.ty()?);
    match (to, from) {
        // The first source goes to the upper half.
        (Type::F16x2 | Type::Bf16x2, Type::F32) => map2(b, move |high: f32, low: f32| {
            let pack = |x: f32| to_float(mode, to, F32_FORMAT.unpack(x.to_bits().into())) as u32 & 0xffff;
            pack(high) << 16 | pack(low)
        }),
        (Type::E4m3x2 | Type::E5m2x2, Type::F32) => {
            need_satfinite(mode)?;
            map2(b, move |high: f32, low: f32| {
                let pack = |x: f32| to_float(mode, to, F32_FORMAT.unpack(x.to_bits().into())) as u16 & 0xff;
                pack(high) << 8 | pack(low)
            })
        }
        (Type::E4m3x2 | Type::E5m2x2, Type::F16x2) => {
            need_satfinite(mode)?;
            map1(b, move |halves: u32| {
                let pack = |half: u32| to_float(mode, to, F16_FORMAT.unpack(half.into())) as u16 & 0xff;
                pack(halves >> 16) << 8 | pack(halves & 0xffff)
            })
        }
        // Every fp8 number is one of f16.
        (Type::F16x2, Type::E4m3x2 | Type::E5m2x2) => {
            let narrow = format(from).ok_or("no such float type")?;
            map1(b, move |pair: u16| {
                let widen = |byte: u16| to_float(mode, to, narrow.unpack(byte.into())) as u32 & 0xffff;
                widen(pair >> 8) << 16 | widen(pair & 0xff)
            })
        }
        (Type::Tf32, Type::F32) => unary(b, 32, 32, move |bits| {
            let packed = to_float(mode, Type::Tf32, F32_FORMAT.unpack(bits));
            // A tf32 value stands in the upper bits of an f32.
            packed << (F32_FORMAT.mantissa_bits - TF32_FORMAT.mantissa_bits)
        }),
        _ if to.bits() > 64 || from.bits() > 64 || is_packed(to) || is_packed(from) => {
            Err(format!("no conversion from `.{}` to `.{}`", from.name(), to.name()))
        }
        _ => numeric(b, to, from, mode),
    }
}

fn need_satfinite(mode: Mode) -> Result<(), String> {
    if mode.satfinite { Ok(()) } else { Err("a conversion to fp8 needs `.satfinite`".into()) }
}

fn is_packed(ty: Type) -> bool {
    use Type::*;
    matches!(ty, F16x2 | Bf16x2 | E4m3x2 | E5m2x2 | Tf32 | Pred)
}

fn numeric(b: &mut Build<'_, '_>, to: Type, from: Type, mode: Mode) -> Lowered {
    let (wide, narrow) = (to.bits(), from.bits());
    match (to.is_float(), from.is_float()) {
        (false, false) if mode.sat => unary(b, wide, narrow, move |bits| {
            let (low, high) = range(to);
            extend(from, bits).clamp(low, high) as u64
        }),
        (false, false) => unary(b, wide, narrow, move |bits| extend(from, bits) as u64),
        (true, false) => match (to, from, mode.rounding, mode.sat) {
            (Type::F32, Type::S32, Rounding::NearestEven, false) => {
                unary(b, wide, narrow, |bits| (bits as i32 as f32).to_bits().into())
            }
            (Type::F32, Type::U32, Rounding::NearestEven, false) => {
                unary(b, wide, narrow, |bits| (bits as u32 as f32).to_bits().into())
            }
            _ => unary(b, wide, narrow, move |bits| {
                let value = extend(from, bits);
                to_float(mode, to, Number::scaled(value < 0, value.unsigned_abs(), 0))
            }),
        },
        (false, true) => {
            let format = format(from).ok_or("no such float type")?;
            unary(b, wide, narrow, move |bits| {
                let number = unpack(format, from, bits, mode.ftz);
                to_integer(number, mode.rounding, to, from)
            })
        }
        (true, true) => {
            let format = format(from).ok_or("no such float type")?;
            match (to, from, mode.rounding) {
                (Type::F64, Type::F32, _) if !mode.ftz && !mode.sat && !mode.integral => {
                    unary(b, wide, narrow, |bits| f64::from(f32::from_bits(bits as u32)).to_bits())
                }
                (Type::F32, Type::F64, Rounding::NearestEven) if !mode.ftz && !mode.sat && !mode.integral => {
                    unary(b, wide, narrow, |bits| {
                        let out = f64::from_bits(bits) as f32;
                        u64::from(if out.is_nan() { 0x7fff_ffff } else { out.to_bits() })
                    })
                }
                _ => unary(b, wide, narrow, move |bits| {
                    let number = unpack(format, from, bits, mode.ftz);
                    let number =
                        if mode.integral { round_to_integral(number, mode.rounding) } else { number };
                    to_float(mode, to, number)
                }),
            }
        }
    }
}

fn unpack(format: Format, ty: Type, bits: u64, ftz: bool) -> Number {
    if ftz && ty == Type::F32 {
        return format.unpack(flush(f32::from_bits(bits as u32)).to_bits().into());
    }
    format.unpack(bits)
}

/// An action that maps the bits of one register to another; each may be wider than its type.
fn unary(b: &mut Build<'_, '_>, to: u32, from: u32, f: impl Fn(u64) -> u64 + Pure) -> Lowered {
    let operand = b.operand()?;
    let bank = if to > 32 { Bank::Double } else { Bank::Word };
    let (d, width) = b.register_dst(operand, bank, to)?;
    if width < to || d.bank == Bank::Predicate {
        return Err(format!("a destination of {to} bits is needed, this one has {width}"));
    }
    let operand = b.operand()?;
    let (a, width) = match b.register_src(operand) {
        Some((slot, ty)) => (slot, ty.bits()),
        None if from > 32 => (Slot { bank: Bank::Double, index: b.src_of::<u64>(operand)?.index }, 64),
        None => (Slot { bank: Bank::Word, index: b.src_of::<u32>(operand)?.index }, 32),
    };
    if width < from || a.bank == Bank::Predicate {
        return Err(format!("a source of {from} bits is needed, this one has {width}"));
    }
    let mask = if from >= 64 { u64::MAX } else { (1 << from) - 1 };
    Ok(Build::plain(move |ctx| {
        let a = ctx.get_bits(a);
        ctx.put_bits(d, |i| f(a[i] & mask));
    }))
}

/// The integer that `bits` stand for.
fn extend(ty: Type, bits: u64) -> i128 {
    let shift = 64 - ty.bits();
    if ty.is_signed() {
        i128::from((bits << shift) as i64 >> shift)
    } else {
        i128::from(bits << shift >> shift)
    }
}

/// The least and greatest value of an integer type.
fn range(ty: Type) -> (i128, i128) {
    let bits = ty.bits();
    if ty.is_signed() { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

/// The magnitude rounded to an integer, below 2^65; none if it is larger.
fn integer_magnitude(negative: bool, exponent: i32, significand: u128, rounding: Rounding) -> Option<u128> {
    if exponent > 64 {
        return None;
    }
    let shift = (126 - exponent) as u32;
    let (whole, half, rest) = if shift > 127 {
        (0, false, true)
    } else {
        let half = 1u128 << (shift - 1);
        (significand >> shift, significand & half != 0, significand & (half - 1) != 0)
    };
    let up = match rounding {
        Rounding::NearestEven => half && (rest || whole & 1 == 1),
        Rounding::NearestAway => half,
        Rounding::Zero => false,
        Rounding::Down => negative && (half || rest),
        Rounding::Up => !negative && (half || rest),
    };
    Some(whole + u128::from(up))
}

fn to_integer(number: Number, rounding: Rounding, to: Type, from: Type) -> u64 {
    let (low, high) = range(to);
    let value = match number {
        // NaN gives 0 between narrow types and the lowest bit pattern of a sign where one is wide.
        Number::Nan if from != Type::F64 && to.bits() < 64 => 0,
        Number::Nan => 1 << (to.bits() - 1),
        Number::Zero { .. } => 0,
        Number::Infinity { negative } => {
            if negative {
                low
            } else {
                high
            }
        }
        Number::Finite { negative, exponent, significand } => {
            match integer_magnitude(negative, exponent, significand, rounding) {
                None => {
                    if negative {
                        low
                    } else {
                        high
                    }
                }
                Some(magnitude) => {
                    let magnitude = magnitude as i128;
                    if negative { -magnitude } else { magnitude }.clamp(low, high)
                }
            }
        }
    };
    value as u64
}

fn round_to_integral(number: Number, rounding: Rounding) -> Number {
    match number {
        Number::Finite { negative, exponent, significand } => {
            match integer_magnitude(negative, exponent, significand, rounding) {
                Some(magnitude) => Number::scaled(negative, magnitude, 0),
                None => number,
            }
        }
        other => other,
    }
}

/// Round into `to` with the mode's clamps.
fn to_float(mode: Mode, to: Type, number: Number) -> u64 {
    let Some(format) = format(to) else { return 0 };
    let one = Number::scaled(false, 1, 0);
    let number = match number {
        Number::Nan if mode.sat => Number::Zero { negative: false },
        n if mode.sat && n.is_negative() => Number::Zero { negative: false },
        Number::Infinity { .. } if mode.sat => one,
        Number::Finite { exponent, .. } if mode.sat && exponent >= 0 => one,
        n if mode.relu && n.is_negative() => Number::Zero { negative: false },
        n => n,
    };
    let mut bits = format.pack(number, mode.rounding);
    if mode.satfinite && number != Number::Nan {
        let sign = bits >> (format.bits() - 1) << (format.bits() - 1);
        bits = sign | (bits & !sign).min(format.largest());
    }
    if mode.ftz && to == Type::F32 {
        bits = flush(f32::from_bits(bits as u32)).to_bits().into();
    }
    debug_assert!(
        !mode.sat || to != Type::F32 || saturate(f32::from_bits(bits as u32)) == f32::from_bits(bits as u32)
    );
    bits
}
