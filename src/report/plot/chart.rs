//! A figure: a title and one or more panels above each other, each with axes, curves and marks.

use super::axis::Axis;
use crate::report::canvas::{Anchor, Area, Canvas, Pen, Point, Type};
use crate::report::theme::{Ink, Theme};

const WIDTH: u16 = 800;
const MARGIN: f32 = 28.0;
const TITLE: Type = Type { size: 19.0, bold: true, ink: Ink::Text };
const NOTE: Type = Type { size: 13.0, bold: false, ink: Ink::Faint };
const LABEL: Type = Type { size: 13.5, bold: false, ink: Ink::Text };
const TICK: Type = Type { size: 12.5, bold: false, ink: Ink::Faint };
const MARK: Type = Type { size: 13.0, bold: true, ink: Ink::Mark };
const LEGEND_ROW: f32 = 30.0;

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
    /// Whether each point has a dot.
    pub dots: bool,
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
    /// Draws the figure.
    pub fn draw(&self, theme: Theme) -> Canvas {
        let head = MARGIN + 20.0 + 20.0 * self.notes.len() as f32;
        let frames = self.frames(head, &Canvas::new(1, 1, theme));
        let foot = frames.last().map_or(head, |area| area.bottom) + self.below(self.panels.len() - 1);
        let mut canvas = Canvas::new(WIDTH, foot.ceil() as u16, theme);
        canvas.text((MARGIN, MARGIN + 14.0), &self.title, TITLE, Anchor::Start);
        for (i, note) in self.notes.iter().enumerate() {
            canvas.text((MARGIN, MARGIN + 37.0 + 20.0 * i as f32), note, NOTE, Anchor::Start);
        }
        for (i, (panel, area)) in self.panels.iter().zip(frames).enumerate() {
            panel.draw(&mut canvas, area, self.has_x_label(i));
        }
        canvas
    }

    /// The space between the axes of each panel. All have the same left and right edge, so that their
    /// x axes can be compared.
    fn frames(&self, head: f32, measure: &Canvas) -> Vec<Area> {
        let widest = |texts: &mut dyn Iterator<Item = String>, style| {
            texts.map(|text| measure.width(&text, style)).fold(0.0, f32::max)
        };
        let ticks = widest(&mut self.panels.iter().flat_map(|p| p.y.labels()), TICK);
        let levels = widest(&mut self.panels.iter().flat_map(Panel::level_labels), MARK);
        let left = MARGIN + 20.0 + ticks + 10.0;
        let right = f32::from(WIDTH) - MARGIN - if levels > 0.0 { levels + 10.0 } else { 0.0 };
        let mut y = head;
        let mut frames = Vec::new();
        for (i, panel) in self.panels.iter().enumerate() {
            let top = y + panel.above();
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
    /// The room over the panel: the legend's row and that of the labels of moments.
    fn above(&self) -> f32 {
        let moments =
            self.marks.iter().any(|mark| matches!(mark, Mark::Moment { label, .. } if !label.is_empty()));
        10.0 + if self.has_legend() { LEGEND_ROW } else { 0.0 } + if moments { 20.0 } else { 0.0 }
    }

    fn has_legend(&self) -> bool {
        self.curves.iter().filter(|curve| !curve.name.is_empty()).count() > 1
    }

    fn level_labels(&self) -> Vec<String> {
        let label = |mark: &Mark| match mark {
            Mark::Level { label, .. } => Some(label.clone()),
            _ => None,
        };
        self.marks.iter().filter_map(label).collect()
    }

    fn draw(&self, canvas: &mut Canvas, area: Area, x_label: bool) {
        self.draw_axes(canvas, area, x_label);
        for mark in &self.marks {
            self.draw_lines_of(mark, canvas, area);
        }
        // A curve may leave the axes' range; its line may be half outside at the edges.
        let (left, top) = (area.left - 2.0, area.top - 2.0);
        canvas.clip(Some(Area { left, top, right: area.right + 2.0, bottom: area.bottom + 2.0 }));
        for curve in &self.curves {
            let points: Vec<Point> = curve.points.iter().map(|&p| self.place(area, p)).collect();
            canvas.line(&points, curve.pen);
        }
        canvas.clip(None);
        // A dot at the edge is drawn whole.
        for curve in self.curves.iter().filter(|curve| curve.dots) {
            let points = curve.points.iter().map(|&p| self.place(area, p));
            let inside = points.filter(|&(x, y)| {
                (left..=area.right + 2.0).contains(&x) && (top..=area.bottom + 2.0).contains(&y)
            });
            inside.for_each(|at| canvas.dot(at, 3.0, curve.pen.ink));
        }
        for mark in &self.marks {
            self.draw_label_of(mark, canvas, area);
        }
        if self.has_legend() {
            self.draw_legend(canvas, area);
        }
    }

    fn draw_axes(&self, canvas: &mut Canvas, area: Area, x_label: bool) {
        let (grid, axis) = (Pen::new(Ink::Grid, 1.0), Pen::new(Ink::Axis, 1.0));
        for (&tick, label) in self.y.ticks.iter().zip(self.y.labels()) {
            let (_, y) = self.place(area, (self.x.low, tick));
            canvas.line(&[(area.left, y), (area.right, y)], grid);
            canvas.text((area.left - 10.0, y + 4.5), &label, TICK, Anchor::End);
        }
        for (&tick, label) in self.x.ticks.iter().zip(self.x.labels()) {
            let (x, _) = self.place(area, (tick, self.y.low));
            canvas.line(&[(x, area.top), (x, area.bottom)], grid);
            canvas.line(&[(x, area.bottom), (x, area.bottom + 5.0)], axis);
            canvas.text((x, area.bottom + 20.0), &label, TICK, Anchor::Middle);
        }
        canvas.line(&[(area.left, area.top), (area.left, area.bottom), (area.right, area.bottom)], axis);
        let middle = ((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0);
        canvas.text_upward((MARGIN + 8.0, middle.1), &self.y.label, LABEL, Anchor::Middle);
        if x_label {
            canvas.text((middle.0, area.bottom + 42.0), &self.x.label, LABEL, Anchor::Middle);
        }
    }

    fn draw_lines_of(&self, mark: &Mark, canvas: &mut Canvas, area: Area) {
        let pen = Pen::new(Ink::Mark, 1.5);
        match *mark {
            Mark::Level { y, .. } => {
                let (_, y) = self.place(area, (self.x.low, y));
                canvas.line(&[(area.left, y), (area.right, y)], pen.dashed());
            }
            Mark::Moment { x, .. } => {
                let (x, _) = self.place(area, (x, self.y.low));
                canvas.line(&[(x, area.top), (x, area.bottom)], pen.dashed());
            }
            Mark::Span { from, to, y, .. } => {
                let ((from, y), (to, _)) = (self.place(area, (from, y)), self.place(area, (to, y)));
                canvas.line(&[(from, y), (to, y)], pen);
                for x in [from, to] {
                    canvas.line(&[(x, y - 6.0), (x, y + 6.0)], pen);
                }
            }
            Mark::Dot { .. } => {}
        }
    }

    fn draw_label_of(&self, mark: &Mark, canvas: &mut Canvas, area: Area) {
        match mark {
            Mark::Level { y, label } => {
                let (_, y) = self.place(area, (self.x.low, *y));
                canvas.text((area.right + 10.0, y + 4.5), label, MARK, Anchor::Start);
            }
            Mark::Moment { x, label, side } => {
                let (x, _) = self.place(area, (*x, self.y.low));
                // A label does not stick out over the ends of the axis.
                let width = canvas.width(label, MARK);
                let side = match side {
                    Anchor::Start if x + width > area.right => Anchor::End,
                    Anchor::Middle if x + width / 2.0 > area.right => Anchor::End,
                    Anchor::End if x - width < area.left => Anchor::Start,
                    Anchor::Middle if x - width / 2.0 < area.left => Anchor::Start,
                    side => *side,
                };
                canvas.text((x, area.top - 8.0), label, MARK, side);
            }
            Mark::Span { from, to, y, label } => {
                let ((from, y), (to, _)) = (self.place(area, (*from, *y)), self.place(area, (*to, *y)));
                canvas.text(((from + to) / 2.0, y + 19.0), label, MARK, Anchor::Middle);
            }
            Mark::Dot { at } => canvas.dot(self.place(area, *at), 5.0, Ink::Mark),
        }
    }

    fn draw_legend(&self, canvas: &mut Canvas, area: Area) {
        let y = area.top - self.above() + 16.0;
        let mut x = area.left;
        for curve in self.curves.iter().filter(|curve| !curve.name.is_empty()) {
            canvas.line(&[(x + 2.0, y), (x + 24.0, y)], curve.pen);
            if curve.dots {
                canvas.dot((x + 13.0, y), 3.0, curve.pen.ink);
            }
            canvas.text((x + 32.0, y + 4.5), &curve.name, LABEL, Anchor::Start);
            x += 32.0 + canvas.width(&curve.name, LABEL) + 24.0;
        }
    }

    /// Where a pair of numbers is on the canvas.
    fn place(&self, area: Area, (x, y): (f64, f64)) -> Point {
        let (x, y) = (self.x.position(x) as f32, self.y.position(y) as f32);
        (area.left + x * (area.right - area.left), area.bottom - y * (area.bottom - area.top))
    }
}
