//! `cugrad compare`

use super::output::result;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::report::Run;
use crate::report::html::{compare_page, result_rows};
use crate::report::plot::overlay::{MOST, letter};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "Example:
  cugrad compare runs/20261122-181500-quick runs/20261122-190210-quick --out compare.html")]
pub struct Compare {
    /// The folders of the runs, 2 to 12
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The page to write
    #[arg(long, value_name = "FILE", default_value = "compare.html")]
    out: PathBuf,
}

impl Compare {
    pub fn run(self) -> Result<()> {
        if !(2..=MOST).contains(&self.runs.len()) {
            let found = self.runs.len();
            let why = format!("expected 2 to {MOST} runs to set side by side, found {found}");
            return Err(Error::Config(why));
        }
        if self.out.is_dir() {
            let why = format!("--out {} is a folder, expected the name of a file", self.out.display());
            return Err(Error::Config(why));
        }
        let runs = self.runs.iter().map(|folder| Run::read(folder)).collect::<Result<Vec<_>>>()?;
        write_atomically(&self.out, compare_page(&runs).into_string().as_bytes())?;
        print(&runs)?;
        result(format_args!("\npage {}", self.out.display()))
    }
}

/// Prints the runs and the table of their results, a column each.
fn print(runs: &[Run]) -> Result<()> {
    for (place, run) in runs.iter().enumerate() {
        result(format_args!("{}  {}", letter(place), run.files.path().display()))?;
    }
    result("")?;
    let rows = result_rows(runs);
    // Names of machines and hashes are on the page.
    let rows = &rows[..rows.len().min(9)];
    let widest =
        |place: usize| rows.iter().map(|(_, values)| values[place].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..runs.len()).map(widest).collect();
    let line = |name: &str, values: &[String]| {
        let columns = values.iter().zip(&widths).map(|(value, width)| format!("  {value:>width$}"));
        result(format_args!("{name:<18}{}", columns.collect::<String>()))
    };
    line("", &(0..runs.len()).map(letter).collect::<Vec<_>>())?;
    rows.iter().try_for_each(|(name, values)| line(name, values))
}
