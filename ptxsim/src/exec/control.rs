//! Flow of control.

use super::whole_warp::{need_sync_aligned, whole_warp_plain};
use crate::fault::FaultKind;
use crate::lower::{Build, Lowered};
use crate::machine::kernel::Flow;
use crate::machine::lanes;
use crate::machine::registers::Src;
use crate::parse::ast::Operand;
use crate::types::Type;

pub(crate) fn bra(b: &mut Build<'_, '_>) -> Lowered {
    b.take("uni");
    let target = b.operand()?;
    b.add_target(target)?;
    Ok(Box::new(|_| Ok(Flow::Branch)))
}

/// `brx.idx index, targets`
pub(crate) fn brx(b: &mut Build<'_, '_>) -> Lowered {
    if !b.take("idx") {
        return Err("needs `.idx`".into());
    }
    b.take("uni");
    let index: Src<u32> = b.src()?;
    let list = b.operand()?;
    let count = b.add_targets_of(list)? as u32;
    Ok(Box::new(move |ctx| {
        let row = ctx.get(index);
        if let Some(lane) = lanes(ctx.active).find(|&lane| row[lane] >= count) {
            return Err(ctx.fault(lane, FaultKind::BadTarget { value: row[lane].into() }));
        }
        ctx.branch_index = row;
        Ok(Flow::Indexed)
    }))
}

pub(crate) fn ret(b: &mut Build<'_, '_>) -> Lowered {
    b.take("uni");
    if b.add_return_target() {
        return Ok(Box::new(|_| Ok(Flow::Branch)));
    }
    exit(b)
}

pub(crate) fn exit(b: &mut Build<'_, '_>) -> Lowered {
    b.set_exits();
    Ok(Box::new(|ctx| {
        ctx.check_unfinished_copies()?;
        Ok(Flow::Exit)
    }))
}

/// `trap` and `brkpt`
pub(crate) fn trap(b: &mut Build<'_, '_>) -> Lowered {
    b.set_exits();
    Ok(Box::new(|ctx| Err(ctx.fault(ctx.leader(), FaultKind::Trap))))
}

/// Time does not pass here; other warps get their turn.
pub(crate) fn nanosleep(b: &mut Build<'_, '_>) -> Lowered {
    match b.ty()? {
        Type::U32 => {}
        other => return b.bad_type(other),
    }
    b.src::<u32>()?;
    b.set_spins();
    Ok(Build::plain(|_| {}))
}

pub(crate) fn pmevent(b: &mut Build<'_, '_>) -> Lowered {
    b.take("mask");
    b.operand()?;
    Ok(Build::plain(|_| {}))
}

/// `setmaxnreg`: registers are never short here, but the number must be one that hardware takes.
pub(crate) fn setmaxnreg(b: &mut Build<'_, '_>) -> Lowered {
    b.must_choose("direction", &[("inc", ()), ("dec", ())])?;
    need_sync_aligned(b)?;
    match b.ty()? {
        Type::U32 => {}
        other => return b.bad_type(other),
    }
    match b.operand()? {
        Operand::Int(count) if (24..=256).contains(count) && count % 8 == 0 => {}
        _ => return Err("the register count is a multiple of 8 from 24 to 256".into()),
    }
    Ok(whole_warp_plain(|_| {}))
}

/// `griddepcontrol`: launches run one after the other, so there is never anything to wait for.
pub(crate) fn griddepcontrol(b: &mut Build<'_, '_>) -> Lowered {
    b.must_choose("kind", &[("launch_dependents", ()), ("wait", ())])?;
    Ok(Build::plain(|_| {}))
}
