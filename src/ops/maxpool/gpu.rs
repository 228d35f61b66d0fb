//! Max pooling on a GPU: one thread a window.

use super::{MaxPoolShape, OP};
use crate::device::driver::Grid;
use crate::device::kernels::maxpool::{BLOCK_THREADS, MaxpoolDgrad, MaxpoolFprop};
use crate::error::Result;
use crate::ops::check::index32;
use crate::ops::gradient::{Gradient};
use crate::tensor::{Tensor, gpu_of};

/// The extents that the kernels take: W, C and the window.
fn extents(s: &MaxPoolShape) -> Result<(i32, i32, i32)> {
    index32(OP, s.n * s.h * s.w * s.c)?;
    Ok((index32(OP, s.w)?, index32(OP, s.c)?, index32(OP, s.window)?))
}

/// A block for each piece of each output row.
fn grid(s: &MaxPoolShape) -> Grid {
    let (rows, row) = (s.n * (s.h / s.window), s.w / s.window * s.c);
    Grid::new([rows, row.div_ceil(BLOCK_THREADS as usize), 1], BLOCK_THREADS)
}

/// y = the maximum of each window, argmax = where in the window it is
pub fn fprop(s: &MaxPoolShape, x: &Tensor, y: &mut Tensor, argmax: &mut Tensor) -> Result<()> {
    let (w, c, window) = extents(s)?;
    let kernel = MaxpoolFprop {
        x: x.gpu()?.ptr(),
        y: y.gpu_mut()?.ptr_mut(),
        argmax: argmax.gpu_mut()?.ptr_mut(),
        W: w,
        C: c,
        window,
    };
    gpu_of(x)?.launch(&kernel, grid(s))
}

/// dx = dy at each window's maximum, else 0
pub fn dgrad(s: &MaxPoolShape, dy: &Tensor, argmax: &Tensor, dx: &mut Gradient) -> Result<()> {
    let (w, c, window) = extents(s)?;
    let kernel = MaxpoolDgrad {
        dy: dy.gpu()?.ptr(),
        argmax: argmax.gpu()?.ptr(),
        dx: dx.ptr_mut()?,
        accumulate: dx.accumulate(),
        W: w,
        C: c,
        window,
    };
    gpu_of(dy)?.launch(&kernel, grid(s))
}
