//! What a run shows of itself: its plots ([`plot`]), what its network says of the test images
//! ([`findings`]), and pages in one file each ([`html`]): a run's report, and runs side by side.

pub mod findings;
pub mod html;
pub mod plot;
mod run;
mod run_plots;
mod write;

pub use run::{FoundRates, Run};
pub use run_plots::{run_figures, write_run_plots};
pub use write::{Written, write_report};
