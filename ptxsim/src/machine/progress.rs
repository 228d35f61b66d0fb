//! Whether a launch gets anywhere.
//!
//! Progress is what another block or the host could see: a change of global or shared memory, or the end
//! of a thread. A barrier alone is none, nor a store of what is there already: a loop of those may go on
//! forever. Instructions are counted from the last progress, over all warps of a cluster (of all clusters
//! that take turns on one thread).

use std::time::{Duration, Instant};

/// When a launch counts as hung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Warp instructions without progress: without a change of global or shared memory, or the end of a
    /// thread. The default is a few seconds' worth on one CPU core.
    pub patience: u64,
    /// Warp instructions of a block, or of all blocks that take turns on one thread, progress or not.
    pub max_steps: Option<u64>,
    /// Time that a launch may take. Where it ends a launch depends on the machine.
    pub deadline: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { patience: 50_000_000, max_steps: None, deadline: None }
    }
}

/// Counts towards the limits.
#[derive(Debug)]
pub(crate) struct Progress {
    limits: Limits,
    started: Instant,
    total: u64,
    since: u64,
}

impl Progress {
    /// None made yet, by a launch that began at `started`.
    pub fn new(limits: Limits, started: Instant) -> Self {
        Self { limits, started, total: 0, since: 0 }
    }

    /// Begin to count all instructions anew, for another cluster.
    pub fn restart(&mut self) {
        (self.total, self.since) = (0, 0);
    }

    /// Some has been made.
    pub fn made(&mut self) {
        self.since = 0;
    }

    /// Whether it is time to look if a store changes anything. Before, none is looked at, so that the
    /// count costs nothing.
    #[inline(always)]
    pub fn is_in_doubt(&self) -> bool {
        self.since > self.limits.patience / 16
    }

    /// Count instructions; if that is too many, why.
    pub fn ran(&mut self, instructions: u64) -> Result<(), String> {
        self.total += instructions;
        self.since += instructions;
        if self.since > self.limits.patience {
            return Err(format!(
                "no progress in {} warp instructions: no memory has changed and no thread has ended",
                self.since
            ));
        }
        if let Some(most) = self.limits.max_steps.filter(|most| self.total > *most) {
            return Err(format!("more than {most} warp instructions, the limit that was set"));
        }
        match self.limits.deadline {
            Some(deadline) if self.started.elapsed() > deadline => {
                Err(format!("the launch has not ended after {deadline:?}, the limit that was set"))
            }
            _ => Ok(()),
        }
    }
}
