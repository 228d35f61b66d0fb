//! The tape: fan-out, no-grad mode, what gets a gradient.

use crate::common::cases::{floats, reals};
use crate::common::compare::relative_error;
use cugrad::ops::conv3x3::conv3x3;
use cugrad::ops::linear::linear;
use cugrad::ops::math::MathMode;
use cugrad::ops::relu::relu;
use cugrad::ops::residual_add::residual_add;
use cugrad::{DType, Error, Tape, Tensor};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn random(shape: &[usize], seed: u64) -> Tensor {
    floats(reals(shape.iter().product(), &mut StdRng::seed_from_u64(seed)), shape, DType::F64)
}

#[test]
fn a_tensor_used_several_times_gets_the_sum() {
    let (x, dy) = (random(&[4, 3], 1).with_grad(), random(&[4, 3], 2));
    let mut tape = Tape::recording();
    // y = relu(x) + x + x
    let rectified = relu(&mut tape, &x).unwrap();
    let twice = residual_add(&mut tape, &x, &x).unwrap();
    let y = residual_add(&mut tape, &rectified, &twice).unwrap();
    let gradients = tape.backward_from(&y, dy.clone()).unwrap();

    let slope = |x: f64| if x > 0.0 { 3.0 } else { 2.0 };
    let want: Vec<f64> =
        x.cpu::<f64>().unwrap().iter().zip(dy.cpu::<f64>().unwrap()).map(|(x, dy)| slope(*x) * dy).collect();
    assert!(relative_error(gradients.get(&x).unwrap().cpu().unwrap(), &want) < 1e-15);
}

#[test]
fn no_grad_records_nothing() {
    let (x, filter) = (random(&[1, 3, 3, 2], 1).with_grad(), random(&[2, 3, 3, 2], 2).with_grad());
    let mut tape = Tape::no_grad();
    let y = conv3x3(&mut tape, &x, &filter, None, MathMode::F32).unwrap();
    assert!(!y.requires_grad());
    let dy = random(y.shape(), 3);
    let gradients = tape.backward_from(&y, dy).unwrap();
    assert!(gradients.get(&x).is_none() && gradients.get(&filter).is_none() && gradients.get(&y).is_none());
}

#[test]
fn only_tensors_that_ask_get_a_gradient() {
    let (x, weight, bias) = (random(&[2, 3], 1), random(&[4, 3], 2).with_grad(), random(&[4], 3));
    let mut tape = Tape::recording();
    let y = linear(&mut tape, &x, &weight, &bias).unwrap();
    assert!(y.requires_grad());
    let gradients = tape.backward_from(&y, random(&[2, 4], 4)).unwrap();
    assert!(gradients.get(&weight).is_some());
    assert!(gradients.get(&x).is_none() && gradients.get(&bias).is_none());
}

#[test]
fn a_retained_gradient_stays_and_others_go() {
    let x = random(&[6], 1).with_grad();
    let mut tape = Tape::recording();
    let a = relu(&mut tape, &x).unwrap();
    let b = relu(&mut tape, &a).unwrap();
    let c = relu(&mut tape, &b).unwrap();
    tape.retain(&a);
    let dy = random(&[6], 2);
    let gradients = tape.backward_from(&c, dy.clone()).unwrap();
    assert!(gradients.get(&b).is_none());
    let masked: Vec<f64> = a
        .cpu::<f64>()
        .unwrap()
        .iter()
        .zip(dy.cpu::<f64>().unwrap())
        .map(|(a, dy)| if *a > 0.0 { *dy } else { 0.0 })
        .collect();
    assert_eq!(gradients.get(&a).unwrap().cpu::<f64>().unwrap(), masked);
}

#[test]
fn what_the_loss_does_not_depend_on_gets_none() {
    let (x, z) = (random(&[3], 1).with_grad(), random(&[3], 2).with_grad());
    let mut tape = Tape::recording();
    let y = relu(&mut tape, &x).unwrap();
    relu(&mut tape, &z).unwrap();
    let gradients = tape.backward_from(&y, random(&[3], 3)).unwrap();
    assert!(gradients.get(&x).is_some() && gradients.get(&z).is_none());
}

#[test]
fn backward_starts_from_one_number() {
    let x = random(&[3], 1).with_grad();
    let mut tape = Tape::recording();
    let y = relu(&mut tape, &x).unwrap();
    assert!(matches!(tape.backward(&y), Err(Error::Shape { op: "backward", .. })));
}
