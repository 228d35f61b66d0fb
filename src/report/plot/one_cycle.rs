//! The learning rate of a run.

use super::axis::{Axis, rate};
use super::{Curve, Figure, Mark, Panel};
use crate::optim::schedule::OneCycle;
use crate::picture::{Anchor, Ink, Pen};

/// The policy of a run, its peak and both ends labelled.
pub fn one_cycle(policy: &OneCycle) -> Figure {
    let OneCycle { min, max, end, peak_epoch, epochs } = *policy;
    let mut levels = vec![Mark::Level { y: max, label: format!("LRMAX {}", rate(max)) }];
    // Two labels a line apart or less would run into each other.
    let apart = |a: f64, b: f64| (a - b).abs() > 0.06 * max;
    if apart(min, max) {
        levels.push(Mark::Level { y: min, label: format!("LRMIN {}", rate(min)) });
    }
    if apart(end, min) && apart(end, max) {
        levels.push(Mark::Level { y: end, label: format!("end {}", rate(end)) });
    }
    let label = format!("peak at epoch {}", rate(peak_epoch));
    levels.push(Mark::Moment { x: peak_epoch, label, side: Anchor::Middle });
    levels.push(Mark::Dot { at: (peak_epoch, max) });
    Figure {
        title: "One-cycle learning rate".into(),
        notes: vec![format!(
            "from {} to {} in {} {}, then to {} at epoch {epochs}",
            rate(min),
            rate(max),
            rate(peak_epoch),
            if peak_epoch == 1.0 { "epoch" } else { "epochs" },
            rate(end)
        )],
        panels: vec![Panel {
            x: Axis::linear("epoch", 0.0, epochs),
            y: Axis::linear("learning rate", 0.0, 1.08 * if max > 0.0 { max } else { 1.0 }),
            height: 320,
            curves: vec![Curve::plain(
                "",
                vec![(0.0, policy.rate(0.0)), (peak_epoch, max), (epochs, end)],
                Pen::new(Ink::Series(0), 2.5),
            )],
            marks: levels,
        }],
    }
}
