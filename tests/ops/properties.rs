//! What holds of single operations beyond their values at random points.

use crate::common::cases::{floats, reals};
use crate::common::compare::{assert_close, relative_error};
use cugrad::ops::augment::{Normalization, UNCHANGED, augment};
use cugrad::ops::batchnorm::{self, Epilogue, Statistics, batchnorm};
use cugrad::ops::conv3x3::{self, conv3x3};
use cugrad::ops::math::MathMode;
use cugrad::ops::maxpool;
use cugrad::ops::metrics;
use cugrad::ops::relu::relu;
use cugrad::ops::residual_add::residual_add;
use cugrad::ops::sgd::{self, Sgd};
use cugrad::ops::softmax_nll::softmax_nll;
use cugrad::tape::Destination;
use cugrad::{DType, Device, Tape, Tensor};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn random(shape: &[usize], seed: u64) -> Tensor {
    floats(reals(shape.iter().product(), &mut StdRng::seed_from_u64(seed)), shape, DType::F64)
}

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    floats(values.to_vec(), shape, DType::F64)
}

fn integers(values: &[i32], shape: &[usize]) -> Tensor {
    Tensor::from_vec(&Device::Cpu, values.to_vec(), shape).unwrap()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.cpu::<f64>().unwrap().iter().zip(b.cpu::<f64>().unwrap()).map(|(a, b)| a * b).sum()
}

#[test]
fn dgrad_and_wgrad_are_adjoints_of_fprop() {
    for [n, h, w, c, k] in [[2, 5, 7, 3, 4], [1, 1, 1, 1, 1], [3, 8, 8, 16, 9], [1, 2, 9, 17, 8]] {
        let (x, filter, dy) = (random(&[n, h, w, c], 1), random(&[k, 3, 3, c], 2), random(&[n, h, w, k], 3));
        let y = conv3x3(&mut Tape::no_grad(), &x, &filter, None, MathMode::F32).unwrap();
        let value = dot(&y, &dy);
        let scale = dot(&y, &y).sqrt() * dot(&dy, &dy).sqrt();
        let by_dgrad = dot(&x, &conv3x3::dgrad(&dy, &filter, MathMode::F32, Destination::New).unwrap());
        let by_wgrad = dot(&filter, &conv3x3::wgrad(&x, &dy, MathMode::F32, Destination::New).unwrap());
        assert!((value - by_dgrad).abs() < 1e-13 * scale, "{value} {by_dgrad}");
        assert!((value - by_wgrad).abs() < 1e-13 * scale, "{value} {by_wgrad}");
    }
}

#[test]
fn an_epilogue_is_its_composition() {
    let shape = [3, 4, 5, 6];
    let [x, residual] = [1, 2].map(|seed| random(&shape, seed).with_grad());
    let [gamma, beta] = [3, 4].map(|seed| random(&[6], seed).with_grad());
    let dy = random(&shape, 5);
    let (mean, var) = (random(&[6], 6), tensor(&[0.5, 1.0, 1.5, 2.0, 2.5, 3.0], &[6]));
    for statistics in [Statistics::Batch, Statistics::Running { mean: &mean, var: &var }] {
        for residual in [Some(&residual), None] {
            let mut tape = Tape::recording();
            let epilogue = residual.map_or(Epilogue::Relu, Epilogue::ReluAdd);
            let (y, batch) = batchnorm(&mut tape, &x, &gamma, &beta, 1e-5, statistics, epilogue).unwrap();
            let fused = tape.backward_from(&y, dy.clone()).unwrap();

            let mut tape = Tape::recording();
            let (normal, parts_batch) =
                batchnorm(&mut tape, &x, &gamma, &beta, 1e-5, statistics, Epilogue::None).unwrap();
            let mut composed = relu(&mut tape, &normal).unwrap();
            if let Some(residual) = residual {
                composed = residual_add(&mut tape, &composed, residual).unwrap();
            }
            let parts = tape.backward_from(&composed, dy.clone()).unwrap();

            assert!(relative_error(y.cpu().unwrap(), composed.cpu().unwrap()) < 1e-15);
            assert_eq!(batch.is_some(), parts_batch.is_some());
            for (name, t) in [("x", &x), ("gamma", &gamma), ("beta", &beta)]
                .into_iter()
                .chain(residual.map(|residual| ("residual", residual)))
            {
                let (got, want) = (fused.get(t).unwrap(), parts.get(t).unwrap());
                assert_close(name, got.cpu().unwrap(), want.cpu().unwrap(), t.shape(), 1e-13);
            }
        }
    }
}

#[test]
fn variance_survives_a_mean_far_from_zero() {
    // Deviations of ±1 around 4096: representable, with variance 1.
    let values = (0..64).map(|i| 4096.0 + if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let statistics = batchnorm::statistics(&floats(values, &[2, 4, 8, 1], DType::F32)).unwrap();
    assert_eq!(statistics.mean.cpu::<f32>().unwrap(), [4096.0]);
    assert_eq!(statistics.var.cpu::<f32>().unwrap(), [1.0]);
}

#[test]
fn a_constant_channel_normalises_to_its_offset() {
    let x = tensor(&[0.1; 12], &[1, 3, 4, 1]);
    let (gamma, beta) = (tensor(&[2.0], &[1]), tensor(&[0.7], &[1]));
    let (y, batch) =
        batchnorm(&mut Tape::no_grad(), &x, &gamma, &beta, 1e-5, Statistics::Batch, Epilogue::None).unwrap();
    assert_eq!(batch.unwrap().var.cpu::<f64>().unwrap(), [0.0]);
    assert_eq!(y.cpu::<f64>().unwrap(), [0.7; 12]);
}

#[test]
fn batch_normalisation_hides_a_bias_before_it() {
    let (x, filter) = (random(&[2, 4, 4, 3], 1), random(&[5, 3, 3, 3], 2));
    let bias = random(&[5], 3).with_grad();
    let (gamma, beta) = (random(&[5], 4), random(&[5], 5));
    let mut tape = Tape::recording();
    let y = conv3x3(&mut tape, &x, &filter, Some(&bias), MathMode::F32).unwrap();
    let (y, _) = batchnorm(&mut tape, &y, &gamma, &beta, 1e-5, Statistics::Batch, Epilogue::None).unwrap();
    let gradients = tape.backward_from(&y, random(&[2, 4, 4, 5], 6)).unwrap();
    for d in gradients.get(&bias).unwrap().cpu::<f64>().unwrap() {
        assert!(d.abs() < 1e-12, "{d}");
    }
}

#[test]
fn max_pool_takes_the_first_of_equals_in_row_major_order() {
    #[rustfmt::skip]
    let x = tensor(&[
        1.0, 1.0,  2.0, 5.0,
        1.0, 1.0,  5.0, 5.0,
    ], &[1, 2, 4, 1]);
    let (y, argmax) = maxpool::fprop(&x, 2).unwrap();
    assert_eq!(y.cpu::<f64>().unwrap(), [1.0, 5.0]);
    assert_eq!(argmax.cpu::<u8>().unwrap(), [0, 1]);
    let dy = tensor(&[10.0, 20.0], &[1, 1, 2, 1]);
    let dx = maxpool::dgrad(&dy, &argmax, 2, Destination::New).unwrap();
    assert_eq!(dx.cpu::<f64>().unwrap(), [10.0, 0.0, 0.0, 20.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn nan_passes_through() {
    let x = tensor(&[1.0, f64::NAN, 3.0, 2.0], &[1, 2, 2, 1]);
    let (y, argmax) = maxpool::fprop(&x, 2).unwrap();
    assert!(y.cpu::<f64>().unwrap()[0].is_nan());
    assert_eq!(argmax.cpu::<u8>().unwrap(), [1]);
    assert!(relu(&mut Tape::no_grad(), &x).unwrap().cpu::<f64>().unwrap()[1].is_nan());
    let one = tensor(&[1.0], &[1]);
    let statistics = Statistics::Running { mean: &one, var: &one };
    let (y, _) = batchnorm(&mut Tape::no_grad(), &x, &one, &one, 0.0, statistics, Epilogue::Relu).unwrap();
    assert!(y.cpu::<f64>().unwrap()[1].is_nan());
}

#[test]
fn large_logits_neither_overflow_nor_vanish() {
    let logits = tensor(&[1000.0, 0.0, -1000.0, 0.0], &[2, 2]);
    let loss = softmax_nll(&mut Tape::no_grad(), &logits, &integers(&[0, 0], &[2]), 0.0).unwrap();
    assert_eq!(loss.cpu::<f64>().unwrap(), [500.0]);
}

#[test]
fn a_tie_counts_for_its_first_class() {
    let logits = tensor(&[1.0, 1.0, 0.0, 0.0, 2.0, 2.0], &[2, 3]);
    let count = |labels| metrics::correct(&logits, &integers(labels, &[2])).unwrap().to_vec::<i32>().unwrap();
    assert_eq!(count(&[0, 1]), [2]);
    assert_eq!(count(&[1, 2]), [0]);
}

#[test]
fn the_first_nan_counts_as_the_largest() {
    let logits = tensor(&[1.0, f64::NAN, 2.0, f64::NAN], &[1, 4]);
    let count =
        |label| metrics::correct(&logits, &integers(&[label], &[1])).unwrap().to_vec::<i32>().unwrap();
    assert_eq!([count(0), count(1), count(2), count(3)], [[0], [1], [0], [0]]);
}

#[test]
fn sgd_leaves_the_sign_of_zero_at_zero() {
    let h = Sgd { momentum: 0.9, weight_decay: 0.0, l1: 1.0, nesterov: false };
    let mut param = tensor(&[0.0, 2.0, -2.0], &[3]);
    let mut velocity = tensor(&[0.0; 3], &[3]);
    let before = param.clone();
    sgd::step(&h, &tensor(&[0.5], &[1]), &tensor(&[0.0; 3], &[3]), &mut param, &mut velocity).unwrap();
    assert_eq!(param.cpu::<f64>().unwrap(), [0.0, 1.5, -1.5]);
    // Another handle of the parameter keeps the value it had.
    assert_eq!(before.cpu::<f64>().unwrap(), [0.0, 2.0, -2.0]);
}

#[test]
fn unchanged_images_are_only_normalised() {
    let pixels: Vec<u8> = (0..2 * 3072u32).map(|i| (i * 7 % 256) as u8).collect();
    let images = Tensor::from_vec(&Device::Cpu, pixels.clone(), &[2, 32, 32, 3]).unwrap();
    let unit = Normalization { mean: [0.0; 3], std: [1.0 / 255.0; 3] };
    let choices = integers(&UNCHANGED, &[1, 5]);
    let x = augment(&images, &integers(&[1], &[1]), &choices, &unit, DType::F64).unwrap();
    let want: Vec<f64> = pixels[3072..].iter().map(|&p| f64::from(p)).collect();
    assert_close("x", x.cpu().unwrap(), &want, x.shape(), 1e-15);
}
