//! The curves of several runs in one figure. A run is told by its letter at the end of its curve, by
//! colour, by dashes and by symbol.

use super::axis::Axis;
use super::{Curve, Figure, Panel};
use crate::picture::{Ink, Pen, Symbol};

/// The most runs that one figure tells apart.
pub const MOST: usize = 12;

/// The curve of one run.
pub struct Overlaid {
    /// The letter of the run.
    pub letter: String,
    /// Its place among the runs, counted from 0.
    pub place: usize,
    /// Its values over the epochs.
    pub points: Vec<(f64, f64)>,
}

/// Dashes and symbols of the runs, in turn. Four of them and six colours make twelve that differ.
const DASHES: [&[f32]; 4] = [&[], &[9.0, 4.0], &[2.5, 3.5], &[10.0, 3.5, 2.5, 3.5]];
const SYMBOLS: [Symbol; 4] = [Symbol::Dot, Symbol::Square, Symbol::Triangle, Symbol::Diamond];

/// The letter of the run at `place`.
pub fn letter(place: usize) -> String {
    char::from(b'A' + (place % 26) as u8).to_string()
}

/// A figure of `curves` over the epochs.
pub fn overlay(title: &str, label: &str, curves: Vec<Overlaid>) -> Figure {
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let (first, last) = all().fold((1.0f64, 1.0f64), |(first, last), p| (first.min(p.0), last.max(p.0)));
    let y = Axis::around(label, all().map(|p| p.1));
    let few = curves.iter().all(|curve| curve.points.len() <= 60);
    let curve = |Overlaid { letter, place, points }| {
        let pen = Pen { dash: DASHES[place % DASHES.len()], ..Pen::new(Ink::Series(place), 2.2) };
        let symbol = few.then_some(SYMBOLS[place % SYMBOLS.len()]);
        Curve { symbol, tag: letter.clone(), ..Curve::plain(letter, points, pen) }
    };
    Figure {
        title: title.into(),
        notes: Vec::new(),
        panels: vec![Panel {
            x: Axis::linear("epoch", first, last).whole(),
            y,
            height: 320,
            curves: curves.into_iter().map(curve).collect(),
            marks: Vec::new(),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_runs_differ_in_more_than_colour() {
        let curves =
            (0..MOST).map(|place| Overlaid { letter: letter(place), place, points: vec![(1.0, 2.0)] });
        let figure = overlay("", "", curves.collect());
        let curves = &figure.panels[0].curves;
        for (i, a) in curves.iter().enumerate() {
            for b in &curves[..i] {
                assert_ne!((a.pen.ink.variable(), a.pen.dash), (b.pen.ink.variable(), b.pen.dash));
                assert_ne!(a.tag, b.tag);
            }
        }
    }
}
