//! The range test leaves a network as it found it.

use cugrad::data::{Images, embedded};
use cugrad::device::Device;
use cugrad::files::FileTensors;
use cugrad::nn::{ResNet, state};
use cugrad::optim::Optimizer;
use cugrad::optim::lr_finder::RangeTest;
use cugrad::train::{Preset, TrainConfig, range_test};
use cugrad::{Error, Result};

/// Every number that training changes.
fn state_of(net: &mut ResNet, optimizer: &mut Optimizer) -> (FileTensors, Vec<Vec<f64>>) {
    let velocities = optimizer.velocities(net).map(|(_, v)| v.to_f64_vec().unwrap()).collect();
    (state::to_file(net).unwrap(), velocities)
}

#[test]
fn weights_statistics_and_velocities_are_restored_to_the_bit() -> Result<()> {
    let config = TrainConfig { width: 2, batch: 16, limit: Some(40), ..TrainConfig::defaults(Preset::Quick) };
    let device = Device::Cpu;
    let train = Images::new(&device, &embedded::load().0, config.limit)?;
    let mut net = ResNet::new(&device, config.precision.dtype(), config.width, 0)?;
    let mut optimizer = Optimizer::new(config.sgd(), &mut net)?;
    // In mid-run the velocities are not zero.
    for (_, velocity) in optimizer.velocities(&mut net) {
        let noise: Vec<f32> = (0..velocity.len()).map(|i| (i as f32).sin()).collect();
        let shape = velocity.shape().to_vec();
        *velocity = cugrad::Tensor::from_vec(&device, noise, &shape)?;
    }
    let before = state_of(&mut net, &mut optimizer);

    let test = RangeTest { steps: 12, from: 1e-3, to: 1e-1, ..RangeTest::default() };
    let (mut rates, mut seen) = (Vec::new(), Vec::new());
    let sweep = range_test(&test, &config, &train, &mut net, &mut optimizer, &mut |step, lr| {
        rates.push(lr);
        seen.push(step);
        Ok(())
    })?;
    assert_eq!(sweep.samples.len(), 12);
    assert_eq!(seen, (0..12).collect::<Vec<_>>());
    assert!(sweep.samples.windows(2).all(|s| s[0].loss != s[1].loss), "it did not train");
    assert_eq!(state_of(&mut net, &mut optimizer), before);

    // A second test sees the same network, so it finds the same.
    let again = range_test(&test, &config, &train, &mut net, &mut optimizer, &mut |_, _| Ok(()))?;
    assert_eq!(again, sweep);

    let stopped = range_test(&test, &config, &train, &mut net, &mut optimizer, &mut |step, _| match step {
        5 => Err(Error::Stopped),
        _ => Ok(()),
    });
    assert!(matches!(stopped, Err(Error::Stopped)));
    assert_eq!(state_of(&mut net, &mut optimizer), before);
    Ok(())
}
