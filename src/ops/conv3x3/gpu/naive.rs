//! Rung 1: a thread an output, everything from global memory.

use super::{Extents, optional, tiles};
use crate::device::driver::Grid;
use crate::device::kernels::conv3x3::ladder::naive::{
    BLOCK_THREADS, Conv3x3DgradNaive, Conv3x3FpropNaive, Conv3x3WgradNaive,
};
use crate::error::Result;
use crate::ops::gradient::Gradient;
use crate::ops::conv3x3::Conv3x3Shape;
use crate::tensor::{Tensor, gpu_of};

/// One thread for each of `count` outputs.
fn grid(count: usize) -> Grid {
    Grid::linear(tiles(count, BLOCK_THREADS), BLOCK_THREADS)
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
    let (bias, gpu, grid) = (optional(bias)?, gpu_of(x)?, grid(y.len()));
    let (x, filter, y) = (x.gpu()?.ptr(), filter.gpu()?.ptr(), y.gpu_mut()?.ptr_mut());
    gpu.launch(&Conv3x3FpropNaive { x, filter, bias, y, N: n, H: h, W: w, C: c, K: k }, grid)
}

/// dx, from dy and the filter
pub fn dgrad(s: &Conv3x3Shape, dy: &Tensor, filter: &Tensor, dx: &mut Gradient) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let (gpu, grid) = (gpu_of(dy)?, grid(s.pixels() * s.c));
    let (dy, filter) = (dy.gpu()?.ptr(), filter.gpu()?.ptr());
    let (dx, accumulate) = (dx.ptr_mut()?, dx.accumulate());
    gpu.launch(&Conv3x3DgradNaive { dy, filter, dx, accumulate, N: n, H: h, W: w, C: c, K: k }, grid)
}

/// dfilter, from x and dy
pub fn wgrad(s: &Conv3x3Shape, x: &Tensor, dy: &Tensor, dfilter: &mut Gradient) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let (gpu, grid) = (gpu_of(x)?, grid(9 * s.c * s.k));
    let (x, dy) = (x.gpu()?.ptr(), dy.gpu()?.ptr());
    let (dfilter, accumulate) = (dfilter.ptr_mut()?, dfilter.accumulate());
    gpu.launch(&Conv3x3WgradNaive { x, dy, dfilter, accumulate, N: n, H: h, W: w, C: c, K: k }, grid)
}
