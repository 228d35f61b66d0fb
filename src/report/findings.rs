//! What the network of a run says of the test images.

use super::Run;
use crate::data::{CLASSES, Images, Splits};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::explain::classify::{Classified, classify};
use crate::explain::grad_cam::Layer;
use crate::explain::pages::{IMAGES, Maps, Test};
use crate::nn::state;
use crate::train::Evaluation;

/// Images at a time, as in the test of a run, so that its result is the same to the bit.
const BATCH: usize = 500;

/// What a network says of the test images.
pub struct Findings {
    /// How often it took which class for which.
    pub test: Evaluation,
    /// Images that it got wrong.
    pub wrong: usize,
    /// The first of those, and where it looked.
    pub maps: Maps,
}

impl Findings {
    /// Tests the network that `run` has after its last epoch on the images that it was tested on.
    ///
    /// # Errors
    /// [`Error::Format`] when the weights are damaged, or of another width or for other classes than the
    /// run's; what the device reports.
    pub fn new(run: &Run, splits: &Splits, device: &Device) -> Result<Findings> {
        let path = run.files.last();
        let mut net = state::load(&path, device, run.config.precision.dtype())?;
        if net.width() != run.config.width {
            let why = format!(
                "these weights are of width {}, the run is of width {}",
                net.width(),
                run.config.width
            );
            return Err(Error::format(path, why));
        }
        state::expect_classes(&path, &splits.test.classes)?;
        let images = Images::new(device, &splits.test, run.config.test_limit)?;
        let normalization = run.config.normalization.into();
        let all = classify(&mut net, &images, &normalization, run.config.precision.dtype(), BATCH)?;
        let test = Test { set: &splits.test, images: &images, normalization: &normalization };
        let shown = Classified::first(&all, false, IMAGES);
        Ok(Findings {
            test: evaluation(&all),
            wrong: all.iter().filter(|image| !image.is_right()).count(),
            maps: Maps::new(&mut net, shown, test, &Layer::ALL)?,
        })
    }
}

fn evaluation(all: &[Classified]) -> Evaluation {
    let mut confusion = [[0; CLASSES]; CLASSES];
    let mut loss = 0.0;
    for image in all {
        confusion[image.truth][image.said()] += 1;
        loss -= image.probabilities.0[image.truth].max(f64::MIN_POSITIVE).ln();
    }
    Evaluation { loss: loss / all.len().max(1) as f64, confusion }
}
