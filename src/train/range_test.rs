//! The learning-rate range test of a run's settings.

use super::TrainConfig;
use crate::data::Images;
use crate::data::transforms::{order, rows};
use crate::error::Result;
use crate::nn::{Mode, ResNet};
use crate::ops::metrics::correct;
use crate::ops::softmax_nll::softmax_nll;
use crate::optim::Optimizer;
use crate::optim::lr_finder::{RangeTest, Snapshot, Sweep};
use crate::tape::Tape;

/// Runs `test` on `net` with the batches that a run of `config` would train on, over and over if need
/// be, and puts `net` and `optimizer` back as they were, to the bit. `watch` hears of each step; what
/// it reports ends the test.
///
/// # Errors
/// What the operations or `watch` report; `net` and `optimizer` are then as before, too.
pub fn range_test(
    test: &RangeTest,
    config: &TrainConfig,
    train: &Images,
    net: &mut ResNet,
    optimizer: &mut Optimizer,
    watch: &mut dyn FnMut(usize, f64) -> Result<()>,
) -> Result<Sweep> {
    let before = Snapshot::take(net, optimizer);
    let swept = sweep(test, config, train, net, optimizer, watch);
    before.restore(net, optimizer);
    swept
}

fn sweep(
    test: &RangeTest,
    config: &TrainConfig,
    train: &Images,
    net: &mut ResNet,
    optimizer: &mut Optimizer,
    watch: &mut dyn FnMut(usize, f64) -> Result<()>,
) -> Result<Sweep> {
    let dtype = config.precision.dtype();
    let batches = train.len().div_ceil(config.batch);
    test.run(|i, lr| {
        watch(i, lr)?;
        let epoch = (i / batches) as u32;
        let order = order(config.seed, epoch, train.len() as u32);
        let first = i % batches * config.batch;
        let index = &order[first..(first + config.batch).min(order.len())];
        let choices = rows(config.seed, epoch, index, config.augment);
        let batch = train.batch(index, choices, &config.normalization.into(), dtype)?;
        let mut tape = Tape::recording();
        let logits = net.forward(&mut tape, &batch.x, Mode::Train)?;
        let loss = softmax_nll(&mut tape, &logits, &batch.labels, config.label_smoothing)?;
        let gradients = tape.backward(&loss)?;
        optimizer.step(net, &gradients, lr)?;
        let right = correct(&logits, &batch.labels)?.to_vec::<i32>()?[0];
        Ok((loss.to_f64_vec()?[0], f64::from(right) / index.len() as f64))
    })
}
