//! The colours of pictures, light and dark.
//!
//! Series are told apart by hues after the palette of Okabe and Ito, which holds for every common kind
//! of colour blindness; the dark variants are lighter.

use clap::ValueEnum;

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
    /// An axis, an edge.
    Axis,
    /// The grid behind the curves.
    Grid,
    /// What is pointed at.
    Mark,
    /// The curve of this number, counted from 0; they begin again after [`SERIES`].
    Series(usize),
}

/// How many series have a colour of their own.
pub const SERIES: usize = 6;

/// The inks of the series, light and dark.
const SERIES_INKS: [[u32; 2]; SERIES] = [
    [0x0072b2, 0x56b4e9],
    [0xd55e00, 0xe69f00],
    [0x00805e, 0x35c9a0],
    [0x9b3f86, 0xe08fd0],
    [0x7a6500, 0xf0e442],
    [0x50565f, 0xc3c8d0],
];

impl Ink {
    /// Every ink.
    pub fn all() -> impl Iterator<Item = Ink> {
        let plain = [Ink::Ground, Ink::Text, Ink::Faint, Ink::Axis, Ink::Grid, Ink::Mark];
        plain.into_iter().chain((0..SERIES).map(Ink::Series))
    }

    /// What it is called in a page's style sheet: `--text`.
    pub fn variable(self) -> String {
        match self {
            Ink::Ground => "--ground".into(),
            Ink::Text => "--text".into(),
            Ink::Faint => "--faint".into(),
            Ink::Axis => "--axis".into(),
            Ink::Grid => "--grid".into(),
            Ink::Mark => "--mark".into(),
            Ink::Series(i) => format!("--series-{}", i % SERIES),
        }
    }
}

impl Theme {
    /// The red, green and blue of `ink`. Text has a contrast of at least 5:1 with the ground, curves
    /// and marks of at least 3:1.
    pub fn colour(self, ink: Ink) -> [u8; 3] {
        let [light, dark] = match ink {
            Ink::Ground => [0xffffff, 0x14161a],
            Ink::Text => [0x1b1d21, 0xeceef1],
            Ink::Faint => [0x5e636c, 0xa0a5ae],
            Ink::Axis => [0x8b909a, 0x6b7079],
            Ink::Grid => [0xe6e8eb, 0x2a2d33],
            Ink::Mark => [0xa8467c, 0xe08fbd],
            Ink::Series(i) => SERIES_INKS[i % SERIES],
        };
        let rgb: u32 = match self {
            Theme::Light => light,
            Theme::Dark => dark,
        };
        let [_, r, g, b] = rgb.to_be_bytes();
        [r, g, b]
    }

    /// The palette as declarations of a style sheet: `--text:#1b1d21;` and so on.
    pub fn variables(self) -> String {
        let declare = |ink: Ink| {
            let [r, g, b] = self.colour(ink);
            format!("{}:#{r:02x}{g:02x}{b:02x};", ink.variable())
        };
        Ink::all().map(declare).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance as the web's contrast rules define it.
    fn luminance(colour: [u8; 3]) -> f64 {
        let [r, g, b] = colour.map(|v| match f64::from(v) / 255.0 {
            v if v <= 0.04045 => v / 12.92,
            v => ((v + 0.055) / 1.055).powf(2.4),
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    fn contrast(theme: Theme, ink: Ink) -> f64 {
        let (a, b) = (luminance(theme.colour(ink)), luminance(theme.colour(Ink::Ground)));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_ink_stands_out_from_the_ground() {
        for theme in [Theme::Light, Theme::Dark] {
            for ink in Ink::all() {
                let least = match ink {
                    Ink::Text | Ink::Faint => 5.0,
                    Ink::Mark | Ink::Axis | Ink::Series(_) => 3.0,
                    Ink::Ground | Ink::Grid => continue,
                };
                let found = contrast(theme, ink);
                assert!(found >= least, "{theme:?} {ink:?}: {found}, expected at least {least}");
            }
        }
    }

    #[test]
    fn the_palette_is_a_list_of_declarations() {
        let css = Theme::Light.variables();
        assert!(css.starts_with("--ground:#ffffff;--text:#1b1d21;"), "{css}");
        assert_eq!(css.matches(';').count(), Ink::all().count());
    }
}
