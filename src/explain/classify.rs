//! What the network says of each image of a test, and which ones it got wrong.

use crate::data::transforms::rows;
use crate::data::{CLASSES, Images};
use crate::error::Result;
use crate::nn::{Mode, ResNet};
use crate::ops::augment::Normalization;
use crate::tape::Tape;
use crate::tensor::{DType, Tensor};

/// The probability of each class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probabilities(pub [f64; CLASSES]);

impl Probabilities {
    /// The softmax of a row of logits.
    fn of(logits: &[f64]) -> Probabilities {
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut shares = [0.0; CLASSES];
        shares.iter_mut().zip(logits).for_each(|(share, logit)| *share = (logit - most).exp());
        let sum: f64 = shares.iter().sum();
        Probabilities(shares.map(|share| share / sum))
    }

    /// The classes, the likeliest first, the lower number first of equals.
    pub fn ranked(&self) -> [usize; CLASSES] {
        let mut classes = std::array::from_fn(|class| class);
        classes.sort_by(|&a: &usize, &b: &usize| self.0[b].total_cmp(&self.0[a]));
        classes
    }

    /// The likeliest class.
    pub fn said(&self) -> usize {
        self.ranked()[0]
    }
}

/// What the network says of one image of a test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Classified {
    /// The image's position in the split.
    pub image: u32,
    /// Its class.
    pub truth: usize,
    /// What the network thinks of it.
    pub probabilities: Probabilities,
}

impl Classified {
    /// The class that the network takes it for.
    pub fn said(&self) -> usize {
        self.probabilities.said()
    }

    /// Whether the network is right.
    pub fn is_right(&self) -> bool {
        self.said() == self.truth
    }

    /// The first `count` of `all` that are right, or that are wrong: in the order of the split, so that
    /// they are no selection of the striking ones.
    pub fn first(all: &[Classified], right: bool, count: usize) -> Vec<Classified> {
        all.iter().filter(|image| image.is_right() == right).take(count).copied().collect()
    }
}

/// The probabilities of each image of `x [N,32,32,3]`.
///
/// # Errors
/// What the operations report.
pub fn probabilities(net: &mut ResNet, x: &Tensor) -> Result<Vec<Probabilities>> {
    let logits = net.forward(&mut Tape::no_grad(), x, Mode::Eval)?.to_f64_vec()?;
    Ok(logits.chunks_exact(CLASSES).map(Probabilities::of).collect())
}

/// What `net` says of all `images`, `batch` at a time.
///
/// # Errors
/// What the operations report.
pub fn classify(
    net: &mut ResNet,
    images: &Images,
    normalization: &Normalization,
    dtype: DType,
    batch: usize,
) -> Result<Vec<Classified>> {
    let all: Vec<u32> = (0..images.len() as u32).collect();
    let mut found = Vec::with_capacity(all.len());
    for index in all.chunks(batch) {
        let batch = images.batch(index, rows(0, 0, index, false), normalization, dtype)?;
        let said = probabilities(net, &batch.x)?;
        found.extend(index.iter().zip(said).map(|(&image, probabilities)| Classified {
            image,
            truth: images.label(image).into(),
            probabilities,
        }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(of: usize) -> [f64; CLASSES] {
        std::array::from_fn(|class| if class == of { 900.0 } else { 898.0 })
    }

    #[test]
    fn probabilities_are_a_softmax_also_of_large_logits() {
        let said = Probabilities::of(&logits(3));
        assert!((said.0.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((said.0[3] / said.0[4] - 2f64.exp()).abs() < 1e-9);
        assert_eq!(said.ranked(), [3, 0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn first_keeps_the_order_and_takes_no_more_than_there_are() {
        let all: Vec<Classified> = (0..10)
            .map(|image| Classified {
                image,
                truth: 1,
                probabilities: Probabilities::of(&logits(usize::from(image % 3 == 0))),
            })
            .collect();
        let images = |right, count| -> Vec<u32> {
            Classified::first(&all, right, count).iter().map(|image| image.image).collect()
        };
        assert_eq!(images(true, 3), [0, 3, 6]);
        assert_eq!(images(false, 25), [1, 2, 4, 5, 7, 8]);
    }
}
