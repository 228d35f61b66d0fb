//! `cugrad eval`

use super::DeviceArgs;
use super::output::{message, result};
use super::source::SourceArgs;
use crate::data::{Images, Wanted};
use crate::error::Result;
use crate::nn::state;
use crate::tensor::DType;
use crate::train::{Evaluation, NormalizationChoice, PLAIN, WITH_MIRROR, evaluate};
use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Args)]
pub struct Eval {
    /// Weights, as `train` writes and PyTorch takes them (safetensors); their width is found out
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The data set: CIFAR-10 if it can be had, else the embedded one
    #[arg(long, value_enum, default_value = "auto")]
    data: Wanted,
    /// The folder with cifar-10-batches-bin/ [default: $CUGRAD_DATA, data/, the user's cache]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Test on the first images only
    #[arg(long, value_name = "IMAGES")]
    limit: Option<NonZeroUsize>,
    /// Images at a time
    #[arg(long, default_value = "500", value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Normalise pixels as in training
    #[arg(long, value_enum, default_value = "cifar10")]
    normalization: NormalizationChoice,
    /// Test-time augmentation: take the mean of the logits of each image and of its mirror image
    #[arg(long)]
    tta: bool,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub fn run(self) -> Result<()> {
        let device = self.device.open()?;
        let mut net = state::load(&self.weights, &device, DType::F32)?;
        let splits = self.source.load(self.data, self.data_dir)?;
        message(format_args!("data: {}", splits.source));
        let test = Images::new(&device, &splits.test, self.limit.map(NonZeroUsize::get))?;
        let normalization = self.normalization.into();
        let batch = self.batch as usize;
        let views: &[_] = if self.tta { &WITH_MIRROR } else { &PLAIN };
        let found = evaluate(&mut net, &test, &normalization, DType::F32, batch, views, &mut || Ok(()))?;
        match self.json {
            true => result(format_args!("{:#}", to_json(&found, &splits.test.classes))),
            false => print(&found, &splits.test.classes),
        }
    }
}

fn to_json(found: &Evaluation, classes: &[String]) -> serde_json::Value {
    serde_json::json!({
        "images": found.images(),
        "loss": found.loss,
        "correct": found.correct(),
        "accuracy": found.accuracy(),
        "classes": classes,
        "class_accuracy": (0..classes.len()).map(|c| found.class_accuracy(c)).collect::<Vec<_>>(),
        "confusion": found.confusion,
    })
}

fn print(found: &Evaluation, classes: &[String]) -> Result<()> {
    result(format_args!("test loss      {:.4}", found.loss))?;
    let (correct, images) = (found.correct(), found.images());
    result(format_args!("test accuracy  {:.2}% ({correct} of {images})\n", 100.0 * found.accuracy()))?;
    result("rows: the true class; columns: how often the network said so\n")?;
    let name = |i: usize| format!("{:>6}", classes[i].chars().take(6).collect::<String>());
    let columns: String = (0..classes.len()).map(|c| " ".to_string() + &name(c)).collect();
    result(format_args!("{:<12} {:>8}{columns}", "", "accuracy"))?;
    for (truth, row) in found.confusion.iter().enumerate() {
        let counts: String = row.iter().map(|n| format!(" {n:>6}")).collect();
        let accuracy = found.class_accuracy(truth).map_or("-".into(), |a| format!("{:.2}%", 100.0 * a));
        result(format_args!("{:<12} {accuracy:>8}{counts}", classes[truth]))?;
    }
    Ok(())
}
