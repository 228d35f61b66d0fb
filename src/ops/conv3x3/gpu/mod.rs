//! 3x3 convolution on a GPU: a file for each rung of the ladder, and what they share.

pub mod mma;
mod naive;
mod tiled;
pub mod wgmma;

use super::ladder::Rung;
use super::{Conv3x3Shape, OP};
use crate::device::Gpu;
use crate::device::driver::{Grid, Ptr, PtrMut};
use crate::device::kernels::conv3x3::{
    bias_grad::Conv3x3BiasGrad,
    wgrad::{BLOCK_THREADS as SUM_THREADS, Conv3x3WgradSum},
};
use crate::error::Result;
use crate::ops::check::index32;
use crate::ops::columns::Columns;
use crate::ops::gradient::Gradient;
use crate::tensor::{Tensor, gpu_of};
use std::sync::Arc;

/// y = x * filter + bias
pub fn fprop(
    rung: Rung,
    s: &Conv3x3Shape,
    x: &Tensor,
    filter: &Tensor,
    bias: Option<&Tensor>,
    y: &mut Tensor,
) -> Result<()> {
    match rung {
        Rung::Naive => naive::fprop(s, x, filter, bias, y),
        Rung::Tiled => tiled::fprop(s, x, filter, bias, y),
        Rung::Mma => mma::fprop(s, x, filter, bias, y),
    }
}

/// dx, from dy and the filter
pub fn dgrad(rung: Rung, s: &Conv3x3Shape, dy: &Tensor, filter: &Tensor, dx: &mut Gradient) -> Result<()> {
    match rung {
        Rung::Naive => naive::dgrad(s, dy, filter, dx),
        Rung::Tiled => tiled::dgrad(s, dy, filter, dx),
        Rung::Mma => mma::dgrad(s, dy, filter, dx),
    }
}

/// dfilter, from x and dy
pub fn wgrad(rung: Rung, s: &Conv3x3Shape, x: &Tensor, dy: &Tensor, dfilter: &mut Gradient) -> Result<()> {
    match rung {
        Rung::Naive => naive::wgrad(s, x, dy, dfilter),
        Rung::Tiled => tiled::wgrad(s, x, dy, dfilter),
        Rung::Mma => mma::wgrad(s, x, dy, dfilter),
    }
}

/// A shape's extents as the kernels take them: the products that they index by fit 32 bits.
struct Extents {
    n: i32,
    h: i32,
    w: i32,
    c: i32,
    k: i32,
}

impl Extents {
    /// # Errors
    /// [`crate::Error::Shape`] when an index would not fit.
    fn checked(s: &Conv3x3Shape) -> Result<Extents> {
        index32(OP, s.pixels() * s.c.max(s.k))?;
        index32(OP, 9 * s.c * s.k)?;
        let extent = |count| index32(OP, count);
        Ok(Extents { n: extent(s.n)?, h: extent(s.h)?, w: extent(s.w)?, c: extent(s.c)?, k: extent(s.k)? })
    }
}

/// A tensor's address, null for none.
fn optional(tensor: Option<&Tensor>) -> Result<Ptr<f32>> {
    tensor.map_or(Ok(Ptr::new(0)), |tensor| Ok(tensor.gpu()?.ptr()))
}

/// Blocks that cover `count` in tiles of `tile`.
fn tiles(count: usize, tile: i32) -> usize {
    count.div_ceil(tile.unsigned_abs() as usize)
}

/// How wgrad's blocks share out its pixels.
struct Spans {
    count: usize,
    pixels: usize,
}

impl Spans {
    /// Enough spans to fill a GPU where the result has few tiles, none so short that its partial sum
    /// costs more than it saves, none so long that f32 accumulation loses digits; whole slabs of
    /// `slab` pixels. Constants of the shape alone: the sums must not depend on the machine.
    fn of(s: &Conv3x3Shape, tiles: usize, slab: i32) -> Spans {
        const FULL: usize = 512;
        const MIN_PIXELS: usize = 256;
        const MAX_PIXELS: usize = 8192;
        let to_fill = FULL.div_ceil(tiles.max(1));
        let pixels = s.pixels();
        let count = to_fill.min(pixels.div_ceil(MIN_PIXELS)).max(pixels.div_ceil(MAX_PIXELS)).max(1);
        let slab = slab.unsigned_abs() as usize;
        let pixels_per_span = pixels.div_ceil(count).next_multiple_of(slab).max(slab);
        Spans { count: pixels.div_ceil(pixels_per_span).max(1), pixels: pixels_per_span }
    }

    /// `launch(partial, pixels_per_span)` writes a filter gradient for each span; then their sum is
    /// put into `dfilter`. One span writes `dfilter` itself, unless that accumulates.
    fn sum(
        &self,
        s: &Conv3x3Shape,
        gpu: &Arc<Gpu>,
        dfilter: &mut Gradient,
        launch: impl FnOnce(PtrMut<f32>, i32) -> Result<()>,
    ) -> Result<()> {
        let count = 9 * s.c * s.k;
        index32(OP, self.count * count)?;
        let pixels_per_span = index32(OP, self.pixels)?;
        if self.count == 1 && dfilter.accumulate() == 0 {
            return launch(dfilter.ptr_mut()?, pixels_per_span);
        }
        let mut partial = gpu.alloc(self.count * count * size_of::<f32>())?;
        launch(partial.ptr_mut(), pixels_per_span)?;
        let sum = Conv3x3WgradSum {
            partial: partial.ptr(),
            dfilter: dfilter.ptr_mut()?,
            accumulate: dfilter.accumulate(),
            count: index32(OP, count)?,
            spans: index32(OP, self.count)?,
        };
        gpu.launch(&sum, Grid::linear(tiles(count, SUM_THREADS), SUM_THREADS))
    }
}

/// dbias, from dy: the same kernel sums each span's pixels, then the spans
pub fn bias_grad(s: &Conv3x3Shape, dy: &Tensor, dbias: &mut Gradient) -> Result<()> {
    let gpu = gpu_of(dy)?;
    let (pixels, k) = (s.pixels(), index32(OP, s.k)?);
    index32(OP, pixels * s.k)?;
    let reduce = Columns::reduce(pixels, s.k);
    let mut partial = gpu.alloc(reduce.spans * s.k * size_of::<f32>())?;
    gpu.launch(
        &Conv3x3BiasGrad {
            dy: dy.gpu()?.ptr(),
            dbias: partial.ptr_mut(),
            accumulate: 0,
            pixels: index32(OP, pixels)?,
            K: k,
            rows_per_block: reduce.rows_per_block,
        },
        reduce.grid,
    )?;
    let merge = Columns::merge(reduce.spans, s.k);
    gpu.launch(
        &Conv3x3BiasGrad {
            dy: partial.ptr(),
            dbias: dbias.ptr_mut()?,
            accumulate: dbias.accumulate(),
            pixels: index32(OP, reduce.spans)?,
            K: k,
            rows_per_block: merge.rows_per_block,
        },
        merge.grid,
    )
}
