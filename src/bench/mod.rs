//! Measuring: every operation at every layer shape of the network, on any device.
//!
//! [`cases()`] is the table, [`Prepared`] runs one row of it with inputs and outputs in place,
//! [`measure()`] times it, and [`Report`] holds a whole run. `cugrad bench` and `cargo bench` both
//! walk this table. How to read the figures: `benches/NOTES.md`.

mod cases;
mod ceilings;
mod measure;
mod prepared;
mod report;
mod step;

pub use cases::{Case, cases};
pub use ceilings::Ceilings;
pub use measure::{Effort, Timing, measure};
pub use prepared::Prepared;
pub use report::{Plan, Report, Row};
pub use step::StepTime;
