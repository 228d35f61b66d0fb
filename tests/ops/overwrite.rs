//! The CPU functions overwrite their outputs: nothing of what was there shows.

use cugrad::device::Real;
use cugrad::ops::augment::{self, AugmentShape, UNCHANGED};
use cugrad::ops::batchnorm::{self, BatchNormShape, cpu::Channels};
use cugrad::ops::conv3x3::{self, Conv3x3Shape};
use cugrad::ops::linear::{self, LinearShape};
use cugrad::ops::maxpool::{self, MaxPoolShape};
use cugrad::ops::softmax_nll::{self, SoftmaxNllShape};
use cugrad::ops::{metrics, relu, residual_add};

const EPS: f64 = 1e-5;

/// Calls `f` with outputs of the given lengths full of zeros, then full of NaNs; the results are equal,
/// and without a NaN.
fn overwrites<T: Real, const N: usize>(what: &str, lengths: [usize; N], f: impl Fn([&mut [T]; N])) {
    let results = [T::zero(), T::nan()].map(|poison| {
        let mut outputs = lengths.map(|len| vec![poison; len]);
        f(outputs.each_mut().map(|output| &mut output[..]));
        outputs.map(|output| output.into_iter().map(|v| v.to_f64()).collect::<Vec<f64>>())
    });
    assert!(results[0].iter().flatten().all(|v| v.is_finite()), "{what}: not all elements are written");
    assert!(results[0] == results[1], "{what}: the outputs' old values show");
}

fn numbers<T: Real>(len: usize, seed: usize) -> Vec<T> {
    (0..len).map(|i| T::from_f64(((i * 37 + seed * 11) % 101) as f64 / 25.0 - 2.0)).collect()
}

fn all<T: Real>() {
    let s = Conv3x3Shape { n: 2, h: 5, w: 3, c: 3, k: 5 };
    let pixels = s.n * s.h * s.w;
    let (x, dy) = (numbers::<T>(pixels * s.c, 1), numbers::<T>(pixels * s.k, 2));
    let (filter, bias) = (numbers::<T>(s.k * 9 * s.c, 3), numbers::<T>(s.k, 4));
    overwrites::<T, 1>("conv3x3 fprop", [dy.len()], |[y]| conv3x3::cpu::fprop(&s, &x, &filter, None, y));
    overwrites::<T, 1>("conv3x3 fprop, bias", [dy.len()], |[y]| {
        conv3x3::cpu::fprop(&s, &x, &filter, Some(&bias), y)
    });
    overwrites::<T, 1>("conv3x3 dgrad", [x.len()], |[dx]| conv3x3::cpu::dgrad(&s, &dy, &filter, dx));
    overwrites::<T, 1>("conv3x3 wgrad", [filter.len()], |[d]| conv3x3::cpu::wgrad(&s, &x, &dy, d));
    overwrites::<T, 1>("conv3x3 bias_grad", [s.k], |[d]| conv3x3::cpu::bias_grad(&s, &dy, d));

    let s = BatchNormShape { rows: 6, c: 5 };
    let (x, dy) = (numbers::<T>(30, 1), numbers::<T>(30, 2));
    let (mean, gamma, beta) = (numbers::<T>(5, 3), numbers::<T>(5, 4), numbers::<T>(5, 5));
    let var: Vec<T> = numbers::<T>(5, 6).into_iter().map(|v| v.abs() + T::one()).collect();
    overwrites::<T, 2>("batchnorm statistics", [5, 5], |[m, v]| batchnorm::cpu::statistics(&s, &x, m, v));
    for relu in [false, true] {
        let n = Channels { mean: &mean, var: &var, eps: EPS, gamma: &gamma, beta: &beta, relu };
        for batch in [true, false] {
            overwrites::<T, 3>("batchnorm dgrad", [30, 5, 5], |[dx, dgamma, dbeta]| {
                batchnorm::cpu::dgrad(&s, &x, &dy, &n, batch, dx, dgamma, dbeta)
            });
        }
        for residual in [None, Some(&dy[..])] {
            overwrites::<T, 1>("batchnorm apply", [30], |[y]| batchnorm::cpu::apply(&s, &x, &n, residual, y));
        }
    }

    let s = MaxPoolShape { n: 1, h: 4, w: 8, c: 3, window: 2 };
    let (x, dy) = (numbers::<T>(96, 1), numbers::<T>(24, 2));
    let places = |poison: u8| {
        let (mut y, mut argmax) = (vec![T::nan(); 24], vec![poison; 24]);
        maxpool::cpu::fprop(&s, &x, &mut y, &mut argmax);
        assert!(y.iter().all(|y| y.is_finite()));
        argmax
    };
    assert_eq!(places(0), places(255));
    overwrites::<T, 1>("maxpool dgrad", [96], |[dx]| maxpool::cpu::dgrad(&s, &dy, &places(0), dx));

    overwrites::<T, 1>("relu fprop", [96], |[y]| relu::cpu::fprop(&x, y));
    overwrites::<T, 1>("relu dgrad", [96], |[dx]| relu::cpu::dgrad(&x, &x, dx));
    overwrites::<T, 1>("residual_add", [96], |[y]| residual_add::cpu::fprop(&x, &x, y));

    let s = LinearShape { n: 4, c: 6, k: 3 };
    let (x, weight, dy) = (numbers::<T>(24, 1), numbers::<T>(18, 2), numbers::<T>(12, 3));
    overwrites::<T, 1>("linear fprop", [12], |[y]| linear::cpu::fprop(&s, &x, &weight, &dy[..3], y));
    overwrites::<T, 1>("linear dgrad", [24], |[dx]| linear::cpu::dgrad(&s, &dy, &weight, dx));
    overwrites::<T, 1>("linear wgrad", [18], |[d]| linear::cpu::wgrad(&s, &x, &dy, d));
    overwrites::<T, 1>("linear bias_grad", [3], |[d]| linear::cpu::bias_grad(&s, &dy, d));

    let (s, labels, smoothing) = (SoftmaxNllShape { n: 4, k: 3 }, [0, 2, 1, 1], T::from_f64(0.1));
    overwrites::<T, 2>("softmax_nll fprop", [12, 4], |[log_probs, losses]| {
        softmax_nll::cpu::fprop(&s, &dy, &labels, smoothing, log_probs, losses)
    });
    overwrites::<T, 1>("softmax_nll mean", [1], |[loss]| softmax_nll::cpu::mean(&dy, loss));
    overwrites::<T, 1>("softmax_nll dgrad", [12], |[dlogits]| {
        softmax_nll::cpu::dgrad(&s, &dy, &labels, smoothing, &dy[..1], dlogits)
    });
    let mut count = [i32::MIN];
    metrics::cpu::correct(&s, &dy, &labels, &mut count);
    assert!((0..=4).contains(&count[0]));

    let images: Vec<u8> = (0..2 * 3072u32).map(|i| (i * 7 % 256) as u8).collect();
    overwrites::<T, 1>("augment", [3072], |[x]| {
        augment::cpu::apply(&AugmentShape { n: 1 }, &images, &[1], &UNCHANGED, [0.5; 3], [0.25; 3], x)
    });
}

#[test]
fn outputs_are_overwritten_in_f32() {
    all::<f32>();
}

#[test]
fn outputs_are_overwritten_in_f64() {
    all::<f64>();
}
