//! A canvas for pictures of pictures: rectangles, tiles, and text in the program's own font.

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::report::font;
use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use clap::ValueEnum;
use image::{ImageFormat, Rgb, RgbImage};
use std::io::Cursor;
use std::path::Path;

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// Dark on white.
    #[default]
    Light,
    /// Light on nearly black.
    Dark,
}

/// What is drawn, by its part in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// The ground.
    Ground,
    /// What is to be read.
    Text,
    /// What is to be read second.
    Faint,
    /// Edges.
    Rule,
    /// What is pointed at.
    Mark,
}

impl Theme {
    /// The colour of an ink. Text has a contrast of at least 5:1 with the ground, a mark 3:1.
    pub fn colour(self, ink: Ink) -> Rgb<u8> {
        Rgb(match (self, ink) {
            (Theme::Light, Ink::Ground) => [255, 255, 255],
            (Theme::Light, Ink::Text) => [27, 29, 33],
            (Theme::Light, Ink::Faint) => [94, 99, 108],
            (Theme::Light, Ink::Rule) => [205, 208, 213],
            (Theme::Light, Ink::Mark) => [213, 94, 0],
            (Theme::Dark, Ink::Ground) => [20, 22, 26],
            (Theme::Dark, Ink::Text) => [236, 238, 241],
            (Theme::Dark, Ink::Faint) => [160, 165, 174],
            (Theme::Dark, Ink::Rule) => [62, 66, 74],
            (Theme::Dark, Ink::Mark) => [240, 150, 60],
        })
    }
}

/// How text is set.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// From the top of an ascender to the bottom of a descender, in pixels.
    pub size: u32,
    /// Bold, or regular.
    pub bold: bool,
    /// Its colour.
    pub ink: Ink,
}

impl Style {
    /// Regular text.
    pub const fn regular(size: u32, ink: Ink) -> Style {
        Style { size, bold: false, ink }
    }

    /// Bold text.
    pub const fn bold(size: u32) -> Style {
        Style { size, bold: true, ink: Ink::Text }
    }
}

/// A picture in the making.
pub struct Canvas {
    pixels: RgbImage,
    theme: Theme,
}

impl Canvas {
    /// An empty canvas.
    pub fn new(width: u32, height: u32, theme: Theme) -> Canvas {
        Canvas { pixels: RgbImage::from_pixel(width, height, theme.colour(Ink::Ground)), theme }
    }

    /// Draws `tile` with its top left corner at (`x`, `y`), and an edge around it.
    pub fn tile(&mut self, x: u32, y: u32, tile: &RgbImage) {
        let (width, height) = tile.dimensions();
        self.frame(x.saturating_sub(1), y.saturating_sub(1), width + 2, height + 2, Ink::Rule);
        image::imageops::replace(&mut self.pixels, tile, x.into(), y.into());
    }

    /// Draws the outline of a rectangle, a pixel wide, inside of it.
    pub fn frame(&mut self, x: u32, y: u32, width: u32, height: u32, ink: Ink) {
        frame(&mut self.pixels, x, y, width, height, self.theme.colour(ink));
    }

    /// Writes `text` with its top left corner at (`x`, `y`).
    pub fn text(&mut self, x: u32, y: u32, text: &str, style: Style) {
        let face = face(style);
        let face = face.as_scaled(PxScale::from(style.size as f32));
        let ink = self.theme.colour(style.ink);
        let baseline = y as f32 + face.ascent();
        walk(&face, text, |id, at| {
            let glyph = id.with_scale_and_position(face.scale(), point(x as f32 + at, baseline));
            let Some(outline) = face.font.outline_glyph(glyph) else { return };
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, coverage| {
                let (x, y) = (corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy));
                if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
                    && let Some(pixel) = self.pixels.get_pixel_mut_checked(x, y)
                {
                    *pixel = mix(*pixel, ink, coverage);
                }
            });
        });
    }

    /// The finished picture.
    pub fn finish(self) -> RgbImage {
        self.pixels
    }
}

/// The pixels that `text` is wide.
pub fn text_width(text: &str, style: Style) -> u32 {
    let face = face(style);
    walk(&face.as_scaled(PxScale::from(style.size as f32)), text, |_, _| {}).ceil() as u32
}

/// Shows `each` the glyphs of a line with their places, kerned, and returns its width.
fn walk<F: Font>(
    face: &ab_glyph::PxScaleFont<&F>,
    text: &str,
    mut each: impl FnMut(ab_glyph::GlyphId, f32),
) -> f32 {
    let mut at = 0.0;
    let mut before = None;
    for letter in text.chars() {
        let id = face.glyph_id(letter);
        if let Some(before) = before {
            at += face.kern(before, id);
        }
        each(id, at);
        at += face.h_advance(id);
        before = Some(id);
    }
    at
}

fn face(style: Style) -> FontRef<'static> {
    let bytes = if style.bold { font::BOLD } else { font::REGULAR };
    FontRef::try_from_slice(bytes).expect("the embedded font is a font")
}

/// Draws the outline of a rectangle, a pixel wide, inside of it; what is off the picture is left out.
pub(super) fn frame(pixels: &mut RgbImage, x: u32, y: u32, width: u32, height: u32, colour: Rgb<u8>) {
    let mut put = |x, y| {
        if let Some(pixel) = pixels.get_pixel_mut_checked(x, y) {
            *pixel = colour;
        }
    };
    for dx in 0..width {
        put(x + dx, y);
        put(x + dx, (y + height).saturating_sub(1));
    }
    for dy in 0..height {
        put(x, y + dy);
        put((x + width).saturating_sub(1), y + dy);
    }
}

/// `from`, with `share` (0 to 1) of the way to `to`.
pub(super) fn mix(from: Rgb<u8>, to: Rgb<u8>, share: f32) -> Rgb<u8> {
    let channel = |i: usize| {
        let (from, to) = (f32::from(from.0[i]), f32::from(to.0[i]));
        (from + (to - from) * share).round() as u8
    };
    Rgb([channel(0), channel(1), channel(2)])
}

/// The bytes of a PNG file.
///
/// # Errors
/// [`Error::Config`] when the picture has no pixels.
pub fn to_png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|e| Error::Config(format!("a picture cannot be made into a PNG file: {e}")))?;
    Ok(bytes.into_inner())
}

/// Writes a PNG file, whole or not at all.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn save_png(path: &Path, picture: &RgbImage) -> Result<()> {
    write_atomically(path, &to_png(picture)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_drawn_within_its_width() {
        let style = Style::bold(20);
        let width = text_width("automobile / truck", style);
        let mut canvas = Canvas::new(width + 40, 40, Theme::Light);
        canvas.text(20, 10, "automobile / truck", style);
        let ground = Theme::Light.colour(Ink::Ground);
        let drawn = canvas.finish();
        let columns: Vec<u32> =
            drawn.enumerate_pixels().filter(|(_, _, pixel)| **pixel != ground).map(|(x, _, _)| x).collect();
        let (first, last) = (columns.iter().min().unwrap(), columns.iter().max().unwrap());
        assert!(*first >= 19 && *last <= width + 20, "{first}..{last} of {width}");
        assert!(last - first > width * 9 / 10, "{first}..{last} of {width}");
    }

    #[test]
    fn inks_can_be_told_from_the_ground() {
        let luminance = |colour: Rgb<u8>| {
            let linear = colour.0.map(|c| (f64::from(c) / 255.0).powf(2.2));
            0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05
        };
        for theme in [Theme::Light, Theme::Dark] {
            for (ink, least) in [(Ink::Text, 5.0), (Ink::Faint, 5.0), (Ink::Mark, 3.0)] {
                let (a, b) = (luminance(theme.colour(ink)), luminance(theme.colour(Ink::Ground)));
                let contrast = a.max(b) / a.min(b);
                assert!(contrast >= least, "{theme:?} {ink:?} {contrast}");
            }
        }
    }

    #[test]
    fn what_is_off_the_picture_is_left_out() {
        let mut canvas = Canvas::new(8, 8, Theme::Dark);
        canvas.frame(4, 4, 30, 30, Ink::Mark);
        canvas.text(6, 6, "outside", Style::bold(12));
        assert_eq!(canvas.finish().dimensions(), (8, 8));
    }
}
