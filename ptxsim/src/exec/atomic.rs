//! `atom` and `red`.

use super::float::{Mode, flush, halves, soft_half};
use super::transfer::SPACES;
use crate::lower::{Build, Lowered};
use crate::machine::kernel::Flow;
use crate::machine::registers::{Bank, Slot};
use crate::memory::resolve_generic;
use crate::parse::ast::Operand;
use crate::softfloat::{self, BF16_FORMAT, F16_FORMAT, F64_FORMAT, Format, Number, Rounding};
use crate::types::{Space, Type};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Min,
    Max,
    Inc,
    Dec,
    And,
    Or,
    Xor,
    Exchange,
    CompareAndSwap,
}

/// Every operation; those before `exch` are reductions.
pub(super) const OPERATIONS: [(&str, Operation); 10] = [
    ("add", Operation::Add),
    ("min", Operation::Min),
    ("max", Operation::Max),
    ("inc", Operation::Inc),
    ("dec", Operation::Dec),
    ("and", Operation::And),
    ("or", Operation::Or),
    ("xor", Operation::Xor),
    ("exch", Operation::Exchange),
    ("cas", Operation::CompareAndSwap),
];

/// The new value of `old` with operands `x` and, for `cas`, `y`. `ftz` flushes f32 subnormals.
pub(super) type Change = fn(old: u64, x: u64, y: u64, ftz: bool) -> u64;

fn add_f32(old: u64, x: u64, _: u64, ftz: bool) -> u64 {
    let flushed = |x: f32| if ftz { flush(x) } else { x };
    let sum = flushed(flushed(f32::from_bits(old as u32)) + flushed(f32::from_bits(x as u32)));
    u64::from(if sum.is_nan() { 0x7fff_ffff } else { sum.to_bits() })
}

fn half_add(format: Format, x: [u16; 3]) -> u16 {
    let mode = Mode { rounding: Rounding::NearestEven, ftz: false, sat: false, relu: false };
    soft_half(format, mode, |f, [x, y, _], r| softfloat::add(f, x, y, r), x)
}

fn half_pick(format: Format, [x, y, _]: [u16; 3], max: bool) -> u16 {
    let wide = |v: u16| f64::from_bits(F64_FORMAT.pack(format.unpack(v.into()), Rounding::NearestEven));
    let (a, b) = (wide(x), wide(y));
    let picked = if max { a.max(b) } else { a.min(b) };
    format.pack(Number::from_f64(picked), Rounding::NearestEven) as u16
}

/// The change an operation on a type makes; none if PTX has no such atomic.
pub(super) fn change(operation: Operation, ty: Type) -> Option<Change> {
    use Operation::*;
    Some(match (operation, ty) {
        (Add, Type::U32 | Type::S32) => |old, x, _, _| u64::from((old as u32).wrapping_add(x as u32)),
        (Add, Type::U64 | Type::S64) => |old, x, _, _| old.wrapping_add(x),
        (Add, Type::F32) => add_f32,
        (Add, Type::F64) => |old, x, _, _| (f64::from_bits(old) + f64::from_bits(x)).to_bits(),
        (Add, Type::F16) => |old, x, _, _| half_add(F16_FORMAT, [old as u16, x as u16, 0]).into(),
        (Add, Type::Bf16) => |old, x, _, _| half_add(BF16_FORMAT, [old as u16, x as u16, 0]).into(),
        (Add, Type::F16x2) => {
            |old, x, _, _| halves(|v| half_add(F16_FORMAT, v), [old as u32, x as u32, 0]).into()
        }
        (Add, Type::Bf16x2) => {
            |old, x, _, _| halves(|v| half_add(BF16_FORMAT, v), [old as u32, x as u32, 0]).into()
        }
        (Min, Type::F16) => |old, x, _, _| half_pick(F16_FORMAT, [old as u16, x as u16, 0], false).into(),
        (Max, Type::F16) => |old, x, _, _| half_pick(F16_FORMAT, [old as u16, x as u16, 0], true).into(),
        (Min, Type::Bf16) => |old, x, _, _| half_pick(BF16_FORMAT, [old as u16, x as u16, 0], false).into(),
        (Max, Type::Bf16) => |old, x, _, _| half_pick(BF16_FORMAT, [old as u16, x as u16, 0], true).into(),
        (Min, Type::U32) => |old, x, _, _| u64::from((old as u32).min(x as u32)),
        (Max, Type::U32) => |old, x, _, _| u64::from((old as u32).max(x as u32)),
        (Min, Type::S32) => |old, x, _, _| u64::from((old as i32).min(x as i32) as u32),
        (Max, Type::S32) => |old, x, _, _| u64::from((old as i32).max(x as i32) as u32),
        (Min, Type::U64) => |old, x, _, _| old.min(x),
        (Max, Type::U64) => |old, x, _, _| old.max(x),
        (Min, Type::S64) => |old, x, _, _| (old as i64).min(x as i64) as u64,
        (Max, Type::S64) => |old, x, _, _| (old as i64).max(x as i64) as u64,
        (Inc, Type::U32) => |old, x, _, _| if old as u32 >= x as u32 { 0 } else { old + 1 },
        (Dec, Type::U32) => |old, x, _, _| {
            if old as u32 == 0 || old as u32 > x as u32 { u64::from(x as u32) } else { old - 1 }
        },
        (And, Type::B32 | Type::B64) => |old, x, _, _| old & x,
        (Or, Type::B32 | Type::B64) => |old, x, _, _| old | x,
        (Xor, Type::B32 | Type::B64) => |old, x, _, _| old ^ x,
        (Exchange, Type::B32 | Type::B64) => |_, x, _, _| x,
        (CompareAndSwap, Type::B16 | Type::B32 | Type::B64) => |old, x, y, _| if old == x { y } else { old },
        // Older PTX spells exchange and compare-and-swap with arithmetic types.
        (Exchange, Type::U32 | Type::S32 | Type::F32 | Type::U64) => |_, x, _, _| x,
        (CompareAndSwap, Type::U32 | Type::S32 | Type::U64) => |old, x, y, _| if old == x { y } else { old },
        _ => return None,
    })
}

pub(crate) fn atom(b: &mut Build<'_, '_>) -> Lowered {
    atomic(b, true)
}

pub(crate) fn red(b: &mut Build<'_, '_>) -> Lowered {
    atomic(b, false)
}

fn atomic(b: &mut Build<'_, '_>, returns: bool) -> Lowered {
    for hint in ["relaxed", "acquire", "release", "acq_rel", "cta", "cluster", "gpu", "sys"] {
        b.take(hint);
    }
    let space = b.choose(&SPACES[..4]).unwrap_or(Space::Generic);
    let operation = b.must_choose("operation", &OPERATIONS)?;
    b.take("noftz");
    let hint = b.take("L2::cache_hint");
    let count = b.choose(&[("v2", 2), ("v4", 4), ("v8", 8)]).unwrap_or(1);
    let ty = b.ty()?;
    let Some(change) = change(operation, ty) else { return b.bad_type(ty) };
    let targets = if returns { b.vector()? } else { Vec::new() };
    let targets =
        targets.into_iter().map(|item| register(b, item, ty, true)).collect::<Result<Vec<_>, _>>()?;
    let (address, space) = b.address(space)?;
    let items = b.vector()?;
    let sources =
        items.into_iter().map(|item| register(b, item, ty, false)).collect::<Result<Vec<_>, _>>()?;
    if sources.len() != count || (returns && targets.len() != count) {
        return Err(format!("{} operands for {count} elements", sources.len()));
    }
    let second = match operation {
        Operation::CompareAndSwap => {
            let operand = b.operand()?;
            register(b, operand, ty, false)?
        }
        _ => sources[0],
    };
    if hint {
        b.src::<u64>()?;
    }
    order(b, space, operation, ty, &targets);
    let bytes = ty.bytes() as usize;
    let mask = if ty.bits() == 64 { u64::MAX } else { (1 << ty.bits()) - 1 };
    Ok(Box::new(move |ctx| {
        let base = address.lanes(ctx);
        let y = ctx.get_bits(second);
        for (element, &source) in sources.iter().enumerate() {
            let x = ctx.get_bits(source);
            let addresses = base.map(|a| a.wrapping_add((element * bytes) as u64));
            let old = ctx.atomic(space, &addresses, bytes, |lane, old| {
                // f32 atomics flush subnormals in global memory and keep them in shared memory.
                let ftz = match space {
                    Space::Generic => resolve_generic(addresses[lane]).0 == Space::Global,
                    other => other == Space::Global,
                };
                change(old & mask, x[lane] & mask, y[lane] & mask, ftz)
            })?;
            if let Some(&target) = targets.get(element) {
                ctx.put_bits(target, |lane| old[lane]);
            }
        }
        Ok(Flow::Next)
    }))
}

/// The register or constant of an operand of type `ty`.
fn register(b: &mut Build<'_, '_>, operand: &Operand, ty: Type, writes: bool) -> Result<Slot, String> {
    let bank = if ty.bits() > 32 { Bank::Double } else { Bank::Word };
    let index = match (ty.bits(), writes) {
        (16, true) => b.dst_of::<u16>(operand)?.index,
        (16, false) => b.src_of::<u16>(operand)?.index,
        (32, true) => b.dst_of::<u32>(operand)?.index,
        (32, false) => b.src_of::<u32>(operand)?.index,
        (_, true) => b.dst_of::<u64>(operand)?.index,
        (_, false) => b.src_of::<u64>(operand)?.index,
    };
    Ok(Slot { bank, index })
}

/// Say whether blocks could see the order of these atomics.
pub(super) fn order(b: &mut Build<'_, '_>, space: Space, operation: Operation, ty: Type, targets: &[Slot]) {
    b.set_spins();
    if space == Space::Shared {
        return;
    }
    use Operation::*;
    if (ty.is_float() && operation == Add) || matches!(operation, Exchange | CompareAndSwap | Inc | Dec) {
        b.set_order_sensitive();
    }
    for target in targets {
        b.set_order_sensitive_if_read(target.index, target.bank);
    }
}
