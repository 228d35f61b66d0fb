//! The learning-rate range test of a run's settings.

use super::{Steps, TrainConfig};
use crate::data::Images;
use crate::data::transforms::{order, rows};
use crate::error::Result;
use crate::nn::ResNet;
use crate::optim::lr_finder::{RangeTest, Sweep};
use crate::optim::{Optimizer, Snapshot};

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
    let batches = train.len().div_ceil(config.batch);
    let mut steps = Steps::new(config);
    test.run(|i, lr| {
        watch(i, lr)?;
        let epoch = (i / batches) as u32;
        let order = order(config.seed, epoch, train.len() as u32);
        let first = i % batches * config.batch;
        let index = &order[first..(first + config.batch).min(order.len())];
        let choices = rows(config.seed, epoch, index, config.augment);
        let (loss, correct) = steps.run(net, optimizer, train, index, choices, lr)?;
        Ok((loss, correct as f64 / index.len() as f64))
    })
}
