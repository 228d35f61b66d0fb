//! Residual addition on a GPU: one thread four elements.

use super::OP;
use crate::device::driver::Grid;
use crate::device::kernels::residual_add::{BLOCK_THREADS, ResidualAddFprop, THREAD_ELEMENTS};
use crate::error::Result;
use crate::ops::check::index32;
use crate::tensor::{Tensor, gpu_of};

/// y = a + b
pub fn fprop(a: &Tensor, b: &Tensor, y: &mut Tensor) -> Result<()> {
    let count = index32(OP, a.len())?;
    gpu_of(a)?.launch(
        &ResidualAddFprop { a: a.gpu()?.ptr(), b: b.gpu()?.ptr(), y: y.gpu_mut()?.ptr_mut(), count },
        Grid::linear(a.len().div_ceil((BLOCK_THREADS * THREAD_ELEMENTS) as usize), BLOCK_THREADS),
    )
}
