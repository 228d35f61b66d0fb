//! The plots of a run.

use super::Theme;
use super::plot::{Figure, accuracy, loss, one_cycle};
use crate::error::{Error, Result};
use crate::train::{RunDir, TrainConfig, read_epochs};
use std::path::{Path, PathBuf};

/// Writes the plots of `run` into `folder`: its learning rate and, once it has an epoch, its loss and
/// accuracy; each light, and dark as `*-dark.png`. Returns the files.
///
/// # Errors
/// [`Error::Io`] naming a file, [`Error::Format`] for metrics that are not ours.
pub fn write_run_plots(run: &RunDir, config: &TrainConfig, folder: &Path) -> Result<Vec<PathBuf>> {
    let epochs = read_epochs(run.path())?;
    let mut figures = vec![("one-cycle", one_cycle(&config.schedule()))];
    if !epochs.is_empty() {
        figures.extend([("loss", loss(&epochs)), ("accuracy", accuracy(&epochs))]);
    }
    let mut files = Vec::new();
    for (name, figure) in figures {
        files.extend(write_both(&figure, folder, name)?);
    }
    Ok(files)
}

/// Writes a figure as `NAME.png` and `NAME-dark.png` into `folder`, which is made if need be.
///
/// # Errors
/// [`Error::Io`] naming the file or folder.
pub fn write_both(figure: &Figure, folder: &Path, name: &str) -> Result<[PathBuf; 2]> {
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let (light, dark) = (folder.join(format!("{name}.png")), folder.join(format!("{name}-dark.png")));
    figure.draw(Theme::Light).save(&light)?;
    figure.draw(Theme::Dark).save(&dark)?;
    Ok([light, dark])
}
