//! Initial weights: PyTorch's defaults, drawn from the counter-based generator, so that a seed gives
//! the same network on every machine and device.

use crate::device::Device;
use crate::error::Result;
use crate::random::{Purpose, Stream};
use crate::tensor::{DType, Tensor};

/// Draws the tensors of a network, one after the other.
pub struct Init<'a> {
    device: &'a Device,
    dtype: DType,
    seed: u64,
    drawn: u32,
}

impl<'a> Init<'a> {
    /// Tensors on `device` for a network that computes in `dtype`, drawn from `seed`.
    pub fn new(device: &'a Device, dtype: DType, seed: u64) -> Init<'a> {
        Init { device, dtype: dtype.wide(), seed, drawn: 0 }
    }

    /// A parameter drawn evenly from ±1/√`fan_in`: what `kaiming_uniform_(a=√5)` comes to.
    pub fn uniform(&mut self, shape: &[usize], fan_in: usize) -> Result<Tensor> {
        let bound = 1.0 / (fan_in as f64).sqrt();
        let mut stream = Stream::new(self.seed, Purpose::Init, self.drawn, 0);
        self.drawn += 1;
        let len = shape.iter().product();
        // Rounded to f32 whatever the type, so that an f64 network starts from the same weights.
        let values =
            (0..len).map(|_| f64::from(((2.0 * stream.uniform_f64() - 1.0) * bound) as f32)).collect();
        Ok(Tensor::from_f64(self.device, self.dtype, values, shape)?.with_grad())
    }

    /// A tensor filled with one value.
    pub fn constant(&self, len: usize, value: f64) -> Result<Tensor> {
        Tensor::full(self.device, self.dtype, &[len], value)
    }
}
