//! The layers: parameters, and the operation they feed. Parameters of a bf16 network are f32; its
//! convolutions and its linear layer multiply by a copy rounded to bf16.

use super::init::Init;
use super::{Mode, SlotValue, Slots};
use crate::error::Result;
use crate::ops::batchnorm::{self, BatchStatistics, Epilogue, Statistics, batchnorm};
use crate::ops::cast::cast;
use crate::ops::conv3x3::conv3x3;
use crate::ops::linear;
use crate::ops::math::MathMode;
use crate::tape::Tape;
use crate::tensor::Tensor;

/// A 3×3 convolution, stride 1, padding 1.
pub struct Conv3x3 {
    /// `[K,3,3,C]`
    pub weight: Tensor,
    /// `[K]`
    pub bias: Option<Tensor>,
    /// How it multiplies.
    pub math: MathMode,
}

impl Conv3x3 {
    pub(super) fn new(init: &mut Init, c: usize, k: usize, bias: bool) -> Result<Conv3x3> {
        let fan_in = 9 * c;
        Ok(Conv3x3 {
            weight: init.uniform(&[k, 3, 3, c], fan_in)?,
            bias: bias.then(|| init.uniform(&[k], fan_in)).transpose()?,
            math: MathMode::default(),
        })
    }

    /// `x [N,H,W,C]` to `[N,H,W,K]`.
    pub fn forward(&self, tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
        let filter = cast(tape, &self.weight, x.dtype())?;
        conv3x3(tape, x, &filter, self.bias.as_ref(), self.math)
    }

    pub(super) fn slots<'a>(&'a mut self, slots: &mut Slots<'a>) {
        slots.push("weight", SlotValue::Parameter(&mut self.weight));
        if let Some(bias) = &mut self.bias {
            slots.push("bias", SlotValue::Parameter(bias));
        }
    }
}

/// Batch norm over all axes but the last, eps 1e-5, momentum 0.1.
pub struct BatchNorm {
    /// The scale, gamma `[C]`.
    pub weight: Tensor,
    /// The shift, beta `[C]`.
    pub bias: Tensor,
    /// `[C]`
    pub running_mean: Tensor,
    /// `[C]`, unbiased.
    pub running_var: Tensor,
    /// Training batches seen.
    pub num_batches_tracked: i64,
}

impl BatchNorm {
    /// What is added to a variance before its root is taken.
    pub const EPS: f64 = 1e-5;
    const MOMENTUM: f64 = 0.1;

    pub(super) fn new(init: &mut Init, c: usize) -> Result<BatchNorm> {
        Ok(BatchNorm {
            weight: init.constant(c, 1.0)?.with_grad(),
            bias: init.constant(c, 0.0)?.with_grad(),
            running_mean: init.constant(c, 0.0)?,
            running_var: init.constant(c, 1.0)?,
            num_batches_tracked: 0,
        })
    }

    /// `relu(bn(x))`, plus `residual` where there is one.
    pub fn forward_relu(
        &mut self,
        tape: &mut Tape,
        x: &Tensor,
        residual: Option<&Tensor>,
        mode: Mode,
    ) -> Result<Tensor> {
        let statistics = match mode {
            Mode::Train => Statistics::Batch,
            Mode::Eval => Statistics::Running { mean: &self.running_mean, var: &self.running_var },
        };
        let epilogue = residual.map_or(Epilogue::Relu, Epilogue::ReluAdd);
        let (y, batch) = batchnorm(tape, x, &self.weight, &self.bias, Self::EPS, statistics, epilogue)?;
        if let Some(batch) = batch {
            self.track(&batch, x)?;
        }
        Ok(y)
    }

    fn track(&mut self, batch: &BatchStatistics, x: &Tensor) -> Result<()> {
        let rows = x.len() / self.weight.len();
        batchnorm::update_running(
            batch,
            rows,
            Self::MOMENTUM,
            &mut self.running_mean,
            &mut self.running_var,
        )?;
        self.num_batches_tracked += 1;
        Ok(())
    }

    pub(super) fn slots<'a>(&'a mut self, slots: &mut Slots<'a>) {
        slots.push("weight", SlotValue::Parameter(&mut self.weight));
        slots.push("bias", SlotValue::Parameter(&mut self.bias));
        slots.push("running_mean", SlotValue::Buffer(&mut self.running_mean));
        slots.push("running_var", SlotValue::Buffer(&mut self.running_var));
        slots.push("num_batches_tracked", SlotValue::Counter(&mut self.num_batches_tracked));
    }
}

/// A fully connected layer.
pub struct Linear {
    /// `[K,C]`
    pub weight: Tensor,
    /// `[K]`
    pub bias: Tensor,
}

impl Linear {
    pub(super) fn new(init: &mut Init, c: usize, k: usize) -> Result<Linear> {
        Ok(Linear { weight: init.uniform(&[k, c], c)?, bias: init.uniform(&[k], c)? })
    }

    /// `x [N,C]` to `[N,K]`.
    pub fn forward(&self, tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
        let weight = cast(tape, &self.weight, x.dtype())?;
        linear::linear(tape, x, &weight, &self.bias)
    }

    pub(super) fn slots<'a>(&'a mut self, slots: &mut Slots<'a>) {
        slots.push("weight", SlotValue::Parameter(&mut self.weight));
        slots.push("bias", SlotValue::Parameter(&mut self.bias));
    }
}
