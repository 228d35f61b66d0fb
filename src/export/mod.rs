//! The network as an ONNX model, for other programs to run.
//!
//! The model computes what [`ResNet::forward`] computes in [`Mode::Eval`](crate::nn::Mode::Eval): plain
//! nodes (convolution, batch norm, ReLU, max pooling) whose weights keep the names and layouts of a
//! PyTorch `state_dict`. The batch is free:
//!
//! ```text
//! images [batch,3,32,32] f32   red, green, blue planes, each (pixel / 255 - mean) / std
//! logits [batch,10]      f32   no softmax
//! ```
//!
//! Mean, deviation and the names of the classes stand in the model's metadata as JSON.

mod graph;
mod proto;

use crate::data::{CHANNELS, CLASSES, SIDE};
use crate::error::{Error, Result};
use crate::files::FileTensor;
use crate::nn::{ResNet, state};
use crate::ops::augment::Normalization;
use graph::Builder;
use prost::Message;
use proto::{Dimension, Extent, FLOAT, IR_VERSION, OPSET};
use safetensors::Dtype;

/// The model's input.
pub const INPUT: &str = "images";
/// The model's output.
pub const OUTPUT: &str = "logits";
/// The most bytes that a protobuf message may have.
const MAX_BYTES: usize = i32::MAX as usize;
/// The widest network that has no more.
const MAX_WIDTH: usize = 576;

/// The bytes of an ONNX file with the network, whose pixels were normalised by `normalization` and
/// whose classes are called `classes`.
///
/// # Errors
/// [`Error::Config`] when the network is too large for one file, or does not compute in f32.
pub fn to_onnx(net: &mut ResNet, normalization: &Normalization, classes: &[String]) -> Result<Vec<u8>> {
    let weights = state::to_file(net)?;
    let mut builder = Builder::default();
    for (name, tensor) in weights {
        match tensor.dtype {
            Dtype::F32 => builder.weight(to_initializer(name, tensor)),
            // Batches seen: of use in training alone.
            Dtype::I64 => {}
            other => return Err(Error::Config(format!("{name} is {other:?}, an ONNX export takes F32"))),
        }
    }
    let y = resnet(&mut builder, INPUT);
    builder.rename(&y, OUTPUT);
    let side = SIDE as i64;
    let model = proto::Model {
        ir_version: IR_VERSION,
        producer_name: "cugrad".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: "A CIFAR-10 ResNet: normalised images to logits.".into(),
        graph: Some(builder.finish(
            format!("resnet of width {}", net.width()),
            value(
                INPUT,
                &[CHANNELS as i64, side, side],
                "red, green and blue planes, each (pixel / 255 - mean) / std",
            ),
            value(OUTPUT, &[CLASSES as i64], "one for each class, no softmax"),
        )),
        opset_import: vec![proto::OperatorSet { domain: Some(String::new()), version: OPSET }],
        metadata_props: [
            ("mean", serde_json::json!(normalization.mean)),
            ("std", serde_json::json!(normalization.std)),
            ("classes", serde_json::json!(classes)),
        ]
        .map(|(key, value)| proto::Property { key: key.into(), value: value.to_string() })
        .to_vec(),
    };
    expect_fits(model.encoded_len(), net.width())?;
    Ok(model.encode_to_vec())
}

fn expect_fits(bytes: usize, width: usize) -> Result<()> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(Error::Config(format!(
        "a network of width {width} makes an ONNX file of {bytes} bytes, expected at most {MAX_BYTES}\n  help: \
         export one of width {MAX_WIDTH} or less"
    )))
}

/// The assignment's ResNet, node by node as [`ResNet`] has it; returns the name of the logits.
fn resnet(b: &mut Builder, x: &str) -> String {
    let x = conv_block(b, x, "prep", false);
    let x = residual_layer(b, &x, "layer1");
    let x = conv_block(b, &x, "layer2", true);
    let x = residual_layer(b, &x, "layer3");
    let x = b.max_pool(&x, "maxpool", 4);
    let x = b.flatten(&x, "flatten");
    b.linear(&x, "fc")
}

/// conv3x3 → [maxpool2] → BN → ReLU
fn conv_block(b: &mut Builder, x: &str, layer: &str, pool: bool) -> String {
    let mut x = b.conv3x3(x, &format!("{layer}.conv"));
    if pool {
        x = b.max_pool(&x, &format!("{layer}.maxpool"), 2);
    }
    let x = b.batch_norm(&x, &format!("{layer}.bn"));
    b.relu(&x, &format!("{layer}.relu"))
}

/// X = [`conv_block`] ; X + [conv3x3 → BN → ReLU]×2 (X)
fn residual_layer(b: &mut Builder, x: &str, layer: &str) -> String {
    let x = conv_block(b, x, layer, true);
    let mut r = x.clone();
    for i in [1, 2] {
        r = b.conv3x3(&r, &format!("{layer}.res.conv{i}"));
        r = b.batch_norm(&r, &format!("{layer}.res.bn{i}"));
        r = b.relu(&r, &format!("{layer}.res.relu{i}"));
    }
    b.add(&x, &r, &format!("{layer}.add"))
}

fn to_initializer(name: String, tensor: FileTensor) -> proto::Tensor {
    proto::Tensor {
        dims: tensor.shape.iter().map(|&extent| extent as i64).collect(),
        data_type: FLOAT,
        name,
        raw_data: tensor.bytes,
    }
}

/// An input or output: a batch of tensors of `extents`.
fn value(name: &str, extents: &[i64], doc: &str) -> proto::Value {
    let batch = Extent::Open("batch".into());
    let extents = extents.iter().map(|&extent| Extent::Fixed(extent));
    let dim = std::iter::once(batch).chain(extents).map(|value| Dimension { value: Some(value) }).collect();
    let tensor = proto::TensorType { elem_type: FLOAT, shape: Some(proto::Shape { dim }) };
    proto::Value {
        name: name.into(),
        r#type: Some(proto::Type { tensor_type: Some(tensor) }),
        doc_string: doc.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::transforms::CIFAR10;
    use crate::device::Device;
    use crate::tensor::DType;

    #[test]
    fn the_widest_network_is_the_widest_that_fits() {
        let bytes = |width| {
            let mut net = ResNet::new(&Device::Cpu, DType::F32, width, 0).unwrap();
            to_onnx(&mut net, &CIFAR10, &[]).unwrap().len() as f64
        };
        // Bytes are a quadratic in the width: three points tell it.
        let (a, b, c) = (bytes(8), bytes(16), bytes(24));
        let at = |width: usize| {
            let t = (width as f64 - 16.0) / 8.0;
            b + t * (c - a) / 2.0 + t * t * (a + c - 2.0 * b) / 2.0
        };
        let nearly = at(40) / bytes(40);
        assert!((nearly - 1.0).abs() < 1e-3, "{nearly}");
        // A margin for the few bytes that do not follow it.
        assert!(at(MAX_WIDTH) < 0.999 * MAX_BYTES as f64 && at(MAX_WIDTH + 8) > 1.001 * MAX_BYTES as f64);
    }

    #[test]
    fn a_network_too_large_for_a_file_is_refused() {
        assert!(expect_fits(MAX_BYTES, 576).is_ok());
        let said = expect_fits(MAX_BYTES + 1, 600).unwrap_err().to_string();
        assert!(said.contains("width 600") && said.contains("2147483648 bytes"), "{said}");
    }
}
