//! `cugrad data`

use super::output::result;
use super::source::SourceArgs;
use crate::data::Wanted;
use crate::data::report::{Report, SplitReport};
use crate::error::{Error, Result};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub struct Data {
    /// The data set: CIFAR-10 if it can be had, else the embedded one
    #[arg(long, value_enum, default_value = "auto")]
    data: Wanted,
    /// The folder with cifar-10-batches-bin/ [default: $CUGRAD_DATA, data/, the user's cache]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    /// End with status 1 if the data set is not as published
    #[arg(long)]
    verify: bool,
}

impl Data {
    pub fn run(self) -> Result<()> {
        let splits = self.source.load(self.data, self.data_dir)?;
        let report = Report::new(&splits)?;
        result(format_args!("{}\n", report.source))?;
        for file in &report.files {
            result(format_args!("{}  {:>10} bytes  {}", file.sha256, file.bytes, file.path.display()))?;
        }
        if !report.files.is_empty() {
            result("")?;
        }
        let [train, test] = &report.splits;
        result(format_args!("{:<12} {:>8} {:>8}", "images", "train", "test"))?;
        for (i, class) in report.classes.iter().enumerate() {
            result(format_args!("{class:<12} {:>8} {:>8}", train.counts[i], test.counts[i]))?;
        }
        result(format_args!("{:<12} {:>8} {:>8}\n", "in all", train.images, test.images))?;
        report.splits.iter().try_for_each(print_channels)?;
        let findings = report.verify();
        findings.iter().try_for_each(|finding| result(format_args!("odd: {finding}")))?;
        match self.verify && !findings.is_empty() {
            true => Err(Error::Data(format!("{}: {} findings", report.source, findings.len()))),
            false => Ok(()),
        }
    }
}

fn print_channels(split: &SplitReport) -> Result<()> {
    let numbers = |values: [f64; 3]| values.map(|v| format!("{v:.4}")).join(" ");
    result(format_args!(
        "{:<5} mean {}  deviation {}  (red green blue, of pixel/255)",
        split.name,
        numbers(split.channels.mean),
        numbers(split.channels.std)
    ))
}
