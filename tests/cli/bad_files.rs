//! Files that are missing, cut off or of something else: each error names the file and the tensor.

use crate::program::{cugrad, run, scratch};
use cugrad::files::{FileTensor, FileTensors, Metadata, read_tensors, write_tensors};
use cugrad::nn::{ResNet, state};
use cugrad::{DType, Device};
use safetensors::Dtype;
use std::fs;
use std::path::{Path, PathBuf};

/// Weights of width 2, in a file.
fn weights(folder: &Path) -> PathBuf {
    let path = folder.join("weights.safetensors");
    let mut net = ResNet::new(&Device::Cpu, DType::F32, 2, 1).unwrap();
    state::save(&mut net, &[], &path).unwrap();
    path
}

fn eval(weights: &Path) -> std::process::Command {
    let mut command = cugrad("eval --device cpu --data embedded --limit 8 --weights".split(' '));
    command.arg(weights);
    command
}

/// A file of these tensors.
fn file(folder: &Path, name: &str, tensors: &FileTensors) -> PathBuf {
    let path = folder.join(name);
    write_tensors(&path, tensors, Metadata::new()).unwrap();
    path
}

#[test]
fn weights_that_are_not_there_or_not_whole_are_refused() {
    let (folder, missing) = scratch();
    run(&mut eval(&missing)).failed(1, &["cannot read", "run", "No such file"]);
    run(&mut eval(folder.path())).failed(1, &["cannot read"]);
    let whole = weights(folder.path());
    let bytes = fs::read(&whole).unwrap();
    run(&mut eval(&whole)).succeeded();
    let cut = folder.path().join("cut.safetensors");
    for length in [0, 4, 8, 200, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&cut, &bytes[..length]).unwrap();
        run(&mut eval(&cut)).failed(1, &["cut.safetensors", "not a whole safetensors file"]);
    }
    fs::write(&cut, [255; 64]).unwrap();
    run(&mut eval(&cut)).failed(1, &["cut.safetensors", "not a whole safetensors file"]);
}

#[test]
fn weights_of_another_network_are_refused() {
    let (folder, _) = scratch();
    let (whole, _) = read_tensors(&weights(folder.path())).unwrap();
    let refused = |change: &dyn Fn(&mut FileTensors), words: &[&str]| {
        let mut tensors = whole.clone();
        change(&mut tensors);
        run(&mut eval(&file(folder.path(), "other.safetensors", &tensors))).failed(1, words);
    };
    let zeros = |shape: &[usize]| FileTensor::new(Dtype::F32, shape, &vec![0f32; shape.iter().product()]);
    refused(&|t| t.clear(), &["other.safetensors", "no tensor prep.conv.weight"]);
    refused(&|t| drop(t.remove("layer2.bn.running_var")), &["no tensor layer2.bn.running_var"]);
    refused(&|t| drop(t.insert("layer4.bn.bias".into(), zeros(&[2]))), &["a tensor layer4.bn.bias"]);
    refused(
        &|t| drop(t.insert("layer1.conv.weight".into(), zeros(&[4, 2, 5, 5]))),
        &["layer1.conv.weight", "[4, 2, 5, 5]", "expected [4, 2, 3, 3]"],
    );
    refused(&|t| drop(t.insert("prep.conv.weight".into(), zeros(&[2, 4, 3, 3]))), &["prep.conv.weight"]);
    refused(
        &|t| drop(t.insert("fc.bias".into(), FileTensor::new(Dtype::U32, &[10], &[0u32; 10]))),
        &["fc.bias", "U32"],
    );
}

#[test]
fn rows_that_step_cannot_train_on_are_refused() {
    let (folder, _) = scratch();
    let weights = weights(folder.path());
    let out = folder.path().join("out.safetensors");
    let step = |batch: &Path, more: &[&str]| {
        let mut command = cugrad("step --device cpu --weights".split(' '));
        command.arg(&weights).arg("--batch").arg(batch).arg("--out").arg(&out).args(more);
        run(&mut command)
    };
    let batch = |shape: &[usize], labels: &[i64]| {
        let images = FileTensor::new(Dtype::F32, shape, &vec![0.5f32; shape.iter().product()]);
        let labels = FileTensor::new(Dtype::I64, &[labels.len()], labels);
        let tensors = FileTensors::from([("images".into(), images), ("labels".into(), labels)]);
        file(folder.path(), "batch.safetensors", &tensors)
    };
    step(&batch(&[2, 3, 32, 32], &[0, 9]), &[]).succeeded();
    fs::remove_file(&out).unwrap();
    let shapes = ["batch.safetensors", "expected images [R,3,32,32]"];
    step(&batch(&[2, 3, 32, 32], &[1]), &[]).failed(1, &shapes);
    step(&batch(&[0, 3, 32, 32], &[]), &[]).failed(1, &shapes);
    step(&batch(&[1, 32, 32, 3], &[1]), &[]).failed(1, &shapes);
    step(&batch(&[2, 3, 32, 32], &[1, 10]), &[]).failed(1, &["row 1 has the label 10"]);
    step(&batch(&[1, 3, 32, 32], &[-1]), &[]).failed(1, &["row 0 has the label -1"]);
    step(&weights, &[]).failed(1, &["weights.safetensors", "no tensor `images`"]);
    let whole = batch(&[2, 3, 32, 32], &[1, 2]);
    step(&whole, &["--momentum", "2"]).failed(2, &["momentum"]);
    step(&whole, &["--nesterov"]).failed(2, &["momentum"]);
    assert!(!out.exists(), "a failed step left a file");

    let nowhere = folder.path().join("no/such/folder/out.safetensors");
    let nowhere_to = ["--out", nowhere.to_str().unwrap()];
    step(&whole, &nowhere_to).failed(1, &["cannot write", "no/such/folder"]);
}
