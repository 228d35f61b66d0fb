//! What a run shows in TensorBoard beside its scalars: what it is shown, and what it gets wrong.

use crate::data::Splits;
use crate::error::{Error, Result};
use crate::explain::samples::samples_page;
use crate::picture::Theme;
use crate::picture::file::to_png;
use crate::train::tensorboard::TensorBoard;
use crate::train::{Progress, RunDir, TrainConfig};

/// Images of each class among the samples.
const COLUMNS: usize = 4;

/// The event file of a run that is about to train, if it wants one; a new run's begins with samples.
///
/// # Errors
/// What the file or the augmentation reports.
pub fn open(
    config: &TrainConfig,
    run: &RunDir,
    splits: &Splits,
    done: &Progress,
) -> Result<Option<TensorBoard>> {
    if !config.tensorboard {
        return Ok(None);
    }
    let mut board = TensorBoard::create(&run.tensorboard(), done.steps)?;
    if done.steps == 0 && config.augment {
        let page = samples_page(&splits.train, config.seed, 0, COLUMNS, Theme::Light)?;
        board.picture(0, "samples", &to_png(&page.draw(Theme::Light), 1))?;
    }
    Ok(Some(board))
}

/// Adds the page of misclassified test images that the report of a finished run has drawn, if there were
/// any.
///
/// # Errors
/// What the files report.
pub fn add_misclassified(board: &mut TensorBoard, run: &RunDir, last_step: usize) -> Result<()> {
    let path = run.pictures().join("misclassified.png");
    if !path.exists() {
        return Ok(());
    }
    board.picture(last_step, "misclassified", &std::fs::read(&path).map_err(Error::io("read", &path))?)
}
