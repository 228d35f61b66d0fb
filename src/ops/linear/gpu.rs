//! The linear layer on a GPU: a warp an output, a thread an input gradient, a block 32 weight gradients.

use super::{LinearShape, OP};
use crate::device::driver::Grid;
use crate::device::kernels::linear::{
    BLOCK_THREADS, COLUMNS, LinearBiasGrad, LinearDgrad, LinearFprop, LinearWgrad, WARPS,
};
use crate::error::Result;
use crate::ops::check::index32;
use crate::ops::gradient::{Gradient};
use crate::tensor::{Tensor, gpu_of};

/// N, C and K, whose products the kernels index by.
fn extents(s: &LinearShape) -> Result<(i32, i32, i32)> {
    for count in [s.n * s.c, s.k * s.c, s.n * s.k] {
        index32(OP, count)?;
    }
    Ok((index32(OP, s.n)?, index32(OP, s.c)?, index32(OP, s.k)?))
}

/// y = x weightᵀ + bias
pub fn fprop(s: &LinearShape, x: &Tensor, weight: &Tensor, bias: &Tensor, y: &mut Tensor) -> Result<()> {
    let (n, c, k) = extents(s)?;
    let kernel = LinearFprop {
        x: x.gpu()?.ptr(),
        weight: weight.gpu()?.ptr(),
        bias: bias.gpu()?.ptr(),
        y: y.gpu_mut()?.ptr_mut(),
        N: n,
        C: c,
        K: k,
    };
    gpu_of(x)?.launch(&kernel, Grid::linear((s.n * s.k).div_ceil(WARPS as usize), BLOCK_THREADS))
}

/// dx = dy weight
pub fn dgrad(s: &LinearShape, dy: &Tensor, weight: &Tensor, dx: &mut Gradient) -> Result<()> {
    let (n, c, k) = extents(s)?;
    let kernel = LinearDgrad {
        dy: dy.gpu()?.ptr(),
        weight: weight.gpu()?.ptr(),
        dx: dx.ptr_mut()?,
        accumulate: dx.accumulate(),
        N: n,
        C: c,
        K: k,
    };
    gpu_of(dy)?.launch(&kernel, Grid::linear((s.n * s.c).div_ceil(BLOCK_THREADS as usize), BLOCK_THREADS))
}

/// dweight = dyᵀ x
pub fn wgrad(s: &LinearShape, x: &Tensor, dy: &Tensor, dweight: &mut Gradient) -> Result<()> {
    let (n, c, k) = extents(s)?;
    let kernel = LinearWgrad {
        x: x.gpu()?.ptr(),
        dy: dy.gpu()?.ptr(),
        dweight: dweight.ptr_mut()?,
        accumulate: dweight.accumulate(),
        N: n,
        C: c,
        K: k,
    };
    gpu_of(x)?.launch(&kernel, Grid::new([s.c.div_ceil(COLUMNS as usize), s.k, 1], BLOCK_THREADS))
}

/// dbias = the sum of dy over the batch
pub fn bias_grad(s: &LinearShape, dy: &Tensor, dbias: &mut Gradient) -> Result<()> {
    let (n, _, k) = extents(s)?;
    let kernel = LinearBiasGrad {
        dy: dy.gpu()?.ptr(),
        dbias: dbias.ptr_mut()?,
        accumulate: dbias.accumulate(),
        N: n,
        K: k,
    };
    gpu_of(dy)?.launch(&kernel, Grid::linear(s.k.div_ceil(COLUMNS as usize), BLOCK_THREADS))
}
