//! `explain`, `samples` and `predict` as a user calls them, with an untrained network.

use cugrad::nn::{ResNet, state};
use cugrad::{DType, Device, data};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with weights for the embedded set.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        let mut net = ResNet::new(&Device::Cpu, DType::F32, 2, 0).unwrap();
        let (_, test) = data::embedded::load();
        state::save(&mut net, &test.classes, &place.at("weights")).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command line in the folder, whose words are parted by spaces.
    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cugrad"));
        command.args(line.split(' ')).current_dir(self.folder.path()).env("CUGRAD_DEVICE", "cpu");
        command.output().unwrap()
    }

    fn succeed(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command says that ends with `status`, without a panic.
    fn fail(&self, line: &str, status: i32) -> String {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{line}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.at(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The size of a PNG file, which must be whole.
fn size(path: &Path) -> (u32, u32) {
    let picture = image::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (picture.width(), picture.height())
}

#[test]
fn explain_draws_grids_and_heat_maps() {
    let place = Place::new();
    let said =
        place.succeed("explain --weights weights --out pages --data embedded --limit 60 --layer layer3");
    assert!(said.contains("of 60 test images are misclassified"), "{said}");
    let files = place.files("pages");
    assert!(
        files.contains(&"misclassified.png".into()) && files.contains(&"misclassified-layer3.png".into())
    );
    for file in files {
        let (width, height) = size(&place.at("pages").join(&file));
        assert!(width > 300 && height > 200, "{file}: {width}x{height}");
    }
}

#[test]
fn explain_says_when_there_is_nothing_to_draw() {
    let place = Place::new();
    // Two images: an untrained network cannot have 25 wrong ones among them.
    let output = place.run("explain --weights weights --out pages --data embedded --limit 2 --layer prep");
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("fewer than 25") || said.contains("none of them"), "{said}");
}

#[test]
fn explain_takes_any_picture() {
    let place = Place::new();
    image::RgbImage::from_pixel(50, 70, image::Rgb([200, 30, 90])).save(place.at("a.png")).unwrap();
    place.succeed("explain --weights weights --out pages --image a.png --class ring --theme dark");
    assert_eq!(place.files("pages"), ["a-grad-cam.png"]);
    let said = place.fail("explain --weights weights --out pages --image a.png --class cow", 2);
    assert!(said.contains("cow") && said.contains("ring"), "{said}");
    let said = place.fail("explain --weights weights --out pages --image a.png --image ./a.png", 2);
    assert!(said.contains("a-grad-cam.png"), "{said}");
}

#[test]
fn samples_draws_a_page() {
    let place = Place::new();
    place.succeed("samples --out s.png --data embedded --columns 2");
    let (width, height) = size(&place.at("s.png"));
    assert!(width > 400 && height > 1000, "{width}x{height}");
    let said = place.fail("samples --out missing/s.png --data embedded", 1);
    assert!(said.contains("missing/s.png"), "{said}");
}

#[test]
fn predict_ranks_probabilities() {
    let place = Place::new();
    image::RgbImage::from_pixel(50, 70, image::Rgb([200, 30, 90])).save(place.at("a.png")).unwrap();
    image::RgbImage::from_pixel(9, 9, image::Rgb([1, 2, 3])).save(place.at("b.jpg")).unwrap();
    let said = place.succeed("predict a.png b.jpg --weights weights --json --top 10");
    let found: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(found[0]["file"], "a.png");
    assert_eq!((&found[0]["width"], &found[0]["height"]), (&50.into(), &70.into()));
    for file in found.as_array().unwrap() {
        let top: Vec<f64> =
            file["top"].as_array().unwrap().iter().map(|c| c["probability"].as_f64().unwrap()).collect();
        assert_eq!(top.len(), 10);
        assert!(top.is_sorted_by(|a, b| a >= b), "{top:?}");
        assert!((top.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{top:?}");
    }
    assert!(place.succeed("predict a.png --weights weights").lines().count() == 6);
}

#[test]
fn what_is_no_image_is_named() {
    let place = Place::new();
    std::fs::write(place.at("text"), "no image").unwrap();
    for line in ["predict text --weights weights", "explain --weights weights --out pages --image text"] {
        let said = place.fail(line, 1);
        assert!(said.contains("text: is no image"), "{said}");
        assert!(!place.at("pages").exists());
    }
    assert!(place.fail("predict absent.png --weights weights", 1).contains("absent.png"));
}

#[test]
fn weights_of_another_kind_are_refused() {
    let place = Place::new();
    std::fs::write(place.at("broken"), "no weights").unwrap();
    let said = place.fail("explain --weights broken --out pages --data embedded", 1);
    assert!(said.contains("broken: not a whole safetensors file"), "{said}");

    let mut net = ResNet::new(&Device::Cpu, DType::F32, 2, 0).unwrap();
    let classes = data::cifar10::CLASS_NAMES.map(String::from);
    state::save(&mut net, &classes, &place.at("cifar")).unwrap();
    let said = place.fail("explain --weights cifar --out pages --data embedded", 1);
    assert!(said.contains("airplane") && said.contains("crescent") && said.contains("--data"), "{said}");
    assert!(!place.at("pages").exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let place = Place::new();
    let said = place.fail("explain --weights weights --out weights/pages --data embedded --limit 20", 1);
    assert!(said.contains("cannot create weights/pages"), "{said}");
}
