//! The colours of pictures, light and dark.
//!
//! Series are told apart by the palette of Okabe and Ito, which holds for every common kind of
//! colour blindness; the dark variants are its lighter hues.

use clap::ValueEnum;
use tiny_skia::Color;

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// Dark ink on white.
    #[default]
    Light,
    /// Light ink on nearly black.
    Dark,
}

/// What is drawn, by its part in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// The ground.
    Ground,
    /// What is to be read.
    Text,
    /// What is to be read second: tick labels, notes.
    Faint,
    /// An axis.
    Axis,
    /// The grid behind the curves.
    Grid,
    /// The first curve.
    First,
    /// The second curve.
    Second,
    /// What is pointed at.
    Mark,
}

impl Theme {
    /// The colour of `ink`. Text has a contrast of at least 5:1 with the ground, curves and marks of
    /// at least 3:1.
    pub fn colour(self, ink: Ink) -> Color {
        let [light, dark] = match ink {
            Ink::Ground => [0xffffff, 0x14161a],
            Ink::Text => [0x1b1d21, 0xeceef1],
            Ink::Faint => [0x5e636c, 0xa0a5ae],
            Ink::Axis => [0x8b909a, 0x6b7079],
            Ink::Grid => [0xe6e8eb, 0x2a2d33],
            Ink::First => [0x0072b2, 0x56b4e9],
            Ink::Second => [0xd55e00, 0xe69f00],
            Ink::Mark => [0xa8467c, 0xe08fbd],
        };
        let rgb: u32 = match self {
            Theme::Light => light,
            Theme::Dark => dark,
        };
        let [_, r, g, b] = rgb.to_be_bytes();
        Color::from_rgba8(r, g, b, 255)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance as the web's contrast rules define it.
    fn luminance(c: Color) -> f32 {
        let linear = |v: f32| match v <= 0.04045 {
            true => v / 12.92,
            false => ((v + 0.055) / 1.055).powf(2.4),
        };
        0.2126 * linear(c.red()) + 0.7152 * linear(c.green()) + 0.0722 * linear(c.blue())
    }

    fn contrast(theme: Theme, ink: Ink) -> f32 {
        let (a, b) = (luminance(theme.colour(ink)), luminance(theme.colour(Ink::Ground)));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_ink_stands_out_from_the_ground() {
        for theme in [Theme::Light, Theme::Dark] {
            for (inks, least) in [
                (&[Ink::Text, Ink::Faint][..], 5.0),
                (&[Ink::First, Ink::Second, Ink::Mark, Ink::Axis][..], 3.0),
            ] {
                for &ink in inks {
                    let found = contrast(theme, ink);
                    assert!(found >= least, "{theme:?} {ink:?}: {found}, expected at least {least}");
                }
            }
        }
    }
}
