//! `cugrad samples`

use super::output::{message, result};
use super::source::SourceArgs;
use crate::data::Wanted;
use crate::error::Result;
use crate::explain::samples::samples_page;
use crate::picture::Theme;
use crate::picture::file::save_png;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(about = "Draw training images before and after crop, flip and cutout")]
#[command(long_about = "Draw training images before and after crop, flip and cutout: a row for each class. \
The choices are those that a run with the same seed makes in that epoch.")]
pub struct Samples {
    /// The PNG file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Images of each class
    #[arg(long, value_name = "IMAGES", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=16))]
    columns: u8,
    /// The seed of the run
    #[arg(long, default_value = "0", env = "CUGRAD_SEED")]
    seed: u64,
    /// The epoch of the run, counted from 1
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    epoch: u32,
    /// The colours of the page
    #[arg(long, value_enum, default_value = "light")]
    theme: Theme,
    /// The data set: CIFAR-10 if it can be had, else the embedded one
    #[arg(long, value_enum, default_value = "auto")]
    data: Wanted,
    /// The folder with cifar-10-batches-bin/ [default: $CUGRAD_DATA, data/, the user's cache]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
}

impl Samples {
    pub fn run(self) -> Result<()> {
        let splits = self.source.load(self.data, self.data_dir)?;
        message(format_args!("data: {}", splits.source));
        let page = samples_page(&splits.train, self.seed, self.epoch - 1, self.columns.into(), self.theme)?;
        save_png(&self.out, &page.draw(self.theme), 1)?;
        result(format_args!("{}", self.out.display()))?;
        Ok(())
    }
}
