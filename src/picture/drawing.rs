//! What a picture is made of, before it is known how it will be shown.

use super::Ink;
use super::text::Type;
use image::RgbImage;

/// A point, from the top left.
pub type Point = (f32, f32);

/// A part of the picture.
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

impl Area {
    /// Whether a point is in it, or on its edge.
    pub fn contains(self, (x, y): Point) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pen {
    /// Its colour.
    pub ink: Ink,
    /// Its width.
    pub width: f32,
    /// How much it covers, 0 to 1.
    pub opacity: f32,
    /// Lengths that are drawn and left out by turns; empty for a solid line.
    pub dash: &'static [f32],
}

impl Pen {
    /// A solid pen.
    pub const fn new(ink: Ink, width: f32) -> Pen {
        Pen { ink, width, opacity: 1.0, dash: &[] }
    }

    /// The pen, dashed.
    pub const fn dashed(self) -> Pen {
        Pen { dash: &[5.0, 5.0], ..self }
    }
}

/// What stands at a point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// A circle.
    Dot,
    /// A square.
    Square,
    /// A triangle, on its base.
    Triangle,
    /// A square on its corner.
    Diamond,
}

impl Symbol {
    /// The corners of a symbol of this radius, or None for the circle. All cover about the same area.
    pub fn corners(self, (x, y): Point, radius: f32) -> Option<Vec<Point>> {
        let r = radius;
        match self {
            Symbol::Dot => None,
            Symbol::Square => {
                let r = 0.89 * r;
                Some(vec![(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)])
            }
            Symbol::Triangle => {
                Some(vec![(x, y - 1.45 * r), (x + 1.3 * r, y + 0.8 * r), (x - 1.3 * r, y + 0.8 * r)])
            }
            Symbol::Diamond => {
                let r = 1.3 * r;
                Some(vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y)])
            }
        }
    }
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

/// One thing that is drawn.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A line through points, of which only what is within an area is seen, if there is one.
    Line {
        /// Its corners.
        points: Vec<Point>,
        /// How it is drawn.
        pen: Pen,
        /// The area.
        within: Option<Area>,
    },
    /// A symbol with a thin border of the ground's colour.
    Symbol {
        /// Its middle.
        at: Point,
        /// Its radius.
        radius: f32,
        /// Its form.
        symbol: Symbol,
        /// Its colour.
        ink: Ink,
    },
    /// A text over a rim of the ground's colour, so that it can be read over lines.
    Text {
        /// Where it stands: its baseline.
        at: Point,
        /// What it says.
        text: String,
        /// How it is set.
        style: Type,
        /// The part of it that stands there.
        anchor: Anchor,
        /// Whether it runs from below to above.
        upward: bool,
    },
    /// Pixels, one for each unit of the layout.
    Tile {
        /// The top left corner.
        at: (u32, u32),
        /// The pixels.
        pixels: RgbImage,
    },
}

/// A picture in the making: its size, and what is drawn, from the lowest to the topmost.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// What is drawn.
    pub shapes: Vec<Shape>,
}

impl Drawing {
    /// An empty drawing.
    pub fn new(width: u32, height: u32) -> Drawing {
        Drawing { width: width.max(1), height: height.max(1), shapes: Vec::new() }
    }

    /// Draws a line through `points`.
    pub fn line(&mut self, points: &[Point], pen: Pen) {
        self.shapes.push(Shape::Line { points: points.to_vec(), pen, within: None });
    }

    /// Draws what of a line through `points` is within `area`.
    pub fn line_within(&mut self, area: Area, points: Vec<Point>, pen: Pen) {
        self.shapes.push(Shape::Line { points, pen, within: Some(area) });
    }

    /// Draws a symbol.
    pub fn symbol(&mut self, at: Point, radius: f32, symbol: Symbol, ink: Ink) {
        self.shapes.push(Shape::Symbol { at, radius, symbol, ink });
    }

    /// Writes `text` with its baseline at `at`.
    pub fn text(&mut self, at: Point, text: &str, style: Type, anchor: Anchor) {
        self.shapes.push(Shape::Text { at, text: text.into(), style, anchor, upward: false });
    }

    /// As [`Drawing::text`], from below to above.
    pub fn text_upward(&mut self, at: Point, text: &str, style: Type, anchor: Anchor) {
        self.shapes.push(Shape::Text { at, text: text.into(), style, anchor, upward: true });
    }

    /// Draws `pixels` with their top left corner at (`x`, `y`), and an edge around them.
    pub fn tile(&mut self, x: u32, y: u32, pixels: RgbImage) {
        // Along the middles of the pixels around the tile.
        let (left, top) = (x as f32 - 0.5, y as f32 - 0.5);
        let (right, bottom) = (left + pixels.width() as f32 + 1.0, top + pixels.height() as f32 + 1.0);
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        self.line(&corners, Pen::new(Ink::Grid, 1.0));
        self.shapes.push(Shape::Tile { at: (x, y), pixels });
    }
}
