//! The network layer by layer: output shapes, parameters, multiplications.

use super::resnet::Kind;
use super::{Mode, ResNet};
use crate::data::{CHANNELS, SIDE};
use crate::device::Device;
use crate::error::Result;
use crate::tape::Tape;
use crate::tensor::{DType, Tensor};

/// What one layer puts out and what it costs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Layer {
    /// What the network calls it.
    pub name: String,
    /// What it does.
    pub kind: String,
    /// The shape of its output for one image, without the batch.
    pub output: Vec<usize>,
    /// Its parameters.
    pub parameters: u64,
    /// Its multiplications with an addition, for one image, forward.
    pub macs: u64,
}

/// The layers of a network of this width, found by sending one image through it.
///
/// # Errors
/// What the operations report.
pub fn layers(width: usize) -> Result<Vec<Layer>> {
    let mut net = ResNet::new(&Device::Cpu, DType::F32, width, 0)?;
    let image = Tensor::zeros(&Device::Cpu, DType::F32, &[1, SIDE, SIDE, CHANNELS])?;
    let mut layers = Vec::new();
    net.forward_observed(&mut Tape::no_grad(), &image, Mode::Eval, &mut |output| {
        let shape = output.tensor.shape()[1..].to_vec();
        let elements = output.tensor.len() as u64;
        let (kind, macs) = match output.kind {
            Kind::Conv3x3 { c } => ("Conv3x3".into(), 9 * c as u64 * elements),
            Kind::MaxPool { window } => (format!("MaxPool {window}x{window}"), 0),
            Kind::BatchNormRelu => ("BatchNorm+ReLU".into(), 0),
            Kind::BatchNormReluAdd => ("BatchNorm+ReLU+Add".into(), 0),
            Kind::Linear { c } => ("Linear".into(), c as u64 * elements),
        };
        let parameters = output.parameters as u64;
        layers.push(Layer { name: output.name, kind, output: shape, parameters, macs });
    })?;
    Ok(layers)
}
