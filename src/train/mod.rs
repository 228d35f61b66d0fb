//! Training: what a run is told, what it does, and the folder it leaves.

mod checkpoint;
mod config;
mod evaluate;
pub mod journal;
mod metrics;
mod plain_steps;
mod range_test;
mod run_dir;
mod step;
pub mod tensorboard;
mod trainer;

pub use checkpoint::{Checkpoint, Progress};
pub use config::{MAX_WIDTH, NormalizationChoice, Precision, Preset, TrainConfig};
pub use evaluate::{Evaluation, PLAIN, WITH_MIRROR, evaluate};
pub use metrics::{EpochMetrics, Metrics, StepMetrics, missing_metrics, read_metrics};
pub use plain_steps::{PlainSteps, Rows, StepsOutcome};
pub use range_test::range_test;
pub use run_dir::{RunDir, RunFiles, read_config};
pub use step::{StepOutput, Steps, step};
pub use trainer::{Observer, Observers, Outcome, Trainer};
