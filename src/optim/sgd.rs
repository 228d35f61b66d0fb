//! Stochastic gradient descent over a network's parameters.

use crate::error::Result;
use crate::nn::{ResNet, Slot, SlotValue};
use crate::ops::sgd::{self, Sgd};
use crate::tape::Gradients;
use crate::tensor::{DType, Tensor};

/// SGD with one velocity for each parameter, in the order of the network's slots.
pub struct Optimizer {
    /// Momentum, weight decay and the like.
    pub sgd: Sgd,
    velocities: Vec<Tensor>,
    /// The learning rate in device memory, [1].
    rate: Tensor,
}

impl Optimizer {
    /// An optimizer at rest.
    pub fn new(sgd: Sgd, net: &mut ResNet) -> Result<Optimizer> {
        let mut velocities = Vec::new();
        let mut rate = None;
        for (_, parameter) in parameters(net) {
            let (device, dtype) = (parameter.device(), parameter.dtype());
            velocities.push(Tensor::zeros(&device, dtype, parameter.shape())?);
            rate = Some((device, dtype));
        }
        let (device, dtype) = rate.expect("a network has parameters");
        Ok(Optimizer { sgd, velocities, rate: Tensor::zeros(&device, dtype, &[1])? })
    }

    /// One step along `gradients` at the learning rate `lr`: [`Optimizer::set_rate`], then
    /// [`Optimizer::update`].
    pub fn step(&mut self, net: &mut ResNet, gradients: &Gradients, lr: f64) -> Result<()> {
        self.set_rate(lr)?;
        self.update(net, gradients)
    }

    /// Sets the learning rate of the updates to come. It is read on the device, at its one place
    /// there: a recorded update that is replayed takes the rate set last.
    pub fn set_rate(&mut self, lr: f64) -> Result<()> {
        match self.rate.dtype() {
            DType::F64 => self.rate.write(&[lr]),
            _ => self.rate.write(&[lr as f32]),
        }
    }

    /// One step along `gradients`. A parameter that has no gradient, since the loss does not depend
    /// on it, stays.
    pub fn update(&mut self, net: &mut ResNet, gradients: &Gradients) -> Result<()> {
        for ((_, parameter), velocity) in parameters(net).zip(&mut self.velocities) {
            if let Some(gradient) = gradients.get(parameter) {
                sgd::step(&self.sgd, &self.rate, gradient, parameter, velocity)?;
            }
        }
        Ok(())
    }

    /// The velocities with their parameters' names.
    pub fn velocities<'a>(
        &'a mut self,
        net: &'a mut ResNet,
    ) -> impl Iterator<Item = (String, &'a mut Tensor)> + 'a {
        parameters(net).map(|(name, _)| name).zip(&mut self.velocities)
    }
}

/// The network's parameters by name.
pub fn parameters(net: &mut ResNet) -> impl Iterator<Item = (String, &mut Tensor)> {
    net.slots().into_iter().filter_map(|Slot { name, value }| match value {
        SlotValue::Parameter(t) => Some((name, t)),
        SlotValue::Buffer(_) | SlotValue::Counter(_) => None,
    })
}
