//! 3x3 convolution on a GPU: rung 2 of the ladder, a tiled implicit GEMM.

use super::{Conv3x3Shape, OP};
use crate::device::driver::{Grid, Ptr};
use crate::device::kernels::conv3x3::{
    bias_grad::Conv3x3BiasGrad,
    dgrad::{self, Conv3x3Dgrad},
    fprop::{self, Conv3x3Fprop},
    wgrad::{self, Conv3x3Wgrad, Conv3x3WgradSum},
};
use crate::error::Result;
use crate::ops::{columns::Columns, index32};
use crate::tensor::{Tensor, gpu_of};

/// A shape's extents as the kernels take them: the products that they index by fit 32 bits.
pub(super) struct Extents {
    pub n: i32,
    pub h: i32,
    pub w: i32,
    pub c: i32,
    pub k: i32,
}

impl Extents {
    /// # Errors
    /// [`crate::Error::Shape`] when an index would not fit.
    pub(super) fn checked(s: &Conv3x3Shape) -> Result<Extents> {
        index32(OP, pixels(s) * s.c.max(s.k))?;
        index32(OP, 9 * s.c * s.k)?;
        let extent = |count| index32(OP, count);
        Ok(Extents { n: extent(s.n)?, h: extent(s.h)?, w: extent(s.w)?, c: extent(s.c)?, k: extent(s.k)? })
    }
}

fn pixels(s: &Conv3x3Shape) -> usize {
    s.n * s.h * s.w
}

/// Blocks that cover `count` in tiles of `tile`.
fn tiles(count: usize, tile: i32) -> usize {
    count.div_ceil(tile.unsigned_abs() as usize)
}

/// y = x * filter + bias
pub fn fprop(
    s: &Conv3x3Shape,
    x: &Tensor,
    filter: &Tensor,
    bias: Option<&Tensor>,
    y: &mut Tensor,
) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let bias = match bias {
        Some(bias) => bias.gpu()?.ptr(),
        None => Ptr::new(0),
    };
    let (x_ptr, filter, y) = (x.gpu()?.ptr(), filter.gpu()?.ptr(), y.gpu_mut()?.ptr_mut());
    let blocks = [tiles(pixels(s), fprop::BLOCK_PIXELS), tiles(s.k, fprop::BLOCK_CHANNELS), 1];
    gpu_of(x)?.launch(
        &Conv3x3Fprop { x: x_ptr, filter, bias, y, N: n, H: h, W: w, C: c, K: k },
        Grid::new(blocks, fprop::BLOCK_THREADS),
    )
}

/// dx, from dy and the filter
pub fn dgrad(s: &Conv3x3Shape, dy: &Tensor, filter: &Tensor, dx: &mut Tensor) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let (dy_ptr, filter, dx) = (dy.gpu()?.ptr(), filter.gpu()?.ptr(), dx.gpu_mut()?.ptr_mut());
    let blocks = [tiles(pixels(s), dgrad::BLOCK_PIXELS), tiles(s.c, dgrad::BLOCK_CHANNELS), 1];
    gpu_of(dy)?.launch(
        &Conv3x3Dgrad { dy: dy_ptr, filter, dx, N: n, H: h, W: w, C: c, K: k },
        Grid::new(blocks, dgrad::BLOCK_THREADS),
    )
}

/// dfilter, from x and dy: a sum for each span of pixels, then the sum of these
pub fn wgrad(s: &Conv3x3Shape, x: &Tensor, dy: &Tensor, dfilter: &mut Tensor) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let gpu = gpu_of(x)?;
    let spans = Spans::of(s);
    let count = 9 * s.c * s.k;
    index32(OP, spans.count * count)?;

    let mut buffer = match spans.count {
        1 => None,
        several => Some(gpu.alloc(several * count * size_of::<f32>())?),
    };
    let partial = match &mut buffer {
        None => dfilter.gpu_mut()?.ptr_mut(),
        Some(buffer) => buffer.ptr_mut(),
    };
    let (x, dy) = (x.gpu()?.ptr(), dy.gpu()?.ptr());
    let pixels_per_span = index32(OP, spans.pixels)?;
    let kernel = Conv3x3Wgrad { x, dy, partial, N: n, H: h, W: w, C: c, K: k, pixels_per_span };
    let [rows, columns] = wgrad_tiles(s);
    gpu.launch(&kernel, Grid::new([rows, columns, spans.count], wgrad::BLOCK_THREADS))?;

    let Some(partial) = buffer else { return Ok(()) };
    let sum = Conv3x3WgradSum {
        partial: partial.ptr(),
        dfilter: dfilter.gpu_mut()?.ptr_mut(),
        count: index32(OP, count)?,
        spans: index32(OP, spans.count)?,
    };
    gpu.launch(&sum, Grid::linear(tiles(count, wgrad::BLOCK_THREADS), wgrad::BLOCK_THREADS))
}

/// The tiles of `[K, 9C]` that wgrad's blocks own.
fn wgrad_tiles(s: &Conv3x3Shape) -> [usize; 2] {
    [tiles(s.k, wgrad::BLOCK_CHANNELS), tiles(9 * s.c, wgrad::BLOCK_COLUMNS)]
}

/// How wgrad shares out its pixels.
struct Spans {
    count: usize,
    pixels: usize,
}

impl Spans {
    /// Enough spans to fill a GPU where the result has few tiles, none so short that its partial sum
    /// costs more than it saves, none so long that f32 accumulation loses digits. Constants of the
    /// shape alone: the sums must not depend on the machine.
    fn of(s: &Conv3x3Shape) -> Spans {
        const FULL: usize = 512;
        const MIN_PIXELS: usize = 256;
        const MAX_PIXELS: usize = 8192;
        let [rows, columns] = wgrad_tiles(s);
        let to_fill = FULL.div_ceil((rows * columns).max(1));
        let count = to_fill.min(pixels(s).div_ceil(MIN_PIXELS)).max(pixels(s).div_ceil(MAX_PIXELS)).max(1);
        let slab = wgrad::SLAB_PIXELS as usize;
        let pixels_per_span = pixels(s).div_ceil(count).next_multiple_of(slab).max(slab);
        Spans { count: pixels(s).div_ceil(pixels_per_span).max(1), pixels: pixels_per_span }
    }
}

/// dbias, from dy: the same kernel sums each span's pixels, then the spans
pub fn bias_grad(s: &Conv3x3Shape, dy: &Tensor, dbias: &mut Tensor) -> Result<()> {
    let gpu = gpu_of(dy)?;
    let (pixels, k) = (pixels(s), index32(OP, s.k)?);
    index32(OP, pixels * s.k)?;
    let reduce = Columns::reduce(pixels, s.k);
    let mut partial = gpu.alloc(reduce.spans * s.k * size_of::<f32>())?;
    gpu.launch(
        &Conv3x3BiasGrad {
            dy: dy.gpu()?.ptr(),
            dbias: partial.ptr_mut(),
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
            dbias: dbias.gpu_mut()?.ptr_mut(),
            pixels: index32(OP, reduce.spans)?,
            K: k,
            rows_per_block: merge.rows_per_block,
        },
        merge.grid,
    )
}
