//! Comparison and selection.

use super::float::flush;
use super::map::map3;
use crate::lower::{Build, Lowered};
use crate::machine::LANES;
use crate::machine::context::Context;
use crate::machine::registers::{Dst, Scalar, Src};
use crate::softfloat::{Bf16, F16};
use crate::types::Type;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Equ,
    Neu,
    Ltu,
    Leu,
    Gtu,
    Geu,
    Num,
    Nan,
}

const COMPARISONS: [(&str, Comparison); 18] = [
    ("eq", Comparison::Eq),
    ("ne", Comparison::Ne),
    ("lt", Comparison::Lt),
    ("le", Comparison::Le),
    ("gt", Comparison::Gt),
    ("ge", Comparison::Ge),
    ("lo", Comparison::Lt),
    ("ls", Comparison::Le),
    ("hi", Comparison::Gt),
    ("hs", Comparison::Ge),
    ("equ", Comparison::Equ),
    ("neu", Comparison::Neu),
    ("ltu", Comparison::Ltu),
    ("leu", Comparison::Leu),
    ("gtu", Comparison::Gtu),
    ("geu", Comparison::Geu),
    ("num", Comparison::Num),
    ("nan", Comparison::Nan),
];

#[derive(Clone, Copy)]
enum Combine {
    And,
    Or,
    Xor,
}

const COMBINATIONS: [(&str, Combine); 3] =
    [("and", Combine::And), ("or", Combine::Or), ("xor", Combine::Xor)];

impl Combine {
    fn apply(self, a: u32, b: u32) -> u32 {
        match self {
            Combine::And => a & b,
            Combine::Or => a | b,
            Combine::Xor => a ^ b,
        }
    }
}

/// Computes, for all lanes, whether a comparison holds.
type Compare = Box<dyn Fn(&Context<'_>) -> u32 + Send + Sync>;

/// A type that can be compared, through one that Rust can compare.
trait Comparable: Scalar {
    type Key: PartialOrd;
    fn key(self) -> Self::Key;
}

macro_rules! comparable {
    ($($ty:ty => $key:ty, |$x:ident| $expr:expr;)*) => {$(
        impl Comparable for $ty {
            type Key = $key;
            #[inline(always)]
            fn key(self) -> $key {
                let $x = self;
                $expr
            }
        }
    )*};
}

comparable! {
    u16 => u16, |x| x;
    i16 => i16, |x| x;
    u32 => u32, |x| x;
    i32 => i32, |x| x;
    u64 => u64, |x| x;
    i64 => i64, |x| x;
    f32 => f32, |x| x;
    f64 => f64, |x| x;
    F16 => f32, |x| x.to_f32();
    Bf16 => f32, |x| x.to_f32();
    Flushed => f32, |x| flush(x.0);
}

/// An f32 operand under `.ftz`.
#[derive(Clone, Copy)]
struct Flushed(f32);

impl Scalar for Flushed {
    type Word = u32;
    const BITS: u32 = 32;
    fn load(word: u32) -> Self {
        Self(f32::from_bits(word))
    }
    fn store(self) -> u32 {
        self.0.to_bits()
    }
}

/// The lanes of two rows for which `holds`.
#[inline(always)]
fn lanes_where<T: Comparable>(
    a: &[T::Word; LANES],
    b: &[T::Word; LANES],
    holds: impl Fn(T::Key, T::Key) -> bool,
) -> u32 {
    let mut mask = 0;
    for i in 0..LANES {
        mask |= u32::from(holds(T::load(a[i]).key(), T::load(b[i]).key())) << i;
    }
    mask
}

// `!(a < b)` and `a < b || a > b` say what the comparisons mean where an operand is NaN.
#[allow(clippy::neg_cmp_op_on_partial_ord, clippy::double_comparisons)]
fn compare<T: Comparable>(build: &mut Build<'_, '_>, comparison: Comparison) -> Result<Compare, String> {
    let (a, b): (Src<T>, Src<T>) = (build.src()?, build.src()?);
    Ok(Box::new(move |ctx| {
        let (a, b) = (&ctx.get(a), &ctx.get(b));
        match comparison {
            Comparison::Eq => lanes_where::<T>(a, b, |a, b| a == b),
            Comparison::Ne => lanes_where::<T>(a, b, |a, b| a < b || a > b),
            Comparison::Lt => lanes_where::<T>(a, b, |a, b| a < b),
            Comparison::Le => lanes_where::<T>(a, b, |a, b| a <= b),
            Comparison::Gt => lanes_where::<T>(a, b, |a, b| a > b),
            Comparison::Ge => lanes_where::<T>(a, b, |a, b| a >= b),
            Comparison::Equ => lanes_where::<T>(a, b, |a, b| !(a < b || a > b)),
            Comparison::Neu => lanes_where::<T>(a, b, |a, b| a != b),
            Comparison::Ltu => lanes_where::<T>(a, b, |a, b| !(a >= b)),
            Comparison::Leu => lanes_where::<T>(a, b, |a, b| !(a > b)),
            Comparison::Gtu => lanes_where::<T>(a, b, |a, b| !(a <= b)),
            Comparison::Geu => lanes_where::<T>(a, b, |a, b| !(a < b)),
            Comparison::Num => lanes_where::<T>(a, b, |a, b| a.partial_cmp(&b).is_some()),
            Comparison::Nan => lanes_where::<T>(a, b, |a, b| a.partial_cmp(&b).is_none()),
        }
    }))
}

fn compare_as(b: &mut Build<'_, '_>, ty: Type, comparison: Comparison) -> Result<Compare, String> {
    let ftz = b.take("ftz");
    match ty {
        Type::B16 | Type::U16 => compare::<u16>(b, comparison),
        Type::S16 => compare::<i16>(b, comparison),
        Type::B32 | Type::U32 => compare::<u32>(b, comparison),
        Type::S32 => compare::<i32>(b, comparison),
        Type::B64 | Type::U64 => compare::<u64>(b, comparison),
        Type::S64 => compare::<i64>(b, comparison),
        Type::F32 if ftz => compare::<Flushed>(b, comparison),
        Type::F32 => compare::<f32>(b, comparison),
        Type::F64 => compare::<f64>(b, comparison),
        Type::F16 => compare::<F16>(b, comparison),
        Type::Bf16 => compare::<Bf16>(b, comparison),
        other => b.bad_type(other),
    }
}

pub(crate) fn setp(b: &mut Build<'_, '_>) -> Lowered {
    let comparison = b.must_choose("comparison", &COMPARISONS)?;
    let combine = b.choose(&COMBINATIONS);
    let ty = b.ty()?;
    let (first, second) = b.dst_pair()?;
    let d = b.pred_dst_of(first)?;
    let inverse = second.map(|second| b.pred_dst_of(second)).transpose()?;
    let compare = compare_as(b, ty, comparison)?;
    let with = combine.map(|combine| b.pred_src().map(|c| (combine, c))).transpose()?;
    Ok(Build::plain(move |ctx| {
        let holds = compare(ctx);
        let both = |holds: u32, ctx: &Context<'_>| match with {
            Some((combine, c)) => combine.apply(holds, ctx.get_pred(c)),
            None => holds,
        };
        let (yes, no) = (both(holds, ctx), both(!holds, ctx));
        ctx.put_pred(d, yes);
        if let Some(inverse) = inverse {
            ctx.put_pred(inverse, no);
        }
    }))
}

pub(crate) fn set(b: &mut Build<'_, '_>) -> Lowered {
    let comparison = b.must_choose("comparison", &COMPARISONS)?;
    let combine = b.choose(&COMBINATIONS);
    let (to, ty) = (b.ty()?, b.ty()?);
    let truth = match to {
        Type::U32 | Type::S32 => u32::MAX,
        Type::F32 => 1f32.to_bits(),
        other => return b.bad_type(other),
    };
    let d: Dst<u32> = b.dst()?;
    let compare = compare_as(b, ty, comparison)?;
    let with = combine.map(|combine| b.pred_src().map(|c| (combine, c))).transpose()?;
    Ok(Build::plain(move |ctx| {
        let mut holds = compare(ctx);
        if let Some((combine, c)) = with {
            holds = combine.apply(holds, ctx.get_pred(c));
        }
        ctx.put(d, |i| if holds >> i & 1 != 0 { truth } else { 0 });
    }))
}

fn select<T: Scalar>(build: &mut Build<'_, '_>) -> Lowered {
    let (d, a, b): (Dst<T>, Src<T>, Src<T>) = (build.dst()?, build.src()?, build.src()?);
    let p = build.pred_src()?;
    Ok(Build::plain(move |ctx| {
        let (a, b, p) = (ctx.get(a), ctx.get(b), ctx.get_pred(p));
        ctx.put(d, |i| T::load(if p >> i & 1 != 0 { a[i] } else { b[i] }));
    }))
}

pub(crate) fn selp(b: &mut Build<'_, '_>) -> Lowered {
    let ty = b.ty()?;
    match ty.bits() {
        16 => select::<u16>(b),
        32 => select::<u32>(b),
        64 => select::<u64>(b),
        _ => b.bad_type(ty),
    }
}

pub(crate) fn slct(b: &mut Build<'_, '_>) -> Lowered {
    let ftz = b.take("ftz");
    let (ty, by) = (b.ty()?, b.ty()?);
    let first = move |c: u32| match by {
        Type::S32 => c as i32 >= 0,
        // Flushed, a negative subnormal is a zero, which counts as not negative.
        _ => (if ftz { flush(f32::from_bits(c)) } else { f32::from_bits(c) }) >= 0.0,
    };
    if !matches!(by, Type::S32 | Type::F32) {
        return b.bad_type(by);
    }
    match ty.bits() {
        16 => map3(b, move |x: u16, y: u16, c: u32| if first(c) { x } else { y }),
        32 => map3(b, move |x: u32, y: u32, c: u32| if first(c) { x } else { y }),
        64 => map3(b, move |x: u64, y: u64, c: u32| if first(c) { x } else { y }),
        _ => b.bad_type(ty),
    }
}

/// `testp`: a property of a float.
pub(crate) fn testp(b: &mut Build<'_, '_>) -> Lowered {
    type Test = fn(f64, bool) -> bool;
    let test: Test = b.must_choose::<Test>(
        "property",
        &[
            ("finite", |x, _| x.is_finite()),
            ("infinite", |x, _| x.is_infinite()),
            ("number", |x, _| !x.is_nan()),
            ("notanumber", |x, _| x.is_nan()),
            ("normal", |x, subnormal| x.is_finite() && x != 0.0 && !subnormal),
            ("subnormal", |_, subnormal| subnormal),
        ],
    )?;
    let ty = b.ty()?;
    let d = b.pred_dst()?;
    match ty {
        Type::F32 => {
            let x: Src<f32> = b.src()?;
            Ok(Build::plain(move |ctx| {
                let mask = (0..LANES).fold(0, |m, i| {
                    let x = ctx.lane(x, i);
                    m | u32::from(test(x.into(), x.is_subnormal())) << i
                });
                ctx.put_pred(d, mask);
            }))
        }
        Type::F64 => {
            let x: Src<f64> = b.src()?;
            Ok(Build::plain(move |ctx| {
                let mask = (0..LANES).fold(0, |m, i| {
                    let x = ctx.lane(x, i);
                    m | u32::from(test(x, x.is_subnormal())) << i
                });
                ctx.put_pred(d, mask);
            }))
        }
        other => b.bad_type(other),
    }
}
