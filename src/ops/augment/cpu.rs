//! Augmentation and normalisation on the CPU.

use super::{AugmentShape, CHANNELS, CHOICES, HOLE, PADDING, SIDE};
use crate::device::Real;
use rayon::prelude::*;
use std::ops::Range;

/// `x[n,h,w,c] = (p / 255 - mean[c]) / std[c]`, where p is the pixel of `images[index[n]]` after crop,
/// flip and hole; see [`super::augment`].
///
/// Every index and choice is in its range.
pub fn apply<T: Real>(
    s: &AugmentShape,
    images: &[u8],
    index: &[i32],
    choices: &[i32],
    mean: [f64; CHANNELS],
    std: [f64; CHANNELS],
    x: &mut [T],
) {
    const IMAGE: usize = SIDE * SIDE * CHANNELS;
    let colour = |c: usize, p: usize| T::from_f64((p as f64 / 255.0 - mean[c]) / std[c]);
    let colours: Vec<[T; CHANNELS]> = (0..256).map(|p| std::array::from_fn(|c| colour(c, p))).collect();

    let rows = x.par_chunks_mut(IMAGE).zip(&index[..s.n]).zip(choices.par_chunks(CHOICES));
    rows.for_each(|((x, &index), choices)| {
        let image = &images[index as usize * IMAGE..][..IMAGE];
        let &[crop_y, crop_x, flip, hole_y, hole_x] = choices else { return };
        let (hole_rows, hole_columns) = (hole(hole_y), hole(hole_x));
        for (h, row) in x.chunks_exact_mut(SIDE * CHANNELS).enumerate() {
            for (w, x) in row.chunks_exact_mut(CHANNELS).enumerate() {
                let turned = if flip != 0 { SIDE - 1 - w } else { w };
                // One subtraction serves both borders: what lies before 0 wraps to beyond SIDE.
                let from_h = (h + crop_y as usize).wrapping_sub(PADDING);
                let from_w = (turned + crop_x as usize).wrapping_sub(PADDING);
                let in_hole = hole_rows.contains(&(h as i32)) && hole_columns.contains(&(w as i32));
                let black = in_hole || from_h >= SIDE || from_w >= SIDE;
                for (c, x) in x.iter_mut().enumerate() {
                    let p = if black { 0 } else { image[(from_h * SIDE + from_w) * CHANNELS + c] };
                    *x = colours[p as usize][c];
                }
            }
        }
    });
}

/// The rows or columns of a hole, given its centre; none for -1.
fn hole(centre: i32) -> Range<i32> {
    let half = HOLE as i32 / 2;
    if centre < 0 { 0..0 } else { centre - half..centre + half }
}
