//! `cugrad op`

use super::DeviceArgs;
use super::output::result;
use crate::error::{Error, Result};
use crate::files::{FileTensor, FileTensors, Metadata, read_tensors, write_tensors};
use crate::ops::registry::{find, operations};
use crate::ops::spec::{Arguments, Operand, Operation, Values};
use crate::tape::Tape;
use crate::tensor::DType;
use clap::Args;
use safetensors::Dtype;
use std::path::PathBuf;

#[derive(Args)]
#[command(
    long_about = "Run one operation, or one gradient, on tensors from a safetensors file. `cugrad op \
--list` names the operations with their tensors and attributes. Layouts are the engine's own: images \
NHWC, filters KRSC.",
    after_help = "Example:
  cugrad op conv3x3_dgrad --in dy_and_filter.safetensors --out dx.safetensors --device cpu"
)]
pub struct Op {
    /// The operation
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// List the operations, with their tensors and attributes
    #[arg(long, exclusive = true)]
    list: bool,
    /// The file with the input tensors (safetensors)
    #[arg(long = "in", value_name = "FILE", required_unless_present = "list")]
    input: Option<PathBuf>,
    /// Where to write the output tensors (safetensors)
    #[arg(long = "out", value_name = "FILE", required_unless_present = "list")]
    output: Option<PathBuf>,
    /// An attribute; may be repeated
    #[arg(long = "attr", value_name = "NAME=NUMBER", value_parser = attribute)]
    attributes: Vec<(String, f64)>,
    #[command(flatten)]
    device: DeviceArgs,
}

impl Op {
    pub fn run(self) -> Result<()> {
        // Without --list, clap has seen to it that all three are there.
        let (Some(name), Some(input), Some(output)) = (self.name, self.input, self.output) else {
            return operations().try_for_each(describe);
        };
        let operation = find(&name)?;
        let device = self.device.open()?;
        let (file, _) = read_tensors(&input)?;
        let mut arguments =
            Arguments { attributes: self.attributes.into_iter().collect(), ..Arguments::default() };
        for (name, tensor) in &file {
            let operand = operation.inputs.iter().find(|operand| operand.name == name);
            let loaded = tensor.to_tensor(&device, dtype_for(operand, tensor));
            let loaded = loaded.map_err(|why| Error::format(&input, format!("{name}: {why}")))?;
            arguments.tensors.insert(name.clone(), loaded);
        }
        operation.expect_ranges(&arguments)?;
        let results = operation.run(&mut Tape::no_grad(), &arguments)?;
        let tensors = results
            .iter()
            .map(|(name, tensor)| Ok((name.to_string(), FileTensor::try_from(tensor)?)))
            .collect::<Result<FileTensors>>()?;
        write_tensors(&output, &tensors, Metadata::new())?;
        for (name, tensor) in &results {
            result(format_args!("{name} {:?} {:?}", tensor.shape(), tensor.dtype()))?;
        }
        Ok(())
    }
}

/// The type that a tensor of a file gets: what the operand needs, else what comes nearest to the file.
fn dtype_for(operand: Option<&Operand>, tensor: &FileTensor) -> DType {
    match operand.map(|operand| operand.values) {
        Some(Values::Index(_) | Values::Columns(_) | Values::Count) => DType::I32,
        Some(Values::Place | Values::Pixel) => DType::U8,
        Some(Values::Real | Values::Wide | Values::Positive) | None => match tensor.dtype {
            Dtype::F64 => DType::F64,
            Dtype::BF16 => DType::BF16,
            _ => DType::F32,
        },
    }
}

fn describe(operation: &Operation) -> Result<()> {
    result(format_args!("{}\n  {}", operation.name, operation.equation))?;
    let list = |label: &str, items: Vec<String>| match items.is_empty() {
        true => Ok(()),
        false => result(format_args!("  {label:<4} {}", items.join("; "))),
    };
    list("in", operation.inputs.iter().map(ToString::to_string).collect())?;
    list("attr", operation.attributes.iter().map(ToString::to_string).collect())?;
    list("out", operation.outputs.iter().map(ToString::to_string).collect())?;
    list("sum", operation.accumulates.iter().map(|name| format!("added to {name}, if given")).collect())?;
    result("")
}

fn attribute(text: &str) -> std::result::Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=NUMBER")?;
    let value = match value {
        "true" => 1.0,
        "false" => 0.0,
        number => number.parse().map_err(|_| format!("`{number}` is no number"))?,
    };
    Ok((name.into(), value))
}
