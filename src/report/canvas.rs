//! A canvas for plots: lines, areas and text, smooth at twice the size of a screen's pixel.

use super::font;
use super::theme::{Ink, Theme};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use ab_glyph::{Font, FontRef, GlyphId, OutlineCurve};
use std::path::Path;
use tiny_skia::{
    FillRule, LineCap, LineJoin, Mask, Paint, PathBuilder, Pixmap, Rect, Stroke, StrokeDash, Transform,
};

/// Pixels of the picture for one unit of its layout, so that it is sharp on dense screens and paper.
const SCALE: f32 = 2.0;

/// A point of the layout, from the top left.
pub type Point = (f32, f32);

/// A part of the layout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// Left edge.
    pub left: f32,
    /// Upper edge.
    pub top: f32,
    /// Right edge.
    pub right: f32,
    /// Lower edge.
    pub bottom: f32,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Pen {
    /// Its colour.
    pub ink: Ink,
    /// Its width.
    pub width: f32,
    /// How much it covers, 0 to 1.
    pub opacity: f32,
    /// Whether it is dashed.
    pub dashed: bool,
}

impl Pen {
    /// A solid pen.
    pub fn new(ink: Ink, width: f32) -> Pen {
        Pen { ink, width, opacity: 1.0, dashed: false }
    }

    /// The pen, dashed.
    pub fn dashed(self) -> Pen {
        Pen { dashed: true, ..self }
    }
}

/// How text is set.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    /// The size of its em.
    pub size: f32,
    /// Bold, or regular.
    pub bold: bool,
    /// Its colour.
    pub ink: Ink,
}

/// The part of a text that stands at the point it is given; vertically it is the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// A picture in the making.
pub struct Canvas {
    pixmap: Pixmap,
    theme: Theme,
    clip: Option<Mask>,
    faces: [FontRef<'static>; 2],
}

impl Canvas {
    /// An empty canvas of `width` by `height` units.
    pub fn new(width: u16, height: u16, theme: Theme) -> Canvas {
        let pixels = |units: u16| u32::from(units.max(1)) * SCALE as u32;
        let mut pixmap = Pixmap::new(pixels(width), pixels(height)).expect("a size above 0 that fits memory");
        pixmap.fill(theme.colour(Ink::Ground));
        let face = |bytes| FontRef::try_from_slice(bytes).expect("the embedded font is a font");
        Canvas { pixmap, theme, clip: None, faces: [face(font::REGULAR), face(font::BOLD)] }
    }

    /// Draws only within `area` from now on, or everywhere.
    pub fn clip(&mut self, area: Option<Area>) {
        self.clip = area.and_then(|a| {
            let mut mask = Mask::new(self.pixmap.width(), self.pixmap.height())?;
            let inside = PathBuilder::from_rect(Rect::from_ltrb(a.left, a.top, a.right, a.bottom)?);
            mask.fill_path(&inside, FillRule::Winding, true, layout());
            Some(mask)
        });
    }

    /// Draws a line through `points`.
    pub fn line(&mut self, points: &[Point], pen: Pen) {
        let mut path = PathBuilder::new();
        for (i, &(x, y)) in points.iter().enumerate() {
            match i {
                0 => path.move_to(x, y),
                _ => path.line_to(x, y),
            }
        }
        self.stroke(path, pen, layout());
    }

    /// Draws a filled circle with a thin border of the ground's colour.
    pub fn dot(&mut self, (x, y): Point, radius: f32, ink: Ink) {
        for (radius, ink) in [(radius + 1.5, Ink::Ground), (radius, ink)] {
            let mut path = PathBuilder::new();
            path.push_circle(x, y, radius);
            self.fill(path, ink, layout());
        }
    }

    /// Writes `text` with its baseline at `at`, over a rim of the ground's colour, so that it can be
    /// read over lines.
    pub fn text(&mut self, at: Point, text: &str, style: Type, anchor: Anchor) {
        self.write(at, text, style, anchor, layout());
    }

    /// As [`Canvas::text`], from below to above.
    pub fn text_upward(&mut self, at: Point, text: &str, style: Type, anchor: Anchor) {
        let turn = Transform::from_rotate_at(-90.0, at.0, at.1);
        self.write(at, text, style, anchor, layout().pre_concat(turn));
    }

    fn write(&mut self, (x, y): Point, text: &str, style: Type, anchor: Anchor, place: Transform) {
        let x = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - self.width(text, style) / 2.0,
            Anchor::End => x - self.width(text, style),
        };
        let mut path = PathBuilder::new();
        let (face, unit) = self.face(style);
        each_glyph(face, text, |glyph, pen| outline(face, glyph, (x + pen * unit, y), unit, &mut path));
        self.stroke(path.clone(), Pen::new(Ink::Ground, 4.0), place);
        self.fill(path, style.ink, place);
    }

    /// The width of `text`.
    pub fn width(&self, text: &str, style: Type) -> f32 {
        let (face, unit) = self.face(style);
        unit * each_glyph(face, text, |_, _| {})
    }

    /// The face of `style`, and how much of the layout one unit of the face is.
    fn face(&self, style: Type) -> (&FontRef<'static>, f32) {
        let face = &self.faces[usize::from(style.bold)];
        (face, style.size / face.units_per_em().unwrap_or(1000.0))
    }

    fn stroke(&mut self, path: PathBuilder, pen: Pen, place: Transform) {
        let Some(path) = path.finish() else { return };
        let stroke = Stroke {
            width: pen.width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            dash: if pen.dashed { StrokeDash::new(vec![5.0, 5.0], 0.0) } else { None },
            ..Stroke::default()
        };
        let paint = self.paint(pen.ink, pen.opacity);
        self.pixmap.stroke_path(&path, &paint, &stroke, place, self.clip.as_ref());
    }

    fn fill(&mut self, path: PathBuilder, ink: Ink, place: Transform) {
        let Some(path) = path.finish() else { return };
        let paint = self.paint(ink, 1.0);
        self.pixmap.fill_path(&path, &paint, FillRule::Winding, place, self.clip.as_ref());
    }

    fn paint(&self, ink: Ink, opacity: f32) -> Paint<'static> {
        let mut colour = self.theme.colour(ink);
        colour.apply_opacity(opacity);
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        paint.set_color(colour);
        paint
    }

    /// The picture as a PNG file.
    pub fn to_png(&self) -> Vec<u8> {
        // The ground is opaque, so every pixel is, and there is no alpha to keep.
        let rgb: Vec<u8> = self.pixmap.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.pixmap.width(), self.pixmap.height());
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let per_meter = (96.0 * SCALE / 0.0254).round() as u32;
        let (xppu, yppu) = (per_meter, per_meter);
        encoder.set_pixel_dims(Some(png::PixelDimensions { xppu, yppu, unit: png::Unit::Meter }));
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&rgb));
        written.expect("memory takes a picture of its own size");
        file
    }

    /// Writes the picture as a PNG file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Err(Error::Config(format!(
                "{} is a folder, expected the name of a PNG file",
                path.display()
            )));
        }
        write_atomically(path, &self.to_png())
    }
}

fn layout() -> Transform {
    Transform::from_scale(SCALE, SCALE)
}

/// Calls `visit` with each glyph of `text` and where it begins, and returns where the text ends, in
/// units of the face.
fn each_glyph(face: &FontRef, text: &str, mut visit: impl FnMut(GlyphId, f32)) -> f32 {
    let mut pen = 0.0;
    let mut before = None;
    for glyph in text.chars().map(|c| face.glyph_id(c)) {
        pen += before.map_or(0.0, |before| face.kern_unscaled(before, glyph));
        visit(glyph, pen);
        pen += face.h_advance_unscaled(glyph);
        before = Some(glyph);
    }
    pen
}

/// Adds the outline of `glyph` to `path`, its origin at `(x, y)`. A face's y axis points up.
fn outline(face: &FontRef, glyph: GlyphId, (x, y): Point, unit: f32, path: &mut PathBuilder) {
    let Some(outline) = face.outline(glyph) else { return };
    let at = |p: ab_glyph::Point| (x + p.x * unit, y - p.y * unit);
    let mut end = None;
    for curve in outline.curves {
        let (OutlineCurve::Line(from, to)
        | OutlineCurve::Quad(from, _, to)
        | OutlineCurve::Cubic(from, _, _, to)) = curve;
        // A curve that does not go on where the last one ended begins a contour.
        if end != Some(from) {
            let (x, y) = at(from);
            path.move_to(x, y);
        }
        end = Some(to);
        let (x, y) = at(to);
        match curve {
            OutlineCurve::Line(..) => path.line_to(x, y),
            OutlineCurve::Quad(_, a, _) => path.quad_to(at(a).0, at(a).1, x, y),
            OutlineCurve::Cubic(_, a, b, _) => path.cubic_to(at(a).0, at(a).1, at(b).0, at(b).1, x, y),
        }
    }
}
