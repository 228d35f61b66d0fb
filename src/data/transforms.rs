//! What is done to a training image: choose, then apply.
//!
//! Choosing is here: a crop, a flip and a hole for each image and epoch, from the counter-based
//! generator, so that a choice depends on nothing but (seed, epoch, image). Applying, with the
//! normalisation, is the operation [`augment`](crate::ops::augment), on whichever device trains.

use super::SIDE;
use crate::ops::augment::Normalization;
use crate::random::{Purpose, Stream};

/// Black pixels around an image before it is cropped back to 32×32.
pub const PADDING: u8 = 4;

/// CIFAR-10's channel means and deviations.
pub const CIFAR10: Normalization =
    Normalization { mean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616] };
/// The plain normalisation to -1 … 1.
pub const HALF: Normalization = Normalization { mean: [0.5; 3], std: [0.5; 3] };

/// What happens to one image in one epoch, in this order: crop, flip, hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// First row of the crop in the padded image, 0 to 8.
    pub crop_y: u8,
    /// First column of the crop in the padded image, 0 to 8.
    pub crop_x: u8,
    /// Mirror left and right.
    pub flip: bool,
    /// Row and column of the centre of the black 8×8 hole, 0 to 31; it is clipped at the border.
    pub hole: Option<(u8, u8)>,
}

impl Choice {
    /// The image as it is.
    pub const IDENTITY: Choice = Choice { crop_y: PADDING, crop_x: PADDING, flip: false, hole: None };

    /// The choice for image `index` in `epoch`: every crop, both directions and every centre of the
    /// hole equally likely.
    pub fn draw(seed: u64, epoch: u32, index: u32) -> Choice {
        let mut stream = Stream::new(seed, Purpose::Augment, epoch, index);
        let mut below = |n| stream.below(n) as u8;
        let (crop_y, crop_x) = (below(2 * u32::from(PADDING) + 1), below(2 * u32::from(PADDING) + 1));
        let flip = below(2) == 1;
        let hole = Some((below(SIDE as u32), below(SIDE as u32)));
        Choice { crop_y, crop_x, flip, hole }
    }

    /// The row that the operation `augment` reads: crop_y, crop_x, flip, hole_y, hole_x, with -1 for
    /// no hole.
    pub fn row(self) -> [i32; 5] {
        let (hole_y, hole_x) = self.hole.map_or((-1, -1), |(y, x)| (y.into(), x.into()));
        [self.crop_y.into(), self.crop_x.into(), self.flip.into(), hole_y, hole_x]
    }
}

/// The order in which an epoch visits `len` images: a permutation of `0..len`.
pub fn order(seed: u64, epoch: u32, len: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..len).collect();
    Stream::new(seed, Purpose::Shuffle, epoch, 0).shuffle(&mut order);
    order
}

/// The rows `[N,5]` of the choices for the images `indices` in `epoch`; all of them
/// [`Choice::IDENTITY`] without `augment`.
pub fn rows(seed: u64, epoch: u32, indices: &[u32], augment: bool) -> Vec<i32> {
    let choice = |&index| if augment { Choice::draw(seed, epoch, index) } else { Choice::IDENTITY };
    indices.iter().map(choice).flat_map(Choice::row).collect()
}
