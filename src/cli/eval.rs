//! `cugrad eval`

use super::DeviceArgs;
use super::source::SourceArgs;
use crate::data::{Images, Wanted};
use crate::error::Result;
use crate::nn::state;
use crate::tensor::DType;
use crate::train::{Evaluation, NormalizationChoice, evaluate};
use clap::Args;
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
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub fn run(self) -> Result<()> {
        let device = self.device.open()?;
        let mut net = state::load(&self.weights, &device, DType::F32)?;
        let splits = self.source.load(self.data, self.data_dir)?;
        eprintln!("data: {}", splits.source);
        let test = Images::new(&device, &splits.test, self.limit)?;
        let normalization = self.normalization.into();
        let result = evaluate(&mut net, &test, &normalization, DType::F32, self.batch as usize)?;
        match self.json {
            true => println!("{:#}", to_json(&result, &splits.test.classes)),
            false => print(&result, &splits.test.classes),
        }
        Ok(())
    }
}

fn to_json(result: &Evaluation, classes: &[String]) -> serde_json::Value {
    serde_json::json!({
        "images": result.images(),
        "loss": result.loss,
        "correct": result.correct(),
        "accuracy": result.accuracy(),
        "classes": classes,
        "class_accuracy": (0..classes.len()).map(|c| result.class_accuracy(c)).collect::<Vec<_>>(),
        "confusion": result.confusion,
    })
}

fn print(result: &Evaluation, classes: &[String]) {
    println!("test loss      {:.4}", result.loss);
    println!(
        "test accuracy  {:.2}% ({} of {})\n",
        100.0 * result.accuracy(),
        result.correct(),
        result.images()
    );
    println!("rows: the true class; columns: how often the network said so\n");
    let name = |i: usize| format!("{:>6}", classes[i].chars().take(6).collect::<String>());
    let columns: String = (0..classes.len()).map(|c| " ".to_string() + &name(c)).collect();
    println!("{:<12} {:>8}{columns}", "", "accuracy");
    for (truth, row) in result.confusion.iter().enumerate() {
        let counts: String = row.iter().map(|n| format!(" {n:>6}")).collect();
        let accuracy = result.class_accuracy(truth).map_or("-".into(), |a| format!("{:.2}%", 100.0 * a));
        println!("{:<12} {accuracy:>8}{counts}", classes[truth]);
    }
}
