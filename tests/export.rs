//! `export`: the ONNX model in onnxruntime against the logits that `eval` computes.

#[path = "common/compare.rs"]
mod compare;
#[path = "common/python.rs"]
mod python;

use compare::assert_close;
use cugrad::data::{embedded, transforms};
use cugrad::files::{FileTensor, FileTensors, Metadata, read_tensors, write_tensors};
use cugrad::nn::{Mode, ResNet, state};
use cugrad::{DType, Device, Tape, Tensor};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use safetensors::Dtype;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Parameters of the network at width 64.
const PARAMETERS: usize = 6_574_090;

/// A network whose batch norms have statistics, scales and shifts of their own.
fn network(width: usize) -> ResNet {
    let mut rng = StdRng::seed_from_u64(5);
    let mut net = ResNet::new(&Device::Cpu, DType::F32, width, 3).unwrap();
    let mut tensors = state::to_file(&mut net).unwrap();
    for (name, tensor) in &mut tensors {
        let range = match name.rsplit_once('.').unwrap() {
            (layer, "weight") if layer.contains("bn") => 0.5..1.5,
            (_, "running_var") => 0.5..2.0,
            (_, "bias" | "running_mean") => -0.3..0.3,
            _ => continue,
        };
        let len = tensor.shape.iter().product();
        let values: Vec<f32> = (0..len).map(|_| rng.random_range(range.clone())).collect();
        *tensor = FileTensor::new(Dtype::F32, &tensor.shape, &values);
    }
    state::from_file(&tensors, &Device::Cpu, DType::F32).unwrap()
}

/// The first `n` test images as PyTorch and ONNX take them, normalised, and the network's logits.
fn images_and_logits(net: &mut ResNet, n: usize) -> (FileTensor, Vec<f64>) {
    let (_, test) = embedded::load();
    let images = cugrad::data::Images::new(&Device::Cpu, &test, Some(n)).unwrap();
    let index: Vec<u32> = (0..n as u32).collect();
    let rows = transforms::rows(0, 0, &index, false);
    let x = images.batch(&index, rows, &transforms::CIFAR10, DType::F32).unwrap().x;
    let logits = net.forward(&mut Tape::no_grad(), &x, Mode::Eval).unwrap().to_f64_vec().unwrap();
    (planes(&x), logits)
}

/// NHWC to NCHW.
fn planes(x: &Tensor) -> FileTensor {
    let &[n, h, w, c] = x.shape() else { panic!("{:?}", x.shape()) };
    let pixels = x.to_vec::<f32>().unwrap();
    let mut planes = Vec::<f32>::with_capacity(pixels.len());
    for image in pixels.chunks(h * w * c) {
        for channel in 0..c {
            planes.extend(image.iter().skip(channel).step_by(c));
        }
    }
    FileTensor::new(Dtype::F32, &[n, c, h, w], &planes)
}

fn export(weights: &Path, onnx: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cugrad"));
    command.args(["export", "--weights"]).arg(weights).arg("--onnx").arg(onnx).output().unwrap()
}

/// A folder with weights of a network that have the data set's class names.
fn saved(net: &mut ResNet) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("weights.safetensors");
    let (_, test) = embedded::load();
    state::save(net, &test.classes, &path).unwrap();
    (folder, path)
}

/// Exports the network, runs it on batches of 1 and 7 in onnxruntime, and compares the logits; gives
/// back what the model says of itself.
fn runs_elsewhere(peers: &python::Python, width: usize) -> Value {
    let mut net = network(width);
    let (folder, weights) = saved(&mut net);
    let [onnx, images, out] = ["net.onnx", "images", "logits"].map(|name| folder.path().join(name));
    let output = export(&weights, &onnx);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let batches = [1, 7].map(|n| (n.to_string(), images_and_logits(&mut net, n)));
    let inputs: FileTensors = batches.iter().map(|(name, (x, _))| (name.clone(), x.clone())).collect();
    write_tensors(&images, &inputs, Metadata::new()).unwrap();

    let said = peers.run("run_onnx.py", [&onnx, &images, &out]);
    let (logits, _) = read_tensors(&out).unwrap();
    for (name, (_, expected)) in &batches {
        let found = &logits[name];
        assert_eq!(found.shape, [name.parse().unwrap(), 10]);
        let what = format!("width {width}, a batch of {name}");
        assert_close(&what, &found.to_f64_vec().unwrap(), expected, &found.shape, 1e-5);
    }
    serde_json::from_str(&said).unwrap()
}

#[test]
fn onnxruntime_computes_the_logits_of_eval() {
    let Some(peers) = python::peers() else { return };
    let model = runs_elsewhere(&peers, 4);
    assert_eq!(model["inputs"], serde_json::json!({"images": ["batch", 3, 32, 32]}));
    assert_eq!(model["outputs"], serde_json::json!({"logits": ["batch", 10]}));
    assert_eq!((&model["opset"][""], &model["ir_version"]), (&17.into(), &8.into()));
    assert_eq!(model["metadata"]["mean"], serde_json::json!([0.4914, 0.4822, 0.4465]));
    assert_eq!(model["metadata"]["std"], serde_json::json!([0.2470, 0.2435, 0.2616]));
    assert_eq!(model["metadata"]["classes"][2], "crescent");
}

#[test]
fn the_assignments_network_has_its_parameters_under_pytorchs_names() {
    let Some(peers) = python::peers() else { return };
    let model = runs_elsewhere(&peers, 64);
    let weights = model["weights"].as_object().unwrap();
    let mut parameters = 0;
    for (name, slot) in network(64).slots().iter().map(|slot| (&slot.name, &slot.value)) {
        let extents = match slot {
            cugrad::nn::SlotValue::Parameter(t) => {
                parameters += t.len();
                state::file_shape(t.shape())
            }
            cugrad::nn::SlotValue::Buffer(t) => state::file_shape(t.shape()),
            cugrad::nn::SlotValue::Counter(_) => {
                assert!(!weights.contains_key(name), "{name} is of no use to an ONNX model");
                continue;
            }
        };
        assert_eq!(weights[name], serde_json::json!(extents), "{name}");
        let uses = model["used"].as_array().unwrap().iter().filter(|used| *used == name).count();
        assert_eq!(uses, 1, "{name}");
    }
    assert_eq!(parameters, PARAMETERS);
}

/// That `export` ends with status 1 and these words, and leaves nothing behind.
fn refuses(folder: &Path, weights: &Path, onnx: &Path, words: &[&str]) {
    let entries = || std::fs::read_dir(folder).unwrap().count();
    let before = entries();
    let output = export(weights, onnx);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: ") && !said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "expected `{word}` in: {said}");
    }
    assert_eq!(entries(), before, "something was left behind");
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let (folder, weights) = saved(&mut network(2));
    let onnx = folder.path().join("net.onnx");
    let other = folder.path().join("other.safetensors");
    refuses(folder.path(), &other, &onnx, &["cannot read", "other.safetensors"]);

    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&other, &whole[..whole.len() / 2]).unwrap();
    refuses(folder.path(), &other, &onnx, &["other.safetensors", "not a whole safetensors file"]);

    // A layer of another width among the rest.
    let mut mixed = state::to_file(&mut network(2)).unwrap();
    let wider = state::to_file(&mut network(4)).unwrap();
    mixed.insert("layer2.conv.weight".into(), wider["layer2.conv.weight"].clone());
    write_tensors(&other, &mixed, Metadata::new()).unwrap();
    refuses(folder.path(), &other, &onnx, &["layer2.conv.weight", "[16, 8, 3, 3]", "[8, 4, 3, 3]"]);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let (folder, weights) = saved(&mut network(2));
    refuses(folder.path(), &weights, &folder.path().join("no/net.onnx"), &["cannot write", "no/net.onnx"]);
    refuses(
        folder.path(),
        &weights,
        &weights.join("net.onnx"),
        &["cannot write", "weights.safetensors/net.onnx"],
    );
    let taken = folder.path().join("taken.onnx");
    std::fs::create_dir(&taken).unwrap();
    refuses(folder.path(), &weights, &taken, &["cannot write", "taken.onnx"]);
}
