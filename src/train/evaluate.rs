//! The test: how well a network classifies images it was not trained on.

use crate::data::transforms::rows;
use crate::data::{CLASSES, Images};
use crate::error::Result;
use crate::nn::{Mode, ResNet};
use crate::ops::augment::Normalization;
use crate::ops::softmax_nll::softmax_nll;
use crate::tape::Tape;
use crate::tensor::DType;

/// What a test found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// `confusion[truth][said]`: images of class `truth` that the network took for class `said`.
    pub confusion: [[usize; CLASSES]; CLASSES],
}

impl Evaluation {
    /// Images in all.
    pub fn images(&self) -> usize {
        self.confusion.iter().flatten().sum()
    }

    /// Images classified right.
    pub fn correct(&self) -> usize {
        (0..CLASSES).map(|class| self.confusion[class][class]).sum()
    }

    /// The share of images classified right.
    pub fn accuracy(&self) -> f64 {
        self.correct() as f64 / self.images().max(1) as f64
    }

    /// The share of the images of `class` classified right; None when there are none.
    pub fn class_accuracy(&self, class: usize) -> Option<f64> {
        let images: usize = self.confusion[class].iter().sum();
        (images > 0).then(|| self.confusion[class][class] as f64 / images as f64)
    }
}

/// Tests `net` on `images`, `batch` at a time, without augmentation. `watch` is called before each batch, and
/// what it reports ends the test.
///
/// # Errors
/// What the operations or `watch` report.
pub fn evaluate(
    net: &mut ResNet,
    images: &Images,
    normalization: &Normalization,
    dtype: DType,
    batch: usize,
    watch: &mut dyn FnMut() -> Result<()>,
) -> Result<Evaluation> {
    let mut found = Evaluation::default();
    let mut loss_sum = 0.0;
    let all: Vec<u32> = (0..images.len() as u32).collect();
    for index in all.chunks(batch) {
        watch()?;
        let batch = images.batch(index, rows(0, 0, index, false), normalization, dtype)?;
        let tape = &mut Tape::no_grad();
        let logits = net.forward(tape, &batch.x, Mode::Eval)?;
        let loss = softmax_nll(tape, &logits, &batch.labels, 0.0)?;
        loss_sum += loss.to_f64_vec()?[0] * index.len() as f64;
        for (logits, &image) in logits.to_f64_vec()?.chunks(CLASSES).zip(index) {
            found.confusion[usize::from(images.label(image))][argmax(logits)] += 1;
        }
    }
    found.loss = loss_sum / images.len().max(1) as f64;
    Ok(found)
}

/// The position of the largest value, the first of equals.
fn argmax(values: &[f64]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}
