//! ReLU on the CPU.

use crate::device::Real;

/// y = max(x, 0)
pub fn fprop<T: Real>(x: &[T], y: &mut [T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        // Written so that a NaN passes through.
        *y = if x <= T::zero() { T::zero() } else { x };
    }
}

/// dx = dy where y > 0, else 0
pub fn dgrad<T: Real>(y: &[T], dy: &[T], dx: &mut [T]) {
    for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
        *dx = if y > T::zero() { dy } else { T::zero() };
    }
}
