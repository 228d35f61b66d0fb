//! Three training steps held to PyTorch in float64, by files that scripts/make_golden.py made.
//!
//! What the files hold, and how weights, images and labels are generated, stands in
//! scripts/torch_step.py.

use cugrad::files::{FileTensor, FileTensors, Metadata, read_tensors};
use cugrad::nn::{ResNet, state};
use cugrad::ops::sgd::Sgd;
use cugrad::train::{PlainSteps, Rows};
use cugrad::{DType, Device};
use safetensors::Dtype;
use std::path::Path;

/// One call of `cugrad step`, as a golden file's metadata has it.
#[derive(serde::Deserialize)]
struct Case {
    width: usize,
    batch: usize,
    /// One for each row of the batch file.
    nudges: Vec<u64>,
    nesterov: bool,
    seed: u64,
    steps: usize,
    lr: f64,
    momentum: f64,
    weight_decay: f64,
    /// Parameters whose true gradient is zero.
    zero_gradients: Vec<String>,
}

// --- the generator ---------------------------------------------------------------------------------

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// splitmix64's finaliser.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn fnv1a64(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// The numbers of a stream.
fn bits(seed: u64, name: &str) -> impl Iterator<Item = u64> + use<> {
    let stream = mix(seed) ^ fnv1a64(name);
    (1..).map(move |i: u64| mix(stream.wrapping_add(i.wrapping_mul(GOLDEN_GAMMA))))
}

/// Numbers in [-1, 1).
fn units(seed: u64, name: &str) -> impl Iterator<Item = f64> + use<> {
    bits(seed, name).map(|bits| 2.0 * ((bits >> 11) as f64 / (1u64 << 53) as f64) - 1.0)
}

#[test]
fn generator_has_the_documented_bits() {
    let first: Vec<u64> = bits(1, "fc.bias").take(2).collect();
    assert_eq!(first, [0x859B_AA82_4706_018D, 0x08C8_7B58_E951_3243]);
}

/// A float32 tensor of a file.
fn f32_tensor(shape: &[usize], values: impl Iterator<Item = f64>) -> FileTensor {
    let values: Vec<f32> = values.take(shape.iter().product()).map(|v| v as f32).collect();
    FileTensor::new(Dtype::F32, shape, &values)
}

/// The state_dict that the case starts from; its names and shapes are those of `like`.
fn initial_weights(case: &Case, like: &FileTensors) -> FileTensors {
    let value = |name: &str, shape: &[usize]| {
        let parts: Vec<&str> = name.split('.').collect();
        let (part, kind) = (parts[parts.len() - 2], parts[parts.len() - 1]);
        if kind == "num_batches_tracked" {
            return FileTensor::new(Dtype::I64, &[], &[0i64]);
        }
        let fan_in = shape[1..].iter().product::<usize>() as f64;
        let (centre, spread) = match (part.starts_with("bn"), kind) {
            (true, "weight") => (1.0, 0.25),
            (true, "running_var") => (1.0, 0.5),
            (_, "weight") if part == "fc" => (0.0, (1.0 / fan_in).sqrt()),
            (_, "weight") => (0.0, (6.0 / fan_in).sqrt()),
            _ => (0.0, 0.25),
        };
        f32_tensor(shape, units(case.seed, name).map(|unit| centre + spread * unit))
    };
    like.iter().map(|(name, t)| (name.clone(), value(name, &t.shape))).collect()
}

/// `images` [R,3,32,32] and `labels` [R].
fn batch_file(case: &Case) -> FileTensors {
    const PIXELS: usize = 3 * 32 * 32;
    const NUDGE: f64 = 1.0 / 32768.0;
    let images = case.nudges.iter().enumerate().flat_map(|(row, &nudge)| {
        let image = units(case.seed, &format!("image.{row}"));
        let nudges = units(nudge, &format!("nudge.{row}"));
        image.zip(nudges).map(|(image, nudge)| 3f64.sqrt() * image + NUDGE * nudge).take(PIXELS)
    });
    let rows = case.nudges.len();
    let labels: Vec<i64> = bits(case.seed, "labels").take(rows).map(|bits| (bits % 10) as i64).collect();
    FileTensors::from([
        ("images".into(), f32_tensor(&[rows, 3, 32, 32], images)),
        ("labels".into(), FileTensor::new(Dtype::I64, &[rows], &labels)),
    ])
}

// --- the comparison --------------------------------------------------------------------------------

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// A tensor's norm and eight signed sums.
fn sketch(values: &[f64]) -> Vec<f64> {
    let signed_sum = |j: usize| {
        let signs = bits(0, &format!("sketch.{j}")).map(|bits| if bits >> 63 == 1 { -1.0 } else { 1.0 });
        values.iter().zip(signs).map(|(v, sign)| v * sign).sum()
    };
    std::iter::once(norm(values)).chain((0..8).map(signed_sum)).collect()
}

/// ‖got − truth‖ / ‖truth‖ of a tensor known by its sketch alone.
fn sketched_error(got: &[f64], truth: &[f64]) -> f64 {
    let sums = difference(&sketch(got)[1..], &truth[1..]);
    norm(&sums) / (sums.len() as f64).sqrt() / truth[0]
}

/// Panics unless `error` is at most `tolerance`; a NaN is not.
fn assert_within(error: f64, tolerance: f64, what: &str) {
    assert!(error <= tolerance, "{what}: error {error:e}, expected at most {tolerance:e}");
}

fn values(t: &FileTensor) -> Vec<f64> {
    t.to_f64_vec().unwrap()
}

/// Holds everything that the steps wrote to the golden file.
fn compare(got: &FileTensors, golden: &FileTensors, case: &Case, tolerance: f64) {
    for (name, tensor) in got {
        let got = values(tensor);
        if case.zero_gradients.iter().any(|zero| *name == format!("grad.{zero}")) {
            let largest = got.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
            assert!(got.iter().all(|v| v.is_finite()), "{name}");
            assert_within(largest, tolerance, name);
        } else if let Some(truth) = golden.get(name) {
            assert_eq!(tensor.shape, truth.shape, "{name}");
            let truth = values(truth);
            let error = norm(&difference(&got, &truth));
            match norm(&truth) {
                0.0 => assert_within(error, 0.0, name),
                scale => assert_within(error / scale, tolerance, name),
            }
        } else {
            let truth = golden.get(&format!("sketch.{name}"));
            let truth = truth.unwrap_or_else(|| panic!("the golden file knows nothing of {name}"));
            assert_within(sketched_error(&got, &values(truth)), tolerance, name);
        }
    }
    let results = ["loss", "logits0", "eval_logits", "grad.", "final.", "sketch.grad.", "sketch.final."];
    for name in golden.keys().filter(|name| results.iter().any(|result| name.starts_with(result))) {
        let name = name.trim_start_matches("sketch.");
        assert!(got.contains_key(name), "the steps wrote no {name}");
    }
}

/// Holds the inputs to the file's sketches of them, so that a difference in the results is the
/// engine's.
fn verify_inputs(weights: &FileTensors, batch: &FileTensors, golden: &FileTensors) {
    assert_eq!(batch["labels"], golden["labels"]);
    let floats = weights.iter().filter(|(_, t)| t.dtype == Dtype::F32);
    let named = floats.map(|(name, t)| (format!("sketch.initial.{name}"), t));
    for (name, tensor) in named.chain([("sketch.images".to_string(), &batch["images"])]) {
        assert_within(sketched_error(&values(tensor), &values(&golden[&name])), 1e-12, &name);
    }
}

fn read_golden(name: &str) -> (FileTensors, Case) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let (tensors, metadata): (FileTensors, Metadata) = read_tensors(&path).unwrap();
    (tensors, serde_json::from_str(&metadata["case"]).unwrap())
}

/// Replays a golden file in f64 and in f32.
fn replay(name: &str) {
    let (golden, case) = read_golden(name);
    let mut fresh = ResNet::new(&Device::Cpu, DType::F32, case.width, 0).unwrap();
    let weights = initial_weights(&case, &state::to_file(&mut fresh).unwrap());
    let batch = batch_file(&case);
    verify_inputs(&weights, &batch, &golden);
    let rows = Rows::new(&batch).unwrap();
    let steps = PlainSteps {
        steps: case.steps,
        batch_size: case.batch,
        lr: case.lr,
        sgd: Sgd {
            momentum: case.momentum,
            weight_decay: case.weight_decay,
            l1: 0.0,
            nesterov: case.nesterov,
        },
    };
    for (dtype, tolerance) in [(DType::F64, 1e-10), (DType::F32, 1e-4)] {
        let mut net = state::from_file(&weights, &Device::Cpu, dtype).unwrap();
        let outcome = steps.run(&mut net, &rows).unwrap();
        compare(&outcome.tensors, &golden, &case, tolerance);
    }
}

#[test]
fn width_8_batch_4_is_pytorchs() {
    replay("step_w8_b4.safetensors");
}

#[test]
fn width_8_batch_32_is_pytorchs() {
    replay("step_w8_b32.safetensors");
}

#[test]
fn width_16_batch_4_is_pytorchs() {
    replay("step_w16_b4.safetensors");
}

#[test]
fn width_16_batch_32_is_pytorchs() {
    replay("step_w16_b32.safetensors");
}

#[test]
fn width_64_batch_4_is_pytorchs() {
    replay("step_w64_b4.safetensors");
}

#[test]
fn width_64_batch_32_is_pytorchs() {
    replay("step_w64_b32.safetensors");
}

#[test]
fn comparison_sees_a_small_error() {
    let truth: Vec<f64> = units(3, "truth").take(1000).collect();
    let mut wrong = truth.clone();
    assert_within(sketched_error(&wrong, &sketch(&truth)), 0.0, "the same tensor");
    wrong[500] += 1e-3 * norm(&truth);
    let error = sketched_error(&wrong, &sketch(&truth));
    assert!((error / 1e-3 - 1.0).abs() < 1e-9, "{error}");
}
