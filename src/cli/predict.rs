//! `cugrad predict`

use super::DeviceArgs;
use super::output::{message, result};
use crate::data::cifar10;
use crate::data::transforms::rows;
use crate::data::{CHANNELS, CLASSES, Dataset, Images, SIDE};
use crate::device::Device;
use crate::error::Result;
use crate::explain::classify::{Probabilities, probabilities};
use crate::explain::photo::{HOW, Photo};
use crate::nn::state;
use crate::ops::augment::Normalization;
use crate::tensor::{DType, Tensor};
use crate::train::NormalizationChoice;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(about = "Classify images from files")]
#[command(long_about = format!(
    "Classify images from files, PNG or JPEG, of any size. Each is {HOW}."
))]
pub struct Predict {
    /// The images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Weights, as `train` writes and PyTorch takes them (safetensors)
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// How many classes to name, the likeliest first
    #[arg(long, value_name = "CLASSES", default_value = "5",
          value_parser = clap::value_parser!(u8).range(1..=CLASSES as i64))]
    top: u8,
    /// Normalise pixels as in training
    #[arg(long, value_enum, default_value = "cifar10")]
    normalization: NormalizationChoice,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Predict {
    pub fn run(self) -> Result<()> {
        // All are read before anything is said of one.
        let photos = self.images.iter().map(|path| Photo::read(path)).collect::<Result<Vec<_>>>()?;
        let device = self.device.open()?;
        let mut net = state::load(&self.weights, &device, DType::F32)?;
        let classes = class_names(&self.weights)?;
        let x = to_batch(&photos, &device, &self.normalization.into())?;
        let said = probabilities(&mut net, &x)?;
        let found: Vec<Prediction> = self
            .images
            .iter()
            .zip(&photos)
            .zip(&said)
            .map(|((path, photo), said)| Prediction { path, photo, said })
            .collect();
        let top = usize::from(self.top);
        match self.json {
            true => result(format_args!(
                "{:#}",
                found.iter().map(|one| one.to_json(&classes, top)).collect::<serde_json::Value>()
            ))?,
            false => found.iter().try_for_each(|one| one.print(&classes, top))?,
        }
        Ok(())
    }
}

/// What the network says of one file.
struct Prediction<'a> {
    path: &'a Path,
    photo: &'a Photo,
    said: &'a Probabilities,
}

impl Prediction<'_> {
    fn to_json(&self, classes: &[String], top: usize) -> serde_json::Value {
        let ranked = self.said.ranked();
        let top = ranked[..top].iter().map(|&class| {
            serde_json::json!({
                "class": classes[class],
                "index": class,
                "probability": self.said.0[class],
            })
        });
        serde_json::json!({
            "file": self.path.to_string_lossy(),
            "width": self.photo.width,
            "height": self.photo.height,
            "top": top.collect::<Vec<_>>(),
        })
    }

    fn print(&self, classes: &[String], top: usize) -> Result<()> {
        result(format_args!("{} ({}×{})", self.path.display(), self.photo.width, self.photo.height))?;
        for &class in &self.said.ranked()[..top] {
            result(format_args!("  {:<12} {:>6.2} %", classes[class], 100.0 * self.said.0[class]))?;
        }
        Ok(())
    }
}

/// What the classes of a weights file are called: as it says, else as in CIFAR-10, which is then said.
pub fn class_names(weights: &Path) -> Result<Vec<String>> {
    Ok(state::class_names(weights)?.unwrap_or_else(|| {
        message(format_args!(
            "{} does not name its classes: they are called as in CIFAR-10",
            weights.display()
        ));
        cifar10::CLASS_NAMES.map(String::from).to_vec()
    }))
}

/// Photos as the network takes them, `[N,32,32,3]`.
pub fn to_batch(photos: &[Photo], device: &Device, normalization: &Normalization) -> Result<Tensor> {
    debug_assert!(photos.iter().all(|photo| photo.pixels.len() == SIDE * SIDE * CHANNELS));
    let set = Dataset {
        images: photos.iter().flat_map(|photo| photo.pixels.iter().copied()).collect(),
        labels: vec![0; photos.len()],
        classes: Vec::new(),
    };
    let index: Vec<u32> = (0..photos.len() as u32).collect();
    let images = Images::new(device, &set, None)?;
    Ok(images.batch(&index, rows(0, 0, &index, false), normalization, DType::F32)?.x)
}
