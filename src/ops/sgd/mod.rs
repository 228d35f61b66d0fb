//! Stochastic gradient descent, as torch.optim.SGD does it.

pub mod cpu;
mod gpu;
pub mod spec;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::check::{Operands, expect_shape, with_real};
use crate::tensor::Tensor;

const OP: &str = "sgd";

/// The constants of the update rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// How much of the velocity stays from one step to the next, in 0..1.
    pub momentum: f64,
    /// L2 penalty: its gradient is `weight_decay · p`.
    pub weight_decay: f64,
    /// L1 penalty: its gradient is `l1 · sign(p)`.
    pub l1: f64,
    /// Whether to step along the velocity of the next step (Nesterov).
    pub nesterov: bool,
}

/// One step of `param`, in place:
/// `g = grad + weight_decay p + l1 sign(p)`, `v = momentum v + g`, `p -= lr (nesterov ? g + momentum v : v)`.
///
/// `grad`, `param` and `velocity` have one shape; `velocity` starts as zeros. `lr [1]` is a tensor so
/// that a captured GPU step can be replayed with another learning rate.
///
/// # Errors
/// [`Error::Shape`] names both shapes; [`Error::Operand`] when types or devices differ;
/// [`Error::Config`] when a constant makes no sense; [`Error::Launch`] names the kernel.
///
/// Source: `kernels/sgd/`.
pub fn step(h: &Sgd, lr: &Tensor, grad: &Tensor, param: &mut Tensor, velocity: &mut Tensor) -> Result<()> {
    expect_sense(h)?;
    let operands = Operands::wide_as(OP, "param", param)?;
    operands.wide("grad", grad)?.wide("velocity", velocity)?.wide("lr", lr)?;
    expect_shape(OP, "grad as param is:", grad, param.shape())?;
    expect_shape(OP, "velocity as param is:", velocity, param.shape())?;
    expect_shape(OP, "lr", lr, &[1])?;
    match param.device() {
        Device::Cpu => with_real!(OP, param.dtype(), T => {
            cpu::step::<T>(h, lr.cpu::<T>()?[0], grad.cpu()?, param.cpu_mut()?, velocity.cpu_mut()?);
            Ok(())
        }),
        Device::Gpu(_) => gpu::step(h, lr, grad, param, velocity),
    }
}

fn expect_sense(h: &Sgd) -> Result<()> {
    let wrong = |what: String| Err(Error::Config(format!("{OP}: {what}")));
    if !(0.0..1.0).contains(&h.momentum) {
        return wrong(format!("the momentum is in 0..1, not {}", h.momentum));
    }
    for (name, value) in [("weight decay", h.weight_decay), ("L1 penalty", h.l1)] {
        if !(value >= 0.0 && value.is_finite()) {
            return wrong(format!("the {name} is a number from 0 on, not {value}"));
        }
    }
    if h.nesterov && h.momentum == 0.0 {
        return wrong("Nesterov needs a momentum above 0".into());
    }
    Ok(())
}
