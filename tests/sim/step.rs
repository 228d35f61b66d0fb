//! One training step of a small network: the simulated kernels against the CPU, and recorded work
//! against work done at once.

use crate::common::compare::{assert_close, relative_error};
use crate::{logged_sim, sim};
use cugrad::data::transforms::{CIFAR10, rows};
use cugrad::data::{Batch, Images, embedded};
use cugrad::nn::{Mode, ResNet};
use cugrad::ops::math::MathMode;
use cugrad::ops::sgd::Sgd;
use cugrad::ops::softmax_nll::softmax_nll;
use cugrad::optim::{Optimizer, parameters};
use cugrad::train::step;
use cugrad::{DType, Device, Gradients, Result, Tape, Tensor};
use std::collections::BTreeMap;

const WIDTH: usize = 8;
const BATCH: u32 = 4;
const RATE: f64 = 0.01;
const SMOOTHING: f64 = 0.1;
const SGD: Sgd = Sgd { momentum: 0.9, weight_decay: 5e-4, l1: 0.0, nesterov: false };

/// All numbers of a step, by name.
type Numbers = BTreeMap<String, Vec<f64>>;

fn network(device: &Device) -> ResNet {
    ResNet::new(device, DType::F32, WIDTH, 1).unwrap()
}

/// Augmented images, and their labels.
fn batch(device: &Device) -> Batch {
    let images = Images::new(device, &embedded::load().0, Some(32)).unwrap();
    // Images that keep every ReLU's argument further from zero than f32 rounds: on either side of the
    // kink the gradient is another.
    let index: Vec<u32> = (0..BATCH).map(|i| 7 * i + 1).collect();
    images.batch(&index, rows(3, 0, &index, true), &CIFAR10, DType::F32).unwrap()
}

fn forward_and_back(net: &mut ResNet, batch: &Batch) -> Result<(Tensor, Gradients)> {
    let mut tape = Tape::recording();
    let logits = net.forward(&mut tape, &batch.x, Mode::Train)?;
    let loss = softmax_nll(&mut tape, &logits, &batch.labels, SMOOTHING)?;
    let gradients = tape.backward(&loss)?;
    Ok((loss, gradients))
}

/// A step on `device`: its loss, gradients, the state after it, and what that says in eval mode.
fn step_on(device: &Device, math: MathMode) -> Numbers {
    let batch = batch(device);
    let mut net = network(device).with_math(math);
    let mut optimizer = Optimizer::new(SGD, &mut net).unwrap();
    let (loss, gradients) = forward_and_back(&mut net, &batch).unwrap();
    let mut numbers = Numbers::from([("loss".to_string(), loss.to_f64_vec().unwrap())]);
    for (name, parameter) in parameters(&mut net) {
        let gradient = gradients.get(parameter).unwrap_or_else(|| panic!("{name} has no gradient"));
        numbers.insert(format!("grad {name}"), gradient.to_f64_vec().unwrap());
    }
    optimizer.step(&mut net, &gradients, RATE).unwrap();
    for (name, tensor) in cugrad::nn::state::to_file(&mut net).unwrap() {
        numbers.insert(name, tensor.to_f64_vec().unwrap());
    }
    let logits = net.forward(&mut Tape::no_grad(), &batch.x, Mode::Eval).unwrap();
    numbers.insert("eval logits".into(), logits.to_f64_vec().unwrap());
    numbers
}

/// Whether the tensor is the gradient of a bias that batch norm subtracts again: zero but for rounding.
fn is_zero_in_truth(name: &str) -> bool {
    name.starts_with("grad ") && name.ends_with("conv.bias")
}

#[test]
fn a_step_equals_the_cpus() {
    let (got, want) = (step_on(&sim(), MathMode::F32), step_on(&Device::Cpu, MathMode::F32));
    assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
    for (name, want) in &want {
        let got = &got[name];
        if is_zero_in_truth(name) {
            let largest = got.iter().chain(want).fold(0.0, |most: f64, v| most.max(v.abs()));
            assert!(largest < 1e-5, "{name}: {largest:e}, expected 0 but for rounding");
        } else {
            assert_close(name, got, want, &[want.len()], 1e-4);
        }
    }
}

#[test]
fn a_step_on_tensor_cores_is_as_close_as_tf32() {
    let (device, log) = logged_sim();
    let (got, want) = (step_on(&device, MathMode::Tf32), step_on(&Device::Cpu, MathMode::F32));
    let launched = |name: &str| log.take().iter().filter(|launch| launch.entry.name == name).count();
    // All seven convolutions but prep's, whose 3 channels stay on rung 2; forward in training and eval.
    assert_eq!(launched("conv3x3_fprop_mma"), 2 * 7);
    assert_eq!(got, step_on(&sim(), MathMode::Tf32), "the same work gives the same bits");
    for (name, want) in want.iter().filter(|(name, _)| !is_zero_in_truth(name)) {
        // With four images, a few ReLUs that fall on the other side of their kink show in a gradient.
        let allowed = match name.as_str() {
            "loss" | "eval logits" => 1e-2,
            gradient if gradient.starts_with("grad ") => 0.15,
            _ => continue,
        };
        let error = relative_error(&got[name], want);
        assert!(error < allowed, "{name} is off by {error:.1e}");
    }
    let logits = relative_error(&got["eval logits"], &want["eval logits"]);
    assert!(logits > 1e-6, "tf32 rounds");
}

/// The loss and the weights after each of three steps, of a learning rate each.
fn three_steps(replayed: bool) -> Vec<Vec<f64>> {
    let device = sim();
    let Device::Gpu(gpu) = &device else { panic!("the simulator is a GPU") };
    let batch = batch(&device);
    let mut net = network(&device);
    let mut optimizer = Optimizer::new(SGD, &mut net).unwrap();
    let recorded =
        replayed.then(|| gpu.record(|| step(&mut net, &mut optimizer, &batch, SMOOTHING)).unwrap());
    let rates = [RATE, 0.5 * RATE, 2.0 * RATE].into_iter();
    let losses_and_weights = rates.map(|rate| {
        optimizer.set_rate(rate).unwrap();
        let loss = match &recorded {
            Some((work, output)) => {
                work.replay().unwrap();
                output.read().unwrap().0
            }
            None => step(&mut net, &mut optimizer, &batch, SMOOTHING).unwrap().read().unwrap().0,
        };
        let weights = parameters(&mut net).flat_map(|(_, p)| p.to_f64_vec().unwrap());
        [loss].into_iter().chain(weights).collect()
    });
    losses_and_weights.collect()
}

#[test]
fn replayed_steps_equal_steps_done_at_once() {
    let (replayed, eager) = (three_steps(true), three_steps(false));
    assert!(replayed == eager, "the same work gives the same bits");
    let moved = |i: usize| relative_error(&eager[i][1..], &eager[i - 1][1..]);
    assert!(moved(1) > 1e-4 && moved(2) > 1e-4, "the weights move in every step");
}
