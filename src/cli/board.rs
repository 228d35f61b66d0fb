//! What a run shows in TensorBoard beside its scalars: what it is shown, and what it gets wrong.

use crate::data::{Images, Splits};
use crate::device::Device;
use crate::error::Result;
use crate::explain::canvas::{Theme, to_png};
use crate::explain::classify::{Classified, classify};
use crate::explain::pages::{IMAGES, grid};
use crate::explain::samples::samples;
use crate::nn::state;
use crate::train::tensorboard::TensorBoard;
use crate::train::{Progress, RunDir, TrainConfig};

/// Images of each class among the samples.
const COLUMNS: usize = 4;
/// Images at a time.
const BATCH: usize = 500;

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
        let page = samples(&splits.train, config.seed, 0, COLUMNS, Theme::Light)?;
        board.picture(0, "samples", &to_png(&page.draw(Theme::Light))?)?;
    }
    Ok(Some(board))
}

/// Adds the first test images that the network of a finished run gets wrong.
///
/// # Errors
/// What the files or the device report.
pub fn add_misclassified(
    board: &mut TensorBoard,
    config: &TrainConfig,
    run: &RunDir,
    splits: &Splits,
    device: &Device,
    last_step: usize,
) -> Result<()> {
    let dtype = config.precision.dtype();
    let mut net = state::load(&run.last(), device, dtype)?;
    let test = Images::new(device, &splits.test, config.test_limit)?;
    let all = classify(&mut net, &test, &config.normalization.into(), dtype, BATCH)?;
    let wrong = Classified::first(&all, false, IMAGES);
    if wrong.is_empty() {
        return Ok(());
    }
    let title = format!("The first {} misclassified test images", wrong.len());
    let page = grid(title, &wrong, &splits.test);
    board.picture(last_step, "misclassified", &to_png(&page.draw(Theme::Light))?)
}
