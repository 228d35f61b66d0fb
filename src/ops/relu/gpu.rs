//! ReLU on a GPU: one thread four elements.

use super::OP;
use crate::device::driver::Grid;
use crate::device::kernels::relu::{BLOCK_THREADS, ReluDgrad, ReluFprop, THREAD_ELEMENTS};
use crate::error::Result;
use crate::ops::check::index32;
use crate::ops::gradient::{Gradient};
use crate::tensor::{Tensor, gpu_of};

fn grid(count: usize) -> Grid {
    Grid::linear(count.div_ceil((BLOCK_THREADS * THREAD_ELEMENTS) as usize), BLOCK_THREADS)
}

/// y = max(x, 0)
pub fn fprop(x: &Tensor, y: &mut Tensor) -> Result<()> {
    let count = index32(OP, x.len())?;
    gpu_of(x)?.launch(&ReluFprop { x: x.gpu()?.ptr(), y: y.gpu_mut()?.ptr_mut(), count }, grid(x.len()))
}

/// dx = dy where y > 0, else 0
pub fn dgrad(y: &Tensor, dy: &Tensor, dx: &mut Gradient) -> Result<()> {
    let kernel = ReluDgrad {
        y: y.gpu()?.ptr(),
        dy: dy.gpu()?.ptr(),
        dx: dx.ptr_mut()?,
        accumulate: dx.accumulate(),
        count: index32(OP, y.len())?,
    };
    gpu_of(y)?.launch(&kernel, grid(y.len()))
}
