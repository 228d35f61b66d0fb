//! `cugrad op`

use crate::program::{cugrad, run, scratch};
use cugrad::files::{FileTensor, FileTensors, Metadata, read_tensors, write_tensors};
use safetensors::Dtype;
use std::path::{Path, PathBuf};

fn file(folder: &Path, tensors: &[(&str, FileTensor)]) -> PathBuf {
    let path = folder.join("in.safetensors");
    let tensors: FileTensors = tensors.iter().map(|(name, t)| (name.to_string(), t.clone())).collect();
    write_tensors(&path, &tensors, Metadata::new()).unwrap();
    path
}

fn f32s(shape: &[usize], values: &[f32]) -> FileTensor {
    FileTensor::new(Dtype::F32, shape, values)
}

fn op(name: &str, input: &Path, output: &Path) -> std::process::Command {
    let mut command = cugrad(["op", name, "--device", "cpu", "--in"]);
    command.arg(input).arg("--out").arg(output);
    command
}

#[test]
fn computes_what_the_equation_says() {
    let (folder, out) = scratch();
    let x = f32s(&[2, 3], &[1.0, -2.0, 3.0, 0.0, 5.0, -6.0]);
    let weight = f32s(&[2, 3], &[1.0, 0.0, 1.0, 0.5, 1.0, 0.0]);
    let bias = f32s(&[2], &[10.0, 20.0]);
    let input = file(folder.path(), &[("x", x), ("weight", weight), ("bias", bias)]);
    let printed = run(&mut op("linear_fprop", &input, &out)).succeeded();
    assert_eq!(printed, "y [2, 2] F32\n");
    let (written, _) = read_tensors(&out).unwrap();
    assert_eq!(written["y"], f32s(&[2, 2], &[14.0, 18.5, 4.0, 25.0]));
}

#[test]
fn keeps_the_type_of_its_tensors() {
    let (folder, out) = scratch();
    let x = FileTensor::new(Dtype::F64, &[4], &[-1.0, 0.0, 1e-300, 2.5]);
    let input = file(folder.path(), &[("x", x)]);
    assert_eq!(run(&mut op("relu_fprop", &input, &out)).succeeded(), "y [4] F64\n");
    let (written, _) = read_tensors(&out).unwrap();
    assert_eq!(written["y"], FileTensor::new(Dtype::F64, &[4], &[0.0, 0.0, 1e-300, 2.5]));
}

#[test]
fn takes_attributes() {
    let (folder, out) = scratch();
    let values: Vec<f32> = (0..16).map(|i| i as f32).collect();
    let input = file(folder.path(), &[("x", f32s(&[1, 4, 4, 1], &values))]);
    run(op("maxpool_fprop", &input, &out).args(["--attr", "window=2"])).succeeded();
    let (written, _) = read_tensors(&out).unwrap();
    assert_eq!(written["y"], f32s(&[1, 2, 2, 1], &[5.0, 7.0, 13.0, 15.0]));

    run(op("maxpool_fprop", &input, &out).args(["--attr", "window=2.5"])).failed(1, &["window", "2.5"]);
    run(op("maxpool_fprop", &input, &out).args(["--attr", "window=-1"])).failed(1, &["window"]);
    run(op("maxpool_fprop", &input, &out).args(["--attr", "window=2", "--attr", "widow=2"]))
        .failed(1, &["[window]", "`widow`"]);
    run(&mut op("maxpool_fprop", &input, &out)).failed(1, &["the attribute window"]);
    run(op("maxpool_fprop", &input, &out).args(["--attr", "window"])).failed(2, &["NAME=NUMBER"]);
    run(op("maxpool_fprop", &input, &out).args(["--attr", "window=two"])).failed(2, &["two"]);
}

#[test]
fn names_what_does_not_fit() {
    let (folder, out) = scratch();
    let x = || f32s(&[2, 3], &[0.0; 6]);
    let input = file(folder.path(), &[("y", x())]);
    run(&mut op("relu_fprop", &input, &out)).failed(1, &["relu_fprop: expected x", "no tensor of this name"]);
    let input = file(folder.path(), &[("x", x()), ("z", x())]);
    run(&mut op("relu_fprop", &input, &out)).failed(1, &["relu_fprop", "`z`"]);
    run(&mut op("rleu_fprop", &input, &out)).failed(2, &["rleu_fprop", "relu_fprop"]);
    let weight = f32s(&[2, 4], &[0.0; 8]);
    let bias = f32s(&[2], &[0.0; 2]);
    let input = file(folder.path(), &[("x", x()), ("weight", weight), ("bias", bias)]);
    run(&mut op("linear_fprop", &input, &out)).failed(1, &["linear", "[2, 4]"]);
    run(&mut op("linear_fprop", &folder.path().join("none"), &out)).failed(1, &["cannot read", "none"]);
    assert!(!out.exists());
}

#[test]
fn list_names_every_operation() {
    let list = run(&mut cugrad(["op", "--list"])).succeeded();
    for operation in cugrad::ops::registry::operations() {
        assert!(list.lines().any(|line| line == operation.name), "{}", operation.name);
    }
}
