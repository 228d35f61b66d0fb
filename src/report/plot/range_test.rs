//! The learning-rate range test.

use super::axis::{Axis, rate};
use super::{Curve, Figure, Mark, Panel};
use crate::optim::lr_finder::{Rise, Suggestion, Sweep};
use crate::picture::{Anchor, Ink, Pen};

/// The loss and the accuracy over the rate, with the suggested rates marked, if there are any.
pub fn range_test(sweep: &Sweep, suggestion: Option<&Suggestion>) -> Figure {
    let mut notes = vec![format!(
        "{} steps{}; smoothed by {}",
        sweep.samples.len(),
        if sweep.diverged { ", until the loss diverged" } else { "" },
        sweep.test.smoothing
    )];
    notes.extend(suggestion.map(|s| {
        format!(
            "LRMAX: half way from steepest descent {} to accuracy's plateau {}; LRMIN: a tenth of the minimum {}",
            rate(s.steepest_descent),
            rate(s.plateau),
            rate(s.minimum)
        )
    }));
    let moments = |labelled: bool| -> Vec<Mark> {
        let moment = |x, name: &str, side| Mark::Moment {
            x,
            label: if labelled { format!("{name} {}", rate(x)) } else { String::new() },
            side,
        };
        let both = suggestion
            .map(|s| [moment(s.lr_min, "LRMIN", Anchor::End), moment(s.lr_max, "LRMAX", Anchor::Start)]);
        both.into_iter().flatten().collect()
    };
    let smoothed: Vec<_> = sweep.samples.iter().map(|s| (s.lr, s.smoothed_loss)).collect();
    let each: Vec<_> = sweep.samples.iter().map(|s| (s.lr, s.loss)).collect();
    let accuracy: Vec<_> = sweep.samples.iter().map(|s| (s.lr, 100.0 * s.smoothed_accuracy)).collect();
    // Where it diverges, the loss leaves the picture: what matters is below where it began.
    let begin = smoothed.first().map_or(1.0, |p| p.1);
    let lowest = smoothed.iter().map(|p| p.1).fold(begin, f64::min);
    let height = (begin - lowest).max(0.1 * begin);
    let bottom = each.iter().map(|p| p.1).fold(lowest, f64::min) - 0.05 * height;
    let loss_axis = Axis::linear("loss (nats)", bottom.max(0.0), begin + 0.4 * height);
    Figure {
        title: "Learning-rate range test".into(),
        notes,
        panels: vec![
            Panel {
                x: x_axis(sweep, suggestion),
                y: loss_axis,
                height: 220,
                curves: vec![
                    Curve::plain("each step", each, Pen { opacity: 0.35, ..Pen::new(Ink::Series(0), 1.2) }),
                    Curve::plain("smoothed", smoothed, Pen::new(Ink::Series(0), 2.5)),
                ],
                marks: moments(true),
            },
            Panel {
                x: x_axis(sweep, suggestion),
                y: Axis::around("accuracy (%)", accuracy.iter().map(|p| p.1)),
                height: 150,
                curves: vec![Curve::plain("", accuracy, Pen::new(Ink::Series(1), 2.5))],
                marks: moments(false),
            },
        ],
    }
}

/// The rates of the steps that were done, and the suggested ones.
fn x_axis(sweep: &Sweep, suggestion: Option<&Suggestion>) -> Axis {
    let low = suggestion.map_or(sweep.test.from, |s| s.lr_min.min(sweep.test.from));
    let high = sweep.samples.last().map_or(sweep.test.to, |s| s.lr);
    match sweep.test.rise {
        Rise::Exponential => Axis::logarithmic("learning rate (log scale)", low, high),
        Rise::Linear => Axis::linear("learning rate", low, high),
    }
}
