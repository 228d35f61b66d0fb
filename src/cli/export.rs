//! `cugrad export`

use super::output::result;
use super::predict::class_names;
use crate::data::{CHANNELS, CLASSES, SIDE};
use crate::device::Device;
use crate::error::Result;
use crate::export::{INPUT, OUTPUT, to_onnx};
use crate::files::write_atomically;
use crate::nn::{SlotValue, state};
use crate::numbers::thousands;
use crate::tensor::DType;
use crate::train::NormalizationChoice;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(about = "Write the network as an ONNX model")]
#[command(long_about = "Write the network as an ONNX model (opset 17), for other programs to run.\n\n\
The input `images` is f32 [batch,3,32,32]: red, green and blue planes, each (pixel / 255 - mean) / std. The \
output `logits` is f32 [batch,10], without a softmax; they are eval's. The batch is free. Mean, deviation \
and the names of the classes stand in the model's metadata, and weights are called as in PyTorch.")]
pub struct Export {
    /// Weights, as `train` writes and PyTorch takes them (safetensors); their width is found out
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The ONNX file to write
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
    /// How pixels were normalised in training; it is written into the metadata
    #[arg(long, value_enum, default_value = "cifar10")]
    normalization: NormalizationChoice,
}

impl Export {
    pub fn run(self) -> Result<()> {
        // Nothing is computed, so the device does not matter.
        let mut net = state::load(&self.weights, &Device::Cpu, DType::F32)?;
        let classes = class_names(&self.weights)?;
        let model = to_onnx(&mut net, &self.normalization.into(), &classes)?;
        write_atomically(&self.onnx, &model)?;
        let parameters: usize = net
            .slots()
            .iter()
            .map(|slot| match &slot.value {
                SlotValue::Parameter(parameter) => parameter.len(),
                SlotValue::Buffer(_) | SlotValue::Counter(_) => 0,
            })
            .sum();
        result(format_args!("{}: {} parameters", self.onnx.display(), thousands(parameters as u64)))?;
        result(format_args!("in   {INPUT} f32 [batch,{CHANNELS},{SIDE},{SIDE}], normalised"))?;
        result(format_args!("out  {OUTPUT} f32 [batch,{CLASSES}]"))
    }
}
