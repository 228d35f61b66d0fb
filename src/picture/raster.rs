//! A drawing as pixels.

use super::text::{Outline, Type};
use super::{Anchor, Area, Drawing, Ink, Pen, Point, Shape, Theme};
use image::RgbImage;
use tiny_skia::{
    FillRule, FilterQuality, LineCap, LineJoin, Mask, Paint, PathBuilder, Pixmap, PixmapPaint, Rect, Stroke,
    StrokeDash, Transform,
};

/// Draws `drawing` with `scale` pixels for each unit of its layout.
pub fn pixels(drawing: &Drawing, theme: Theme, scale: u32) -> RgbImage {
    let (width, height) = (drawing.width * scale, drawing.height * scale);
    let mut pixmap = Pixmap::new(width, height).expect("a size above 0 that fits memory");
    let mut canvas = Canvas { theme, layout: Transform::from_scale(scale as f32, scale as f32), mask: None };
    pixmap.fill(canvas.colour(Ink::Ground));
    for shape in &drawing.shapes {
        canvas.draw(shape, &mut pixmap);
    }
    // The ground is opaque, so every pixel is, and there is no alpha to keep.
    let rgb = pixmap.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
    RgbImage::from_raw(width, height, rgb).expect("three bytes for each pixel")
}

/// How shapes become pixels.
struct Canvas {
    theme: Theme,
    layout: Transform,
    /// The mask of the last area that a line was to stay within: the next one has mostly the same.
    mask: Option<(Area, Mask)>,
}

impl Canvas {
    fn draw(&mut self, shape: &Shape, pixmap: &mut Pixmap) {
        match shape {
            Shape::Line { points, pen, within } => {
                let mut path = PathBuilder::new();
                for (i, &point) in points.iter().enumerate() {
                    if i == 0 { path.begin(point) } else { path.line(point) }
                }
                self.prepare_mask(*within, pixmap);
                let mask = within.and(self.mask.as_ref()).map(|(_, mask)| mask);
                self.stroke(path, *pen, self.layout, mask, pixmap);
            }
            &Shape::Symbol { at, radius, symbol, ink } => {
                for (radius, ink) in [(radius + 1.5, Ink::Ground), (radius, ink)] {
                    let mut path = PathBuilder::new();
                    match symbol.corners(at, radius) {
                        None => path.push_circle(at.0, at.1, radius),
                        Some(corners) => {
                            path.begin(corners[0]);
                            corners[1..].iter().for_each(|&corner| path.line(corner));
                            path.close();
                        }
                    }
                    self.fill(path, ink, self.layout, pixmap);
                }
            }
            Shape::Text { at, text, style, anchor, upward } => {
                let turn = if *upward {
                    Transform::from_rotate_at(-90.0, at.0, at.1)
                } else {
                    Transform::identity()
                };
                self.write(*at, text, *style, *anchor, self.layout.pre_concat(turn), pixmap);
            }
            Shape::Tile { at: (x, y), pixels } => {
                let Some(mut tile) = Pixmap::new(pixels.width(), pixels.height()) else { return };
                for (to, from) in tile.data_mut().chunks_exact_mut(4).zip(pixels.pixels()) {
                    to.copy_from_slice(&[from[0], from[1], from[2], 255]);
                }
                let paint = PixmapPaint { quality: FilterQuality::Nearest, ..PixmapPaint::default() };
                let place = self.layout.pre_translate(*x as f32, *y as f32);
                pixmap.draw_pixmap(0, 0, tile.as_ref(), &paint, place, None);
            }
        }
    }

    /// Sees to it that the mask is that of `within`.
    fn prepare_mask(&mut self, within: Option<Area>, pixmap: &Pixmap) {
        let Some(area) = within else { return };
        if self.mask.as_ref().is_some_and(|(of, _)| *of == area) {
            return;
        }
        let Area { left, top, right, bottom } = area;
        self.mask = Rect::from_ltrb(left, top, right, bottom).and_then(|rect| {
            let mut mask = Mask::new(pixmap.width(), pixmap.height())?;
            mask.fill_path(&PathBuilder::from_rect(rect), FillRule::Winding, true, self.layout);
            Some((area, mask))
        });
    }

    fn write(
        &self,
        (x, y): Point,
        text: &str,
        style: Type,
        anchor: Anchor,
        place: Transform,
        pixmap: &mut Pixmap,
    ) {
        let x = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - style.width(text) / 2.0,
            Anchor::End => x - style.width(text),
        };
        let mut path = PathBuilder::new();
        style.outlines(text, (x, y), &mut path);
        self.stroke(path.clone(), Pen::new(Ink::Ground, 4.0), place, None, pixmap);
        self.fill(path, style.ink, place, pixmap);
    }

    fn stroke(
        &self,
        path: PathBuilder,
        pen: Pen,
        place: Transform,
        mask: Option<&Mask>,
        pixmap: &mut Pixmap,
    ) {
        let Some(path) = path.finish() else { return };
        let stroke = Stroke {
            width: pen.width,
            line_cap: if pen.dash.is_empty() { LineCap::Round } else { LineCap::Butt },
            line_join: LineJoin::Round,
            dash: StrokeDash::new(pen.dash.to_vec(), 0.0),
            ..Stroke::default()
        };
        pixmap.stroke_path(&path, &self.paint(pen.ink, pen.opacity), &stroke, place, mask);
    }

    fn fill(&self, path: PathBuilder, ink: Ink, place: Transform, pixmap: &mut Pixmap) {
        let Some(path) = path.finish() else { return };
        pixmap.fill_path(&path, &self.paint(ink, 1.0), FillRule::Winding, place, None);
    }

    fn colour(&self, ink: Ink) -> tiny_skia::Color {
        let [r, g, b] = self.theme.colour(ink);
        tiny_skia::Color::from_rgba8(r, g, b, 255)
    }

    fn paint(&self, ink: Ink, opacity: f32) -> Paint<'static> {
        let mut colour = self.colour(ink);
        colour.apply_opacity(opacity);
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        paint.set_color(colour);
        paint
    }
}

impl Outline for PathBuilder {
    fn begin(&mut self, (x, y): Point) {
        self.move_to(x, y);
    }

    fn line(&mut self, (x, y): Point) {
        self.line_to(x, y);
    }

    fn quad(&mut self, by: Point, to: Point) {
        self.quad_to(by.0, by.1, to.0, to.1);
    }

    fn cubic(&mut self, by: Point, and: Point, to: Point) {
        self.cubic_to(by.0, by.1, and.0, and.1, to.0, to.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn text_is_drawn_within_its_width() {
        let style = Type::bold(20.0, Ink::Text);
        let width = style.width("automobile / truck");
        let mut drawing = Drawing::new(width as u32 + 40, 40);
        drawing.text((20.0, 28.0), "automobile / truck", style, Anchor::Start);
        let picture = pixels(&drawing, Theme::Light, 1);
        let ground = Rgb(Theme::Light.colour(Ink::Ground));
        let columns = picture.enumerate_pixels().filter(|(_, _, pixel)| **pixel != ground);
        let columns: Vec<u32> = columns.map(|(x, _, _)| x).collect();
        let (first, last) = (columns.iter().min().unwrap(), columns.iter().max().unwrap());
        assert!(*first >= 19 && *last as f32 <= width + 20.0, "{first}..{last} of {width}");
        assert!((last - first) as f32 > width * 0.9, "{first}..{last} of {width}");
    }

    #[test]
    fn a_tile_keeps_its_pixels_and_has_an_edge() {
        let tile = RgbImage::from_fn(8, 8, |x, y| Rgb([x as u8 * 30, y as u8 * 30, 77]));
        let mut drawing = Drawing::new(20, 20);
        drawing.tile(5, 6, tile.clone());
        for scale in [1, 3] {
            let picture = pixels(&drawing, Theme::Dark, scale);
            for (x, y, pixel) in picture.enumerate_pixels() {
                let (x, y) = (x / scale, y / scale);
                if (5..13).contains(&x) && (6..14).contains(&y) {
                    assert_eq!(pixel, tile.get_pixel(x - 5, y - 6), "at {x} {y}");
                }
            }
            let edge = Rgb(Theme::Dark.colour(Ink::Grid));
            assert_eq!(*picture.get_pixel(4 * scale, 8 * scale), edge);
        }
    }

    #[test]
    fn a_line_stays_within_its_area_and_nothing_off_the_picture_is_an_error() {
        let mut drawing = Drawing::new(40, 40);
        let area = Area { left: 10.0, top: 10.0, right: 30.0, bottom: 30.0 };
        drawing.line_within(area, vec![(-50.0, 20.0), (90.0, 20.0)], Pen::new(Ink::Mark, 3.0));
        drawing.text((38.0, 20.0), "outside", Type::bold(12.0, Ink::Text), Anchor::Start);
        let picture = pixels(&drawing, Theme::Light, 1);
        let mark = Rgb(Theme::Light.colour(Ink::Mark));
        let drawn: Vec<u32> = (0..40).filter(|&x| *picture.get_pixel(x, 20) == mark).collect();
        assert_eq!(drawn, (10..30).collect::<Vec<_>>());
    }
}
