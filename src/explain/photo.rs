//! Any picture, brought to the network's size.

use crate::data::{IMAGE_BYTES, SIDE};
use crate::error::{Error, Result};
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Rgb, RgbImage, Rgba};
use std::path::Path;

/// How a picture is brought to the network's size, in words.
pub const HOW: &str = "turned upright as its camera says, what is transparent laid on white, the largest \
                       square in its centre taken, and resized to 32×32 by cubic filtering (Catmull-Rom)";

/// A picture of 32×32 pixels, made from one of any size.
#[derive(Clone, Debug)]
pub struct Photo {
    /// The pixels `[32,32,3]`.
    pub pixels: Vec<u8>,
    /// The size it had.
    pub width: u32,
    /// The size it had.
    pub height: u32,
}

impl Photo {
    /// Reads a PNG or JPEG file, told by what it holds and not by its name.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Format`] naming it when it is no image.
    pub fn read(path: &Path) -> Result<Photo> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        Photo::from_bytes(&bytes).map_err(|why| Error::format(path, why))
    }

    /// As [`Photo::read`], from the bytes of a file.
    ///
    /// # Errors
    /// Why they are no image.
    pub fn from_bytes(bytes: &[u8]) -> std::result::Result<Photo, String> {
        let reader = ImageReader::new(std::io::Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|e| format!("cannot be read ({e})"))?;
        if reader.format().is_none() {
            return Err("is no image: expected a PNG or JPEG file".into());
        }
        let broken = |e| format!("is no whole PNG or JPEG image ({e})");
        let mut decoder = reader.into_decoder().map_err(broken)?;
        // A file without the mark, or with a damaged one, is upright.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
        picture.apply_orientation(orientation);
        let (width, height) = (picture.width(), picture.height());
        if width == 0 || height == 0 {
            return Err("is an image without pixels".into());
        }
        Ok(Photo { pixels: to_network_size(picture), width, height })
    }
}

fn to_network_size(picture: DynamicImage) -> Vec<u8> {
    let picture = on_white(picture);
    let (width, height) = picture.dimensions();
    let square = width.min(height);
    let (x, y) = ((width - square) / 2, (height - square) / 2);
    let centre = image::imageops::crop_imm(&picture, x, y, square, square).to_image();
    let side = SIDE as u32;
    let pixels = match square == side {
        true => centre.into_raw(),
        false => image::imageops::resize(&centre, side, side, FilterType::CatmullRom).into_raw(),
    };
    debug_assert_eq!(pixels.len(), IMAGE_BYTES);
    pixels
}

fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let Rgba([r, g, b, alpha]) = *picture.get_pixel(x, y);
        let alpha = u32::from(alpha);
        Rgb([r, g, b].map(|c| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, RgbaImage};

    fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_picture_of_the_right_size_is_taken_as_it_is() {
        let picture = RgbImage::from_fn(32, 32, |x, y| Rgb([x as u8 * 7, y as u8 * 5, (x ^ y) as u8]));
        assert_eq!(Photo::from_bytes(&png(picture.clone())).unwrap().pixels, picture.into_raw());
    }

    #[test]
    fn the_centre_of_a_wide_picture_is_taken() {
        // Red, a green square in the centre, blue.
        let colour = |x: u32| if x < 50 { [255, 0, 0] } else { [0, 255, 0] };
        let picture = RgbImage::from_fn(200, 100, |x, _| Rgb(if x >= 150 { [0, 0, 255] } else { colour(x) }));
        let photo = Photo::from_bytes(&png(picture)).unwrap();
        assert_eq!((photo.width, photo.height), (200, 100));
        assert!(photo.pixels.chunks(3).all(|pixel| pixel == [0, 255, 0]));
    }

    #[test]
    fn what_is_transparent_lies_on_white() {
        let photo = Photo::from_bytes(&png(RgbaImage::from_pixel(64, 64, Rgba([0, 0, 0, 0])))).unwrap();
        assert!(photo.pixels.iter().all(|&value| value == 255));
    }

    #[test]
    fn a_pixel_is_enough() {
        let photo = Photo::from_bytes(&png(RgbImage::from_pixel(1, 1, Rgb([1, 2, 3])))).unwrap();
        assert!(photo.pixels.chunks(3).all(|pixel| pixel == [1, 2, 3]));
    }

    #[test]
    fn what_is_no_image_is_an_error() {
        let whole = png(RgbImage::new(40, 40));
        for bytes in [&b""[..], b"#!/bin/sh\n", &whole[..whole.len() / 2]] {
            let why = Photo::from_bytes(bytes).unwrap_err();
            assert!(why.contains("PNG or JPEG"), "{why}");
        }
    }
}
