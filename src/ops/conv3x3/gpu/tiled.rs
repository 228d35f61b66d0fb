//! Rung 2: a tiled implicit GEMM in f32.

use super::{Extents, Spans, optional, tiles};
use crate::device::driver::Grid;
use crate::device::kernels::conv3x3::{
    dgrad::{self, Conv3x3Dgrad},
    fprop::{self, Conv3x3Fprop},
    wgrad::{self, Conv3x3Wgrad},
};
use crate::error::Result;
use crate::ops::gradient::Gradient;
use crate::ops::conv3x3::Conv3x3Shape;
use crate::tensor::{Tensor, gpu_of};

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
    let blocks = [tiles(s.pixels(), fprop::BLOCK_PIXELS), tiles(s.k, fprop::BLOCK_CHANNELS), 1];
    gpu.launch(
        &Conv3x3Fprop { x, filter, bias, y, N: n, H: h, W: w, C: c, K: k },
        Grid::new(blocks, fprop::BLOCK_THREADS),
    )
}

/// dx, from dy and the filter
pub fn dgrad(s: &Conv3x3Shape, dy: &Tensor, filter: &Tensor, dx: &mut Gradient) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let gpu = gpu_of(dy)?;
    let (dy, filter) = (dy.gpu()?.ptr(), filter.gpu()?.ptr());
    let (dx, accumulate) = (dx.ptr_mut()?, dx.accumulate());
    let blocks = [tiles(s.pixels(), dgrad::BLOCK_PIXELS), tiles(s.c, dgrad::BLOCK_CHANNELS), 1];
    gpu.launch(
        &Conv3x3Dgrad { dy, filter, dx, accumulate, N: n, H: h, W: w, C: c, K: k },
        Grid::new(blocks, dgrad::BLOCK_THREADS),
    )
}

/// dfilter, from x and dy
pub fn wgrad(s: &Conv3x3Shape, x: &Tensor, dy: &Tensor, dfilter: &mut Gradient) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let gpu = gpu_of(x)?;
    let (x, dy) = (x.gpu()?.ptr(), dy.gpu()?.ptr());
    let [rows, columns] = [tiles(s.k, wgrad::BLOCK_CHANNELS), tiles(9 * s.c, wgrad::BLOCK_COLUMNS)];
    let spans = Spans::of(s, rows * columns, wgrad::SLAB_PIXELS);
    spans.sum(s, gpu, dfilter, |partial, pixels_per_span| {
        let kernel = Conv3x3Wgrad { x, dy, partial, N: n, H: h, W: w, C: c, K: k, pixels_per_span };
        gpu.launch(&kernel, Grid::new([rows, columns, spans.count], wgrad::BLOCK_THREADS))
    })
}
