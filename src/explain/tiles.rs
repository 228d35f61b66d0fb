//! The tiles of a page: an image enlarged, a heat map, and the one over the other.

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

/// Draws the outline of a rectangle, inside of it: a pixel of white and two of `colour`, so that it is
/// seen on anything. What is off the picture is left out.
pub fn outline(picture: &mut RgbImage, x: u32, y: u32, width: u32, height: u32, colour: Rgb<u8>) {
    for py in y..y + height {
        for px in x..x + width {
            let depth = (px - x).min(py - y).min(x + width - 1 - px).min(y + height - 1 - py);
            let ink = if depth == 0 { Rgb([255; 3]) } else { colour };
            if depth < 3
                && let Some(pixel) = picture.get_pixel_mut_checked(px, py)
            {
                *pixel = ink;
            }
        }
    }
}

/// `from`, with `share` (0 to 1) of the way to `to`.
fn mix(from: Rgb<u8>, to: Rgb<u8>, share: f32) -> Rgb<u8> {
    let channel = |i: usize| {
        let (from, to) = (f32::from(from.0[i]), f32::from(to.0[i]));
        (from + (to - from) * share).round() as u8
    };
    Rgb([channel(0), channel(1), channel(2)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_is_three_pixels_of_the_rectangle_and_no_more() {
        let (ground, white, ink) = (Rgb([9; 3]), Rgb([255; 3]), Rgb([200, 0, 0]));
        let mut picture = RgbImage::from_pixel(20, 20, ground);
        outline(&mut picture, 3, 4, 10, 30, ink);
        for (x, y, pixel) in picture.enumerate_pixels() {
            let within = |off: u32| (3 + off..13 - off).contains(&x) && (4 + off..34 - off).contains(&y);
            let expected = match () {
                _ if within(3) || !within(0) => ground,
                _ if within(1) => ink,
                _ => white,
            };
            assert_eq!(*pixel, expected, "at {x} {y}");
        }
    }
}
