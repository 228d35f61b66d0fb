//! The test: how well a network classifies images it was not trained on.

use crate::data::transforms::Choice;
use crate::data::{CLASSES, Images};
use crate::error::Result;
use crate::nn::{Mode, ResNet};
use crate::ops::augment::Normalization;
use crate::ops::softmax_nll::softmax_nll;
use crate::tape::Tape;
use crate::tensor::{DType, Tensor};

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

/// Each image as it is.
pub const PLAIN: [Choice; 1] = [Choice::IDENTITY];

/// Each image as it is and mirrored: test-time augmentation.
pub const WITH_MIRROR: [Choice; 2] = [Choice::IDENTITY, Choice { flip: true, ..Choice::IDENTITY }];

/// Tests `net` on `images`, `batch` at a time; an image's logits are the mean of those of its `views`. `watch` is
/// called before each batch, and what it reports ends the test.
///
/// # Errors
/// What the operations or `watch` report.
///
/// # Panics
/// Without views.
pub fn evaluate(
    net: &mut ResNet,
    images: &Images,
    normalization: &Normalization,
    dtype: DType,
    batch: usize,
    views: &[Choice],
    watch: &mut dyn FnMut() -> Result<()>,
) -> Result<Evaluation> {
    let mut found = Evaluation::default();
    let mut loss_sum = 0.0;
    let all: Vec<u32> = (0..images.len() as u32).collect();
    for index in all.chunks(batch) {
        watch()?;
        let tape = &mut Tape::no_grad();
        let mut of_views = Vec::new();
        for view in views {
            let choices = view.row().repeat(index.len());
            let batch = images.batch(index, choices, normalization, dtype)?;
            of_views.push((net.forward(tape, &batch.x, Mode::Eval)?, batch.labels));
        }
        let (first, labels) = &of_views[0];
        let logits = match &of_views[..] {
            [_] => first.clone(),
            _ => mean(of_views.iter().map(|(logits, _)| logits), first)?,
        };
        let loss = softmax_nll(tape, &logits, labels, 0.0)?;
        loss_sum += loss.to_f64_vec()?[0] * index.len() as f64;
        for (logits, &image) in logits.to_f64_vec()?.chunks(CLASSES).zip(index) {
            found.confusion[usize::from(images.label(image))][argmax(logits)] += 1;
        }
    }
    found.loss = loss_sum / images.len().max(1) as f64;
    Ok(found)
}

/// The mean of `tensors`, as a tensor like `like`.
fn mean<'a>(tensors: impl Iterator<Item = &'a Tensor>, like: &Tensor) -> Result<Tensor> {
    let (mut sums, mut count) = (vec![0.0; like.len()], 0.0);
    for tensor in tensors {
        count += 1.0;
        sums.iter_mut().zip(tensor.to_f64_vec()?).for_each(|(sum, value)| *sum += value);
    }
    sums.iter_mut().for_each(|sum| *sum /= count);
    match like.dtype() {
        DType::F64 => Tensor::from_vec(&like.device(), sums, like.shape()),
        _ => Tensor::from_vec(&like.device(), sums.iter().map(|&v| v as f32).collect(), like.shape()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::embedded;
    use crate::data::transforms::CIFAR10;
    use crate::device::Device;

    #[test]
    fn logits_are_the_mean_of_those_of_the_views() {
        let mut net = ResNet::new(&Device::Cpu, DType::F32, 4, 3).unwrap();
        let images = Images::new(&Device::Cpu, &embedded::load().1, Some(24)).unwrap();
        let mut test = |views: &[Choice]| {
            evaluate(&mut net, &images, &CIFAR10, DType::F32, 10, views, &mut || Ok(())).unwrap()
        };
        let [plain, mirror] = WITH_MIRROR;
        assert_eq!(test(&[plain, plain]), test(&PLAIN));
        assert_eq!(test(&[mirror, plain]), test(&WITH_MIRROR));
        // The loss is convex in the logits, so that of the mean is at most the mean of the losses.
        let (one, other, both) = (test(&PLAIN).loss, test(&[mirror]).loss, test(&WITH_MIRROR).loss);
        assert!(one != other && both < (one + other) / 2.0, "{one} {other} {both}");
    }
}
