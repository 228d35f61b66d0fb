//! The plots of a run.

use super::Run;
use super::plot::{Figure, accuracy, loss, one_cycle, range_test};
use crate::error::{Error, Result};
use crate::picture::Theme;
use std::path::{Path, PathBuf};

/// The figures of `run`, each with its name: its learning rate, once it has an epoch its loss and
/// accuracy, and its range test, if it had one.
pub fn run_figures(run: &Run) -> Vec<(&'static str, Figure)> {
    let mut figures = Vec::new();
    if !run.epochs.is_empty() {
        figures.extend([("accuracy", accuracy(&run.epochs)), ("loss", loss(&run.epochs))]);
    }
    figures.push(("one-cycle", one_cycle(&run.config.schedule())));
    figures.extend(
        run.range_test.iter().map(|found| ("lr-find", range_test(&found.sweep, Some(&found.suggestion)))),
    );
    figures
}

/// Writes the figures of `run` into `folder`, each light, and dark as `*-dark.png`. Returns the files.
///
/// # Errors
/// [`Error::Io`] naming a file or the folder.
pub fn write_run_plots(run: &Run, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (name, figure) in run_figures(run) {
        files.extend(write_both(&figure, folder, name)?);
    }
    Ok(files)
}

/// Writes a figure as `NAME.png` and `NAME-dark.png` into `folder`, which is made if need be.
///
/// # Errors
/// [`Error::Io`] naming the file or folder.
fn write_both(figure: &Figure, folder: &Path, name: &str) -> Result<[PathBuf; 2]> {
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let (light, dark) = (folder.join(format!("{name}.png")), folder.join(format!("{name}-dark.png")));
    figure.save(&light, Theme::Light)?;
    figure.save(&dark, Theme::Dark)?;
    Ok([light, dark])
}
