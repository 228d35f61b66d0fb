//! Events: points in a stream.

use std::time::Instant;

use crate::capture::Captured;
use crate::handle::Id;
use crate::queue::WorkId;

/// An event.
#[derive(Debug)]
pub(crate) struct Event {
    pub context: Id,
    /// Whether it keeps no time.
    pub no_timing: bool,
    /// The work that marks the point, since it was recorded last.
    pub recorded: Option<WorkId>,
    /// When that was done, if it has been.
    pub done_at: Option<Instant>,
    /// The point of a capture that it marks, if it was recorded there last.
    pub captured: Option<Captured>,
}
