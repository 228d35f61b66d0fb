//! `cp.async.bulk.tensor`: copies of boxes of a tensor that a tensor map describes.

use super::atomic::Operation;
use super::bulk_reduce::Reduction;
use super::tma::{Sending, read_shared, send};
use super::transfer::SPACES;
use crate::fault::{Fault, FaultKind};
use crate::lower::{Address, Build, Lowered};
use crate::machine::context::Context;
use crate::machine::kernel::{Action, Flow};
use crate::machine::lanes;
use crate::machine::registers::Src;
use crate::memory::resolve_generic;
use crate::memory::tensor_map::{Mode, TensorMap};
use crate::parse::ast::Operand;
use crate::types::Space;

/// The tensor side of a copy: the map's address, the coordinates and im2col's offsets.
struct Tile {
    map: Address,
    coordinates: Vec<Src<i32>>,
    im2col: bool,
    offsets: Vec<Src<u16>>,
}

impl Tile {
    /// `[map, {c0, c1, …}]`
    fn decode(b: &mut Build<'_, '_>, rank: usize, im2col: bool) -> Result<Self, String> {
        let Operand::Address { base, offset, rest } = b.operand()? else {
            return Err("a tensor map's address and coordinates in [ ] are needed".into());
        };
        let (map, _) = b.address_of(base.as_deref(), *offset, Space::Generic)?;
        let items = match &rest[..] {
            [Operand::Vector(items)] => &items[..],
            other => other,
        };
        if items.len() != rank {
            return Err(format!("{} coordinates, not {rank}", items.len()));
        }
        let coordinates = items.iter().map(|item| b.src_of(item)).collect::<Result<_, _>>()?;
        Ok(Self { map, coordinates, im2col, offsets: Vec::new() })
    }
}

/// What `cp.async.bulk.tensor` does after its `.tensor`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Copy,
    Prefetch,
    Reduce(Operation),
}

/// `cp.async.bulk.tensor` in all its forms, after its `.tensor`.
pub(super) fn copy(b: &mut Build<'_, '_>, kind: Kind) -> Lowered {
    let ranks = [("1d", 1), ("2d", 2), ("3d", 3), ("4d", 4), ("5d", 5)];
    let rank = b.must_choose("dimension", &ranks)?;
    if kind == Kind::Prefetch {
        b.take("L2");
    }
    let ends: Vec<Space> = std::iter::from_fn(|| b.choose(&SPACES)).collect();
    let im2col = b.choose(&[("tile", false), ("im2col", true), ("im2col_no_offs", true)]).unwrap_or(false);
    if im2col && rank < 3 {
        return Err("im2col needs 3 to 5 dimensions".into());
    }
    let counted = b.take("mbarrier::complete_tx::bytes");
    let grouped = b.take("bulk_group");
    let multicast = b.take("multicast::cluster");
    let hint = b.take("L2::cache_hint");
    b.all_modifiers_taken()?;
    let action = match (&ends[..], counted, grouped, kind) {
        ([Space::Shared, Space::Global], true, false, Kind::Copy) => load(b, rank, im2col, multicast)?,
        ([Space::Global, Space::Shared], false, true, Kind::Copy) if !multicast => store(b, rank, im2col, None)?,
        ([Space::Global, Space::Shared], false, true, Kind::Reduce(operation)) if !multicast => {
            store(b, rank, im2col, Some(operation))?
        }
        ([Space::Global], false, false, Kind::Prefetch) => {
            Tile::decode(b, rank, im2col)?;
            if im2col {
                b.vector()?;
            }
            Build::plain(|_| {})
        }
        _ => return Err("needs global to shared with `.mbarrier::complete_tx::bytes`, or shared to global with `.bulk_group`".into()),
    };
    if hint {
        b.src::<u64>()?;
    }
    Ok(action)
}

fn load(b: &mut Build<'_, '_>, rank: usize, im2col: bool, multicast: bool) -> Result<Action, String> {
    let (destination, _) = b.address(Space::Shared)?;
    let mut tile = Tile::decode(b, rank, im2col)?;
    let (barrier, _) = b.address(Space::Shared)?;
    if im2col {
        let items = b.vector()?;
        if items.len() != rank - 2 {
            return Err(format!("{} im2col offsets, not {}", items.len(), rank - 2));
        }
        tile.offsets = items.into_iter().map(|item| b.src_of(item)).collect::<Result<_, _>>()?;
    }
    let mask: Option<Src<u16>> = if multicast { Some(b.src()?) } else { None };
    Ok(Box::new(move |ctx| {
        let (destinations, barriers) = (destination.lanes(ctx), barrier.lanes(ctx));
        for lane in lanes(ctx.active) {
            let (map, rows) = tile.rows(ctx, lane)?;
            let row_bytes = map.row_bytes();
            let mut data = map.blank(rows.len() * row_bytes);
            for (row, out) in rows.iter().zip(data.chunks_exact_mut(row_bytes)) {
                if row.bytes > 0 {
                    ctx.read_global(lane, row.address, &mut out[row.skip..row.skip + row.bytes])?;
                }
            }
            let place = ctx.place(lane, Space::Shared, destinations[lane], data.len(), 128)?;
            let barrier = ctx.place(lane, Space::Shared, barriers[lane], 8, 8)?;
            let mask = mask.map(|mask| ctx.lane(mask, lane));
            send(ctx, lane, Sending { place, barrier, mask, swizzle: map.swizzle, reduction: None, data })?;
        }
        Ok(Flow::Next)
    }))
}

/// A store; with an operation, a reduction into what is there.
fn store(
    b: &mut Build<'_, '_>,
    rank: usize,
    im2col: bool,
    operation: Option<Operation>,
) -> Result<Action, String> {
    let tile = Tile::decode(b, rank, im2col)?;
    let (source, _) = b.address(Space::Shared)?;
    Ok(Box::new(move |ctx| {
        let sources = source.lanes(ctx);
        for lane in lanes(ctx.active) {
            let (map, rows) = tile.rows(ctx, lane)?;
            let row_bytes = map.row_bytes();
            let mut data = vec![0; rows.len() * row_bytes];
            let place = ctx.place(lane, Space::Shared, sources[lane], data.len(), 128)?;
            if place.rank != ctx.rank {
                let detail = "a bulk store from another block's shared memory".to_owned();
                return Err(ctx.fault(lane, FaultKind::Misuse { detail }));
            }
            let granules = read_shared(ctx, lane, place, map.swizzle, &mut data)?;
            let reduction = operation.map(|operation| Reduction::of_elements(operation, map.ty)).transpose();
            let reduction =
                reduction.map_err(|detail| ctx.fault(lane, FaultKind::BadTensorMap { detail }))?;
            for (row, from) in rows.iter().zip(data.chunks_exact(row_bytes)) {
                let data = &from[row.skip..row.skip + row.bytes];
                match reduction {
                    _ if data.is_empty() => {}
                    None => ctx.write_global(lane, row.address, data)?,
                    Some(reduction) => reduction.to_global(ctx, lane, row.address, data)?,
                }
            }
            ctx.bulk[lane].open.extend(granules);
        }
        Ok(Flow::Next)
    }))
}

/// The part of a box's row that lies inside the tensor: `bytes` bytes at `address`, which stand
/// behind `skip` bytes in the row.
#[derive(Clone, Copy, Default)]
struct Row {
    address: u64,
    skip: usize,
    bytes: usize,
}

impl Tile {
    /// The map that `lane` names, and the rows of its copy in order.
    fn rows(&self, ctx: &Context<'_>, lane: usize) -> Result<(TensorMap, Vec<Row>), Box<Fault>> {
        let bad = |detail: String| ctx.fault(lane, FaultKind::BadTensorMap { detail });
        let map = read_map(ctx, lane, self.map.lanes(ctx)[lane])?;
        if map.rank != self.coordinates.len() {
            let rank = self.coordinates.len();
            return Err(bad(format!("it has {} dimensions, the instruction {rank}", map.rank)));
        }
        let mut at = [0i64; 5];
        for (at, &coordinate) in at.iter_mut().zip(&self.coordinates) {
            *at = ctx.lane(coordinate, lane).into();
        }
        let rows = match (map.mode, self.im2col) {
            (Mode::Tiled { box_dims }, false) => tiled(&map, at, box_dims),
            (Mode::Im2col { lower, upper, pixels, .. }, true) => {
                let mut offsets = [0; 3];
                for (offset, &source) in offsets.iter_mut().zip(&self.offsets) {
                    *offset = ctx.lane(source, lane).into();
                }
                let first = lower.map(i64::from);
                let last = std::array::from_fn(|i| map.dims[i + 1] as i64 - 1 + i64::from(upper[i]));
                let outside = (0..map.rank - 2).find(|&i| at[i + 1] < first[i] || at[i + 1] > last[i]);
                if let Some(i) = outside {
                    return Err(bad(format!(
                        "coordinate {} is {}, outside the im2col box of {} to {}",
                        i + 1,
                        at[i + 1],
                        first[i],
                        last[i]
                    )));
                }
                im2col(&map, at, (first, last), offsets, pixels)
            }
            (Mode::Tiled { .. }, true) => return Err(bad("it is tiled, the instruction im2col".into())),
            (Mode::Im2col { .. }, false) => return Err(bad("it is im2col, the instruction tiled".into())),
        };
        Ok((map, rows))
    }
}

fn read_map(ctx: &Context<'_>, lane: usize, address: u64) -> Result<TensorMap, Box<Fault>> {
    let bad = |detail: String| ctx.fault(lane, FaultKind::BadTensorMap { detail });
    let mut bytes = [0; 128];
    let (space, offset) = resolve_generic(address);
    if !offset.is_multiple_of(64) {
        return Err(bad(format!("its address {address:#x} is no multiple of 64")));
    }
    match space {
        Space::Param => {
            let params = ctx.launch.params;
            let found = usize::try_from(offset).ok().and_then(|at| params.get(at..at.checked_add(128)?));
            let Some(found) = found else {
                return Err(bad(format!("the kernel's parameters end at {} bytes", params.len())));
            };
            bytes.copy_from_slice(found);
        }
        Space::Global => {
            ctx.peek_global(lane, address, &mut bytes)?;
        }
        other => return Err(bad(format!("it lies in {} memory", other.name()))),
    }
    TensorMap::from_bytes(&bytes).map_err(bad)
}

/// The row of the map's tensor from `at`: what is inside of `row_bytes` bytes.
fn row(map: &TensorMap, at: [i64; 5]) -> Row {
    let inside = (1..map.rank).all(|i| (0..map.dims[i] as i64).contains(&at[i]));
    let size = map.ty.bytes() as i64;
    let elements = map.row_bytes() as i64 / size;
    let first = (-at[0]).clamp(0, elements);
    let end = (map.dims[0] as i64 - at[0]).clamp(0, elements);
    if !inside || first >= end {
        return Row::default();
    }
    let outer: u64 = (1..map.rank).map(|i| at[i] as u64 * map.strides[i - 1]).sum();
    Row {
        address: map.address + outer + ((at[0] + first) * size) as u64,
        skip: (first * size) as usize,
        bytes: ((end - first) * size) as usize,
    }
}

fn tiled(map: &TensorMap, start: [i64; 5], box_dims: [u32; 5]) -> Vec<Row> {
    let step = |i: usize| i64::from(map.element_strides[i]);
    // An element stride leaves out elements of the box.
    let count = |i: usize| i64::from(box_dims[i].div_ceil(map.element_strides[i]));
    let total: i64 = (1..map.rank).map(count).product();
    (0..total)
        .map(|linear| {
            let mut at = start;
            let mut rest = linear;
            for (i, at) in at.iter_mut().enumerate().take(map.rank).skip(1) {
                *at += rest % count(i) * step(i);
                rest /= count(i);
            }
            row(map, at)
        })
        .collect()
}

/// `pixels` pixels from `start` on, through the box from `corners.0` to `corners.1` of each image in
/// turn, each read `offsets` away.
fn im2col(
    map: &TensorMap,
    start: [i64; 5],
    corners: ([i64; 3], [i64; 3]),
    offsets: [i64; 3],
    pixels: u32,
) -> Vec<Row> {
    let spatial = map.rank - 2;
    let mut at = start;
    (0..pixels)
        .map(|_| {
            let mut moved = at;
            for i in 0..spatial {
                moved[i + 1] += offsets[i];
            }
            let row = row(map, moved);
            let mut carry = true;
            for i in 0..spatial {
                if carry {
                    at[i + 1] += i64::from(map.element_strides[i + 1]);
                    carry = at[i + 1] > corners.1[i];
                    if carry {
                        at[i + 1] = corners.0[i];
                    }
                }
            }
            at[spatial + 1] += i64::from(carry);
            row
        })
        .collect()
}
