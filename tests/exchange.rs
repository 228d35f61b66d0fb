//! Weights, from cugrad to PyTorch and back: `load_state_dict(strict=True)`, and the same logits.
//!
//! `tests/golden/exchange/` has what PyTorch gave (`scripts/torch_exchange.py`) and is compared always.
//! The rest runs where PyTorch is: in the Python that `CUGRAD_TORCH_PYTHON` names, which then must
//! have it, or in `python3`. It is too large to be installed for a test.

#[path = "common/compare.rs"]
mod compare;
#[path = "common/python.rs"]
#[expect(dead_code, reason = "PyTorch is not among what is installed for a test")]
mod python;

use compare::assert_close;
use cugrad::files::{FileTensor, FileTensors, Metadata, read_tensors, write_tensors};
use cugrad::nn::state::{self, filter_from_file};
use cugrad::nn::{Mode, ResNet};
use cugrad::ops::sgd::Sgd;
use cugrad::ops::softmax_nll::softmax_nll;
use cugrad::optim::Optimizer;
use cugrad::{DType, Device, Tape, Tensor};
use safetensors::Dtype;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Parameters of the network at width 64.
const PARAMETERS: usize = 6_574_090;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn golden(name: &str) -> PathBuf {
    root().join("tests/golden/exchange").join(name)
}

/// The program of a Python that has PyTorch; None, and why is said, when there is none.
fn pytorch() -> Option<PathBuf> {
    let named = std::env::var_os("CUGRAD_TORCH_PYTHON").map(PathBuf::from);
    let program = named.clone().unwrap_or("python3".into());
    let found = python::output(Command::new(&program).args(["-c", "import torch, safetensors.torch"]));
    match (found, named) {
        (Ok(_), _) => Some(program),
        (Err(why), Some(named)) => {
            panic!("CUGRAD_TORCH_PYTHON is {}, which has no PyTorch: {why}", named.display())
        }
        (Err(_), None) => {
            python::say_skipped(
                "python3 has no PyTorch with safetensors (CUGRAD_TORCH_PYTHON names another); the golden \
                 files are compared all the same",
            );
            None
        }
    }
}

/// Runs `scripts/torch_exchange.py` and returns what it prints.
fn exchange<A: AsRef<OsStr>>(python: &Path, arguments: impl IntoIterator<Item = A>) -> String {
    let mut command = Command::new(python);
    command.arg("-B").arg(root().join("scripts/torch_exchange.py")).args(arguments);
    python::output(&mut command).unwrap_or_else(|why| panic!("torch_exchange.py: {why}"))
}

/// The network's logits for images as PyTorch has them, NCHW.
fn logits(net: &mut ResNet, images: &FileTensor) -> Vec<f64> {
    // An image's axes move as a filter's do.
    let x = filter_from_file(images).to_tensor(&Device::Cpu, DType::F32).unwrap();
    net.forward(&mut Tape::no_grad(), &x, Mode::Eval).unwrap().to_f64_vec().unwrap()
}

/// Asserts that the weights in `folder`, which PyTorch saved, give PyTorch's logits here.
fn gives_pytorchs_logits(folder: &Path) {
    let mut net = state::load(&folder.join("weights.safetensors"), &Device::Cpu, DType::F32).unwrap();
    let (file, _) = read_tensors(&folder.join("logits.safetensors")).unwrap();
    let (expected, found) = (&file["logits"], logits(&mut net, &file["images"]));
    assert_close("logits", &found, &expected.to_f64_vec().unwrap(), &expected.shape, 1e-5);
}

/// The images of PyTorch's golden file, and a network that has trained on them for a few steps.
fn trained(width: usize) -> (ResNet, FileTensor) {
    let (file, _) = read_tensors(&golden("logits.safetensors")).unwrap();
    let images = file["images"].clone();
    let x = filter_from_file(&images).to_tensor(&Device::Cpu, DType::F32).unwrap();
    let labels = Tensor::from_vec(&Device::Cpu, vec![1, 5, 9], &[3]).unwrap();
    let mut net = ResNet::new(&Device::Cpu, DType::F32, width, 11).unwrap();
    let sgd = Sgd { momentum: 0.9, weight_decay: 5e-4, l1: 0.0, nesterov: false };
    let mut optimizer = Optimizer::new(sgd, &mut net).unwrap();
    for _ in 0..3 {
        let mut tape = Tape::recording();
        let logits = net.forward(&mut tape, &x, Mode::Train).unwrap();
        let loss = softmax_nll(&mut tape, &logits, &labels, 0.0).unwrap();
        let gradients = tape.backward(&loss).unwrap();
        optimizer.step(&mut net, &gradients, 0.01).unwrap();
    }
    (net, images)
}

#[test]
fn the_state_dict_is_pytorchs() {
    let text = std::fs::read_to_string(golden("state_dict.json")).unwrap();
    let listed: Vec<(String, String, Vec<usize>)> = serde_json::from_str(&text).unwrap();
    let mut net = ResNet::new(&Device::Cpu, DType::F32, 64, 0).unwrap();
    // Its order, too.
    let names: Vec<String> = net.slots().into_iter().map(|slot| slot.name).collect();
    assert_eq!(names, listed.iter().map(|(name, ..)| name.clone()).collect::<Vec<_>>());

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("weights.safetensors");
    state::save(&mut net, &[], &path).unwrap();
    let (file, metadata) = read_tensors(&path).unwrap();
    assert_eq!(metadata["format"], "pt");
    assert_eq!(file.len(), listed.len());
    let mut parameters = 0;
    for (name, dtype, shape) in &listed {
        let expected = match dtype.as_str() {
            "torch.float32" => Dtype::F32,
            "torch.int64" => Dtype::I64,
            other => panic!("{name} is {other}"),
        };
        assert_eq!((&file[name].dtype, &file[name].shape), (&expected, shape), "{name}");
        let is_buffer = name.contains(".running_") || name.ends_with(".num_batches_tracked");
        parameters += if is_buffer { 0 } else { shape.iter().product::<usize>() };
    }
    assert_eq!(parameters, PARAMETERS);
}

#[test]
fn weights_that_pytorch_saved_give_its_logits() {
    gives_pytorchs_logits(&golden(""));
    // What was read is what is written.
    let (mut file, _) = read_tensors(&golden("weights.safetensors")).unwrap();
    let mut net = state::from_file(&file, &Device::Cpu, DType::F32).unwrap();
    let again = state::to_file(&mut net).unwrap();
    assert!(file.len() == again.len() && again.iter().all(|(name, t)| file.remove(name).as_ref() == Some(t)));
}

#[test]
fn eval_takes_weights_that_pytorch_saved() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cugrad"));
    command.args("eval --device cpu --data embedded --limit 50 --json --weights".split(' '));
    let said = python::output(command.arg(golden("weights.safetensors"))).unwrap();
    let found: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(found["images"], 50);
    assert!(found["loss"].as_f64().unwrap().is_finite());
}

#[test]
fn a_pickle_of_pytorchs_is_named_as_such() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("weights.pt");
    // torch.save writes a zip archive.
    std::fs::write(&path, b"PK\x03\x04 and so on").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cugrad"));
    let output =
        command.args("eval --device cpu --data embedded --weights".split(' ')).arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("weights.pt") && said.contains("safetensors.torch.save_file"), "{said}");
}

#[test]
fn pytorch_loads_strictly_what_cugrad_saved() {
    let Some(python) = pytorch() else { return };
    let folder = TempDir::new().unwrap();
    let [weights, images, out] = ["weights", "images", "logits"].map(|name| folder.path().join(name));
    let (mut net, x) = trained(64);
    let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
    state::save(&mut net, &classes, &weights).unwrap();
    write_tensors(&images, &FileTensors::from([("images".into(), x.clone())]), Metadata::new()).unwrap();

    let arguments: [&OsStr; 4] = ["logits".as_ref(), weights.as_ref(), images.as_ref(), out.as_ref()];
    let said: Value = serde_json::from_str(&exchange(&python, arguments)).unwrap();
    assert_eq!(said["parameters"], PARAMETERS);
    let (file, _) = read_tensors(&out).unwrap();
    let found = file["logits"].to_f64_vec().unwrap();
    assert_close("logits", &found, &logits(&mut net, &x), &file["logits"].shape, 1e-5);
}

#[test]
fn cugrad_loads_what_pytorch_saved() {
    let Some(python) = pytorch() else { return };
    let folder = TempDir::new().unwrap();
    exchange(&python, ["save".as_ref(), "64".as_ref(), folder.path().as_os_str()]);
    gives_pytorchs_logits(folder.path());
}

#[test]
fn the_golden_files_are_what_pytorch_gives_today() {
    let Some(python) = pytorch() else { return };
    assert_eq!(
        exchange(&python, ["list", "64"]),
        std::fs::read_to_string(golden("state_dict.json")).unwrap()
    );
}
