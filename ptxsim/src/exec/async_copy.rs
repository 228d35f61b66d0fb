//! `cp.async`: copies of 4, 8 or 16 bytes from global to shared memory that a thread waits for later.

use super::{bulk_reduce, mbarrier, tma};
use crate::fault::{Fault, FaultKind};
use crate::lower::{Address, Build, Lowered};
use crate::machine::async_copies::Due;
use crate::machine::context::Context;
use crate::machine::kernel::Flow;
use crate::machine::registers::{PredSrc, Src};
use crate::machine::{LANES, lanes};
use crate::memory::{Addresses, AllPlanes, NO_DATA};
use crate::parse::ast::Operand;
use crate::types::Space;

/// `cp.async`.
pub(crate) fn cp(b: &mut Build<'_, '_>) -> Lowered {
    let reduces = b.take("reduce");
    if !b.take("async") {
        return Err("needs `.async`".into());
    }
    match (b.take("bulk"), reduces) {
        (true, false) => tma::bulk(b),
        (true, true) => bulk_reduce::reduce(b),
        (false, false) => cp_async(b),
        (false, true) => Err("`.reduce` needs `.async.bulk`".into()),
    }
}

/// `cp.async` without `.bulk`; `.async` has been taken.
pub(crate) fn cp_async(b: &mut Build<'_, '_>) -> Lowered {
    if b.take("commit_group") {
        return Ok(Build::plain(|ctx| ctx.commit_copies()));
    }
    if b.take("mbarrier") && b.take("arrive") {
        return mbarrier::arrive_after_copies(b);
    }
    if b.take("wait_all") {
        return Ok(Box::new(|ctx| {
            ctx.land_copies(Due::Everything)?;
            Ok(Flow::Next)
        }));
    }
    if b.take("wait_group") {
        let Operand::Int(kept) = b.operand()? else {
            return Err("the number of groups is a constant".into());
        };
        let kept = u32::try_from(*kept).map_err(|_| "more groups than can be")?;
        return Ok(Box::new(move |ctx| {
            ctx.land_copies(Due::AllGroupsBut(kept))?;
            Ok(Flow::Next)
        }));
    }
    copy(b)
}

/// How much of the source is read; the rest of the destination is zero.
#[derive(Clone, Copy)]
enum Amount {
    All,
    Bytes(Src<u32>),
    NothingIf(PredSrc),
}

fn copy(b: &mut Build<'_, '_>) -> Lowered {
    let l1 = b.must_choose("cache operator", &[("ca", true), ("cg", false)])?;
    if !(b.take("shared") || b.take("shared::cta")) || !b.take("global") {
        return Err("copies from `.global` to `.shared` only".into());
    }
    let hint = b.take("L2::cache_hint");
    b.choose(&[("L2::64B", ()), ("L2::128B", ()), ("L2::256B", ())]);
    b.all_modifiers_taken()?;
    let (to, from) = (b.address(Space::Shared)?.0, b.address(Space::Global)?.0);
    let bytes = match b.operand()? {
        Operand::Int(16) => 16,
        Operand::Int(bytes @ (4 | 8)) if l1 => *bytes as usize,
        _ => return Err("copies 4, 8 or 16 bytes with `.ca` and 16 with `.cg`".into()),
    };
    let amount = if b.operands_left() > usize::from(hint) { amount(b)? } else { Amount::All };
    if hint {
        b.src::<u64>()?;
    }
    let copy = Copy { to, from, bytes, amount };
    Ok(Box::new(move |ctx| {
        copy.run(ctx)?;
        Ok(Flow::Next)
    }))
}

/// The operand after the size: the bytes to read, or a predicate that says to read none.
fn amount(b: &mut Build<'_, '_>) -> Result<Amount, String> {
    let operand = b.operand()?;
    match operand {
        Operand::Int(_) => Ok(Amount::Bytes(b.src_of(operand)?)),
        _ => match b.pred_src_of(operand) {
            Ok(predicate) => Ok(Amount::NothingIf(predicate)),
            Err(_) => Ok(Amount::Bytes(b.src_of(operand)?)),
        },
    }
}

struct Copy {
    to: Address,
    from: Address,
    bytes: usize,
    amount: Amount,
}

impl Copy {
    fn run(&self, ctx: &mut Context<'_>) -> Result<(), Box<Fault>> {
        let (to, from) = (self.to.lanes(ctx), self.from.lanes(ctx));
        let amounts = self.amounts(ctx);
        if let Some(lane) = lanes(ctx.active).find(|&lane| amounts[lane] as usize > self.bytes) {
            let detail = format!("{} bytes of source for a copy of {}", amounts[lane], self.bytes);
            return Err(ctx.fault(lane, FaultKind::Misuse { detail }));
        }
        let data = self.read(ctx, &from, &amounts)?;
        ctx.check_copy_target(&to, self.bytes)?;
        ctx.begin_copies(&to, self.bytes, &data);
        Ok(())
    }

    /// Bytes that each lane reads.
    fn amounts(&self, ctx: &Context<'_>) -> [u32; LANES] {
        match self.amount {
            Amount::All => [self.bytes as u32; LANES],
            Amount::Bytes(bytes) => ctx.get(bytes),
            Amount::NothingIf(predicate) => {
                let ignored = ctx.get_pred(predicate);
                std::array::from_fn(|lane| if ignored >> lane & 1 == 1 { 0 } else { self.bytes as u32 })
            }
        }
    }

    fn read(
        &self,
        ctx: &mut Context<'_>,
        from: &Addresses,
        amounts: &[u32; LANES],
    ) -> Result<AllPlanes, Box<Fault>> {
        let all = ctx.active;
        let size = self.bytes as u32;
        let those = |wanted: &dyn Fn(u32) -> bool| {
            lanes(all).filter(|&lane| wanted(amounts[lane])).fold(0, |mask, lane| mask | 1 << lane)
        };
        let mut data = NO_DATA;
        ctx.active = those(&|n| n == size);
        if ctx.active != 0 {
            ctx.load(Space::Global, from, self.bytes, &mut data)?;
        }
        let partial = those(&|n| n > 0 && n < size);
        if let Some(lane) = lanes(partial).find(|&lane| !from[lane].is_multiple_of(u64::from(size))) {
            let (address, bytes) = (from[lane], size);
            return Err(ctx.fault(lane, FaultKind::Misaligned { space: Space::Global, address, bytes }));
        }
        for at in 0..self.bytes {
            ctx.active = partial & those(&|n| at < n as usize);
            if ctx.active == 0 {
                break;
            }
            let mut byte = NO_DATA;
            ctx.load(Space::Global, &from.map(|a| a.wrapping_add(at as u64)), 1, &mut byte)?;
            for lane in lanes(ctx.active) {
                data[at / 4][lane] |= byte[0][lane] << (at % 4 * 8);
            }
        }
        ctx.active = all;
        Ok(data)
    }
}
