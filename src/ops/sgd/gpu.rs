//! Stochastic gradient descent on a GPU: one thread an element.

use super::{OP, Sgd};
use crate::device::driver::Grid;
use crate::device::kernels::sgd::{BLOCK_THREADS, SgdStep};
use crate::error::Result;
use crate::ops::check::index32;
use crate::tensor::{Tensor, gpu_of};

/// One step: velocity and param move
pub fn step(h: &Sgd, lr: &Tensor, grad: &Tensor, param: &mut Tensor, velocity: &mut Tensor) -> Result<()> {
    let kernel = SgdStep {
        lr: lr.gpu()?.ptr(),
        grad: grad.gpu()?.ptr(),
        param: param.gpu_mut()?.ptr_mut(),
        velocity: velocity.gpu_mut()?.ptr_mut(),
        momentum: h.momentum as f32,
        weight_decay: h.weight_decay as f32,
        l1: h.l1 as f32,
        nesterov: h.nesterov.into(),
        count: index32(OP, grad.len())?,
    };
    gpu_of(grad)?.launch(&kernel, Grid::linear(grad.len().div_ceil(BLOCK_THREADS as usize), BLOCK_THREADS))
}
