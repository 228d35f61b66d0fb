//! Pictures as PNG files.

use crate::error::{Error, Result};
use crate::files::write_atomically;
use image::RgbImage;
use std::path::Path;

/// The bytes of a PNG file. `scale` is how many pixels make one of a page at 100%.
pub fn to_png(picture: &RgbImage, scale: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    let per_meter = (96.0 * f64::from(scale) / 0.0254).round() as u32;
    let (xppu, yppu) = (per_meter, per_meter);
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu, yppu, unit: png::Unit::Meter }));
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(picture));
    written.expect("memory takes a picture of its own size");
    file
}

/// Writes a PNG file, whole or not at all.
///
/// # Errors
/// [`Error::Config`] when `path` is a folder, [`Error::Io`] naming the file.
pub fn save_png(path: &Path, picture: &RgbImage, scale: u32) -> Result<()> {
    if path.is_dir() {
        let why = format!("{} is a folder, expected the name of a PNG file", path.display());
        return Err(Error::Config(why));
    }
    write_atomically(path, &to_png(picture, scale))
}
