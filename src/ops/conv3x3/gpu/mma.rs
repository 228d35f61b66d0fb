//! Rung 3: the implicit GEMM on tensor cores, factors rounded to tf32.

use super::{Extents, Spans, optional, tiles};
use crate::device::driver::Grid;
use crate::device::kernels::conv3x3::ladder::mma::{
    BLOCK_COLUMNS, BLOCK_ROWS, BLOCK_THREADS, Conv3x3DgradMma, Conv3x3FpropMma, Conv3x3WgradMma, SLAB_PIXELS,
};
use crate::error::Result;
use crate::ops::gradient::Gradient;
use crate::ops::conv3x3::Conv3x3Shape;
use crate::tensor::{Tensor, gpu_of};

/// Whether the rung takes a shape: its copies are of 16 bytes.
pub fn takes(s: &Conv3x3Shape) -> bool {
    s.c.is_multiple_of(4) && s.k.is_multiple_of(4)
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
    let (bias, gpu) = (optional(bias)?, gpu_of(x)?);
    let (x, filter, y) = (x.gpu()?.ptr(), filter.gpu()?.ptr(), y.gpu_mut()?.ptr_mut());
    let blocks = [tiles(s.pixels(), BLOCK_ROWS), tiles(s.k, BLOCK_COLUMNS), 1];
    gpu.launch(
        &Conv3x3FpropMma { x, filter, bias, y, N: n, H: h, W: w, C: c, K: k },
        Grid::new(blocks, BLOCK_THREADS),
    )
}

/// dx, from dy and the filter
pub fn dgrad(s: &Conv3x3Shape, dy: &Tensor, filter: &Tensor, dx: &mut Gradient) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let gpu = gpu_of(dy)?;
    let (dy, filter) = (dy.gpu()?.ptr(), filter.gpu()?.ptr());
    let (dx, accumulate) = (dx.ptr_mut()?, dx.accumulate());
    let blocks = [tiles(s.pixels(), BLOCK_ROWS), tiles(s.c, BLOCK_COLUMNS), 1];
    gpu.launch(
        &Conv3x3DgradMma { dy, filter, dx, accumulate, N: n, H: h, W: w, C: c, K: k },
        Grid::new(blocks, BLOCK_THREADS),
    )
}

/// dfilter, from x and dy
pub fn wgrad(s: &Conv3x3Shape, x: &Tensor, dy: &Tensor, dfilter: &mut Gradient) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let gpu = gpu_of(x)?;
    let (x, dy) = (x.gpu()?.ptr(), dy.gpu()?.ptr());
    let [rows, columns] = [tiles(s.k, BLOCK_ROWS), tiles(9 * s.c, BLOCK_COLUMNS)];
    let spans = Spans::of(s, rows * columns, SLAB_PIXELS);
    spans.sum(s, gpu, dfilter, |partial, pixels_per_span| {
        let kernel = Conv3x3WgradMma { x, dy, partial, N: n, H: h, W: w, C: c, K: k, pixels_per_span };
        gpu.launch(&kernel, Grid::new([rows, columns, spans.count], BLOCK_THREADS))
    })
}
