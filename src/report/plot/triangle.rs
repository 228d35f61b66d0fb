//! The triangular cyclic learning rate.

use super::axis::{Axis, rate};
use super::{Curve, Figure, Mark, Panel};
use crate::optim::schedule::Triangular;
use crate::picture::{Ink, Pen};

/// `cycles` cycles of `policy`: the bounds are labelled, the step size is marked under the first rise.
pub fn triangle(policy: &Triangular, cycles: u32) -> Figure {
    let Triangular { base, max, step_size } = *policy;
    let corners = (0..=2 * cycles).map(|i| f64::from(i) * step_size);
    let points = corners.map(|iteration| (iteration, policy.rate(iteration))).collect();
    let height = max - base;
    // The room under the lower bound holds the mark of the step size; no rate is negative.
    let mut y = Axis::linear("learning rate", base - 0.26 * height, max + 0.1 * height);
    y.ticks.retain(|&tick| tick >= 0.0);
    Figure {
        title: "Triangular cyclic learning rate".into(),
        notes: vec![format!(
            "step size {step_size} iterations; a cycle is two steps; {cycles} {}",
            if cycles == 1 { "cycle" } else { "cycles" }
        )],
        panels: vec![Panel {
            x: Axis::linear("iteration", 0.0, 2.0 * f64::from(cycles) * step_size),
            y,
            height: 320,
            curves: vec![Curve::plain("", points, Pen::new(Ink::Series(0), 2.5))],
            marks: vec![
                Mark::Level { y: max, label: format!("max_lr {}", rate(max)) },
                Mark::Level { y: base, label: format!("base_lr {}", rate(base)) },
                Mark::Span { from: 0.0, to: step_size, y: base - 0.1 * height, label: "step size".into() },
            ],
        }],
    }
}
