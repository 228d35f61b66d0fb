//! `wgmma`: the tensor-core product of a warpgroup, `m64nNkK`, and its groups.
//!
//! What a product computes is in [`super::wgmma_product`]. Its result counts as unfinished until
//! `wgmma.wait_group`: see [`crate::machine::wgmma`].

use super::wgmma_element::Element;
use super::wgmma_product::{Left, Product};
use super::whole_warp::{need_sync_aligned, whole_warp, whole_warp_plain};
use crate::counters::Class;
use crate::lower::{Build, Lowered};
use crate::machine::context::{Context, Waiting};
use crate::machine::kernel::{Flow, Step};
use crate::machine::registers::Bank;
use crate::parse::ast::Operand;

pub(crate) fn wgmma(b: &mut Build<'_, '_>) -> Lowered {
    #[derive(Clone, Copy)]
    enum Kind {
        Fence,
        Product,
        Commit,
        Wait,
    }
    let kinds = [
        ("fence", Kind::Fence),
        ("mma_async", Kind::Product),
        ("commit_group", Kind::Commit),
        ("wait_group", Kind::Wait),
    ];
    let kind = b.must_choose("kind", &kinds)?;
    need_sync_aligned(b)?;
    b.set_wgmma();
    b.set_class(Class::TensorCore);
    match kind {
        Kind::Fence => Ok(whole_warp_plain(|ctx| ctx.fence_wgmma())),
        Kind::Commit => Ok(whole_warp_plain(|ctx| {
            let issued = ctx.wgmma.issued;
            ctx.wgmma.commits.push_back(issued);
        })),
        Kind::Wait => {
            let groups = immediate(b)?;
            let groups = usize::try_from(groups).map_err(|_| "a negative count of groups")?;
            Ok(whole_warp(move |ctx| wait_group(ctx, groups)))
        }
        Kind::Product => product(b),
    }
}

fn immediate(b: &mut Build<'_, '_>) -> Result<i64, String> {
    match b.operand()? {
        Operand::Int(value) => Ok(*value as i64),
        _ => Err("an integer constant is needed here".into()),
    }
}

/// Wait until at most `groups` committed groups are unfinished.
fn wait_group(ctx: &mut Context<'_>, groups: usize) -> Step {
    let Some(last) = ctx.wgmma.commits.len().checked_sub(groups + 1) else { return Ok(Flow::Next) };
    let target = ctx.wgmma.commits[last];
    let number = ctx.warp / 4;
    let group = &ctx.block().warpgroups[number];
    if group.issued.iter().any(|&issued| issued < target) {
        return ctx.wait(Waiting::Warpgroup);
    }
    ctx.wgmma.done = ctx.wgmma.done.max(target);
    ctx.wgmma.commits.drain(..=last);
    let block = ctx.block();
    let (group, shadow) = (&mut block.warpgroups[number], &mut block.shared.shadow);
    group.reads.retain(|(wgmma, granules)| {
        let reads = *wgmma > target;
        if !reads {
            granules.iter().for_each(|&granule| shadow.end_outgoing(granule));
        }
        reads
    });
    Ok(Flow::Next)
}

fn product(b: &mut Build<'_, '_>) -> Lowered {
    let mut shape = None;
    for columns in (8..=256).step_by(8) {
        for depth in [8, 16, 32] {
            if b.take(&format!("m64n{columns}k{depth}")) {
                shape = Some((columns, depth));
            }
        }
    }
    let (columns, depth) = shape.ok_or("needs a shape m64nNkK with N a multiple of 8 up to 256")?;
    let half = b.must_choose("accumulator type", &[("f32", false), ("f16", true)])?;
    let types = [
        ("bf16", Element::Bf16),
        ("f16", Element::F16),
        ("tf32", Element::Tf32),
        ("e4m3", Element::E4m3),
        ("e5m2", Element::E5m2),
    ];
    let element = [b.must_choose("type of A", &types)?, b.must_choose("type of B", &types)?];
    b.all_modifiers_taken()?;
    let width = element[0].bytes();
    let mixed = element[0] != element[1] && width != 1;
    if width != element[1].bytes() || mixed || depth * width != 32 {
        return Err(format!("no product of depth {depth} of {:?} and {:?}", element[0], element[1]));
    }
    if half && matches!(element[0], Element::Bf16 | Element::Tf32) {
        return Err(format!("no f16 accumulator of {:?}", element[0]));
    }
    let wanted = if half { columns / 4 } else { columns / 2 };
    let items = b.vector()?;
    if items.len() != wanted {
        return Err(format!("{} accumulator registers, not {wanted}", items.len()));
    }
    let mut accumulators = Vec::new();
    for item in items {
        match b.register_dst(item, Bank::Word, 32)? {
            (slot, 32) if slot.bank == Bank::Word => accumulators.push(slot.index),
            (_, bits) => return Err(format!("an accumulator of {bits} bits, not 32")),
        }
    }
    let in_registers = matches!(b.peek(), Some(Operand::Vector(_)));
    let registers = if in_registers {
        let items = b.vector()?;
        let mut registers = [0; 4];
        if items.len() != 4 {
            return Err(format!("{} registers of A, not 4", items.len()));
        }
        for (register, item) in registers.iter_mut().zip(items) {
            *register = b.src_of::<u32>(item)?.index;
        }
        Left::Registers(registers)
    } else {
        Left::Shared { descriptor: b.src()?, transposed: false }
    };
    let right = b.src()?;
    let (adds, never_adds) = match b.peek() {
        Some(Operand::Int(value)) => {
            b.operand()?;
            (None, *value == 0)
        }
        _ => (Some(b.pred_src()?), false),
    };
    let mut scale = [1.0; 2];
    for scale in &mut scale {
        *scale = match immediate(b)? {
            1 => 1.0,
            -1 => -1.0,
            other => return Err(format!("a scale of {other}, not 1 or -1")),
        };
    }
    let transposed = |b: &mut Build<'_, '_>| match immediate(b)? {
        0 => Ok(false),
        1 if width == 2 => Ok(true),
        other => Err(format!("a transposition of {other}")),
    };
    let mut left = registers;
    let mut right_transposed = false;
    if b.operands_left() > 0 {
        if let Left::Shared { transposed: flag, .. } = &mut left {
            *flag = transposed(b)?;
        }
        right_transposed = transposed(b)?;
    }
    let product = Product {
        element,
        columns,
        half,
        accumulators,
        left,
        right,
        right_transposed,
        adds,
        never_adds,
        scale,
    };
    Ok(whole_warp(move |ctx| product.run(ctx)))
}
