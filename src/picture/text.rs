//! Text in the program's own font: how wide it is, and the outlines of its letters. No picture depends
//! on what fonts are installed.

use super::Ink;
use ab_glyph::{Font, FontRef, GlyphId, OutlineCurve};
use std::sync::LazyLock;

/// How text is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Type {
    /// The size of its em.
    pub size: f32,
    /// Bold, or regular.
    pub bold: bool,
    /// Its colour.
    pub ink: Ink,
}

impl Type {
    /// Regular text.
    pub const fn regular(size: f32, ink: Ink) -> Type {
        Type { size, bold: false, ink }
    }

    /// Bold text.
    pub const fn bold(size: f32, ink: Ink) -> Type {
        Type { size, bold: true, ink }
    }

    /// The width of `text`.
    pub fn width(self, text: &str) -> f32 {
        self.unit() * each_glyph(self.face(), text, |_, _| {})
    }

    /// From the baseline up to where the tallest letters end.
    pub fn ascent(self) -> f32 {
        self.unit() * self.face().ascent_unscaled()
    }

    /// From the top of the tallest letters down to where the deepest end.
    pub fn height(self) -> f32 {
        self.unit() * self.face().height_unscaled()
    }

    /// The outlines of the letters of `text`, its baseline beginning at `(x, y)`.
    pub fn outlines(self, text: &str, (x, y): (f32, f32), pen: &mut impl Outline) {
        let unit = self.unit();
        let face = self.face();
        each_glyph(face, text, |glyph, along| outline(face, glyph, (x + along * unit, y), unit, pen));
    }

    fn face(self) -> &'static FontRef<'static> {
        &FACES[usize::from(self.bold)]
    }

    /// How much one unit of the face is.
    fn unit(self) -> f32 {
        self.size / self.face().units_per_em().unwrap_or(1000.0)
    }
}

/// What an outline is drawn with.
pub trait Outline {
    /// Begins a contour.
    fn begin(&mut self, to: (f32, f32));
    /// Goes on straight.
    fn line(&mut self, to: (f32, f32));
    /// Goes on by a quadratic curve.
    fn quad(&mut self, by: (f32, f32), to: (f32, f32));
    /// Goes on by a cubic curve.
    fn cubic(&mut self, by: (f32, f32), and: (f32, f32), to: (f32, f32));
}

/// Inter, regular and bold.
static FACES: LazyLock<[FontRef<'static>; 2]> = LazyLock::new(|| {
    let face = |bytes| FontRef::try_from_slice(bytes).expect("the embedded font is a font");
    [
        face(include_bytes!("../../assets/fonts/Inter-Regular.otf")),
        face(include_bytes!("../../assets/fonts/Inter-Bold.otf")),
    ]
});

/// Calls `visit` with each glyph of `text` and where it begins, kerned, and returns where the text
/// ends, in units of the face.
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

/// Draws the outline of `glyph`, its origin at `(x, y)`. A face's y axis points up.
fn outline(face: &FontRef, glyph: GlyphId, (x, y): (f32, f32), unit: f32, pen: &mut impl Outline) {
    let Some(outline) = face.outline(glyph) else { return };
    let at = |p: ab_glyph::Point| (x + p.x * unit, y - p.y * unit);
    let mut end = None;
    for curve in outline.curves {
        let (OutlineCurve::Line(from, to)
        | OutlineCurve::Quad(from, _, to)
        | OutlineCurve::Cubic(from, _, _, to)) = curve;
        // A curve that does not go on where the last one ended begins a contour.
        if end != Some(from) {
            pen.begin(at(from));
        }
        end = Some(to);
        match curve {
            OutlineCurve::Line(..) => pen.line(at(to)),
            OutlineCurve::Quad(_, a, _) => pen.quad(at(a), at(to)),
            OutlineCurve::Cubic(_, a, b, _) => pen.cubic(at(a), at(b), at(to)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_a_width_and_a_height_of_its_size() {
        let (small, large) = (Type::regular(10.0, Ink::Text), Type::regular(20.0, Ink::Text));
        assert!((large.width("automobile") - 2.0 * small.width("automobile")).abs() < 1e-3);
        assert!(Type::bold(10.0, Ink::Text).width("automobile") > small.width("automobile"));
        assert!(small.ascent() > 8.0 && small.height() > 11.0 && small.height() < 13.0);
        assert_eq!(small.width(""), 0.0);
    }
}
