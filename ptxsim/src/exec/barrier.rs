//! Barriers of a block, a warp and a cluster, and fences.

use crate::fault::FaultKind;
use crate::lower::{Build, Lowered};
use crate::machine::cluster::BARRIERS;
use crate::machine::context::{Context, Waiting};
use crate::machine::kernel::{Flow, Step};
use crate::machine::registers::{Dst, PredDst, PredSrc, Src};
use crate::machine::{LANES, lanes};
use crate::types::Type;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sync,
    Arrive,
    Reduce,
}

/// How a reduction's result reaches the threads.
#[derive(Clone, Copy)]
enum Outcome {
    None,
    Popc(Dst<u32>),
    And(PredDst),
    Or(PredDst),
}

/// `bar`, whose block forms are all aligned.
pub(crate) fn bar(b: &mut Build<'_, '_>) -> Lowered {
    if b.take("warp") {
        return warp_barrier(b);
    }
    b.take("cta");
    block_barrier(b, true)
}

/// `barrier`, which is aligned only when it says so.
pub(crate) fn barrier(b: &mut Build<'_, '_>) -> Lowered {
    if b.take("cluster") {
        return cluster_barrier(b);
    }
    b.take("cta");
    let aligned = b.take("aligned");
    block_barrier(b, aligned)
}

/// A barrier of a block as its instruction gives it.
struct BlockBarrier {
    kind: Kind,
    aligned: bool,
    id: Src<u32>,
    count: Option<Src<u32>>,
    predicate: Option<PredSrc>,
    result: Outcome,
}

fn block_barrier(b: &mut Build<'_, '_>, aligned: bool) -> Lowered {
    let kind =
        b.must_choose("kind", &[("sync", Kind::Sync), ("arrive", Kind::Arrive), ("red", Kind::Reduce)])?;
    let result = if kind == Kind::Reduce {
        let operation = b.must_choose("operation", &[("popc", 0), ("and", 1), ("or", 2)])?;
        match (operation, b.ty()?) {
            (0, Type::U32) => Outcome::Popc(b.dst()?),
            (1, Type::Pred) => Outcome::And(b.pred_dst()?),
            (2, Type::Pred) => Outcome::Or(b.pred_dst()?),
            (_, other) => return b.bad_type(other),
        }
    } else {
        Outcome::None
    };
    let id = b.src()?;
    let with_count = b.operands_left() > usize::from(kind == Kind::Reduce);
    let count = if with_count { Some(b.src()?) } else { None };
    if kind == Kind::Arrive && count.is_none() {
        return Err("`.arrive` needs a thread count".into());
    }
    let predicate = if kind == Kind::Reduce { Some(b.pred_src()?) } else { None };
    let barrier = BlockBarrier { kind, aligned, id, count, predicate, result };
    Ok(Box::new(move |ctx| barrier.run(ctx)))
}

impl BlockBarrier {
    fn run(&self, ctx: &mut Context<'_>) -> Step {
        let leader = ctx.leader();
        let id = ctx.lane(self.id, leader);
        let count = self.count.map(|count| ctx.lane(count, leader));
        if id as usize >= BARRIERS {
            let detail = format!("barrier {id} does not exist; a block has {BARRIERS}");
            return Err(ctx.fault(leader, FaultKind::Misuse { detail }));
        }
        if let Some(count) = count
            && (count == 0 || !count.is_multiple_of(LANES as u32))
        {
            let detail = format!("barrier {id}: {count} threads are no positive multiple of {LANES}");
            return Err(ctx.fault(leader, FaultKind::Misuse { detail }));
        }
        let missing = ctx.live & !ctx.active;
        if self.aligned && missing != 0 && ctx.launch.checks.barriers {
            if ctx.opened {
                // Lanes were let go past their meeting point; they gather here before they arrive.
                return ctx.wait(Waiting::WarpSync { mask: ctx.live });
            }
            let detail = format!("lanes {missing:#010x} of the warp are elsewhere");
            return Err(ctx.fault(leader, FaultKind::BarrierDivergence { barrier: id, detail }));
        }
        if *ctx.ticket == 0 {
            self.arrive(ctx, id);
        }
        let ticket = *ctx.ticket;
        let checks = ctx.launch.checks.barriers;
        let (live, exited) = (ctx.block().live, ctx.block().exited);
        let barrier = &mut ctx.block().barriers[id as usize];
        if barrier.generation < ticket && barrier.is_full(count, live) {
            if count.is_none() && exited > 0 && checks {
                let detail = format!("{exited} threads of the block have exited, {live} have arrived");
                return Err(ctx.fault(leader, FaultKind::BarrierDivergence { barrier: id, detail }));
            }
            barrier.complete();
        }
        if barrier.generation < ticket && self.kind != Kind::Arrive {
            return ctx.wait(Waiting::Barrier { id });
        }
        let (trues, brought) = barrier.result;
        if self.kind != Kind::Arrive {
            let (released, warp) = (barrier.released, ctx.warp);
            ctx.block().order.acquire(warp, &released);
        }
        match self.result {
            Outcome::None => {}
            Outcome::Popc(d) => ctx.put(d, |_| trues),
            Outcome::And(d) => ctx.put_pred(d, if trues == brought { u32::MAX } else { 0 }),
            Outcome::Or(d) => ctx.put_pred(d, if trues > 0 { u32::MAX } else { 0 }),
        }
        Ok(Flow::Next)
    }

    fn arrive(&self, ctx: &mut Context<'_>, id: u32) {
        let active = ctx.active;
        let threads = active.count_ones();
        // A warp that arrives whole counts 32, though its last lanes may not exist.
        let counted = if active == ctx.live { LANES as u32 } else { threads };
        let trues = self.predicate.map_or(0, |p| (ctx.get_pred(p) & active).count_ones());
        let brings = self.predicate.is_some();
        let warp = ctx.warp;
        let block = ctx.block();
        let barrier = &mut block.barriers[id as usize];
        block.order.release(warp, &mut barrier.arrived);
        barrier.threads += threads;
        barrier.counted += counted;
        if brings {
            barrier.trues += trues;
            barrier.brought += threads;
        }
        *ctx.ticket = barrier.generation + 1;
    }
}

/// `bar.warp.sync`, which the lanes may reach at different places.
fn warp_barrier(b: &mut Build<'_, '_>) -> Lowered {
    if !b.take("sync") {
        return Err("needs `.sync`".into());
    }
    let members: Src<u32> = b.src()?;
    Ok(Box::new(move |ctx| {
        let members = ctx.get(members);
        let named = lanes(ctx.active).fold(0, |m, lane| m | members[lane]);
        if *ctx.ticket == 0 {
            *ctx.ticket = 1;
            *ctx.arrived |= ctx.active;
        } else if *ctx.arrived & ctx.active == 0 {
            // The last to arrive has released all.
            return Ok(Flow::Next);
        }
        if named & ctx.live & !*ctx.arrived == 0 {
            *ctx.arrived &= !named;
            let warp = ctx.warp;
            ctx.block().order.end_step(warp);
            return Ok(Flow::Next);
        }
        ctx.wait(Waiting::WarpBarrier { mask: named })
    }))
}

/// `barrier.cluster.arrive` and `.wait`.
fn cluster_barrier(b: &mut Build<'_, '_>) -> Lowered {
    let arrive = b.must_choose("kind", &[("arrive", true), ("wait", false)])?;
    for hint in ["release", "relaxed", "acquire", "aligned"] {
        b.take(hint);
    }
    Ok(Box::new(move |ctx| {
        if arrive {
            let (active, threads) = (ctx.active, ctx.active.count_ones());
            let warp = ctx.warp;
            let block = ctx.block();
            block.cluster_arrivals += threads;
            block.order.release(warp, &mut block.cluster_horizon);
            for lane in lanes(active) {
                ctx.cluster_phases[lane] += 1;
            }
        }
        let live: u32 = ctx.blocks.iter().map(|b| b.live).sum();
        let arrived: u32 = ctx.blocks.iter().map(|b| b.cluster_arrivals).sum();
        if arrived > 0 && arrived >= live {
            ctx.blocks.iter_mut().for_each(|b| b.cluster_arrivals = 0);
            ctx.blocks[0].cluster_generation += 1;
        }
        let generation = ctx.blocks[0].cluster_generation;
        let phases = *ctx.cluster_phases;
        if !arrive && lanes(ctx.active).any(|lane| phases[lane] > generation) {
            return ctx.wait(Waiting::Cluster);
        }
        if !arrive {
            let warp = ctx.warp;
            let block = ctx.block();
            block.order.acquire(warp, &block.cluster_horizon);
        }
        Ok(Flow::Next)
    }))
}

/// `membar` and `fence`: memory is always consistent here.
pub(crate) fn fence(b: &mut Build<'_, '_>) -> Lowered {
    const WORDS: [&str; 21] = [
        "sc",
        "acq_rel",
        "acquire",
        "release",
        "cta",
        "cluster",
        "gpu",
        "gl",
        "sys",
        "proxy",
        "async",
        "global",
        "shared::cta",
        "shared::cluster",
        "sync_restrict::shared::cta",
        "sync_restrict::shared::cluster",
        "alias",
        "mbarrier_init",
        "tensormap::generic",
        "async::generic",
        "generic",
    ];
    // Only a proxy fence between the generic and the async proxy leaves a trace.
    let proxy = b.take("proxy");
    let to_async = proxy && b.take("async") && !b.take("global");
    while WORDS.iter().any(|word| b.take(word)) {}
    while b.operands_left() > 0 {
        b.operand()?;
    }
    if to_async {
        return Ok(Build::plain(|ctx| {
            let (warp, active) = (ctx.warp, ctx.active);
            let block = ctx.block();
            let time = block.order.fence(warp);
            lanes(active).for_each(|lane| block.shared.shadow.fence(warp * LANES + lane, time));
        }));
    }
    Ok(Build::plain(|_| {}))
}
