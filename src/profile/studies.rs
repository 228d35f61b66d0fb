//! The table of studies: for each kernel, what launches it, and at which extents by default.

use crate::device::kernels::Entry;
use crate::error::{Error, Result};
use crate::ops::conv3x3::ladder::Rung;

/// How a kernel is brought to run.
#[derive(Debug)]
pub struct Study {
    /// The kernel.
    pub kernel: &'static str,
    /// What launches it.
    pub work: Work,
    /// Extents and attributes that show it well and take the simulator a moment.
    pub shape: &'static str,
}

/// What launches a kernel.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// The row of the registry with this name.
    Operation(&'static str),
    /// Another rung of the convolution's ladder, on the operands of that row.
    Rung(&'static str, Rung),
}

impl Work {
    /// The row of the registry whose operands it takes.
    pub fn operation(self) -> &'static str {
        match self {
            Work::Operation(name) | Work::Rung(name, _) => name,
        }
    }
}

/// The study of a kernel.
///
/// # Errors
/// [`Error::Config`] when the table has none.
pub(super) fn of(entry: &Entry) -> Result<&'static Study> {
    STUDIES.iter().find(|study| study.kernel == entry.name).ok_or_else(|| {
        Error::Config(format!(
            "{} has no row in src/profile/studies.rs, which says how to run it",
            entry.name
        ))
    })
}

const CONV: &str = "n=2,h=8,w=8,c=16,k=32";
/// Enough pixels that their sum is made in parts.
const LONG_CONV: &str = "n=2,h=16,w=16,c=16,k=32";
const NHWC: &str = "n=4,h=8,w=8,c=64";
const NHWC_RELU: &str = "n=4,h=8,w=8,c=64,relu=1";
const HEAD: &str = "n=32,c=64,k=10";
const LOGITS: &str = "n=64,k=10";

/// One row for each kernel.
pub static STUDIES: &[Study] = &[
    study("augment_apply", "augment_apply", "n=4,t=8"),
    study("batchnorm_apply", "batchnorm_fprop", NHWC_RELU),
    study("batchnorm_gradient_sums", "batchnorm_dgrad", NHWC_RELU),
    study("batchnorm_gradient_total", "batchnorm_dgrad", NHWC_RELU),
    study("batchnorm_dgrad", "batchnorm_dgrad", NHWC_RELU),
    study("batchnorm_moments", "batchnorm_fprop", NHWC_RELU),
    study("batchnorm_statistics", "batchnorm_fprop", NHWC_RELU),
    study("batchnorm_update_running", "batchnorm_update_running", "c=64,rows=256"),
    study("conv3x3_fprop", "conv3x3_fprop", CONV),
    study("conv3x3_dgrad", "conv3x3_dgrad", CONV),
    study("conv3x3_wgrad", "conv3x3_wgrad", LONG_CONV),
    study("conv3x3_wgrad_sum", "conv3x3_wgrad", LONG_CONV),
    study("conv3x3_bias_grad", "conv3x3_bias_grad", CONV),
    rung("conv3x3_fprop_naive", "conv3x3_fprop", Rung::Naive),
    rung("conv3x3_dgrad_naive", "conv3x3_dgrad", Rung::Naive),
    rung("conv3x3_wgrad_naive", "conv3x3_wgrad", Rung::Naive),
    rung("conv3x3_fprop_mma", "conv3x3_fprop", Rung::Mma),
    rung("conv3x3_dgrad_mma", "conv3x3_dgrad", Rung::Mma),
    rung("conv3x3_wgrad_mma", "conv3x3_wgrad", Rung::Mma),
    study("linear_fprop", "linear_fprop", HEAD),
    study("linear_dgrad", "linear_dgrad", HEAD),
    study("linear_wgrad", "linear_wgrad", HEAD),
    study("linear_bias_grad", "linear_bias_grad", HEAD),
    study("maxpool_fprop", "maxpool_fprop", "n=2,h=8,w=8,c=64,window=2"),
    study("maxpool_dgrad", "maxpool_dgrad", "n=2,h=8,w=8,c=64,window=2"),
    study("metrics_correct", "metrics_correct", LOGITS),
    study("relu_fprop", "relu_fprop", NHWC),
    study("relu_dgrad", "relu_dgrad", NHWC),
    study("residual_add_fprop", "residual_add_fprop", NHWC),
    study("sgd_step", "sgd_step", "n=16384"),
    study("softmax_nll_fprop", "softmax_nll_fprop", LOGITS),
    study("softmax_nll_mean", "softmax_nll_fprop", LOGITS),
    study("softmax_nll_dgrad", "softmax_nll_dgrad", LOGITS),
];

const fn study(kernel: &'static str, operation: &'static str, shape: &'static str) -> Study {
    Study { kernel, work: Work::Operation(operation), shape }
}

const fn rung(kernel: &'static str, operation: &'static str, rung: Rung) -> Study {
    Study { kernel, work: Work::Rung(operation, rung), shape: CONV }
}
