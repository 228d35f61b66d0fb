//! `cugrad report`

use super::DeviceArgs;
use super::output::{message, result};
use super::source::SourceArgs;
use crate::data::Wanted;
use crate::error::Result;
use crate::numbers::duration;
use crate::report::{Run, Written, write_report};
use clap::Args;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args)]
#[command(long_about = "Write what a run came to as one page, RUN/report.html, with its plots and pictures \
beside it.\n\nThe page needs nothing else: style, charts and images are inside. `train` writes it at its \
end; this writes it anew, also of a run that was interrupted: the page then says what lacks.")]
pub struct Report {
    /// The run's folder
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The data set [default: that of the run's settings]
    #[arg(long, value_enum)]
    data: Option<Wanted>,
    /// The folder with cifar-10-batches-bin/ [default: $CUGRAD_DATA, data/, the user's cache]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    source: SourceArgs,
}

impl Report {
    pub fn run(self) -> Result<()> {
        let run = Run::read(&self.run)?;
        let device = self.device.open()?;
        let wanted = self.data.unwrap_or(run.config.data);
        let folder = self.data_dir.or_else(|| run.config.data_dir.clone());
        let splits = self.source.load(wanted, folder);
        // Without the images the numbers can still be told.
        let data = splits.as_ref().map_err(|why| why.to_string().replace('\n', " "));
        let started = Instant::now();
        let written = write_report(&run, data, &device)?;
        say(&written, started)
    }
}

/// Prints where the report is, how long it took, and what it lacks.
pub fn say(written: &Written, started: Instant) -> Result<()> {
    for lack in &written.lacks {
        message(lack);
    }
    let seconds = duration(started.elapsed().as_secs_f64());
    result(format_args!("report {} ({seconds})", written.report.display()))
}
