//! Grad-CAM against PyTorch's hooks on the same weights (`scripts/make_gradcam_golden.py`).

use cugrad::explain::grad_cam::{HeatMap, Layer, grad_cam};
use cugrad::files::{FileTensors, read_tensors};
use cugrad::nn::{Mode, ResNet, state};
use cugrad::{DType, Device, Error, Tape, Tensor};
use std::path::Path;

/// The golden file's network, images and classes.
struct Golden {
    file: FileTensors,
    net: ResNet,
    x: Tensor,
    classes: Vec<usize>,
}

impl Golden {
    fn read(device: &Device, dtype: DType) -> Golden {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/grad_cam.safetensors");
        let (file, _) = read_tensors(&path).unwrap();
        let state =
            file.iter().filter_map(|(name, t)| Some((name.strip_prefix("state.")?.into(), t.clone())));
        let net = state::from_file(&state.collect(), device, dtype).unwrap();
        let x = file["x"].to_tensor(device, dtype).unwrap();
        let classes = file["classes"].to_f64_vec().unwrap().into_iter().map(|class| class as usize).collect();
        Golden { file, net, x, classes }
    }

    fn expected(&self, name: &str) -> Vec<f64> {
        self.file[name].to_f64_vec().unwrap()
    }

    /// The largest difference to the golden file over all layers and parts, as a share of each part's
    /// largest value.
    fn error(&mut self) -> f64 {
        let maps = grad_cam(&mut self.net, &self.x, &self.classes, &Layer::ALL).unwrap();
        assert_eq!(maps.len(), Layer::ALL.len());
        let mut worst = 0.0f64;
        for (layer, maps) in Layer::ALL.iter().zip(&maps) {
            let parts = |map: &HeatMap| [map.weights.clone(), map.map.clone(), map.at_image_size()];
            for (i, part) in ["weights", "map", "heat"].iter().enumerate() {
                let found: Vec<f64> = maps.iter().flat_map(|map| parts(map)[i].clone()).collect();
                let expected = self.expected(&format!("{}.{part}", layer.name()));
                assert_eq!(found.len(), expected.len(), "{layer:?} {part}");
                let largest = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
                assert!(largest > 0.0, "{layer:?} {part} of the golden file is zero");
                for (found, expected) in found.iter().zip(&expected) {
                    worst = worst.max((found - expected).abs() / largest);
                }
            }
        }
        worst
    }
}

#[test]
fn maps_are_those_of_pytorchs_hooks() {
    let error = Golden::read(&Device::Cpu, DType::F64).error();
    assert!(error < 1e-8, "{error:e}");
}

#[test]
fn maps_in_f32_are_near() {
    let error = Golden::read(&Device::Cpu, DType::F32).error();
    assert!(error < 1e-3, "{error:e}");
}

#[test]
fn images_of_a_batch_do_not_touch() {
    let mut golden = Golden::read(&Device::Cpu, DType::F64);
    let together = grad_cam(&mut golden.net, &golden.x, &golden.classes, &[Layer::Layer2]).unwrap();
    let pixels = golden.x.to_f64_vec().unwrap();
    for (image, pixels) in pixels.chunks_exact(32 * 32 * 3).enumerate() {
        let x = Tensor::from_vec(&Device::Cpu, pixels.to_vec(), &[1, 32, 32, 3]).unwrap();
        let alone = grad_cam(&mut golden.net, &x, &golden.classes[image..=image], &[Layer::Layer2]).unwrap();
        for (a, b) in alone[0][0].map.iter().zip(&together[0][image].map) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }
}

#[test]
fn looking_inside_leaves_the_network_as_it_is() {
    let mut golden = Golden::read(&Device::Cpu, DType::F64);
    let before = golden.expected("logits");
    grad_cam(&mut golden.net, &golden.x, &golden.classes, &Layer::ALL).unwrap();
    let after =
        golden.net.forward(&mut Tape::no_grad(), &golden.x, Mode::Eval).unwrap().to_f64_vec().unwrap();
    before.iter().zip(&after).for_each(|(a, b)| assert!((a - b).abs() < 1e-10, "{a} {b}"));
}

#[test]
fn rejects_classes_that_are_none_or_not_one_an_image() {
    let mut golden = Golden::read(&Device::Cpu, DType::F32);
    for classes in [vec![0, 1], vec![0, 1, 10]] {
        let error = grad_cam(&mut golden.net, &golden.x, &classes, &[Layer::Prep]).unwrap_err();
        assert!(matches!(error, Error::Config(_)) && error.to_string().contains("3 images"), "{error}");
    }
}
