//! Metrics on a GPU: one block counts all rows.

use super::OP;
use crate::device::driver::Grid;
use crate::device::kernels::metrics::{BLOCK_THREADS, MetricsCorrect};
use crate::error::Result;
use crate::ops::check::index32;
use crate::ops::softmax_nll::SoftmaxNllShape;
use crate::tensor::{Tensor, gpu_of};

/// count = the rows whose largest logit is at their label
pub fn correct(s: &SoftmaxNllShape, logits: &Tensor, labels: &Tensor, count: &mut Tensor) -> Result<()> {
    index32(OP, s.n * s.k)?;
    let kernel = MetricsCorrect {
        logits: logits.gpu()?.ptr(),
        labels: labels.gpu()?.ptr(),
        count: count.gpu_mut()?.ptr_mut(),
        N: index32(OP, s.n)?,
        K: index32(OP, s.k)?,
    };
    gpu_of(logits)?.launch(&kernel, Grid::linear(1, BLOCK_THREADS))
}
