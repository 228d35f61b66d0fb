//! Timing: repeats, their median, and how far two runs of the same thing differ.

use crate::error::Result;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long to measure a case.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Repeats at least; an even number.
    pub least: usize,
    /// Repeats at most.
    pub most: usize,
    /// The time after which no repeat beyond the least is begun.
    pub budget: Duration,
}

impl Effort {
    /// For figures that are kept.
    pub const FULL: Effort = Effort { least: 4, most: 30, budget: Duration::from_millis(400) };
    /// For a first look.
    pub const QUICK: Effort = Effort { least: 2, most: 10, budget: Duration::from_millis(100) };
}

/// What a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// Seconds: the median of the repeats.
    pub seconds: f64,
    /// How far the medians of the first and the second half of the repeats are apart, as a share of
    /// the median: a smaller difference between two versions is noise.
    pub spread: f64,
    /// Repeats.
    pub repeats: usize,
}

/// Repeats `burst`, which takes `calls` calls, and says what one call takes.
///
/// # Errors
/// What `burst` reports.
pub fn measure(effort: Effort, calls: usize, mut burst: impl FnMut() -> Result<Duration>) -> Result<Timing> {
    let started = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < effort.least || seconds.len() < effort.most && started.elapsed() < effort.budget {
        seconds.push(burst()?.as_secs_f64() / calls as f64);
    }
    Ok(Timing::of(&seconds))
}

impl Timing {
    /// What the times of all repeats, in their order, come to.
    pub fn of(seconds: &[f64]) -> Timing {
        let (first, second) = seconds.split_at(seconds.len() / 2);
        let all = median(seconds);
        let apart = (median(first) - median(second)).abs();
        let spread = if first.is_empty() { 0.0 } else { apart / all };
        Timing { seconds: all, spread, repeats: seconds.len() }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (odd, middle) if odd % 2 == 1 => sorted[middle],
        (_, middle) => 0.5 * (sorted[middle - 1] + sorted[middle]),
    }
}
