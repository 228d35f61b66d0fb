//! The tiles of a page: an image enlarged, a heat map, and the one over the other.

use super::canvas::mix;
use super::grad_cam::bilinear;
use crate::data::SIDE;
use colorous::{Gradient, INFERNO};
use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

/// The colours of a heat map: perceptually uniform, of growing lightness, so also for the colour-blind
/// and in grey.
const HEAT: Gradient = INFERNO;

/// The colour of a share, 0 to 1.
pub fn heat_colour(share: f64) -> Rgb<u8> {
    Rgb(HEAT.eval_continuous(share.clamp(0.0, 1.0)).into_array())
}

/// An image `[32,32,3]`.
pub fn image(pixels: &[u8]) -> RgbImage {
    let side = SIDE as u32;
    RgbImage::from_fn(side, side, |x, y| {
        let at = (y as usize * SIDE + x as usize) * 3;
        Rgb([pixels[at], pixels[at + 1], pixels[at + 2]])
    })
}

/// `image` with each pixel as `times` by `times` of them.
pub fn enlarge(image: &RgbImage, times: u32) -> RgbImage {
    resize(image, image.width() * times, image.height() * times, FilterType::Nearest)
}

/// A heat map `[32,32]` of shares.
pub fn heat(shares: &[f64], times: u32) -> RgbImage {
    let side = SIDE as u32 * times;
    let shares = bilinear(shares, SIDE, side as usize);
    RgbImage::from_fn(side, side, |x, y| heat_colour(shares[(y * side + x) as usize]))
}

/// The heat map over the image in grey: the stronger the heat, the less is left of the image.
pub fn overlay(pixels: &[u8], shares: &[f64], times: u32) -> RgbImage {
    let mut over = enlarge(&image(pixels), times);
    let heat = heat(shares, times);
    let shares = bilinear(shares, SIDE, over.width() as usize);
    for ((pixel, colour), share) in over.pixels_mut().zip(heat.pixels()).zip(shares) {
        let [r, g, b] = pixel.0.map(f32::from);
        let grey = (0.2126 * r + 0.7152 * g + 0.0722 * b) as u8;
        *pixel = mix(Rgb([grey; 3]), *colour, 0.3 + 0.45 * share as f32);
    }
    over
}
