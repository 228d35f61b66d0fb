//! Rung 5: bf16 on Hopper, by TMA and wgmma.
//!
//! Operands are device memory that holds bf16, and not yet tensors: no tensor has that type so far.

use super::{Extents, OP, SUM_THREADS, tiles};
use crate::device::driver::{Grid, Ptr};
use crate::device::kernels::conv3x3::ladder::wgmma::{
    BLOCK_THREADS, Conv3x3DgradWgmma, Conv3x3FpropWgmma, SHARED_BYTES, TILE_PIXELS,
};
use crate::device::kernels::conv3x3::ladder::wgmma_wgrad::{
    self, Conv3x3WgradWgmma, NARROW, TILE_CHANNELS, WIDE,
};
use crate::device::kernels::conv3x3::wgrad::Conv3x3WgradSum;
use crate::device::tensor_map::{TensorCopy, TensorElement, TensorLayout, TensorMap};
use crate::device::{Gpu, GpuBuffer};
use crate::error::{Error, Result};
use crate::ops::conv3x3::Conv3x3Shape;
use crate::ops::check::index32;

/// Values of every axis of a box that a copy moves: 64 x 64 of them.
const BOX_SIDE: u32 = 64;

/// Whether the rung takes a shape: rows that TMA copies begin at multiples of 16 bytes.
pub fn takes(s: &Conv3x3Shape) -> bool {
    s.c.is_multiple_of(8) && s.k.is_multiple_of(8)
}

/// y = x * filter + bias; all bf16 but the bias, which is f32.
///
/// # Errors
/// [`crate::Error::Shape`] when the rung does not take `s`, [`crate::Error::Driver`] where there is no TMA.
pub fn fprop(
    s: &Conv3x3Shape,
    x: &GpuBuffer,
    filter: &GpuBuffer,
    bias: Option<&GpuBuffer>,
    y: &mut GpuBuffer,
) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let plan = Plan::of(x.gpu(), s)?;
    let kernel = Conv3x3FpropWgmma {
        x_map: plan.images(x, s.c)?,
        filter_map: plan.filter(filter)?,
        y_map: plan.images(y, s.k)?,
        bias: bias.map_or(Ptr::new(0), GpuBuffer::ptr),
        patch_side: plan.patch_side as i32,
        N: n,
        H: h,
        W: w,
        C: c,
        K: k,
    };
    plan.gpu.launch(&kernel, plan.grid(s.k))
}

/// dx, from dy and the filter; all bf16.
///
/// # Errors
/// As [`fprop`].
pub fn dgrad(s: &Conv3x3Shape, dy: &GpuBuffer, filter: &GpuBuffer, dx: &mut GpuBuffer) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let plan = Plan::of(dy.gpu(), s)?;
    let kernel = Conv3x3DgradWgmma {
        dy_map: plan.images(dy, s.k)?,
        filter_map: plan.filter(filter)?,
        dx_map: plan.images(dx, s.c)?,
        patch_side: plan.patch_side as i32,
        N: n,
        H: h,
        W: w,
        C: c,
        K: k,
    };
    plan.gpu.launch(&kernel, plan.grid(s.c))
}

/// dfilter in f32, from x and dy in bf16.
///
/// # Errors
/// As [`fprop`].
pub fn wgrad(s: &Conv3x3Shape, x: &GpuBuffer, dy: &GpuBuffer, dfilter: &mut GpuBuffer) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let plan = Plan::of(x.gpu(), s)?;
    let split = Split::of(s, plan.patches());
    let count = 9 * s.c * s.k;
    let mut partial = x.gpu().alloc(split.spans * count * size_of::<f32>())?;
    let kernel = Conv3x3WgradWgmma {
        x_map: plan.images(x, s.c)?,
        dy_map: plan.images(dy, s.k)?,
        partial: partial.ptr_mut(),
        patch_side: plan.patch_side as i32,
        columns: split.columns,
        patches_per_span: index32(OP, split.patches_per_span)?,
        N: n,
        H: h,
        W: w,
        C: c,
        K: k,
    };
    let [rows, columns] = split.tiles;
    let grid = Grid::new([rows, columns, split.spans], wgmma_wgrad::BLOCK_THREADS);
    plan.gpu.launch(&kernel, grid.with_shared(wgmma_wgrad::SHARED_BYTES))?;
    let sum = Conv3x3WgradSum {
        partial: partial.ptr(),
        dfilter: dfilter.ptr_mut(),
        accumulate: 0,
        count: index32(OP, count)?,
        spans: index32(OP, split.spans)?,
    };
    index32(OP, split.spans * count)?;
    plan.gpu.launch(&sum, Grid::linear(tiles(count, SUM_THREADS), SUM_THREADS))
}

/// How wgrad's work is shared out: tiles of the result, and spans of the patches that are summed.
struct Split {
    columns: i32,
    tiles: [usize; 2],
    spans: usize,
    patches_per_span: usize,
}

impl Split {
    /// The split with the fewest clocks by a formula: rounds of blocks on a GPU of 132 multiprocessors
    /// (H100, H200), each with the copies of its span through L2 and a start and an end; and the partial
    /// sums, written and read again. A formula of the shape alone: sums do not depend on the machine.
    fn of(s: &Conv3x3Shape, patches: usize) -> Split {
        const MULTIPROCESSORS: usize = 132;
        const BLOCK_CLOCKS: usize = 4000;
        const BOX_CLOCKS: usize = 8192 / 38;
        const MEMORY_BYTES_A_CLOCK: usize = 2400;
        const MOST_SPANS: usize = 128;
        let pieces = 9 * s.c.div_ceil(BOX_SIDE as usize);
        let columns = if pieces.is_multiple_of(WIDE as usize) { WIDE } else { NARROW };
        let grid = [tiles(s.k, TILE_CHANNELS), tiles(pieces, columns)];
        let clocks = |spans: usize| {
            let rounds = (grid[0] * grid[1] * spans).div_ceil(MULTIPROCESSORS);
            let patch = (2 + columns as usize) * BOX_CLOCKS;
            let partial = spans * 9 * s.c * s.k * 2 * size_of::<f32>();
            rounds * (patches.div_ceil(spans) * patch + BLOCK_CLOCKS) + partial / MEMORY_BYTES_A_CLOCK
        };
        let spans = (1..=patches.min(MOST_SPANS)).min_by_key(|&spans| clocks(spans)).unwrap_or(1);
        let patches_per_span = patches.div_ceil(spans);
        Split { columns, tiles: grid, spans: patches.div_ceil(patches_per_span), patches_per_span }
    }
}

/// How the images of a shape are cut into patches, and the tensors into boxes.
struct Plan<'a> {
    gpu: &'a Gpu,
    s: &'a Conv3x3Shape,
    /// Of a patch: 8, or 4 where the images are no larger.
    patch_side: u32,
}

impl<'a> Plan<'a> {
    fn of(gpu: &'a Gpu, s: &'a Conv3x3Shape) -> Result<Plan<'a>> {
        if !takes(s) {
            return Err(Error::Shape {
                op: OP,
                expected: "C and K that are multiples of 8, for the rung `wgmma`".into(),
                found: format!("C = {}, K = {}", s.c, s.k),
            });
        }
        Ok(Plan { gpu, s, patch_side: if s.h.max(s.w) <= 4 { 4 } else { 8 } })
    }

    /// Images of a patch.
    fn patch_images(&self) -> u32 {
        BOX_SIDE / (self.patch_side * self.patch_side)
    }

    /// Patches that the images are cut into.
    fn patches(&self) -> usize {
        let along = |extent: usize| extent.div_ceil(self.patch_side as usize);
        along(self.s.h) * along(self.s.w) * self.s.n.div_ceil(self.patch_images() as usize)
    }

    /// One block on each multiprocessor, or one a tile if those are fewer, for `channels` outputs.
    fn grid(&self, channels: usize) -> Grid {
        let pixel_tiles = tiles(self.patches() * BOX_SIDE as usize, TILE_PIXELS);
        let channel_tiles = if channels <= 64 { 1 } else { channels.div_ceil(128) };
        let multiprocessors = self.gpu.driver().info().multiprocessors as usize;
        Grid::linear((pixel_tiles * channel_tiles).min(multiprocessors), BLOCK_THREADS)
            .with_shared(SHARED_BYTES)
    }

    /// The map of images `[N,H,W,channels]`, a patch and 64 channels at a time.
    fn images(&self, buffer: &GpuBuffer, channels: usize) -> Result<TensorMap> {
        let extents = [channels, self.s.w, self.s.h, self.s.n];
        self.map(buffer, &extents, vec![BOX_SIDE, self.patch_side, self.patch_side, self.patch_images()])
    }

    /// The map of the filter `[K,9,C]`, 64 of K times 64 of C of one tap at a time.
    fn filter(&self, buffer: &GpuBuffer) -> Result<TensorMap> {
        self.map(buffer, &[self.s.c, 9, self.s.k], vec![BOX_SIDE, 1, BOX_SIDE])
    }

    fn map(&self, buffer: &GpuBuffer, extents: &[usize], moved: Vec<u32>) -> Result<TensorMap> {
        let extents: Vec<u64> = extents.iter().map(|&extent| extent as u64).collect();
        let copy = TensorCopy::Tiled(moved);
        let layout = TensorLayout::dense(TensorElement::Bf16, buffer.address(), &extents, copy);
        self.gpu.driver().tensor_map(&layout)
    }
}
