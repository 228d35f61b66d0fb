//! Where the images come from, and the bar of their download.

use super::output::message;
use crate::data::download::Progress;
use crate::data::{Places, Splits, Wanted, source};
use crate::error::Result;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;

/// How CIFAR-10 is fetched when it is not on this machine.
#[derive(Args, Clone)]
pub struct SourceArgs {
    /// Where to download CIFAR-10 from before its authors' site is asked; may be repeated
    #[arg(long, value_name = "URL", help_heading = "Data")]
    mirror: Vec<String>,
    /// Never download (also CUGRAD_NO_FETCH=1)
    #[arg(long, help_heading = "Data")]
    no_download: bool,
}

impl SourceArgs {
    /// The data set that is wanted, downloaded if need be.
    ///
    /// # Errors
    /// As [`source::load`].
    pub fn load(&self, wanted: Wanted, data_dir: Option<PathBuf>) -> Result<Splits> {
        let mut places = Places::from_environment(data_dir, &self.mirror);
        if self.no_download {
            places.download = None;
        }
        let mut bar = DownloadBar::default();
        source::load(wanted, &places, &mut |progress| bar.show(progress))
    }
}

/// The progress of a download, on stderr.
#[derive(Default)]
struct DownloadBar(Option<ProgressBar>);

impl DownloadBar {
    fn show(&mut self, progress: Progress) {
        match progress {
            Progress::Connecting { url } => self.say(&format!("looking for CIFAR-10 at {url}")),
            Progress::Failed { url, why } => self.say(&format!("{url}: {why}")),
            Progress::Receiving { received, total } => {
                let bar = self.0.get_or_insert_with(|| {
                    let template =
                        "CIFAR-10 {bar:30.cyan/dim} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
                    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
                    ProgressBar::new(total).with_style(style)
                });
                bar.set_length(total);
                bar.set_position(received);
            }
            Progress::Unpacking { file } => self.say(&format!("unpacking {file}")),
        }
    }

    /// Prints a line where the bar was.
    fn say(&mut self, line: &str) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
        message(line);
    }
}
