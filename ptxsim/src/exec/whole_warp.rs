//! What `.sync.aligned` asks of a warp: that all its 32 lanes run the instruction together.

use std::ops::ControlFlow;

use crate::fault::FaultKind;
use crate::lower::Build;
use crate::machine::context::{Context, Waiting};
use crate::machine::kernel::{Action, Flow, Step};

/// Take `.sync.aligned`, which the matrix instructions must carry.
pub(crate) fn need_sync_aligned(b: &mut Build<'_, '_>) -> Result<(), String> {
    if b.take("sync") && b.take("aligned") { Ok(()) } else { Err("needs `.sync.aligned`".into()) }
}

/// Run `act` with all 32 lanes; a fault if some have exited or are elsewhere.
pub(crate) fn whole_warp(act: impl Fn(&mut Context<'_>) -> Step + Send + Sync + 'static) -> Action {
    Box::new(move |ctx| match gather(ctx) {
        ControlFlow::Break(step) => step,
        ControlFlow::Continue(()) => act(ctx),
    })
}

/// As [`whole_warp`], for what can do nothing but go on.
pub(crate) fn whole_warp_plain(act: impl Fn(&mut Context<'_>) + Send + Sync + 'static) -> Action {
    whole_warp(move |ctx| {
        act(ctx);
        Ok(Flow::Next)
    })
}

fn gather(ctx: &mut Context<'_>) -> ControlFlow<Step> {
    if ctx.active == u32::MAX {
        return ControlFlow::Continue(());
    }
    let missing = ctx.live & !ctx.active;
    if missing != 0 && ctx.opened {
        // Lanes were let go past their meeting point; they gather here.
        return ControlFlow::Break(ctx.wait(Waiting::WarpSync { mask: ctx.live }));
    }
    let detail = if missing != 0 {
        format!("all lanes of the warp must run this together; lanes {missing:#010x} are elsewhere")
    } else {
        format!("all 32 lanes of the warp must run this; only {:#010x} are left", ctx.live)
    };
    ControlFlow::Break(Err(ctx.fault(ctx.leader(), FaultKind::Misuse { detail })))
}
