//! `cugrad explain`

use super::DeviceArgs;
use super::output::{message, result};
use super::predict::{class_names, to_batch};
use super::source::SourceArgs;
use crate::data::{Images, Wanted};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::explain::classify::{Classified, classify, probabilities};
use crate::explain::grad_cam::Layer;
use crate::explain::page::Page;
use crate::explain::pages::{IMAGES, Maps, Test, class_of, depth, grid};
use crate::explain::photo::{HOW, Photo};
use crate::nn::{ResNet, state};
use crate::picture::Theme;
use crate::picture::file::save_png;
use crate::tensor::DType;
use crate::train::NormalizationChoice;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(about = "Draw what the network got wrong and right, and where it looked: Grad-CAM")]
#[command(long_about = "Draw what the network got wrong and right, and where it looked.\n\n\
Writes PNG files to a folder: the first 25 misclassified test images and the first 25 right ones, in a \
grid titled prediction / truth, and for both their Grad-CAM heat maps at each layer. With --image it does \
so for pictures of your own instead.")]
pub struct Explain {
    /// Weights, as `train` writes and PyTorch takes them (safetensors)
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The folder for the pictures; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The layer to look into; may be repeated [default: all]
    #[arg(long, value_enum)]
    layer: Vec<Layer>,
    /// Explain this PNG or JPEG file instead of the test images; may be repeated
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// What also to ask of each --image, by name or number, next to the predicted class
    #[arg(long, requires = "image")]
    class: Option<String>,
    /// How many misclassified images to draw, and how many right ones
    #[arg(long, value_name = "IMAGES", default_value_t = IMAGES as u16, conflicts_with = "image",
          value_parser = clap::value_parser!(u16).range(1..=400))]
    count: u16,
    /// The colours of the pages
    #[arg(long, value_enum, default_value = "light")]
    theme: Theme,
    /// The data set: CIFAR-10 if it can be had, else the embedded one
    #[arg(long, value_enum, default_value = "auto")]
    data: Wanted,
    /// The folder with cifar-10-batches-bin/ [default: $CUGRAD_DATA, data/, the user's cache]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Test on the first images only
    #[arg(long, value_name = "IMAGES")]
    limit: Option<usize>,
    /// Images at a time
    #[arg(long, default_value = "500", value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Normalise pixels as in training
    #[arg(long, value_enum, default_value = "cifar10")]
    normalization: NormalizationChoice,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    source: SourceArgs,
}

impl Explain {
    pub fn run(mut self) -> Result<()> {
        if self.layer.is_empty() {
            self.layer = Layer::ALL.to_vec();
        }
        // What can be wrong with the input is found before anything is written.
        expect_names_apart(&self.image)?;
        let photos = self.image.iter().map(|path| Photo::read(path)).collect::<Result<Vec<_>>>()?;
        let device = self.device.open()?;
        let mut net = state::load(&self.weights, &device, DType::F32)?;
        match photos.is_empty() {
            true => self.explain_test(&mut net, &device),
            false => self.explain_photos(&mut net, &device, &photos),
        }
    }

    /// The pages of the test images.
    fn explain_test(&self, net: &mut ResNet, device: &Device) -> Result<()> {
        let splits = self.source.load(self.data, self.data_dir.clone())?;
        message(format_args!("data: {}", splits.source));
        let set = &splits.test;
        state::expect_classes(&self.weights, &set.classes)?;
        let images = Images::new(device, set, self.limit)?;
        let normalization = self.normalization.into();
        let all = classify(net, &images, &normalization, DType::F32, self.batch as usize)?;
        let test = Test { set, images: &images, normalization: &normalization };
        make_folder(&self.out)?;
        let count = usize::from(self.count);
        for (right, kind) in [(false, "misclassified"), (true, "right")] {
            let of_kind = all.iter().filter(|image| image.is_right() == right).count();
            let said = if right { "rightly classified" } else { "misclassified" };
            result(format_args!("{of_kind} of {} test images are {said}", all.len()))?;
            let shown = Classified::first(&all, right, count);
            if shown.is_empty() {
                message(format_args!("none of them to draw: there is no {kind}.png"));
                continue;
            }
            if shown.len() < count {
                message(format_args!("fewer than {count} of them: all are drawn"));
            }
            let title = format!("The first {} of {of_kind} {said} test images", shown.len());
            self.save(kind, &grid(title, &shown, set))?;
            let title = if right { "Rightly classified" } else { "Misclassified" };
            for (layer, page) in Maps::new(net, shown, test, &self.layer)?.pages(title, set) {
                self.save(&format!("{kind}-{}", layer.name()), &page)?;
            }
        }
        Ok(())
    }

    /// A page for each picture of the user's.
    fn explain_photos(&self, net: &mut ResNet, device: &Device, photos: &[Photo]) -> Result<()> {
        let classes = class_names(&self.weights)?;
        let class = self.class.as_ref().map(|name| {
            class_of(name, &classes).ok_or_else(|| {
                Error::Config(format!("--class {name}: expected one of {}", classes.join(", ")))
            })
        });
        let class = class.transpose()?;
        let normalization = self.normalization.into();
        make_folder(&self.out)?;
        message(format_args!("each image is {HOW}"));
        for (path, photo) in self.image.iter().zip(photos) {
            let x = to_batch(std::slice::from_ref(photo), device, &normalization)?;
            let said = probabilities(net, &x)?[0];
            let mut asked = vec![(format!("predicted {}", classes[said.said()]), said.said())];
            asked.extend(class.map(|class| (format!("asked for {}", classes[class]), class)));
            let title = format!("Grad-CAM of {}", path.file_name().unwrap_or_default().to_string_lossy());
            let page = depth(net, title, &photo.pixels, &x, &asked, &said, &self.layer)?;
            self.save(&page_name(path), &page)?;
        }
        Ok(())
    }

    fn save(&self, name: &str, page: &Page) -> Result<()> {
        let path = self.out.join(format!("{name}.png"));
        save_png(&path, &page.draw(self.theme), 1)?;
        result(format_args!("{}", path.display()))?;
        Ok(())
    }
}

/// What the page of a picture is called: never as the picture, which may lie in the same folder.
fn page_name(path: &Path) -> String {
    format!("{}-grad-cam", path.file_stem().unwrap_or_default().to_string_lossy())
}

/// Checks that no page would take another's place.
fn expect_names_apart(images: &[PathBuf]) -> Result<()> {
    for (i, image) in images.iter().enumerate() {
        if let Some(other) = images[..i].iter().find(|other| page_name(other) == page_name(image)) {
            return Err(Error::Config(format!(
                "the pages of {} and {} would both be called {}.png\n  help: explain them one by one, each \
                 with its own --out",
                other.display(),
                image.display(),
                page_name(image)
            )));
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(Error::io("create", path))
}
