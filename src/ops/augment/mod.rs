//! Augmentation: random crop, flip and hole, chosen elsewhere and applied here, and normalisation.

pub mod cpu;
mod gpu;
pub mod spec;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::check::{Operands, expect_dtype, expect_shape, extents, with_real};
use crate::ops::on_cpu::{Target, write};
use crate::tensor::{DType, Tensor};
use std::ops::Range;
use std::slice;

const OP: &str = "augment";

/// Rows, and columns, of an image.
pub const SIDE: usize = 32;
/// Red, green, blue.
pub const CHANNELS: usize = 3;
/// Black pixels around an image, for the crop.
pub const PADDING: usize = 4;
/// Rows, and columns, of a hole.
pub const HOLE: usize = 8;
/// Numbers chosen for an image: crop_y, crop_x, flip, hole_y, hole_x.
pub const CHOICES: usize = 5;
/// Where the numbers of [`CHOICES`] lie.
pub const CHOICE_RANGES: [Range<i32>; CHOICES] = {
    const CROP: Range<i32> = 0..2 * PADDING as i32 + 1;
    const CENTRE: Range<i32> = -1..SIDE as i32;
    [CROP, CROP, 0..2, CENTRE, CENTRE]
};
/// The choices that leave an image as it is.
pub const UNCHANGED: [i32; CHOICES] = [PADDING as i32, PADDING as i32, 0, -1, -1];

/// The extents of an augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AugmentShape {
    /// Images of the batch.
    pub n: usize,
}

/// What brings pixels to mean 0 and deviation 1: `(p / 255 - mean) / std`, by channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// The mean of p / 255.
    pub mean: [f64; CHANNELS],
    /// The standard deviation of p / 255.
    pub std: [f64; CHANNELS],
}

/// A batch of augmented, normalised images: `x[n] = (p / 255 - mean) / std`, where p are the pixels
/// of `images[index[n]]` after, in this order:
/// - a crop to 32x32 at row `crop_y` and column `crop_x` (0..=8) of the image padded by 4 black pixels;
/// - a left-right flip if `flip` is 1;
/// - a black hole of 8x8: rows `hole_y - 4 .. hole_y + 4`, columns likewise, clipped; none if -1.
///
/// `images [T,32,32,3]` U8, `index [N]` I32 and `choices [N,5]` I32 give `x [N,32,32,3]` of `dtype`.
///
/// # Errors
/// [`Error::Shape`] names both shapes; [`Error::Operand`] when types or devices differ, and on the
/// CPU when an index or a choice is out of range (the kernel trusts them: who makes them checks them,
/// as [`crate::data::Images::draw`] does, while they are on the host); [`Error::Config`] when a deviation is
/// not above 0; [`Error::Launch`] names the kernel.
///
/// Source: `kernels/augment/`.
pub fn augment(
    images: &Tensor,
    index: &Tensor,
    choices: &Tensor,
    normalization: &Normalization,
    dtype: DType,
) -> Result<Tensor> {
    let device = images.device();
    expect_dtype(OP, "images", images, DType::U8, &device)?;
    expect_dtype(OP, "index", index, DType::I32, &device)?;
    expect_dtype(OP, "choices", choices, DType::I32, &device)?;
    let [count, ..] = extents::<4>(OP, "images [T,32,32,3]", images)?;
    let [n] = extents(OP, "index [N]", index)?;
    expect_shape(OP, "images [T,32,32,3] =", images, &[count, SIDE, SIDE, CHANNELS])?;
    expect_shape(OP, "choices [N,5] =", choices, &[n, CHOICES])?;
    if normalization.std.iter().any(|&std| std.is_nan() || std <= 0.0) {
        return Err(Error::Config(format!("{OP}: deviations are above 0, not {:?}", normalization.std)));
    }
    let (s, &Normalization { mean, std }) = (AugmentShape { n }, normalization);
    let mut x = Tensor::empty(&device, dtype, &[n, SIDE, SIDE, CHANNELS])?;
    Operands::stored_as(OP, "x", &x)?;
    match device {
        Device::Cpu => with_real!(OP, dtype, T => {
            let (index, choices) = (index.cpu()?, choices.cpu()?);
            expect_in_range("index", index, slice::from_ref(&(0..count as i32)))?;
            expect_in_range("choices", choices, &CHOICE_RANGES)?;
            let images = images.cpu()?;
            write([Target::over(&mut x)], |[x]| cpu::apply::<T>(&s, images, index, choices, mean, std, x))
        })?,
        Device::Gpu(_) => gpu::apply(&s, images, index, choices, mean, std, &mut x)?,
    }
    Ok(x)
}

/// Checks that the values, in rows of as many columns as `ranges`, lie in their column's range.
fn expect_in_range(name: &str, values: &[i32], ranges: &[Range<i32>]) -> Result<()> {
    for (row, values) in values.chunks_exact(ranges.len()).enumerate() {
        for (column, (value, range)) in values.iter().zip(ranges).enumerate() {
            if !range.contains(value) {
                return Err(Error::Operand {
                    op: OP,
                    expected: format!("{name}[{row},{column}] in {}..={}", range.start, range.end - 1),
                    found: format!("{value}"),
                });
            }
        }
    }
    Ok(())
}
