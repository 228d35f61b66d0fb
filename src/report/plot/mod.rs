//! The figures: each is a [`Figure`] made from plain numbers, to be drawn in either theme.

pub mod axis;
mod chart;
mod curves;
mod one_cycle;
pub mod overlay;
mod range_test;
mod triangle;

pub use chart::{Curve, Figure, Mark, Panel};
pub use curves::{accuracy, loss};
pub use one_cycle::one_cycle;
pub use range_test::range_test;
pub use triangle::triangle;
