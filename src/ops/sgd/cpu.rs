//! Stochastic gradient descent on the CPU.

use super::Sgd;
use crate::device::Real;
use crate::ops::parallel::CHUNK;
use rayon::prelude::*;

/// g = grad + weight_decay p + l1 sign(p); v = momentum v + g; p -= lr (nesterov ? g + momentum v : v)
pub fn step<T: Real>(h: &Sgd, lr: T, grad: &[T], param: &mut [T], velocity: &mut [T]) {
    let [momentum, weight_decay, l1] = [h.momentum, h.weight_decay, h.l1].map(T::from_f64);
    let chunks = param.par_chunks_mut(CHUNK).zip(velocity.par_chunks_mut(CHUNK)).zip(grad.par_chunks(CHUNK));
    chunks.for_each(|((param, velocity), grad)| {
        for ((p, v), &grad) in param.iter_mut().zip(velocity).zip(grad) {
            let g = grad + weight_decay * *p + l1 * sign(*p);
            *v = momentum * *v + g;
            *p -= lr * if h.nesterov { g + momentum * *v } else { *v };
        }
    });
}

/// 0 at 0, unlike `signum`.
fn sign<T: Real>(p: T) -> T {
    if p > T::zero() {
        T::one()
    } else if p < T::zero() {
        -T::one()
    } else {
        T::zero()
    }
}
