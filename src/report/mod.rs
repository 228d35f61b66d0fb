//! What a run shows of itself: pictures, with their font in the program.

pub mod canvas;
pub mod font;
pub mod plot;
mod run_plots;
pub mod theme;

pub use run_plots::{write_both, write_run_plots};
pub use theme::Theme;
