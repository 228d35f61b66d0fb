//! `cugrad summary`, and the names and shapes of the weights.

use crate::program::{cugrad, run};
use cugrad::nn::{ResNet, state};
use cugrad::{DType, Device};

/// Learned parameters at width `w`: filters 3→w→2w→2w→2w→4w→8w→8w→8w, biases where the assignment
/// has them, a scale and a shift for each batch norm, the classifier.
fn parameters(w: usize) -> usize {
    let filters = 9 * (3 * w + 2 * w * w + 2 * (4 * w * w) + 8 * w * w + 32 * w * w + 2 * (64 * w * w));
    let biases = w + 2 * w + 4 * w + 8 * w;
    let norms = 2 * (w + 3 * (2 * w) + 4 * w + 3 * (8 * w));
    filters + biases + norms + 8 * w * 10 + 10
}

fn summary(width: usize) -> serde_json::Value {
    let text = run(&mut cugrad(["summary", "--json", "--width", &width.to_string()])).succeeded();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn counts_the_assignments_parameters() {
    assert_eq!(parameters(64), 6_574_090);
    let text = run(&mut cugrad(["summary"])).succeeded();
    let total = text.lines().find(|line| line.starts_with("parameters")).unwrap();
    assert!(total.ends_with(" 6,574,090"), "{total}");
    assert!(text.lines().all(|line| line == line.trim_end()));
}

#[test]
fn scales_with_the_width() {
    for width in [1, 4, 16, 64] {
        let summary = summary(width);
        assert_eq!(summary["parameters"], parameters(width), "width {width}");
        let layers = summary["layers"].as_array().unwrap();
        let sum: u64 = layers.iter().map(|layer| layer["parameters"].as_u64().unwrap()).sum();
        assert_eq!(sum as usize, parameters(width));
    }
}

#[test]
fn shows_each_layers_output() {
    let layers = summary(64)["layers"].clone();
    let output = |name: &str| {
        let layer = layers.as_array().unwrap().iter().find(|layer| layer["name"] == name);
        layer.unwrap_or_else(|| panic!("no layer {name}"))["output"].clone()
    };
    assert_eq!(output("prep.bn"), serde_json::json!([32, 32, 64]));
    assert_eq!(output("layer1.conv"), serde_json::json!([32, 32, 128]));
    assert_eq!(output("layer1.res.bn2"), serde_json::json!([16, 16, 128]));
    assert_eq!(output("layer2.bn"), serde_json::json!([8, 8, 256]));
    assert_eq!(output("layer3.res.bn2"), serde_json::json!([4, 4, 512]));
    assert_eq!(output("fc"), serde_json::json!([10]));
}

#[test]
fn state_has_the_names_and_shapes_of_the_design() {
    let w = 8;
    let mut expected = Vec::new();
    let mut conv = |name: &str, c: usize, k: usize, bias: bool| {
        expected.push((format!("{name}.weight"), vec![k, c, 3, 3]));
        if bias {
            expected.push((format!("{name}.bias"), vec![k]));
        }
        let norm = name.replace("conv", "bn");
        for part in ["weight", "bias", "running_mean", "running_var"] {
            expected.push((format!("{norm}.{part}"), vec![k]));
        }
        expected.push((format!("{norm}.num_batches_tracked"), vec![]));
    };
    conv("prep.conv", 3, w, true);
    conv("layer1.conv", w, 2 * w, true);
    conv("layer1.res.conv1", 2 * w, 2 * w, false);
    conv("layer1.res.conv2", 2 * w, 2 * w, false);
    conv("layer2.conv", 2 * w, 4 * w, true);
    conv("layer3.conv", 4 * w, 8 * w, true);
    conv("layer3.res.conv1", 8 * w, 8 * w, false);
    conv("layer3.res.conv2", 8 * w, 8 * w, false);
    expected.push(("fc.weight".into(), vec![10, 8 * w]));
    expected.push(("fc.bias".into(), vec![10]));
    expected.sort();

    let mut net = ResNet::new(&Device::Cpu, DType::F32, w, 0).unwrap();
    let state = state::to_file(&mut net).unwrap();
    let found: Vec<_> = state.into_iter().map(|(name, tensor)| (name, tensor.shape)).collect();
    assert_eq!(found, expected);
}

#[test]
fn refuses_a_width_that_is_none() {
    for width in ["0", "-1", "100000", "wide"] {
        run(&mut cugrad(["summary", &format!("--width={width}")])).failed(2, &["--width"]);
    }
}
