//! Comparison of tensors.

/// ‖got - want‖ / ‖want‖, or ‖got‖ if `want` is zero.
pub fn relative_error(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len(), "tensors of one length");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let error = norm(&mut got.iter().zip(want).map(|(g, w)| g - w));
    let scale = norm(&mut want.iter().copied());
    if scale > 0.0 { error / scale } else { error }
}

/// Panics unless the relative error is below `tolerance`, naming the worst element.
pub fn assert_close(what: &str, got: &[f64], want: &[f64], shape: &[usize], tolerance: f64) {
    let error = relative_error(got, want);
    // A NaN error fails, too.
    if error < tolerance {
        return;
    }
    let distance = |i: &usize| {
        let d = (got[*i] - want[*i]).abs();
        if d.is_nan() { f64::INFINITY } else { d }
    };
    let worst = (0..got.len()).max_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0);
    panic!(
        "{what}: relative error {error:e}, not below {tolerance:e}; worst at {:?}: {} instead of {}",
        coordinate(worst, shape),
        got[worst],
        want[worst],
    );
}

/// Where the element `index` of a row-major tensor is.
pub fn coordinate(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut at: Vec<usize> = shape
        .iter()
        .rev()
        .map(|extent| {
            let i = index % extent;
            index /= extent;
            i
        })
        .collect();
    at.reverse();
    at
}
