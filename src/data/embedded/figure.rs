//! The ten figures, as signed distances in pixels: negative inside, zero on the edge.

use super::PITCH;
use crate::data::CLASSES;
use crate::random::Stream;

/// What an image shows: its class.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Disc,
    Ring,
    Crescent,
    Square,
    Triangle,
    Star,
    Cross,
    Stripes,
    Checks,
    Dots,
}

/// Where a figure is, how large and how turned.
pub(super) struct Pose {
    x: f32,
    y: f32,
    radius: f32,
    cos: f32,
    sin: f32,
}

impl Pose {
    /// Any turn, a radius between the two given, a centre within `offset` of the image's.
    pub(super) fn draw(radius: (f32, f32), offset: f32, stream: &mut Stream) -> Pose {
        let x = stream.between(-offset, offset);
        let y = stream.between(-offset, offset);
        let radius = stream.between(radius.0, radius.1);
        // A point of the unit circle by its rational parametrisation: t = tan(angle/2), at most an
        // eighth turn either way; then one of four quarter turns.
        let t = stream.between(-0.414_213_6, 0.414_213_6);
        let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
        let (cos, sin) = match stream.below(4) {
            0 => (cos, sin),
            1 => (-sin, cos),
            2 => (-cos, -sin),
            _ => (sin, -cos),
        };
        Pose { x, y, radius, cos, sin }
    }

    /// The point `x`, `y` as seen from the figure: moved to its centre and turned back.
    fn local(&self, x: f32, y: f32) -> (f32, f32) {
        let (x, y) = (x - self.x, y - self.y);
        (self.cos * x + self.sin * y, self.cos * y - self.sin * x)
    }
}

impl Figure {
    /// The classes in order of their labels.
    pub(super) const ALL: [Figure; CLASSES] = [
        Figure::Disc,
        Figure::Ring,
        Figure::Crescent,
        Figure::Square,
        Figure::Triangle,
        Figure::Star,
        Figure::Cross,
        Figure::Stripes,
        Figure::Checks,
        Figure::Dots,
    ];
    /// Those with an outline.
    pub(super) const SHAPES: [Figure; 7] = [
        Figure::Disc,
        Figure::Ring,
        Figure::Crescent,
        Figure::Square,
        Figure::Triangle,
        Figure::Star,
        Figure::Cross,
    ];
    /// Those that repeat without end.
    pub(super) const PATTERNS: [Figure; 3] = [Figure::Stripes, Figure::Checks, Figure::Dots];

    /// The class's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Figure::Disc => "disc",
            Figure::Ring => "ring",
            Figure::Crescent => "crescent",
            Figure::Square => "square",
            Figure::Triangle => "triangle",
            Figure::Star => "star",
            Figure::Cross => "cross",
            Figure::Stripes => "stripes",
            Figure::Checks => "checks",
            Figure::Dots => "dots",
        }
    }

    /// Whether it repeats without end.
    pub(super) fn is_pattern(self) -> bool {
        Figure::PATTERNS.contains(&self)
    }

    /// How much of the pixel at `x`, `y` the figure covers, 0 to 1: the edge is one pixel wide.
    pub(super) fn coverage(self, pose: &Pose, x: f32, y: f32) -> f32 {
        (0.5 - self.distance(pose, x, y)).clamp(0.0, 1.0)
    }

    /// As [`Figure::coverage`] with an edge four pixels wide, as a shadow has it.
    pub(super) fn soft_coverage(self, pose: &Pose, x: f32, y: f32) -> f32 {
        (0.5 - 0.25 * self.distance(pose, x, y)).clamp(0.0, 1.0)
    }

    /// Signed distance of the point `x`, `y` from the figure's edge. Beside a corner, on the outside,
    /// it is that of the sharp corner's nearer side, which no pixel shows.
    fn distance(self, pose: &Pose, x: f32, y: f32) -> f32 {
        let (u, v) = pose.local(x, y);
        let r = pose.radius;
        match self {
            Figure::Disc => length(u, v) - 0.9 * r,
            Figure::Ring => (length(u, v) - 0.75 * r).abs() - 0.21 * r,
            Figure::Crescent => (length(u, v) - r).max(0.8 * r - length(u - 0.5 * r, v)),
            Figure::Square => u.abs().max(v.abs()) - 0.78 * r,
            Figure::Triangle => triangle(u, v + 0.15 * r, 1.1 * r),
            Figure::Star => star(u, v, 1.15 * r, 0.5 * r),
            Figure::Cross => {
                let (along, across) = (u.abs().max(v.abs()), u.abs().min(v.abs()));
                (along - r).max(across - 0.3 * r)
            }
            Figure::Stripes => stripe(u, PITCH * r),
            Figure::Checks => {
                // Inside where both are inside or both outside.
                let (a, b) = (stripe(u, 1.3 * PITCH * r), stripe(v, 1.3 * PITCH * r));
                a.max(b).min(-a.min(b))
            }
            Figure::Dots => {
                let pitch = PITCH * r;
                length(from_middle(u, pitch), from_middle(v, pitch)) - 0.3 * pitch
            }
        }
    }
}

fn length(u: f32, v: f32) -> f32 {
    (u * u + v * v).sqrt()
}

/// The place of `u` in its period, counted from the middle: -pitch/2 to pitch/2.
fn from_middle(u: f32, pitch: f32) -> f32 {
    let turns = u / pitch;
    (turns - turns.floor() - 0.5) * pitch
}

/// Stripes along v, as wide as the gaps between them.
fn stripe(u: f32, pitch: f32) -> f32 {
    from_middle(u, pitch).abs() - 0.25 * pitch
}

/// The equilateral triangle with its corners at `radius`: within three half-planes.
fn triangle(u: f32, v: f32, radius: f32) -> f32 {
    const HALF_ROOT_3: f32 = 0.866_025_4;
    v.max(HALF_ROOT_3 * u.abs() - 0.5 * v) - 0.5 * radius
}

/// The five-pointed star with points at `outer` and notches at `inner`.
fn star(u: f32, v: f32, outer: f32, inner: f32) -> f32 {
    const COS_36: f32 = 0.809_017;
    const SIN_36: f32 = 0.587_785_25;
    // All lines through the centre at multiples of 36° are mirrors: fold the plane along them until
    // the point lies between 0°, where a point of the star is, and 36°, where a notch is.
    let (mut u, mut v) = (u, v.abs());
    for _ in 0..2 {
        let beyond = (COS_36 * v - SIN_36 * u).max(0.0);
        u += 2.0 * beyond * SIN_36;
        v = (v - 2.0 * beyond * COS_36).abs();
    }
    // There, one straight edge is left; its outward normal is (normal_u, normal_v).
    let (normal_u, normal_v) = (inner * SIN_36, outer - inner * COS_36);
    ((u - outer) * normal_u + v * normal_v) / length(normal_u, normal_v)
}
