//! Metrics on the CPU.

use crate::device::Real;
use crate::ops::softmax_nll::SoftmaxNllShape;

/// `count[0]` = the number of rows whose largest logit, the first of equals, is the label's; a NaN is
/// larger than any number.
pub fn correct<T: Real>(s: &SoftmaxNllShape, logits: &[T], labels: &[i32], count: &mut [i32]) {
    let rows = logits.chunks_exact(s.k).zip(labels);
    count[0] = rows.filter(|(logits, label)| argmax(logits) as i32 == **label).count() as i32;
}

fn argmax<T: Real>(logits: &[T]) -> usize {
    let mut best = 0;
    for (k, &z) in logits.iter().enumerate() {
        // The first NaN is taken, and not given up.
        if (z > logits[best] || z.is_nan()) && !logits[best].is_nan() {
            best = k;
        }
    }
    best
}
