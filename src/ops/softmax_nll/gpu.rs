//! Log-softmax and negative log-likelihood on a GPU: one warp a row.

use super::{OP, SoftmaxNllShape};
use crate::device::driver::Grid;
use crate::device::kernels::softmax_nll::{
    BLOCK_THREADS, ROWS, SoftmaxNllDgrad, SoftmaxNllFprop, SoftmaxNllMean,
};
use crate::error::Result;
use crate::ops::check::index32;
use crate::ops::gradient::{Gradient};
use crate::tensor::{Tensor, gpu_of};

/// N and K, whose product the kernels index by.
fn extents(s: &SoftmaxNllShape) -> Result<(i32, i32)> {
    index32(OP, s.n * s.k)?;
    Ok((index32(OP, s.n)?, index32(OP, s.k)?))
}

/// The log-probabilities, and each row's loss
pub fn fprop(
    s: &SoftmaxNllShape,
    logits: &Tensor,
    labels: &Tensor,
    smoothing: f64,
    log_probs: &mut Tensor,
    losses: &mut Tensor,
) -> Result<()> {
    let (n, k) = extents(s)?;
    let kernel = SoftmaxNllFprop {
        logits: logits.gpu()?.ptr(),
        labels: labels.gpu()?.ptr(),
        smoothing: smoothing as f32,
        log_probs: log_probs.gpu_mut()?.ptr_mut(),
        losses: losses.gpu_mut()?.ptr_mut(),
        N: n,
        K: k,
    };
    gpu_of(logits)?.launch(&kernel, Grid::linear(s.n.div_ceil(ROWS as usize), BLOCK_THREADS))
}

/// loss = the mean of the rows' losses
pub fn mean(losses: &Tensor, loss: &mut Tensor) -> Result<()> {
    let kernel = SoftmaxNllMean {
        losses: losses.gpu()?.ptr(),
        loss: loss.gpu_mut()?.ptr_mut(),
        N: index32(OP, losses.len())?,
    };
    gpu_of(losses)?.launch(&kernel, Grid::linear(1, BLOCK_THREADS))
}

/// dlogits = dloss / N * (probabilities - target)
pub fn dgrad(
    s: &SoftmaxNllShape,
    log_probs: &Tensor,
    labels: &Tensor,
    smoothing: f64,
    dloss: &Tensor,
    dlogits: &mut Gradient,
) -> Result<()> {
    let (n, k) = extents(s)?;
    let kernel = SoftmaxNllDgrad {
        log_probs: log_probs.gpu()?.ptr(),
        labels: labels.gpu()?.ptr(),
        smoothing: smoothing as f32,
        dloss: dloss.gpu()?.ptr(),
        dlogits: dlogits.ptr_mut()?,
        accumulate: dlogits.accumulate(),
        N: n,
        K: k,
    };
    let blocks = (s.n * s.k).div_ceil(BLOCK_THREADS as usize);
    gpu_of(log_probs)?.launch(&kernel, Grid::linear(blocks, BLOCK_THREADS))
}
