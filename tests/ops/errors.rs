//! Wrong use: each error has the right kind, and its message the words that help.

use cugrad::ops::registry;
use cugrad::ops::spec::Arguments;
use cugrad::{DType, Device, Error, Tape, Tensor};

enum Kind {
    Shape,
    Operand,
    Config,
}
use Kind::{Config, Operand, Shape};

fn float(shape: &[usize]) -> Tensor {
    Tensor::zeros(&Device::Cpu, DType::F64, shape).unwrap()
}

fn single(shape: &[usize]) -> Tensor {
    Tensor::zeros(&Device::Cpu, DType::F32, shape).unwrap()
}

fn bytes(shape: &[usize]) -> Tensor {
    Tensor::zeros(&Device::Cpu, DType::U8, shape).unwrap()
}

fn integers(values: &[i32], shape: &[usize]) -> Tensor {
    Tensor::from_vec(&Device::Cpu, values.to_vec(), shape).unwrap()
}

/// Runs `op` and checks the error: its kind, and that its message holds all of `words`.
#[track_caller]
fn rejects(op: &str, tensors: &[(&str, Tensor)], attributes: &[(&str, f64)], kind: Kind, words: &[&str]) {
    let arguments = Arguments {
        tensors: tensors.iter().map(|(name, t)| (name.to_string(), t.clone())).collect(),
        attributes: attributes.iter().map(|(name, value)| (name.to_string(), *value)).collect(),
    };
    let error = registry::find(op).unwrap().run(&mut Tape::recording(), &arguments).unwrap_err();
    let right = match kind {
        Shape => matches!(error, Error::Shape { .. }),
        Operand => matches!(error, Error::Operand { .. }),
        Config => matches!(error, Error::Config(_)),
    };
    let message = error.to_string();
    assert!(right && words.iter().all(|word| message.contains(word)), "{op}: {error:?}");
}

#[test]
fn conv3x3_rejects_what_does_not_fit() {
    let (x, filter) = (float(&[2, 4, 4, 3]), float(&[5, 3, 3, 3]));
    let op = "conv3x3_fprop";
    let with = |name: &'static str, t: Tensor| {
        let mut tensors = vec![("x", x.clone()), ("filter", filter.clone())];
        tensors.retain(|tensor| tensor.0 != name);
        tensors.push((name, t));
        tensors
    };
    rejects(op, &with("x", float(&[2, 4, 3])), &[], Shape, &["x [N,H,W,C]", "[2, 4, 3]"]);
    rejects(op, &with("x", float(&[2, 4, 4, 7])), &[], Shape, &["[2, 4, 4, 3]", "[2, 4, 4, 7]"]);
    rejects(op, &with("x", float(&[0, 4, 4, 3])), &[], Shape, &["at least 1", "[0, 4, 4, 3]"]);
    rejects(op, &with("x", single(&[2, 4, 4, 3])), &[], Operand, &["filter", "F32", "F64"]);
    rejects(op, &with("filter", float(&[5, 5, 5, 3])), &[], Shape, &["[5, 3, 3, 3]", "[5, 5, 5, 3]"]);
    rejects(op, &with("filter", float(&[5, 3])), &[], Shape, &["filter [K,3,3,C]", "[5, 3]"]);
    rejects(op, &with("bias", float(&[4])), &[], Shape, &["bias [K]", "[5]", "[4]"]);
    rejects(op, &with("bias", single(&[5])), &[], Operand, &["bias", "F64", "F32"]);

    let dy = float(&[2, 4, 4, 6]);
    let tensors = [("dy", dy.clone()), ("filter", filter.clone())];
    rejects("conv3x3_dgrad", &tensors, &[], Shape, &["dy", "[2, 4, 4, 5]", "[2, 4, 4, 6]"]);
    let tensors = [("x", x.clone()), ("dy", float(&[2, 4, 5, 6]))];
    rejects("conv3x3_wgrad", &tensors, &[], Shape, &["dy", "[2, 4, 4, 6]", "[2, 4, 5, 6]"]);
    rejects("conv3x3_bias_grad", &[("dy", float(&[6]))], &[], Shape, &["dy [N,H,W,K]", "[6]"]);
}

#[test]
fn batchnorm_rejects_what_does_not_fit() {
    let (x, channels) = (float(&[2, 4, 4, 3]), float(&[3]));
    let op = "batchnorm_fprop";
    let tensors = |x: Tensor, gamma: Tensor| [("x", x), ("gamma", gamma), ("beta", channels.clone())];
    rejects(op, &tensors(float(&[2, 3]), channels.clone()), &[], Shape, &["x [N,H,W,C]", "[2, 3]"]);
    rejects(op, &tensors(x.clone(), float(&[4])), &[], Shape, &["gamma [C]", "[3]", "[4]"]);
    rejects(op, &tensors(x.clone(), single(&[3])), &[], Operand, &["gamma", "F64", "F32"]);
    let one = tensors(float(&[1, 1, 1, 3]), channels.clone());
    rejects(op, &one, &[], Shape, &["at least 2 values", "N*H*W = 1"]);

    let relu = [("relu", 1.0)];
    let mut tensors = tensors(x.clone(), channels.clone()).to_vec();
    tensors.push(("residual", float(&[2, 4, 4, 4])));
    rejects(op, &tensors, &relu, Shape, &["residual", "[2, 4, 4, 3]", "[2, 4, 4, 4]"]);
    rejects(op, &tensors, &[], Config, &["residual", "relu=1"]);
    tensors.pop();
    tensors.extend([("mean", float(&[2])), ("var", channels.clone())]);
    for attributes in [&[][..], &relu] {
        rejects("batchnorm_eval", &tensors, attributes, Shape, &["running mean [C]", "[3]", "[2]"]);
    }

    let mut tensors = vec![
        ("x", x.clone()),
        ("dy", float(&[2, 4, 4, 4])),
        ("mean", channels.clone()),
        ("var", channels.clone()),
        ("gamma", channels.clone()),
        ("beta", channels.clone()),
    ];
    rejects("batchnorm_dgrad", &tensors, &[], Shape, &["dy", "[2, 4, 4, 3]", "[2, 4, 4, 4]"]);
    tensors[1].1 = x.clone();
    rejects("batchnorm_dgrad", &tensors, &[("batch_statistics", 2.0)], Operand, &["batch_statistics", "2"]);

    let tensors = ["mean", "var", "running_mean", "running_var"].map(|name| (name, channels.clone()));
    let op = "batchnorm_update_running";
    rejects(op, &tensors, &[("rows", 1.0)], Shape, &["at least 2 values"]);
    rejects(op, &tensors, &[("rows", 2.5)], Operand, &["rows", "whole number", "2.5"]);
    rejects(op, &tensors, &[], Operand, &["the attribute rows"]);
}

#[test]
fn maxpool_rejects_what_does_not_fit() {
    let x = [("x", float(&[2, 6, 4, 3]))];
    let op = "maxpool_fprop";
    rejects(op, &x, &[("window", 4.0)], Shape, &["multiples of the window 4", "[2, 6, 4, 3]"]);
    rejects(op, &x, &[("window", 3.0)], Config, &["2 or 4", "3"]);
    rejects(op, &[("x", float(&[6, 4]))], &[("window", 2.0)], Shape, &["x [N,H,W,C]"]);
    rejects(op, &[("x", bytes(&[2, 6, 4, 3]))], &[("window", 2.0)], Operand, &["x", "float", "U8"]);
    let tensors = [("dy", float(&[2, 3, 2, 3])), ("argmax", bytes(&[2, 3, 2, 4]))];
    rejects("maxpool_dgrad", &tensors, &[("window", 2.0)], Shape, &["argmax", "[2, 3, 2, 4]"]);
    let argmax = Tensor::from_vec(&Device::Cpu, vec![4u8], &[1, 1, 1, 1]).unwrap();
    let tensors = [("dy", float(&[1, 1, 1, 1])), ("argmax", argmax)];
    rejects("maxpool_dgrad", &tensors, &[("window", 2.0)], Operand, &["argmax", "0..4", "4"]);
}

#[test]
fn elementwise_operations_reject_what_does_not_fit() {
    let (a, b) = (float(&[2, 3]), float(&[3, 2]));
    let tensors = [("a", a.clone()), ("b", b.clone())];
    rejects("residual_add_fprop", &tensors, &[], Shape, &["b [2, 3]", "[3, 2]"]);
    rejects("residual_add_fprop", &[("a", a.clone()), ("b", single(&[2, 3]))], &[], Operand, &["b", "F32"]);
    rejects("relu_dgrad", &[("y", a.clone()), ("dy", b)], &[], Shape, &["dy", "[2, 3]", "[3, 2]"]);
    rejects("relu_fprop", &[("x", integers(&[1], &[1]))], &[], Operand, &["x", "float", "I32"]);
}

#[test]
fn linear_rejects_what_does_not_fit() {
    let tensors = |x: &[usize], weight: &[usize], bias: &[usize]| {
        [("x", float(x)), ("weight", float(weight)), ("bias", float(bias))]
    };
    let op = "linear_fprop";
    rejects(op, &tensors(&[2, 3, 1], &[5, 3], &[5]), &[], Shape, &["x [N,C]", "[2, 3, 1]"]);
    rejects(op, &tensors(&[2, 3], &[5, 4], &[5]), &[], Shape, &["weight", "[5, 3]", "[5, 4]"]);
    rejects(op, &tensors(&[2, 3], &[5, 3], &[3]), &[], Shape, &["bias", "[5]", "[3]"]);
    let dy = float(&[2, 5]);
    let tensors = [("dy", dy.clone()), ("weight", float(&[4, 3]))];
    rejects("linear_dgrad", &tensors, &[], Shape, &["dy", "[2, 4]", "[2, 5]"]);
    let tensors = [("x", float(&[3, 3])), ("dy", dy)];
    rejects("linear_wgrad", &tensors, &[], Shape, &["dy", "[3, 5]", "[2, 5]"]);
    rejects("linear_bias_grad", &[("dy", float(&[5]))], &[], Shape, &["dy [N,K]", "[5]"]);
}

#[test]
fn the_loss_and_the_metrics_reject_what_does_not_fit() {
    let logits = float(&[2, 10]);
    let tensors = |labels: Tensor| [("logits", logits.clone()), ("labels", labels)];
    for op in ["softmax_nll_fprop", "metrics_correct"] {
        rejects(op, &tensors(integers(&[3, 10], &[2])), &[], Operand, &["labels in 0..10", "10 at row 1"]);
        rejects(op, &tensors(integers(&[-1, 9], &[2])), &[], Operand, &["labels in 0..10", "-1 at row 0"]);
        rejects(op, &tensors(integers(&[1], &[1])), &[], Shape, &["labels [N]", "[2]", "[1]"]);
        rejects(op, &tensors(float(&[2])), &[], Operand, &["labels", "i32", "F64"]);
        let flat = [("logits", float(&[10])), ("labels", integers(&[1], &[1]))];
        rejects(op, &flat, &[], Shape, &["logits [N,K]", "[10]"]);
    }
    let fine = tensors(integers(&[0, 9], &[2]));
    for smoothing in [1.5, -0.1, f64::NAN] {
        rejects("softmax_nll_fprop", &fine, &[("smoothing", smoothing)], Config, &["0..=1"]);
    }
    let tensors =
        [("log_probs", logits.clone()), ("labels", integers(&[0, 9], &[2])), ("dloss", float(&[2]))];
    rejects("softmax_nll_dgrad", &tensors, &[], Shape, &["dloss [1]", "[2]"]);
}

#[test]
fn sgd_rejects_what_does_not_fit() {
    let tensors = |grad: Tensor, velocity: Tensor, lr: Tensor| {
        [("param", float(&[3])), ("grad", grad), ("velocity", velocity), ("lr", lr)]
    };
    let (three, lr) = (float(&[3]), float(&[1]));
    let op = "sgd_step";
    rejects(op, &tensors(float(&[2]), three.clone(), lr.clone()), &[], Shape, &["grad", "[3]", "[2]"]);
    rejects(op, &tensors(three.clone(), float(&[4]), lr.clone()), &[], Shape, &["velocity", "[4]"]);
    rejects(op, &tensors(three.clone(), three.clone(), float(&[2])), &[], Shape, &["lr [1]", "[2]"]);
    rejects(op, &tensors(three.clone(), three.clone(), single(&[1])), &[], Operand, &["lr", "F32"]);
    let fine = tensors(three.clone(), three, lr);
    rejects(op, &fine, &[("momentum", 1.0)], Config, &["momentum", "1"]);
    rejects(op, &fine, &[("weight_decay", -1.0)], Config, &["weight decay", "-1"]);
    rejects(op, &fine, &[("l1", f64::INFINITY)], Config, &["L1", "inf"]);
    rejects(op, &fine, &[("momentum", 0.0), ("nesterov", 1.0)], Config, &["Nesterov"]);
}

#[test]
fn augment_rejects_what_does_not_fit() {
    let tensors = |images: Tensor, index: &[i32], choices: &[i32], std: Tensor| {
        [
            ("images", images),
            ("index", integers(index, &[index.len()])),
            ("choices", integers(choices, &[1, choices.len()])),
            ("mean", float(&[3])),
            ("std", std),
        ]
    };
    let ones = Tensor::from_vec(&Device::Cpu, vec![1.0; 3], &[3]).unwrap();
    let images = bytes(&[2, 32, 32, 3]);
    let op = "augment_apply";
    let choices = |choices| tensors(images.clone(), &[1], choices, ones.clone());
    rejects(op, &choices(&[9, 4, 0, -1, -1]), &[], Operand, &["choices[0,0] in 0..=8", "9"]);
    rejects(op, &choices(&[4, 4, 2, -1, -1]), &[], Operand, &["choices[0,2] in 0..=1", "2"]);
    rejects(op, &choices(&[4, 4, 0, 32, -1]), &[], Operand, &["choices[0,3] in -1..=31", "32"]);
    rejects(op, &choices(&[4, 4, 0]), &[], Shape, &["choices [N,5]", "[1, 3]"]);
    let unchanged = [4, 4, 0, -1, -1];
    let index = |index| tensors(images.clone(), index, &unchanged, ones.clone());
    rejects(op, &index(&[2]), &[], Operand, &["index[0,0] in 0..=1", "2"]);
    rejects(op, &index(&[0, 1]), &[], Shape, &["choices [N,5]", "[2, 5]", "[1, 5]"]);
    let small = tensors(bytes(&[2, 28, 28, 3]), &[0], &unchanged, ones.clone());
    rejects(op, &small, &[], Shape, &["images", "[2, 32, 32, 3]", "[2, 28, 28, 3]"]);
    let zero = tensors(images.clone(), &[0], &unchanged, float(&[3]));
    rejects(op, &zero, &[], Config, &["above 0", "0.0"]);
    let four = tensors(images.clone(), &[0], &unchanged, float(&[4]));
    rejects(op, &four, &[], Shape, &["std [3]", "[4]"]);
}

#[test]
fn the_registry_rejects_names_it_does_not_know() {
    let error = registry::find("conv5x5_fprop").unwrap_err().to_string();
    assert!(error.contains("`conv5x5_fprop`") && error.contains("conv3x3_fprop"), "{error}");
    let x = ("x", float(&[2, 3]));
    rejects("relu_fprop", &[], &[], Operand, &["x [*] float", "no tensor of this name"]);
    rejects("relu_fprop", &[x.clone(), ("z", float(&[1]))], &[], Operand, &["the tensors x", "`z`"]);
    rejects("relu_fprop", &[x], &[("slope", 0.1)], Operand, &["the attributes []", "`slope`"]);
}

#[test]
fn whole_numbers_from_outside_are_held_to_their_range() {
    let expect = |op: &str, tensors: &[(&str, Tensor)], found: Option<&str>| {
        let arguments = Arguments {
            tensors: tensors.iter().map(|(name, t)| (name.to_string(), t.clone())).collect(),
            attributes: [("window".to_string(), 2.0)].into(),
        };
        let result = registry::find(op).unwrap().expect_ranges(&arguments);
        match (result, found) {
            (Ok(()), None) => {}
            (Err(Error::Operand { expected, found, .. }), Some(said)) => {
                let text = format!("{expected}, found {found}");
                assert!(text == said, "{op}: {text}");
            }
            (result, _) => panic!("{op}: {result:?}, expected {found:?}"),
        }
    };
    let logits = || ("logits", single(&[2, 3]));
    let labels = |labels: [i32; 2]| ("labels", integers(&labels, &[2]));
    expect("metrics_correct", &[logits(), labels([0, 2])], None);
    expect("metrics_correct", &[logits(), labels([0, 3])], Some("labels in 0..3, found 3 at place 1"));
    expect("metrics_correct", &[logits(), labels([-1, 2])], Some("labels in 0..3, found -1 at place 0"));
    let choices = |choices: [i32; 5]| ("choices", integers(&choices, &[1, 5]));
    expect("augment_apply", &[choices([8, 0, 1, -1, 31])], None);
    expect("augment_apply", &[choices([8, 0, 2, -1, 31])], Some("choices in 0..2, found 2 at place 2"));
    let argmax = |place: u8| ("argmax", Tensor::from_vec(&Device::Cpu, vec![place], &[1, 1, 1, 1]).unwrap());
    expect("maxpool_dgrad", &[argmax(3)], None);
    expect("maxpool_dgrad", &[argmax(4)], Some("argmax in 0..4, found 4 at place 0"));
}
