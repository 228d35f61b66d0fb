//! The assignment's ResNet.
//!
//! ```text
//! prep    conv3x3 3→w → BN → ReLU
//! layer1  X = conv3x3 w→2w  → maxpool2 → BN → ReLU ;  X + [conv3x3 → BN → ReLU]×2 (X)
//! layer2  conv3x3 2w→4w → maxpool2 → BN → ReLU
//! layer3  X = conv3x3 4w→8w → maxpool2 → BN → ReLU ;  X + [conv3x3 → BN → ReLU]×2 (X)
//! maxpool4 → linear 8w→10
//! ```
//!
//! With w = 64 it has 6,574,090 parameters.

use super::init::Init;
use super::{BatchNorm, Conv3x3, Linear, Mode, Slot, SlotValue, Slots};
use crate::data::{CHANNELS, CLASSES};
use crate::device::Device;
use crate::error::Result;
use crate::ops::math::MathMode;
use crate::ops::maxpool::maxpool;
use crate::ops::reshape::reshape;
use crate::tape::Tape;
use crate::tensor::{DType, Tensor};

/// The network.
pub struct ResNet {
    width: usize,
    dtype: DType,
    prep: ConvBlock,
    layer1: ResidualLayer,
    layer2: ConvBlock,
    layer3: ResidualLayer,
    fc: Linear,
}

impl ResNet {
    /// A network of `width` channels after the first convolution that computes in `dtype`, with fresh
    /// weights from `seed`.
    pub fn new(device: &Device, dtype: DType, width: usize, seed: u64) -> Result<ResNet> {
        let init = &mut Init::new(device, dtype, seed);
        Ok(ResNet {
            width,
            dtype,
            prep: ConvBlock::new(init, CHANNELS, width, false)?,
            layer1: ResidualLayer::new(init, width, 2 * width)?,
            layer2: ConvBlock::new(init, 2 * width, 4 * width, true)?,
            layer3: ResidualLayer::new(init, 4 * width, 8 * width)?,
            fc: Linear::new(init, 8 * width, CLASSES)?,
        })
    }

    /// The same network, whose convolutions multiply as `math` says.
    pub fn with_math(mut self, math: MathMode) -> ResNet {
        let ResNet { prep, layer1, layer2, layer3, .. } = &mut self;
        for block in [prep, &mut layer1.block, layer2, &mut layer3.block] {
            block.conv.math = math;
        }
        for res in [&mut layer1.res, &mut layer3.res] {
            res.conv1.math = math;
            res.conv2.math = math;
        }
        self
    }

    /// Channels after the first convolution.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Where its parameters live.
    pub fn device(&self) -> Device {
        self.fc.weight.device()
    }

    /// The type of its input and activations; its parameters are of the type [`DType::wide`] of that.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// `x [N,32,32,3]` to logits `[N,10]`.
    pub fn forward(&mut self, tape: &mut Tape, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.forward_observed(tape, x, mode, &mut |_| {})
    }

    /// Counts a training batch in every batch norm, as [`ResNet::forward`] does: for a replay of
    /// recorded work, in which the host has no part.
    pub fn count_batch(&mut self) {
        for slot in self.slots() {
            if let SlotValue::Counter(batches) = slot.value {
                *batches += 1;
            }
        }
    }

    /// As [`ResNet::forward`], showing `observe` what every layer puts out, in order.
    pub fn forward_observed(
        &mut self,
        tape: &mut Tape,
        x: &Tensor,
        mode: Mode,
        observe: &mut dyn FnMut(Output),
    ) -> Result<Tensor> {
        let at = &mut Observer { layer: "prep", observe };
        let x = self.prep.forward(tape, x, mode, at)?;
        at.layer = "layer1";
        let x = self.layer1.forward(tape, &x, mode, at)?;
        at.layer = "layer2";
        let x = self.layer2.forward(tape, &x, mode, at)?;
        at.layer = "layer3";
        let x = self.layer3.forward(tape, &x, mode, at)?;
        at.layer = "";
        let x = maxpool(tape, &x, 4)?;
        at.see("maxpool", Kind::MaxPool { window: 4 }, &x, 0);
        let x = reshape(tape, &x, &[x.shape()[0], 8 * self.width])?;
        let logits = self.fc.forward(tape, &x)?;
        at.see("fc", Kind::Linear { c: 8 * self.width }, &logits, self.fc.weight.len() + self.fc.bias.len());
        Ok(logits)
    }

    /// Parameters and buffers, named and ordered as in a PyTorch `state_dict`.
    pub fn slots(&mut self) -> Vec<Slot<'_>> {
        let mut slots = Slots::default();
        slots.within("prep", |s| self.prep.slots(s));
        slots.within("layer1", |s| self.layer1.slots(s));
        slots.within("layer2", |s| self.layer2.slots(s));
        slots.within("layer3", |s| self.layer3.slots(s));
        slots.within("fc", |s| self.fc.slots(s));
        slots.slots
    }
}

/// What a layer put out, for those who look inside the network.
pub struct Output<'a> {
    /// `layer1.res.conv1`; a name of the state_dict where the layer has parameters.
    pub name: String,
    /// The kind of layer.
    pub kind: Kind,
    /// The tensor.
    pub tensor: &'a Tensor,
    /// Its learned parameters.
    pub parameters: usize,
}

/// The kinds of layer, with what their cost depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 3×3 convolution of `c` input channels.
    Conv3x3 {
        /// Input channels.
        c: usize,
    },
    /// Max pooling.
    MaxPool {
        /// Side of the window, and stride.
        window: usize,
    },
    /// Batch norm and ReLU.
    BatchNormRelu,
    /// Batch norm, ReLU, and the sum with the residual.
    BatchNormReluAdd,
    /// Fully connected layer of `c` inputs.
    Linear {
        /// Inputs.
        c: usize,
    },
}

struct Observer<'a> {
    layer: &'static str,
    observe: &'a mut dyn FnMut(Output),
}

impl Observer<'_> {
    fn see(&mut self, part: &str, kind: Kind, tensor: &Tensor, parameters: usize) {
        let dot = if self.layer.is_empty() { "" } else { "." };
        (self.observe)(Output { name: format!("{}{dot}{part}", self.layer), kind, tensor, parameters });
    }

    fn conv(&mut self, part: &str, conv: &Conv3x3, y: &Tensor) {
        let parameters = conv.weight.len() + conv.bias.as_ref().map_or(0, Tensor::len);
        self.see(part, Kind::Conv3x3 { c: conv.weight.shape()[3] }, y, parameters);
    }
}

/// conv3x3 (with bias) → [maxpool2] → BN → ReLU
struct ConvBlock {
    conv: Conv3x3,
    pool: bool,
    bn: BatchNorm,
}

impl ConvBlock {
    fn new(init: &mut Init, c: usize, k: usize, pool: bool) -> Result<ConvBlock> {
        Ok(ConvBlock { conv: Conv3x3::new(init, c, k, true)?, pool, bn: BatchNorm::new(init, k)? })
    }

    fn forward(&mut self, tape: &mut Tape, x: &Tensor, mode: Mode, at: &mut Observer) -> Result<Tensor> {
        let mut x = self.conv.forward(tape, x)?;
        at.conv("conv", &self.conv, &x);
        if self.pool {
            x = maxpool(tape, &x, 2)?;
            at.see("maxpool", Kind::MaxPool { window: 2 }, &x, 0);
        }
        let y = self.bn.forward_relu(tape, &x, None, mode)?;
        at.see("bn", Kind::BatchNormRelu, &y, 2 * self.bn.weight.len());
        Ok(y)
    }

    fn slots<'a>(&'a mut self, slots: &mut Slots<'a>) {
        slots.within("conv", |s| self.conv.slots(s));
        slots.within("bn", |s| self.bn.slots(s));
    }
}

/// X = [`ConvBlock`] ; X + [conv3x3 → BN → ReLU]×2 (X)
struct ResidualLayer {
    block: ConvBlock,
    res: Residual,
}

struct Residual {
    conv1: Conv3x3,
    bn1: BatchNorm,
    conv2: Conv3x3,
    bn2: BatchNorm,
}

impl ResidualLayer {
    fn new(init: &mut Init, c: usize, k: usize) -> Result<ResidualLayer> {
        let block = ConvBlock::new(init, c, k, true)?;
        let res = Residual {
            conv1: Conv3x3::new(init, k, k, false)?,
            bn1: BatchNorm::new(init, k)?,
            conv2: Conv3x3::new(init, k, k, false)?,
            bn2: BatchNorm::new(init, k)?,
        };
        Ok(ResidualLayer { block, res })
    }

    fn forward(&mut self, tape: &mut Tape, x: &Tensor, mode: Mode, at: &mut Observer) -> Result<Tensor> {
        let x = self.block.forward(tape, x, mode, at)?;
        let Residual { conv1, bn1, conv2, bn2 } = &mut self.res;
        let r = conv1.forward(tape, &x)?;
        at.conv("res.conv1", conv1, &r);
        let r = bn1.forward_relu(tape, &r, None, mode)?;
        at.see("res.bn1", Kind::BatchNormRelu, &r, 2 * bn1.weight.len());
        let r = conv2.forward(tape, &r)?;
        at.conv("res.conv2", conv2, &r);
        let y = bn2.forward_relu(tape, &r, Some(&x), mode)?;
        at.see("res.bn2", Kind::BatchNormReluAdd, &y, 2 * bn2.weight.len());
        Ok(y)
    }

    fn slots<'a>(&'a mut self, slots: &mut Slots<'a>) {
        self.block.slots(slots);
        slots.within("res", |s| {
            s.within("conv1", |s| self.res.conv1.slots(s));
            s.within("bn1", |s| self.res.bn1.slots(s));
            s.within("conv2", |s| self.res.conv2.slots(s));
            s.within("bn2", |s| self.res.bn2.slots(s));
        });
    }
}
