//! What the network is shown in training: images before and after crop, flip and cutout.

use super::page::{Group, Page, Panel, Row};
use super::tiles;
use crate::data::transforms::{Choice, PADDING};
use crate::data::{CHANNELS, CLASSES, Dataset, IMAGE_BYTES, Images, SIDE};
use crate::device::Device;
use crate::error::Result;
use crate::ops::augment::{HOLE, Normalization};
use crate::picture::{Ink, Theme};
use crate::tensor::DType;
use image::{Rgb, RgbImage, imageops};

/// How much pixels are enlarged.
const TIMES: u32 = 3;

/// A training image before and after augmentation.
pub struct Sample {
    /// Its class.
    pub class: usize,
    /// What was done to it.
    pub choice: Choice,
    /// The image, padded, with the crop marked.
    pub before: RgbImage,
    /// What the network sees, with the edge of the hole marked.
    pub after: RgbImage,
}

/// The first `count` images of each class of `set`, class by class. The choices are those of a run with
/// `seed`, in `epoch` (counted from 0).
///
/// # Errors
/// What the augmentation reports.
pub fn samples(set: &Dataset, seed: u64, epoch: u32, count: usize, theme: Theme) -> Result<Vec<Sample>> {
    let images = Images::new(&Device::Cpu, set, None)?;
    let mark = Rgb(theme.colour(Ink::Mark));
    let mut samples = Vec::new();
    for class in 0..CLASSES {
        let of_class = (0..set.len() as u32).filter(|&image| usize::from(images.label(image)) == class);
        for image in of_class.take(count) {
            let choice = Choice::draw(seed, epoch, image);
            samples.push(Sample {
                class,
                choice,
                before: before_tile(set, image, choice, mark),
                after: after_tile(&applied(&images, image, choice)?, choice, mark),
            });
        }
    }
    Ok(samples)
}

/// A page of [`samples`]: a row for each class, `columns` images each.
///
/// # Errors
/// What the augmentation reports.
pub fn samples_page(set: &Dataset, seed: u64, epoch: u32, columns: usize, theme: Theme) -> Result<Page> {
    let mut rows: Vec<Row> =
        set.classes.iter().map(|class| Row { label: class.clone(), panels: Vec::new() }).collect();
    for Sample { class, choice, before, after } in samples(set, seed, epoch, columns, theme)? {
        let (caption, note) = (String::new(), describe(choice));
        rows[class].panels.push(Panel(vec![Group { caption, note, tiles: vec![before, after] }]));
    }
    Ok(Page {
        title: "Training images before and after augmentation".into(),
        lines: vec![
            "left: the image with 4 black pixels around it, and the 32×32 that the crop takes".into(),
            "right: what the network sees: cropped, perhaps flipped, with a black hole of 8×8".into(),
            format!(
                "seed {seed}, epoch {}; crop: pixels right and down of the centre; hole: column and row of its \
                 centre",
                epoch + 1
            ),
        ],
        rows,
        scale: None,
    })
}

/// A choice in words: how far the crop is from the centre, and which of the rest was done.
pub fn describe(choice: Choice) -> String {
    let off = |at: u8| i32::from(at) - i32::from(PADDING);
    let crop = format!("crop {:+},{:+}", off(choice.crop_x), off(choice.crop_y));
    let flip = if choice.flip { "  flipped" } else { "" };
    let hole = choice.hole.map_or(String::new(), |(y, x)| format!("  hole {x},{y}"));
    format!("{crop}{flip}{hole}")
}

/// The pixels of an image after `choice`, by the operation that training uses.
fn applied(images: &Images, image: u32, choice: Choice) -> Result<Vec<u8>> {
    let plain = Normalization { mean: [0.0; CHANNELS], std: [1.0; CHANNELS] };
    let batch = images.batch(&[image], choice.row().to_vec(), &plain, DType::F32)?;
    Ok(batch.x.to_f64_vec()?.into_iter().map(|share| (share * 255.0).round() as u8).collect())
}

/// The padded image, with the crop marked.
fn before_tile(set: &Dataset, image: u32, choice: Choice, mark: Rgb<u8>) -> RgbImage {
    let (side, padding) = (SIDE as u32, u32::from(PADDING));
    let mut padded = RgbImage::new(side + 2 * padding, side + 2 * padding);
    let at = image as usize * IMAGE_BYTES;
    let pixels = tiles::image(&set.images[at..at + IMAGE_BYTES]);
    imageops::replace(&mut padded, &pixels, padding.into(), padding.into());
    let mut tile = tiles::enlarge(&padded, TIMES);
    let (x, y) = (u32::from(choice.crop_x) * TIMES, u32::from(choice.crop_y) * TIMES);
    tiles::outline(&mut tile, x, y, side * TIMES, side * TIMES, mark);
    tile
}

/// The augmented image, with the edge of its hole marked.
fn after_tile(pixels: &[u8], choice: Choice, mark: Rgb<u8>) -> RgbImage {
    let mut tile = tiles::enlarge(&tiles::image(pixels), TIMES);
    if let Some((y, x)) = choice.hole {
        // From the first row or column of the hole to the one past its last, within the image.
        let span = |centre: u8| {
            let half = HOLE as u32 / 2;
            let (from, to) = (u32::from(centre).saturating_sub(half), u32::from(centre) + half);
            (from * TIMES, to.min(SIDE as u32) * TIMES)
        };
        let ((left, right), (top, bottom)) = (span(x), span(y));
        tiles::outline(&mut tile, left, top, right - left, bottom - top, mark);
    }
    tile
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::embedded;

    #[test]
    fn a_choice_is_described_from_the_centre() {
        assert_eq!(describe(Choice::IDENTITY), "crop +0,+0");
        let choice = Choice { crop_y: 0, crop_x: 8, flip: true, hole: Some((3, 31)) };
        assert_eq!(describe(choice), "crop +4,-4  flipped  hole 31,3");
    }

    #[test]
    fn what_is_shown_after_is_what_the_choice_says() {
        let (set, _) = embedded::load();
        let images = Images::new(&Device::Cpu, &set, Some(1)).unwrap();
        let choice = Choice { crop_y: 4, crop_x: 4, flip: true, hole: Some((0, 0)) };
        let after = tiles::image(&applied(&images, 0, choice).unwrap());
        let before = tiles::image(set.image(0).unwrap());
        for (x, y, pixel) in after.enumerate_pixels() {
            let expected = if x < 4 && y < 4 { Rgb([0; 3]) } else { *before.get_pixel(31 - x, y) };
            assert_eq!(*pixel, expected, "at {x} {y}");
        }
    }

    #[test]
    fn a_page_has_a_row_for_each_class() {
        let (mut set, _) = embedded::load();
        set.truncate(20);
        let page = samples_page(&set, 0, 0, 4, Theme::Light).unwrap();
        assert_eq!(page.rows.len(), CLASSES);
        assert!(page.rows.iter().all(|row| row.panels.len() == 2));
    }
}
