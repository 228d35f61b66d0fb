//! `ldmatrix`, `stmatrix` and `movmatrix`: 8x8 matrices of 16-bit elements, spread over a warp.
//!
//! Lane `l` holds elements `2 * (l % 4)` and the next of row `l / 4`; with `.trans`, of column `l / 4`.
//! In memory, the 16 bytes of matrix `m`'s row `r` start at the address that lane `8m + r` gives.

use super::transfer::SPACES;
use super::whole_warp::{need_sync_aligned, whole_warp, whole_warp_plain};
use crate::lower::{Build, Lowered};
use crate::machine::LANES;
use crate::machine::context::Context;
use crate::machine::kernel::Flow;
use crate::machine::registers::{Dst, Src};
use crate::memory::NO_DATA;
use crate::types::{Space, Type};

/// Bytes of a row of 8 elements.
const ROW: usize = 16;

/// The modifiers of `ldmatrix` and `stmatrix`: number of matrices, transposed, state space.
fn modifiers(b: &mut Build<'_, '_>) -> Result<(usize, bool, Space), String> {
    need_sync_aligned(b)?;
    if !b.take("m8n8") {
        return Err("needs the shape `.m8n8`".into());
    }
    let count = b.must_choose("number of matrices", &[("x1", 1), ("x2", 2), ("x4", 4)])?;
    let transposed = b.take("trans");
    let space = b.choose(&SPACES).unwrap_or(Space::Generic);
    need_b16(b)?;
    b.all_modifiers_taken()?;
    if !matches!(space, Space::Shared | Space::Generic) {
        return Err(format!("matrices lie in shared memory, not in {} memory", space.name()));
    }
    Ok((count, transposed, space))
}

fn need_b16(b: &mut Build<'_, '_>) -> Result<(), String> {
    match b.ty()? {
        Type::B16 => Ok(()),
        other => b.bad_type(other),
    }
}

/// Where lane `lane` finds its element `i` (0 or 1) of a matrix: row and column.
fn place(lane: usize, i: usize, transposed: bool) -> (usize, usize) {
    let (across, along) = (lane / 4, 2 * (lane % 4) + i);
    if transposed { (along, across) } else { (across, along) }
}

/// Run `act` with only the lanes that give row addresses.
fn with_row_lanes<T>(ctx: &mut Context<'_>, count: usize, act: impl FnOnce(&mut Context<'_>) -> T) -> T {
    let all = ctx.active;
    ctx.active = u32::MAX >> (LANES - 8 * count);
    let result = act(ctx);
    ctx.active = all;
    result
}

pub(crate) fn ldmatrix(b: &mut Build<'_, '_>) -> Lowered {
    let (count, transposed, space) = modifiers(b)?;
    let items = b.vector()?;
    if items.len() != count {
        return Err(format!("{} destinations for {count} matrices", items.len()));
    }
    let targets = items.into_iter().map(|item| b.dst_of(item)).collect::<Result<Vec<Dst<u32>>, _>>()?;
    let (address, space) = b.address(space)?;
    Ok(whole_warp(move |ctx| {
        let mut rows = NO_DATA;
        let addresses = address.lanes(ctx);
        with_row_lanes(ctx, count, |ctx| ctx.load(space, &addresses, ROW, &mut rows))?;
        for (matrix, &d) in targets.iter().enumerate() {
            ctx.put(d, |lane| {
                let half = |i| {
                    let (row, column) = place(lane, i, transposed);
                    rows[column / 2][8 * matrix + row] >> (16 * (column % 2)) & 0xffff
                };
                half(0) | half(1) << 16
            });
        }
        Ok(Flow::Next)
    }))
}

pub(crate) fn stmatrix(b: &mut Build<'_, '_>) -> Lowered {
    let (count, transposed, space) = modifiers(b)?;
    let (address, space) = b.address(space)?;
    let items = b.vector()?;
    if items.len() != count {
        return Err(format!("{} sources for {count} matrices", items.len()));
    }
    let sources = items.into_iter().map(|item| b.src_of(item)).collect::<Result<Vec<Src<u32>>, _>>()?;
    Ok(whole_warp(move |ctx| {
        let mut rows = NO_DATA;
        for (matrix, &a) in sources.iter().enumerate() {
            for (lane, word) in ctx.get(a).into_iter().enumerate() {
                for (i, half) in [word & 0xffff, word >> 16].into_iter().enumerate() {
                    let (row, column) = place(lane, i, transposed);
                    rows[column / 2][8 * matrix + row] |= half << (16 * (column % 2));
                }
            }
        }
        let addresses = address.lanes(ctx);
        with_row_lanes(ctx, count, |ctx| ctx.store(space, &addresses, ROW, &rows))?;
        Ok(Flow::Next)
    }))
}

/// `movmatrix`: the transpose of a matrix, among registers.
pub(crate) fn movmatrix(b: &mut Build<'_, '_>) -> Lowered {
    need_sync_aligned(b)?;
    if !(b.take("m8n8") && b.take("trans")) {
        return Err("needs `.m8n8.trans`".into());
    }
    need_b16(b)?;
    let (d, a): (Dst<u32>, Src<u32>) = (b.dst()?, b.src()?);
    Ok(whole_warp_plain(move |ctx| {
        let a = ctx.get(a);
        ctx.put(d, |lane| {
            let half = |i| {
                let (row, column) = place(lane, i, true);
                a[4 * row + column / 2] >> (16 * (column % 2)) & 0xffff
            };
            half(0) | half(1) << 16
        });
    }))
}
