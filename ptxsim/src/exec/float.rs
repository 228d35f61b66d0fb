//! Floating-point arithmetic with PTX's roundings, `.ftz` and `.sat`.
//!
//! Round-to-nearest in f32 and f64 is the CPU's own; all else goes through [`softfloat`](crate::softfloat).

use super::map::{Pure, map1, map2, map3};
use crate::counters::Class;
use crate::lower::{Build, Lowered};
use crate::machine::registers::{Dst, Src};
use crate::machine::{LANES, lanes};
use crate::softfloat::{self, BF16_FORMAT, F16_FORMAT, F32_FORMAT, F64_FORMAT, Format, Rounding};
use crate::types::Type;

/// Rounding modifiers of arithmetic.
pub(crate) const ROUNDINGS: [(&str, Rounding); 4] =
    [("rn", Rounding::NearestEven), ("rz", Rounding::Zero), ("rm", Rounding::Down), ("rp", Rounding::Up)];

/// Modifiers of a floating-point instruction.
#[derive(Clone, Copy)]
pub(crate) struct Mode {
    pub rounding: Rounding,
    pub ftz: bool,
    pub sat: bool,
    pub relu: bool,
}

impl Mode {
    pub fn take(b: &mut Build<'_, '_>) -> Self {
        let rounding = b.choose(&ROUNDINGS).unwrap_or(Rounding::NearestEven);
        Self { rounding, ftz: b.take("ftz"), sat: b.take("sat"), relu: b.take("relu") }
    }

    /// Whether the CPU's own instruction does all this asks for.
    fn is_native(&self) -> bool {
        self.rounding == Rounding::NearestEven && !self.ftz && !self.sat && !self.relu
    }

    /// An operand of an f32 instruction.
    pub fn input(&self, x: f32) -> f32 {
        if self.ftz { flush(x) } else { x }
    }

    /// The result of an f32 instruction.
    pub fn output(&self, x: f32) -> f32 {
        let x = self.input(x);
        if self.sat { saturate(x) } else { x }
    }
}

/// Subnormals become zeros of the same sign.
pub(crate) fn flush(x: f32) -> f32 {
    if x.is_subnormal() { 0f32.copysign(x) } else { x }
}

/// Clamp to 0..=1; NaN becomes 0.
pub(crate) fn saturate(x: f32) -> f32 {
    if x > 0.0 { x.min(1.0) } else { 0.0 }
}

/// An operation on the bits of three operands (fewer are ignored) in a format.
type Soft = fn(Format, [u64; 3], Rounding) -> u64;

fn soft_f32(mode: Mode, soft: Soft, x: [f32; 3]) -> f32 {
    let bits = x.map(|x| u64::from(mode.input(x).to_bits()));
    mode.output(f32::from_bits(soft(F32_FORMAT, bits, mode.rounding) as u32))
}

fn soft_f64(mode: Mode, soft: Soft, x: [f64; 3]) -> f64 {
    f64::from_bits(soft(F64_FORMAT, x.map(f64::to_bits), mode.rounding))
}

/// A half-precision operation in `format`.
pub(crate) fn soft_half(format: Format, mode: Mode, soft: Soft, x: [u16; 3]) -> u16 {
    let magnitude = 0x7fff;
    let implicit = 1u16 << format.mantissa_bits;
    let infinity = (format.nan() as u16 >> format.mantissa_bits) << format.mantissa_bits;
    let flush = |x: u16| if mode.ftz && x & magnitude < implicit { x & !magnitude } else { x };
    let out = flush(soft(format, x.map(|x| u64::from(flush(x))), mode.rounding) as u16);
    let is_nan = out & magnitude > infinity;
    let negative = out >> 15 != 0;
    let one = ((infinity >> format.mantissa_bits) >> 1) << format.mantissa_bits;
    if mode.sat {
        return if is_nan || negative { 0 } else { out.min(one) };
    }
    if mode.relu && negative && !is_nan { 0 } else { out }
}

/// Apply a 16-bit function to both halves of packed operands.
pub(crate) fn halves(f: impl Fn([u16; 3]) -> u16, x: [u32; 3]) -> u32 {
    u32::from(f(x.map(|x| x as u16))) | u32::from(f(x.map(|x| (x >> 16) as u16))) << 16
}

fn half_format(ty: Type) -> Option<Format> {
    match ty {
        Type::F16 | Type::F16x2 => Some(F16_FORMAT),
        Type::Bf16 | Type::Bf16x2 => Some(BF16_FORMAT),
        _ => None,
    }
}

fn binary(
    b: &mut Build<'_, '_>,
    ty: Type,
    native32: impl Fn(f32, f32) -> f32 + Pure,
    native64: impl Fn(f64, f64) -> f64 + Pure,
    soft: Soft,
) -> Lowered {
    let mode = Mode::take(b);
    match ty {
        Type::F32 => {
            b.set_class(Class::F32);
            match (mode.is_native(), mode.rounding) {
                (true, _) => map2(b, native32),
                (_, Rounding::NearestEven) => {
                    map2(b, move |x: f32, y: f32| mode.output(native32(mode.input(x), mode.input(y))))
                }
                _ => map2(b, move |x: f32, y: f32| soft_f32(mode, soft, [x, y, 0.0])),
            }
        }
        Type::F64 => {
            b.set_class(Class::F64);
            if mode.is_native() {
                map2(b, native64)
            } else {
                map2(b, move |x: f64, y: f64| soft_f64(mode, soft, [x, y, 0.0]))
            }
        }
        _ => {
            let Some(format) = half_format(ty) else { return b.bad_type(ty) };
            b.set_class(Class::Half);
            let f = move |x| soft_half(format, mode, soft, x);
            if ty.bits() == 16 {
                map2(b, move |x: u16, y: u16| f([x, y, 0]))
            } else {
                map2(b, move |x: u32, y: u32| halves(f, [x, y, 0]))
            }
        }
    }
}

/// The sign bit of a format.
fn sign(format: Format) -> u64 {
    1 << (format.exponent_bits + format.mantissa_bits)
}

pub(crate) fn add(b: &mut Build<'_, '_>, ty: Type) -> Lowered {
    binary(b, ty, |x, y| x + y, |x, y| x + y, |f, [x, y, _], r| softfloat::add(f, x, y, r))
}

pub(crate) fn sub(b: &mut Build<'_, '_>, ty: Type) -> Lowered {
    binary(b, ty, |x, y| x - y, |x, y| x - y, |f, [x, y, _], r| softfloat::add(f, x, y ^ sign(f), r))
}

pub(crate) fn mul(b: &mut Build<'_, '_>, ty: Type) -> Lowered {
    binary(b, ty, |x, y| x * y, |x, y| x * y, |f, [x, y, _], r| softfloat::multiply(f, x, y, r))
}

/// `div`, all forms.
pub(crate) fn div(b: &mut Build<'_, '_>, ty: Type) -> Lowered {
    let approx = b.take("approx");
    if approx || b.take("full") {
        let mode = Mode { ftz: b.take("ftz"), rounding: Rounding::NearestEven, sat: false, relu: false };
        b.set_class(Class::F32);
        return match ty {
            Type::F32 => map2(b, move |x: f32, y: f32| {
                let (x, y) = (mode.input(x), mode.input(y));
                // `.approx` multiplies by a reciprocal that is zero beyond 2^126.
                if approx && y.is_finite() && y.abs() > 2f32.powi(126) {
                    return x * 0f32.copysign(y);
                }
                mode.output(x / y)
            }),
            other => b.bad_type(other),
        };
    }
    match ty {
        Type::F32 | Type::F64 => {
            binary(b, ty, |x, y| x / y, |x, y| x / y, |f, [x, y, _], r| softfloat::divide(f, x, y, r))
        }
        other => b.bad_type(other),
    }
}

/// `fma`
pub(crate) fn fma(b: &mut Build<'_, '_>) -> Lowered {
    let ty = b.ty()?;
    fused(b, ty)
}

/// `fma`, and `mad` on floats, which is the same.
pub(crate) fn fused(b: &mut Build<'_, '_>, ty: Type) -> Lowered {
    let mode = Mode::take(b);
    let soft: Soft = |f, [x, y, z], r| softfloat::fma(f, x, y, z, r);
    match ty {
        Type::F32 => {
            b.set_class(Class::F32);
            match (mode.is_native(), mode.rounding) {
                (true, _) => fma_rows(b),
                (_, Rounding::NearestEven) => map3(b, move |x: f32, y: f32, z: f32| {
                    mode.output(mode.input(x).mul_add(mode.input(y), mode.input(z)))
                }),
                _ => map3(b, move |x: f32, y: f32, z: f32| soft_f32(mode, soft, [x, y, z])),
            }
        }
        Type::F64 => {
            b.set_class(Class::F64);
            if mode.is_native() {
                map3(b, |x: f64, y: f64, z: f64| x.mul_add(y, z))
            } else {
                map3(b, move |x: f64, y: f64, z: f64| soft_f64(mode, soft, [x, y, z]))
            }
        }
        _ => {
            let Some(format) = half_format(ty) else { return b.bad_type(ty) };
            b.set_class(Class::Half);
            let f = move |x| soft_half(format, mode, soft, x);
            if ty.bits() == 16 {
                map3(b, move |x: u16, y: u16, z: u16| f([x, y, z]))
            } else {
                map3(b, move |x: u32, y: u32, z: u32| halves(f, [x, y, z]))
            }
        }
    }
}

type Row = [u32; LANES];

/// The f32 multiply-add of most kernels' inner loop, by the CPU's vector instruction if it has one.
fn fma_rows(build: &mut Build<'_, '_>) -> Lowered {
    let (d, a): (Dst<u32>, Src<u32>) = (build.dst()?, build.src()?);
    let (b, c): (Src<u32>, Src<u32>) = (build.src()?, build.src()?);
    let operands = [d.index, a.index, b.index, c.index].map(|index| index as usize);
    let fma = best_fma();
    Ok(Build::plain(move |ctx| fma(&mut ctx.registers.words, operands, ctx.active)))
}

/// `rows[d] = rows[a] * rows[b] + rows[c]` in the lanes of `active`.
type FmaRows = fn(rows: &mut [Row], operands: [usize; 4], active: u32);

// A plain loop: only what is inlined here is compiled for the caller's CPU features.
#[inline(always)]
fn fma_each(rows: &mut [Row], [d, a, b, c]: [usize; 4], active: u32) {
    let (a, b, c) = (&rows[a], &rows[b], &rows[c]);
    let mut out = [0; LANES];
    for i in 0..LANES {
        let sum = f32::from_bits(a[i]).mul_add(f32::from_bits(b[i]), f32::from_bits(c[i]));
        out[i] = if sum.is_nan() { 0x7fff_ffff } else { sum.to_bits() };
    }
    if active == u32::MAX {
        rows[d] = out;
    } else {
        lanes(active).for_each(|lane| rows[d][lane] = out[lane]);
    }
}

fn best_fma() -> FmaRows {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn vector(rows: &mut [Row], operands: [usize; 4], active: u32) {
            fma_each(rows, operands, active);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has both features, as just asked.
            return |rows, operands, active| unsafe { vector(rows, operands, active) };
        }
    }
    fma_each
}

/// Apply a function of the bits to `ty`'s sign and magnitude.
fn bitwise(
    b: &mut Build<'_, '_>,
    ty: Type,
    f16: impl Fn(u16) -> u16 + Copy + Pure,
    f32_: impl Fn(u32) -> u32 + Pure,
    f64_: impl Fn(u64) -> u64 + Pure,
) -> Lowered {
    let ftz = b.take("ftz");
    match ty {
        Type::F32 => {
            b.set_class(Class::F32);
            map1(b, move |x: u32| f32_(if ftz { flush(f32::from_bits(x)).to_bits() } else { x }))
        }
        Type::F64 => {
            b.set_class(Class::F64);
            map1(b, f64_)
        }
        _ => {
            let Some(format) = half_format(ty) else { return b.bad_type(ty) };
            b.set_class(Class::Half);
            let implicit = 1u16 << format.mantissa_bits;
            let f = move |[x, ..]: [u16; 3]| f16(if ftz && x & 0x7fff < implicit { x & 0x8000 } else { x });
            if ty.bits() == 16 {
                map1(b, move |x: u16| f([x, 0, 0]))
            } else {
                map1(b, move |x: u32| halves(f, [x, 0, 0]))
            }
        }
    }
}

pub(crate) fn abs(b: &mut Build<'_, '_>, ty: Type) -> Lowered {
    bitwise(b, ty, |x| x & 0x7fff, |x| x & !(1 << 31), |x| x & !(1 << 63))
}

pub(crate) fn neg(b: &mut Build<'_, '_>, ty: Type) -> Lowered {
    bitwise(b, ty, |x| x ^ 0x8000, |x| x ^ 1 << 31, |x| x ^ 1 << 63)
}

pub(crate) fn copysign(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::F32 => map2(b, |a: u32, b: u32| a & 1 << 31 | b & !(1 << 31)),
        Type::F64 => {
            b.set_class(Class::F64);
            map2(b, |a: u64, b: u64| a & 1 << 63 | b & !(1 << 63))
        }
        other => b.bad_type(other),
    }
}

/// How `min` and `max` choose.
#[derive(Clone, Copy)]
struct Choice {
    max: bool,
    /// A NaN operand wins, instead of losing.
    nan: bool,
    /// Compare magnitudes; the sign is the product's.
    xorsign: bool,
}

impl Choice {
    fn of(self, x: f64, y: f64) -> f64 {
        let (a, b) = if self.xorsign { (x.abs(), y.abs()) } else { (x, y) };
        let picked = if a.is_nan() || b.is_nan() {
            match (self.nan, a.is_nan() && b.is_nan()) {
                (true, _) | (_, true) => return f64::NAN,
                _ if a.is_nan() => b,
                _ => a,
            }
        } else if a == b {
            // Of two zeros the negative one is less.
            if a.is_sign_negative() == self.max { b } else { a }
        } else if (a > b) == self.max {
            a
        } else {
            b
        };
        if self.xorsign && x.is_sign_negative() != y.is_sign_negative() { -picked } else { picked }
    }
}

pub(crate) fn min_max(b: &mut Build<'_, '_>, ty: Type, max: bool, relu: bool) -> Lowered {
    let ftz = b.take("ftz");
    let nan = b.take("NaN");
    let xorsign = b.take("xorsign");
    if xorsign && !b.take("abs") {
        return Err("`.xorsign` needs `.abs` after it".into());
    }
    let choice = Choice { max, nan, xorsign };
    let mode = Mode { rounding: Rounding::NearestEven, ftz, sat: false, relu };
    match ty {
        Type::F32 => {
            b.set_class(Class::F32);
            map2(b, move |x: f32, y: f32| choice.of(mode.input(x).into(), mode.input(y).into()) as f32)
        }
        Type::F64 => {
            b.set_class(Class::F64);
            map2(b, move |x: f64, y: f64| choice.of(x, y))
        }
        _ => {
            let Some(format) = half_format(ty) else { return b.bad_type(ty) };
            b.set_class(Class::Half);
            let f = move |[x, y, _]: [u16; 3]| {
                let wide =
                    |x: u16| f64::from_bits(F64_FORMAT.pack(format.unpack(x.into()), Rounding::NearestEven));
                let picked = choice.of(wide(x), wide(y));
                let bits = format.pack(softfloat::Number::from_f64(picked), Rounding::NearestEven);
                soft_half(format, mode, |_, [x, ..], _| x, [bits as u16, 0, 0])
            };
            if ty.bits() == 16 {
                map2(b, move |x: u16, y: u16| f([x, y, 0]))
            } else {
                map2(b, move |x: u32, y: u32| halves(f, [x, y, 0]))
            }
        }
    }
}
