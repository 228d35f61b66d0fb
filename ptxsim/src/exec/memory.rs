//! `ld` and `st` in every state space.

use super::transfer::SPACES;
use crate::counters::Class;
use crate::lower::{Address, Build, Lowered};
use crate::machine::LANES;
use crate::machine::kernel::{Action, Flow};
use crate::machine::registers::{Bank, Dst, Slot};
use crate::memory::NO_DATA;
use crate::types::{Space, Type};

/// Modifiers that say how an access is cached or ordered, which changes nothing here.
const HINTS: [&str; 27] = [
    "ca",
    "cg",
    "cs",
    "lu",
    "wb",
    "wt",
    "nc",
    "weak",
    "release",
    "cta",
    "cluster",
    "gpu",
    "sys",
    "unified",
    "L1::evict_normal",
    "L1::evict_unchanged",
    "L1::evict_first",
    "L1::evict_last",
    "L1::no_allocate",
    "L2::evict_normal",
    "L2::evict_first",
    "L2::evict_last",
    "L2::64B",
    "L2::128B",
    "L2::256B",
    "L1",
    "L2",
];

/// Take all caching and ordering hints; true if the access may see what other threads do meanwhile.
fn take_hints(b: &mut Build<'_, '_>) -> bool {
    while HINTS.iter().any(|hint| b.take(hint)) {}
    let mut seen = false;
    for name in ["volatile", "relaxed", "acquire", "cv", "mmio"] {
        seen |= b.take(name);
    }
    seen
}

/// What the access moves: `count` elements of a type.
struct Shape {
    ty: Type,
    count: usize,
}

impl Shape {
    fn bytes(&self) -> usize {
        self.ty.bytes() as usize * self.count
    }
}

fn shape(b: &mut Build<'_, '_>) -> Result<Shape, String> {
    let count = b.choose(&[("v2", 2), ("v4", 4), ("v8", 8)]).unwrap_or(1);
    let ty = b.ty()?;
    b.all_modifiers_taken()?;
    let shape = Shape { ty, count };
    if ty == Type::Pred || ty.bits() > 64 || shape.bytes() > 32 {
        return Err(format!("no access of {count} elements of type `.{}`", ty.name()));
    }
    Ok(shape)
}

fn element_bank(ty: Type) -> Bank {
    if ty.bits() > 32 { Bank::Double } else { Bank::Word }
}

pub(crate) fn ld(b: &mut Build<'_, '_>) -> Lowered {
    let space = b.choose(&SPACES).unwrap_or(Space::Generic);
    let hint = b.take("L2::cache_hint");
    let seen = take_hints(b);
    let shape = shape(b)?;
    let items = b.vector()?;
    if items.len() != shape.count {
        return Err(format!("{} destinations for {} elements", items.len(), shape.count));
    }
    let bits = shape.ty.bits();
    let mut targets = Vec::new();
    for item in items {
        let (slot, width) = b.register_dst(item, element_bank(shape.ty), bits)?;
        if width < bits || slot.bank == Bank::Predicate {
            return Err(format!("a destination of at least {bits} bits is needed, this one has {width}"));
        }
        targets.push(slot);
    }
    let (address, space) = b.address(space)?;
    if hint {
        b.src::<u64>()?;
    }
    b.set_class(match space {
        Space::Shared => Class::LoadShared,
        Space::Local => Class::LoadLocal,
        Space::Param => Class::LoadParam,
        _ => Class::LoadGlobal,
    });
    if seen {
        b.set_spins();
        if matches!(space, Space::Global | Space::Generic) {
            b.set_order_sensitive();
        }
    }
    let (bytes, signed) = (shape.bytes(), shape.ty.is_signed());
    if bits == 32
        && let Some(words) = all_words(&targets)
    {
        // 32-bit words to 32-bit registers: the common case, with nothing to convert.
        match words[..] {
            [a] => return Ok(load_words(space, address, [a])),
            [a, b] => return Ok(load_words(space, address, [a, b])),
            [a, b, c, d] => return Ok(load_words(space, address, [a, b, c, d])),
            _ => {}
        }
    }
    Ok(Box::new(move |ctx| {
        let mut data = NO_DATA;
        ctx.load(space, &address.lanes(ctx), bytes, &mut data)?;
        for (element, &slot) in targets.iter().enumerate() {
            let value = |lane: usize| match bits {
                64 => u64::from(data[element * 2][lane]) | u64::from(data[element * 2 + 1][lane]) << 32,
                32 => u64::from(data[element][lane]),
                _ => {
                    let at = element as u32 * bits;
                    u64::from(data[(at / 32) as usize][lane] >> (at % 32)) & ((1 << bits) - 1)
                }
            };
            let shift = 64 - bits;
            ctx.put_bits(slot, |lane| {
                let value = value(lane);
                if signed { ((value << shift) as i64 >> shift) as u64 } else { value }
            });
        }
        Ok(Flow::Next)
    }))
}

/// The slots' indices, if all are 32-bit rows.
fn all_words(slots: &[Slot]) -> Option<Vec<u32>> {
    slots.iter().map(|slot| (slot.bank == Bank::Word).then_some(slot.index)).collect()
}

/// Load `N` words of each lane to as many registers.
fn load_words<const N: usize>(space: Space, address: Address, targets: [u32; N]) -> Action {
    Box::new(move |ctx| {
        let mut data = [[0; LANES]; N];
        ctx.load(space, &address.lanes(ctx), N * 4, &mut data)?;
        for (&target, row) in targets.iter().zip(&data) {
            ctx.put(Dst::<u32>::new(target), |lane| row[lane]);
        }
        Ok(Flow::Next)
    })
}

/// Store the `N` registers of each lane side by side.
fn store_words<const N: usize>(space: Space, address: Address, sources: [u32; N]) -> Action {
    Box::new(move |ctx| {
        let data = sources.map(|source| ctx.registers.words[source as usize]);
        ctx.store(space, &address.lanes(ctx), N * 4, &data)?;
        Ok(Flow::Next)
    })
}

pub(crate) fn st(b: &mut Build<'_, '_>) -> Lowered {
    let space = b.choose(&SPACES).unwrap_or(Space::Generic);
    let hint = b.take("L2::cache_hint");
    if b.take("release") | take_hints(b) {
        b.set_spins();
    }
    let shape = shape(b)?;
    let (address, space) = b.address(space)?;
    let items = b.vector()?;
    if items.len() != shape.count {
        return Err(format!("{} sources for {} elements", items.len(), shape.count));
    }
    let bits = shape.ty.bits();
    let mut sources = Vec::new();
    for item in items {
        let slot = match b.register_src(item) {
            Some((slot, ty)) if ty.bits() >= bits && slot.bank != Bank::Predicate => slot,
            Some((_, ty)) => {
                return Err(format!("a source of {bits} bits is needed, this one has {}", ty.bits()));
            }
            None if bits > 32 => Slot { bank: Bank::Double, index: b.src_of::<u64>(item)?.index },
            None => Slot { bank: Bank::Word, index: b.src_of::<u32>(item)?.index },
        };
        sources.push(slot);
    }
    if hint {
        b.src::<u64>()?;
    }
    b.set_class(match space {
        Space::Shared => Class::StoreShared,
        Space::Local | Space::Param => Class::StoreLocal,
        _ => Class::StoreGlobal,
    });
    if bits == 32
        && let Some(words) = all_words(&sources)
    {
        match words[..] {
            [a] => return Ok(store_words(space, address, [a])),
            [a, b] => return Ok(store_words(space, address, [a, b])),
            [a, b, c, d] => return Ok(store_words(space, address, [a, b, c, d])),
            _ => {}
        }
    }
    let bytes = shape.bytes();
    Ok(Box::new(move |ctx| {
        let mut data = NO_DATA;
        for (element, &slot) in sources.iter().enumerate() {
            let row = ctx.get_bits(slot);
            for (lane, &value) in row.iter().enumerate() {
                match bits {
                    64 => {
                        data[element * 2][lane] = value as u32;
                        data[element * 2 + 1][lane] = (value >> 32) as u32;
                    }
                    32 => data[element][lane] = value as u32,
                    _ => {
                        let at = element as u32 * bits;
                        data[(at / 32) as usize][lane] |= (value as u32 & ((1 << bits) - 1)) << (at % 32);
                    }
                }
            }
        }
        ctx.store(space, &address.lanes(ctx), bytes, &data)?;
        Ok(Flow::Next)
    }))
}

/// `prefetch`, `prefetchu`, `discard`: nothing to do here.
pub(crate) fn hint(b: &mut Build<'_, '_>) -> Lowered {
    let space = b.choose(&SPACES).unwrap_or(Space::Generic);
    take_hints(b);
    b.take("tensormap");
    b.address(space)?;
    if b.operands_left() > 0 {
        b.operand()?;
    }
    Ok(Build::plain(|_| {}))
}
