//! The ground of every picture: the palette, light and dark ([`Theme`]), text in the program's own font
//! ([`text`]), and a [`Drawing`] of lines, texts and tiles, which becomes pixels ([`raster`]), a PNG file
//! ([`mod@file`]) or SVG that follows a page's palette ([`svg`]).

mod drawing;
pub mod file;
pub mod raster;
pub mod svg;
pub mod text;
mod theme;

pub use drawing::{Anchor, Area, Drawing, Pen, Point, Shape, Symbol};
pub use theme::{Ink, SERIES, Theme};
