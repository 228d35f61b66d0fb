//! The loss: log-softmax and negative log-likelihood, averaged over the batch.

pub mod cpu;
mod gpu;
pub mod spec;

use crate::device::{Device, Real};
use crate::error::{Error, Result};
use crate::ops::check::{Operands, expect_dtype, expect_shape, extents, with_real};
use crate::ops::gradient::Gradient;
use crate::ops::on_cpu::write;
use crate::tape::{Destination, Tape};
use crate::tensor::{DType, Tensor};

const OP: &str = "softmax_nll";

/// The extents of `logits [n,k]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftmaxNllShape {
    /// Rows: images.
    pub n: usize,
    /// Classes.
    pub k: usize,
}

impl SoftmaxNllShape {
    /// Checks scores `[N,K]` and the labels `[N]` of their rows. The labels' values are checked where
    /// the host can see them: on the CPU.
    pub(in crate::ops) fn checked(
        op: &'static str,
        name: &str,
        scores: &Tensor,
        labels: &Tensor,
    ) -> Result<SoftmaxNllShape> {
        Operands::wide_as(op, name, scores)?;
        let [n, k] = extents(op, &format!("{name} [N,K]"), scores)?;
        expect_dtype(op, "labels", labels, DType::I32, &scores.device())?;
        expect_shape(op, "labels [N] =", labels, &[n])?;
        if let Device::Cpu = labels.device() {
            let wrong = labels.cpu::<i32>()?.iter().enumerate().find(|(_, l)| !(0..k as i32).contains(l));
            if let Some((row, label)) = wrong {
                return Err(Error::Operand {
                    op,
                    expected: format!("labels in 0..{k}"),
                    found: format!("{label} at row {row}"),
                });
            }
        }
        Ok(SoftmaxNllShape { n, k })
    }
}

/// What the forward pass of the loss computes.
#[derive(Clone, Debug)]
pub struct SoftmaxNll {
    /// The logarithms of the classes' probabilities, `[N,K]`.
    pub log_probs: Tensor,
    /// The loss of each row, `[N]`.
    pub losses: Tensor,
    /// Their mean, `[1]`.
    pub loss: Tensor,
}

/// The loss of a batch: the mean over rows of `-sum_k target[n,k] log softmax(logits)[n,k]`, where
/// the target is the label's class, with `smoothing` (0 for none) spread evenly over all classes.
///
/// `logits [N,K]` and `labels [N]` (I32, in 0..K) give `loss [1]`, in nats.
///
/// # Gradient
/// `dlogits` by [`dgrad`].
///
/// # Errors
/// [`Error::Shape`] names both shapes; [`Error::Operand`] when types or devices differ, and on the
/// CPU when a label is out of range; [`Error::Config`] when the smoothing is not in 0..=1;
/// [`Error::Launch`] names the kernel.
///
/// Source: `kernels/softmax_nll/`.
pub fn softmax_nll(tape: &mut Tape, logits: &Tensor, labels: &Tensor, smoothing: f64) -> Result<Tensor> {
    let SoftmaxNll { log_probs, loss, .. } = fprop(logits, labels, smoothing)?;
    let (logits_saved, labels) = (logits.clone(), labels.clone());
    Ok(tape.record(&[logits], loss, move |dloss, gradients| {
        gradients.add(&logits_saved, |dlogits| dgrad(&log_probs, &labels, smoothing, dloss, dlogits))
    }))
}

/// [`softmax_nll`] without a tape, with all it computes on the way.
///
/// # Errors
/// As [`softmax_nll`].
pub fn fprop(logits: &Tensor, labels: &Tensor, smoothing: f64) -> Result<SoftmaxNll> {
    let s = SoftmaxNllShape::checked(OP, "logits", logits, labels)?;
    expect_fraction(smoothing)?;
    let mut log_probs = logits.empty_like(logits.shape())?;
    let mut losses = logits.empty_like(&[s.n])?;
    let mut loss = logits.empty_like(&[1])?;
    match logits.device() {
        Device::Cpu => with_real!(OP, logits.dtype(), T => {
            let (log_probs, losses) = (log_probs.cpu_mut()?, losses.cpu_mut()?);
            cpu::fprop::<T>(&s, logits.cpu()?, labels.cpu()?, T::from_f64(smoothing), log_probs, losses);
            cpu::mean::<T>(losses, loss.cpu_mut()?);
            Ok(())
        })?,
        Device::Gpu(_) => {
            gpu::fprop(&s, logits, labels, smoothing, &mut log_probs, &mut losses)?;
            gpu::mean(&losses, &mut loss)?
        }
    }
    Ok(SoftmaxNll { log_probs, losses, loss })
}

/// The gradient of [`softmax_nll`]'s logits, put into `dlogits [N,K]`, from the `log_probs [N,K]` that
/// [`fprop`] gave and the loss's gradient `dloss [1]`.
///
/// # Errors
/// As [`softmax_nll`].
pub fn dgrad(
    log_probs: &Tensor,
    labels: &Tensor,
    smoothing: f64,
    dloss: &Tensor,
    dlogits: Destination,
) -> Result<Tensor> {
    let s = SoftmaxNllShape::checked(OP, "log_probs", log_probs, labels)?;
    Operands::wide_as(OP, "log_probs", log_probs)?.wide("dloss", dloss)?;
    expect_shape(OP, "dloss", dloss, &[1])?;
    expect_fraction(smoothing)?;
    let mut dlogits = Gradient::new(OP, "dlogits [N,K] =", dlogits, log_probs, log_probs.shape())?;
    match log_probs.device() {
        Device::Cpu => with_real!(OP, log_probs.dtype(), T => {
            let (log_probs, labels, dloss) = (log_probs.cpu()?, labels.cpu()?, dloss.cpu()?);
            write([dlogits.target()], |[dlogits]| {
                cpu::dgrad::<T>(&s, log_probs, labels, T::from_f64(smoothing), dloss, dlogits)
            })
        })?,
        Device::Gpu(_) => gpu::dgrad(&s, log_probs, labels, smoothing, dloss, &mut dlogits)?,
    }
    Ok(dlogits.into_tensor())
}

fn expect_fraction(smoothing: f64) -> Result<()> {
    if (0.0..=1.0).contains(&smoothing) {
        return Ok(());
    }
    Err(Error::Config(format!("{OP}: the label smoothing is a fraction in 0..=1, not {smoothing}")))
}
