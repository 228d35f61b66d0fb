//! Log-softmax and negative log-likelihood on the CPU, computed in f64 for both element types.

use super::SoftmaxNllShape;
use crate::device::Real;

/// `log_probs[n,k] = logits[n,k] - log sum_j exp(logits[n,j])`
/// `losses[n] = -sum_k target[n,k] log_probs[n,k], target = (1 - smoothing) onehot(label) + smoothing / K`
///
/// Every label is in 0..K.
pub fn fprop<T: Real>(
    s: &SoftmaxNllShape,
    logits: &[T],
    labels: &[i32],
    smoothing: T,
    log_probs: &mut [T],
    losses: &mut [T],
) {
    let smoothing = smoothing.to_f64();
    let rows = logits.chunks_exact(s.k).zip(log_probs.chunks_exact_mut(s.k)).zip(labels).zip(losses);
    for (((logits, log_probs), &label), loss) in rows {
        // Taking the largest logit off first keeps exp from overflowing.
        let max = logits.iter().fold(f64::NEG_INFINITY, |max, &z| max.max(z.to_f64()));
        let sum: f64 = logits.iter().map(|&z| (z.to_f64() - max).exp()).sum();
        let log_prob = |z: T| z.to_f64() - max - sum.ln();
        for (log_prob_out, &z) in log_probs.iter_mut().zip(logits) {
            *log_prob_out = T::from_f64(log_prob(z));
        }
        let mut value = -(1.0 - smoothing) * log_prob(logits[label as usize]);
        // Apart, because 0 * -inf is NaN: an impossible other class costs nothing unless smoothed.
        if smoothing > 0.0 {
            value -= smoothing / s.k as f64 * logits.iter().map(|&z| log_prob(z)).sum::<f64>();
        }
        *loss = T::from_f64(value);
    }
}

/// `loss[0] = sum_n losses[n] / N`
pub fn mean<T: Real>(losses: &[T], loss: &mut [T]) {
    let sum: f64 = losses.iter().map(|&l| l.to_f64()).sum();
    loss[0] = T::from_f64(sum / losses.len() as f64);
}

/// `dlogits[n,k] = dloss[0] / N (exp(log_probs[n,k]) - target[n,k])`
pub fn dgrad<T: Real>(
    s: &SoftmaxNllShape,
    log_probs: &[T],
    labels: &[i32],
    smoothing: T,
    dloss: &[T],
    dlogits: &mut [T],
) {
    let smoothing = smoothing.to_f64();
    let scale = dloss[0].to_f64() / s.n as f64;
    let rows = log_probs.chunks_exact(s.k).zip(dlogits.chunks_exact_mut(s.k)).zip(labels);
    for ((log_probs, dlogits), &label) in rows {
        for (k, (d, &log_prob)) in dlogits.iter_mut().zip(log_probs).enumerate() {
            let hit = if k == label as usize { 1.0 - smoothing } else { 0.0 };
            let target = hit + smoothing / s.k as f64;
            *d = T::from_f64(scale * (log_prob.to_f64().exp() - target));
        }
    }
}
