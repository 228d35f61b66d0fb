//! `cugrad summary`

use super::output::result;
use super::thousands;
use crate::data::{CHANNELS, SIDE};
use crate::device::Device;
use crate::error::Result;
use crate::nn::resnet::Kind;
use crate::nn::{Mode, ResNet};
use crate::tape::Tape;
use crate::tensor::{DType, Tensor};
use clap::Args;

#[derive(Args)]
pub struct Summary {
    /// Channels after the first convolution
    #[arg(long, default_value = "64", value_parser = clap::value_parser!(u16).range(1..=1024))]
    width: u16,
    /// Print the table as JSON
    #[arg(long)]
    json: bool,
}

/// One line of the table.
#[derive(serde::Serialize)]
struct Row {
    name: String,
    kind: String,
    output: Vec<usize>,
    parameters: u64,
    macs: u64,
}

impl Summary {
    pub fn run(self) -> Result<()> {
        let rows = rows(usize::from(self.width))?;
        let parameters: u64 = rows.iter().map(|r| r.parameters).sum();
        let macs: u64 = rows.iter().map(|r| r.macs).sum();
        if self.json {
            let table = serde_json::json!({ "layers": rows, "parameters": parameters, "macs": macs });
            return result(format_args!("{table:#}"));
        }
        let line = |name: &str, kind: &str, output: &str, parameters: &str, macs: &str| {
            let line = format!("{name:<18} {kind:<20} {output:<18} {parameters:>11} {macs:>13}");
            result(line.trim_end())
        };
        line("layer", "kind", "output", "parameters", "MACs")?;
        line("input", "", &format!("[N, {SIDE}, {SIDE}, {CHANNELS}]"), "", "")?;
        for row in &rows {
            let output: Vec<String> = row.output.iter().map(usize::to_string).collect();
            let output = format!("[N, {}]", output.join(", "));
            line(&row.name, &row.kind, &output, &thousands(row.parameters), &thousands(row.macs))?;
        }
        result(format_args!("\nparameters  {}", thousands(parameters)))?;
        result(format_args!("MACs        {} an image, forward", thousands(macs)))?;
        result(format_args!("weights     {:.1} MB as f32", parameters as f64 * 4e-6))
    }
}

/// The layers of a network of this width, found by sending one image through it.
fn rows(width: usize) -> Result<Vec<Row>> {
    let mut net = ResNet::new(&Device::Cpu, DType::F32, width, 0)?;
    let image = Tensor::zeros(&Device::Cpu, DType::F32, &[1, SIDE, SIDE, CHANNELS])?;
    let mut rows = Vec::new();
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
        rows.push(Row { name: output.name, kind, output: shape, parameters, macs });
    })?;
    Ok(rows)
}
