//! One training step of a small network: the simulated kernels against the CPU, and recorded work
//! against work done at once.

use crate::common::compare::{assert_close, relative_error};
use crate::sim;
use cugrad::data::transforms::{CIFAR10, rows};
use cugrad::data::{Images, embedded};
use cugrad::nn::{Mode, ResNet};
use cugrad::ops::sgd::{self, Sgd};
use cugrad::ops::softmax_nll::softmax_nll;
use cugrad::optim::{Optimizer, parameters};
use cugrad::{DType, Device, Gradients, Result, Tape, Tensor};
use std::collections::BTreeMap;

const WIDTH: usize = 8;
const BATCH: u32 = 4;
const RATE: f64 = 0.01;
const SGD: Sgd = Sgd { momentum: 0.9, weight_decay: 5e-4, l1: 0.0, nesterov: false };

/// All numbers of a step, by name.
type Numbers = BTreeMap<String, Vec<f64>>;

fn network(device: &Device) -> ResNet {
    ResNet::new(device, DType::F32, WIDTH, 1).unwrap()
}

/// Augmented images, and their labels.
fn batch(device: &Device) -> (Tensor, Tensor) {
    let images = Images::new(device, &embedded::load().0, Some(32)).unwrap();
    // Images that keep every ReLU's argument further from zero than f32 rounds: on either side of the
    // kink the gradient is another.
    let index: Vec<u32> = (0..BATCH).map(|i| 7 * i + 1).collect();
    let batch = images.batch(&index, rows(3, 0, &index, true), &CIFAR10, DType::F32).unwrap();
    (batch.x, batch.labels)
}

fn forward_and_back(
    net: &mut ResNet,
    x: &Tensor,
    labels: &Tensor,
    one: Tensor,
) -> Result<(Tensor, Gradients)> {
    let mut tape = Tape::recording();
    let logits = net.forward(&mut tape, x, Mode::Train)?;
    let loss = softmax_nll(&mut tape, &logits, labels, 0.1)?;
    let gradients = tape.backward_from(&loss, one)?;
    Ok((loss, gradients))
}

fn one(device: &Device) -> Tensor {
    Tensor::full(device, DType::F32, &[1], 1.0).unwrap()
}

/// A step on `device`: its loss, gradients, the state after it, and what that says in eval mode.
fn step(device: &Device) -> Numbers {
    let (x, labels) = batch(device);
    let mut net = network(device);
    let mut optimizer = Optimizer::new(SGD, &mut net).unwrap();
    let (loss, gradients) = forward_and_back(&mut net, &x, &labels, one(device)).unwrap();
    let mut numbers = Numbers::from([("loss".to_string(), loss.to_f64_vec().unwrap())]);
    for (name, parameter) in parameters(&mut net) {
        let gradient = gradients.get(parameter).unwrap_or_else(|| panic!("{name} has no gradient"));
        numbers.insert(format!("grad {name}"), gradient.to_f64_vec().unwrap());
    }
    optimizer.step(&mut net, &gradients, RATE).unwrap();
    for (name, tensor) in cugrad::nn::state::to_file(&mut net).unwrap() {
        numbers.insert(name, tensor.to_f64_vec().unwrap());
    }
    let logits = net.forward(&mut Tape::no_grad(), &x, Mode::Eval).unwrap();
    numbers.insert("eval logits".into(), logits.to_f64_vec().unwrap());
    numbers
}

/// Whether the tensor is the gradient of a bias that batch norm subtracts again: zero but for rounding.
fn is_zero_in_truth(name: &str) -> bool {
    name.starts_with("grad ") && name.ends_with("conv.bias")
}

#[test]
fn a_step_equals_the_cpus() {
    let (got, want) = (step(&sim()), step(&Device::Cpu));
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
fn a_recorded_step_equals_one_done_at_once() {
    let weights = |captured: bool| {
        let device = sim();
        let Device::Gpu(gpu) = &device else { panic!("the simulator is a GPU") };
        let (x, labels) = batch(&device);
        let mut net = network(&device);
        let one = one(&device);
        let rate = Tensor::full(&device, DType::F32, &[1], RATE).unwrap();
        let mut velocities: Vec<Tensor> = parameters(&mut net)
            .map(|(_, p)| Tensor::zeros(&device, DType::F32, p.shape()).unwrap())
            .collect();
        let mut step = || {
            let (loss, gradients) = forward_and_back(&mut net, &x, &labels, one.clone()).unwrap();
            for ((_, parameter), velocity) in parameters(&mut net).zip(&mut velocities) {
                sgd::step(&SGD, &rate, gradients.get(parameter).unwrap(), parameter, velocity).unwrap();
            }
            loss
        };
        let loss = if captured {
            gpu.driver().begin_capture().unwrap();
            let loss = step();
            gpu.driver().end_capture().unwrap().launch().unwrap();
            loss
        } else {
            step()
        };
        let mut numbers = vec![loss.to_f64_vec().unwrap()];
        numbers.extend(parameters(&mut net).map(|(_, p)| p.to_f64_vec().unwrap()));
        numbers
    };
    let (captured, eager) = (weights(true), weights(false));
    assert!(captured == eager, "the same work gives the same bits");
    let start: Vec<f64> =
        parameters(&mut network(&Device::Cpu)).flat_map(|(_, p)| p.to_f64_vec().unwrap()).collect();
    assert!(relative_error(&captured[1..].concat(), &start) > 1e-4, "the weights moved");
}
