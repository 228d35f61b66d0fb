//! Augmentation on a GPU: one thread an element of the batch.

use super::{AugmentShape, OP};
use crate::device::driver::Grid;
use crate::device::kernels::augment::{AugmentApply, BLOCK_THREADS, IMAGE_ELEMENTS};
use crate::error::Result;
use crate::ops::check::index32;
use crate::tensor::{Tensor, gpu_of};

/// x = the picked images: cropped, flipped, cut and normalised
pub fn apply(
    s: &AugmentShape,
    images: &Tensor,
    index: &Tensor,
    choices: &Tensor,
    mean: [f64; 3],
    std: [f64; 3],
    x: &mut Tensor,
) -> Result<()> {
    let count = s.n * IMAGE_ELEMENTS as usize;
    index32(OP, images.len())?;
    index32(OP, count)?;
    let [mean0, mean1, mean2] = mean.map(|v| v as f32);
    let [std0, std1, std2] = std.map(|v| v as f32);
    let kernel = AugmentApply {
        images: images.gpu()?.ptr(),
        index: index.gpu()?.ptr(),
        choices: choices.gpu()?.ptr(),
        mean0,
        mean1,
        mean2,
        std0,
        std1,
        std2,
        x: x.gpu_mut()?.ptr_mut(),
        N: index32(OP, s.n)?,
    };
    gpu_of(images)?.launch(&kernel, Grid::linear(count.div_ceil(BLOCK_THREADS as usize), BLOCK_THREADS))
}
