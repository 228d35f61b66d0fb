//! A training run through the simulator, from images to metrics.

use crate::sim;
use cugrad::Result;
use cugrad::data::source::{Places, Wanted, load};
use cugrad::train::{EpochMetrics, Observer, Preset, RunDir, StepMetrics, TrainConfig, Trainer};
use std::sync::atomic::AtomicBool;

#[derive(Default)]
struct Epochs(Vec<EpochMetrics>);

impl Observer for Epochs {
    fn on_step(&mut self, _: &StepMetrics, _: usize, _: usize) -> Result<()> {
        Ok(())
    }

    fn on_epoch(&mut self, epoch: &EpochMetrics) -> Result<()> {
        self.0.push(epoch.clone());
        Ok(())
    }
}

#[test]
fn two_epochs_on_a_few_drawn_images_learn() {
    let config = TrainConfig {
        data: Wanted::Embedded,
        limit: Some(32),
        test_limit: Some(8),
        width: 4,
        epochs: 2,
        batch: 8,
        lr_max: 0.01,
        peak_epoch: 0.5,
        augment: false,
        ..TrainConfig::defaults(Preset::Quick)
    };
    let splits = load(Wanted::Embedded, &Places::from_environment(None, &[]), &mut |_| {}).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(Some(&folder.path().join("run")), &config).unwrap();
    let mut epochs = Epochs::default();
    let mut trainer = Trainer::new(config.checked().unwrap(), &sim(), &splits, run).unwrap();
    let outcome = trainer.train(&mut epochs, &AtomicBool::new(false)).unwrap();

    let [first, second] = &epochs.0[..] else { panic!("two epochs, not {}", epochs.0.len()) };
    assert!(second.train_loss < 0.9 * first.train_loss, "{} then {}", first.train_loss, second.train_loss);
    assert_eq!(outcome.last.images(), 8);
    assert!(outcome.last.loss.is_finite());
}
