//! A figure: a title and one or more panels above each other, each with axes, curves and marks.

use super::axis::Axis;
use crate::error::Result;
use crate::picture::file::{save_png, to_png};
use crate::picture::raster::pixels;
use crate::picture::text::Type;
use crate::picture::{Anchor, Area, Drawing, Ink, Pen, Point, Symbol, Theme};
use std::path::Path;

/// The width of a picture of its own.
const WIDTH: u32 = 800;
/// Pixels of a picture for one unit of its layout, so that it is sharp on dense screens and paper.
const SCALE: u32 = 2;
const MARGIN: f32 = 28.0;
const TITLE: Type = Type::bold(19.0, Ink::Text);
const NOTE: Type = Type::regular(13.0, Ink::Faint);
const LABEL: Type = Type::regular(13.5, Ink::Text);
const TICK: Type = Type::regular(12.5, Ink::Faint);
const MARK: Type = Type::bold(13.0, Ink::Mark);
const LEGEND_ROW: f32 = 24.0;
/// The least distance between the baselines of two tags.
const TAG_ROW: f32 = 15.0;
/// Tags that begin closer than this may lie over each other.
const TAG_COLUMN: f32 = 20.0;

/// A figure.
pub struct Figure {
    /// What it shows.
    pub title: String,
    /// What a reader should know besides: settings, results. A line each.
    pub notes: Vec<String>,
    /// The panels, from above.
    pub panels: Vec<Panel>,
}

/// A pair of axes and what is drawn between them.
pub struct Panel {
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The height of the space between the axes.
    pub height: u16,
    /// The curves; those with a name are in the legend, if there are two or more.
    pub curves: Vec<Curve>,
    /// Labelled values.
    pub marks: Vec<Mark>,
}

/// A curve.
pub struct Curve {
    /// What it is, for the legend; empty for none.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
    /// How it is drawn.
    pub pen: Pen,
    /// What stands at each point.
    pub symbol: Option<Symbol>,
    /// What is written at its end; empty for nothing.
    pub tag: String,
}

impl Curve {
    /// A plain curve, without symbols and tag.
    pub fn plain(name: impl Into<String>, points: Vec<(f64, f64)>, pen: Pen) -> Curve {
        Curve { name: name.into(), points, pen, symbol: None, tag: String::new() }
    }
}

/// Something labelled.
pub enum Mark {
    /// A dashed horizontal line, labelled at its right.
    Level {
        /// Its height.
        y: f64,
        /// What it is.
        label: String,
    },
    /// A dashed vertical line, labelled at its head.
    Moment {
        /// Its place.
        x: f64,
        /// What it is.
        label: String,
        /// The part of the label that stands over the line.
        side: Anchor,
    },
    /// A length along x, as a bar with two ends, labelled under it.
    Span {
        /// From here.
        from: f64,
        /// To here.
        to: f64,
        /// At this height.
        y: f64,
        /// What it is.
        label: String,
    },
    /// A dot on a curve.
    Dot {
        /// Where.
        at: (f64, f64),
    },
}

impl Figure {
    /// The figure as a picture of its own, with its title and notes.
    pub fn draw(&self) -> Drawing {
        let head = MARGIN + 26.0 + 20.0 * self.notes.len() as f32;
        let mut drawing = self.draw_panels(WIDTH, MARGIN, head);
        drawing.text((MARGIN, MARGIN + 14.0), &self.title, TITLE, Anchor::Start);
        for (i, note) in self.notes.iter().enumerate() {
            drawing.text((MARGIN, MARGIN + 37.0 + 20.0 * i as f32), note, NOTE, Anchor::Start);
        }
        drawing
    }

    /// The panels alone at this width, for a page that has title and notes in its own text.
    pub fn draw_bare(&self, width: u32) -> Drawing {
        self.draw_panels(width, 2.0, 0.0)
    }

    /// The figure as a PNG file.
    pub fn to_png(&self, theme: Theme) -> Vec<u8> {
        to_png(&pixels(&self.draw(), theme, SCALE), SCALE)
    }

    /// Writes the figure as a PNG file, whole or not at all.
    ///
    /// # Errors
    /// As [`save_png`].
    pub fn save(&self, path: &Path, theme: Theme) -> Result<()> {
        save_png(path, &pixels(&self.draw(), theme, SCALE), SCALE)
    }

    /// The panels below `head`, `margin` away from both sides.
    fn draw_panels(&self, width: u32, margin: f32, head: f32) -> Drawing {
        let frames = self.frames(width, margin, head);
        let foot = frames.last().map_or(head, |area| area.bottom) + self.below(self.panels.len() - 1);
        let mut drawing = Drawing::new(width, foot.ceil() as u32);
        for (i, (panel, area)) in self.panels.iter().zip(frames).enumerate() {
            panel.draw(&mut drawing, area, margin, self.has_x_label(i));
        }
        drawing
    }

    /// The space between the axes of each panel. All have the same left and right edge, so that their
    /// x axes can be compared.
    fn frames(&self, width: u32, margin: f32, head: f32) -> Vec<Area> {
        let widest = |texts: &mut dyn Iterator<Item = String>, style: Type| {
            texts.map(|text| style.width(&text)).fold(0.0, f32::max)
        };
        let ticks = widest(&mut self.panels.iter().flat_map(|p| p.y.labels()), TICK);
        let beside = widest(&mut self.panels.iter().flat_map(Panel::labels_beside), MARK);
        let left = margin + 20.0 + ticks + 10.0;
        // Half of the last number of an x axis stands out over the end of the axis.
        let right = width as f32 - margin - if beside > 0.0 { beside + 10.0 } else { 12.0 };
        let mut y = head;
        let mut frames = Vec::new();
        for (i, panel) in self.panels.iter().enumerate() {
            let top = y + panel.above(right - left);
            let bottom = top + f32::from(panel.height);
            frames.push(Area { left, top, right, bottom });
            y = bottom + self.below(i);
        }
        frames
    }

    /// The room under panel `i`: its numbers, its label, and the margin.
    fn below(&self, i: usize) -> f32 {
        if self.has_x_label(i) { 46.0 + MARGIN / 2.0 } else { 40.0 }
    }

    /// Panels that share an x axis name it once, under the last.
    fn has_x_label(&self, i: usize) -> bool {
        self.panels.get(i + 1).is_none_or(|below| below.x.label != self.panels[i].x.label)
    }
}

impl Panel {
    /// The room over the panel, which is `width` wide: the legend and the labels of moments.
    fn above(&self, width: f32) -> f32 {
        let moments =
            self.marks.iter().any(|mark| matches!(mark, Mark::Moment { label, .. } if !label.is_empty()));
        let legend = match self.legend(width).last() {
            Some((_, row, _)) => 8.0 + LEGEND_ROW * (*row as f32 + 1.0),
            None => 0.0,
        };
        10.0 + legend + if moments { 20.0 } else { 0.0 }
    }

    /// The curves of the legend, each with its row and its place in it, in rows of this width. A single
    /// curve needs none.
    fn legend(&self, width: f32) -> Vec<(&Curve, usize, f32)> {
        let named: Vec<&Curve> = self.curves.iter().filter(|curve| !curve.name.is_empty()).collect();
        if named.len() < 2 {
            return Vec::new();
        }
        let (mut row, mut x) = (0, 0.0);
        let mut placed = Vec::new();
        for curve in named {
            let wide = 32.0 + LABEL.width(&curve.name);
            if x > 0.0 && x + wide > width {
                (row, x) = (row + 1, 0.0);
            }
            placed.push((curve, row, x));
            x += wide + 24.0;
        }
        placed
    }

    /// What is written to the right of the panel.
    fn labels_beside(&self) -> Vec<String> {
        let level = |mark: &Mark| match mark {
            Mark::Level { label, .. } => Some(label.clone()),
            _ => None,
        };
        let tags = self.curves.iter().map(|curve| curve.tag.clone()).filter(|tag| !tag.is_empty());
        self.marks.iter().filter_map(level).chain(tags).collect()
    }

    fn draw(&self, drawing: &mut Drawing, area: Area, margin: f32, x_label: bool) {
        self.draw_axes(drawing, area, margin, x_label);
        for mark in &self.marks {
            self.draw_lines_of(mark, drawing, area);
        }
        // A curve may leave the axes' range; its line may be half outside at the edges.
        let around = Area {
            left: area.left - 2.0,
            top: area.top - 2.0,
            right: area.right + 2.0,
            bottom: area.bottom + 2.0,
        };
        for curve in &self.curves {
            let points = curve.points.iter().map(|&p| self.place(area, p)).collect();
            drawing.line_within(around, points, curve.pen);
        }
        // A symbol at the edge is drawn whole.
        for (curve, symbol) in self.curves.iter().filter_map(|curve| Some((curve, curve.symbol?))) {
            for at in curve.points.iter().map(|&p| self.place(area, p)).filter(|&at| around.contains(at)) {
                drawing.symbol(at, 3.0, symbol, curve.pen.ink);
            }
        }
        for mark in &self.marks {
            self.draw_label_of(mark, drawing, area);
        }
        self.draw_tags(drawing, area);
        self.draw_legend(drawing, area);
    }

    fn draw_axes(&self, drawing: &mut Drawing, area: Area, margin: f32, x_label: bool) {
        let (grid, axis) = (Pen::new(Ink::Grid, 1.0), Pen::new(Ink::Axis, 1.0));
        for (&tick, label) in self.y.ticks.iter().zip(self.y.labels()) {
            let (_, y) = self.place(area, (self.x.low, tick));
            drawing.line(&[(area.left, y), (area.right, y)], grid);
            drawing.text((area.left - 10.0, y + 4.5), &label, TICK, Anchor::End);
        }
        for (&tick, label) in self.x.ticks.iter().zip(self.x.labels()) {
            let (x, _) = self.place(area, (tick, self.y.low));
            drawing.line(&[(x, area.top), (x, area.bottom)], grid);
            drawing.line(&[(x, area.bottom), (x, area.bottom + 5.0)], axis);
            drawing.text((x, area.bottom + 20.0), &label, TICK, Anchor::Middle);
        }
        drawing.line(&[(area.left, area.top), (area.left, area.bottom), (area.right, area.bottom)], axis);
        let middle = ((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0);
        drawing.text_upward((margin + 10.0, middle.1), &self.y.label, LABEL, Anchor::Middle);
        if x_label {
            drawing.text((middle.0, area.bottom + 42.0), &self.x.label, LABEL, Anchor::Middle);
        }
    }

    fn draw_lines_of(&self, mark: &Mark, drawing: &mut Drawing, area: Area) {
        let pen = Pen::new(Ink::Mark, 1.5);
        match *mark {
            Mark::Level { y, .. } => {
                let (_, y) = self.place(area, (self.x.low, y));
                drawing.line(&[(area.left, y), (area.right, y)], pen.dashed());
            }
            Mark::Moment { x, .. } => {
                let (x, _) = self.place(area, (x, self.y.low));
                drawing.line(&[(x, area.top), (x, area.bottom)], pen.dashed());
            }
            Mark::Span { from, to, y, .. } => {
                let ((from, y), (to, _)) = (self.place(area, (from, y)), self.place(area, (to, y)));
                drawing.line(&[(from, y), (to, y)], pen);
                for x in [from, to] {
                    drawing.line(&[(x, y - 6.0), (x, y + 6.0)], pen);
                }
            }
            Mark::Dot { .. } => {}
        }
    }

    fn draw_label_of(&self, mark: &Mark, drawing: &mut Drawing, area: Area) {
        match mark {
            Mark::Level { y, label } => {
                let (_, y) = self.place(area, (self.x.low, *y));
                drawing.text((area.right + 10.0, y + 4.5), label, MARK, Anchor::Start);
            }
            Mark::Moment { x, label, side } => {
                let (x, _) = self.place(area, (*x, self.y.low));
                // A label does not stick out over the ends of the axis.
                let width = MARK.width(label);
                let side = match side {
                    Anchor::Start if x + width > area.right => Anchor::End,
                    Anchor::Middle if x + width / 2.0 > area.right => Anchor::End,
                    Anchor::End if x - width < area.left => Anchor::Start,
                    Anchor::Middle if x - width / 2.0 < area.left => Anchor::Start,
                    side => *side,
                };
                drawing.text((x, area.top - 8.0), label, MARK, side);
            }
            Mark::Span { from, to, y, label } => {
                let ((from, y), (to, _)) = (self.place(area, (*from, *y)), self.place(area, (*to, *y)));
                drawing.text(((from + to) / 2.0, y + 19.0), label, MARK, Anchor::Middle);
            }
            Mark::Dot { at } => drawing.symbol(self.place(area, *at), 5.0, Symbol::Dot, Ink::Mark),
        }
    }

    /// Writes the tags to the right of the ends of their curves, moved apart where ends are close.
    fn draw_tags(&self, drawing: &mut Drawing, area: Area) {
        let tagged = self.curves.iter().filter(|curve| !curve.tag.is_empty());
        let mut tags: Vec<(Point, Type, &str)> = tagged
            .filter_map(|curve| {
                let (x, y) = self.place(area, *curve.points.last()?);
                Some(((x + 10.0, y + 4.5), Type { ink: curve.pen.ink, ..MARK }, curve.tag.as_str()))
            })
            .collect();
        tags.sort_by(|(a, ..), (b, ..)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for column in tags.chunk_by_mut(|(a, ..), (b, ..)| b.0 - a.0 < TAG_COLUMN) {
            column.sort_by(|(a, ..), (b, ..)| a.1.total_cmp(&b.1));
            // Down from the top, and where that ends too low, up again from the bottom.
            let mut least = area.top;
            for (at, ..) in column.iter_mut() {
                at.1 = at.1.max(least);
                least = at.1 + TAG_ROW;
            }
            let mut most = area.bottom + 4.5;
            for (at, ..) in column.iter_mut().rev() {
                at.1 = at.1.min(most);
                most = at.1 - TAG_ROW;
            }
        }
        for (at, style, tag) in tags {
            drawing.text(at, tag, style, Anchor::Start);
        }
    }

    fn draw_legend(&self, drawing: &mut Drawing, area: Area) {
        let width = area.right - area.left;
        let top = area.top - self.above(width) + 16.0;
        for (curve, row, x) in self.legend(width) {
            let (x, y) = (area.left + x, top + LEGEND_ROW * row as f32);
            drawing.line(&[(x + 2.0, y), (x + 24.0, y)], curve.pen);
            if let Some(symbol) = curve.symbol {
                drawing.symbol((x + 13.0, y), 3.0, symbol, curve.pen.ink);
            }
            drawing.text((x + 32.0, y + 4.5), &curve.name, LABEL, Anchor::Start);
        }
    }

    /// Where a pair of numbers is on the drawing.
    fn place(&self, area: Area, (x, y): (f64, f64)) -> Point {
        let (x, y) = (self.x.position(x) as f32, self.y.position(y) as f32);
        (area.left + x * (area.right - area.left), area.bottom - y * (area.bottom - area.top))
    }
}
