//! Loss and accuracy over the epochs of a run.

use super::axis::Axis;
use super::{Curve, Figure, Panel};
use crate::picture::{Ink, Pen, Symbol};
use crate::train::EpochMetrics;

/// The mean loss of the training and of the test images after each epoch.
pub fn loss(epochs: &[EpochMetrics]) -> Figure {
    let note =
        lowest(epochs).map(|e| format!("lowest test loss {:.4}, after epoch {}", e.test_loss, e.epoch));
    figure("Loss", note, epochs, "cross-entropy loss (nats)", |e| (e.train_loss, e.test_loss))
}

/// The share of the training and of the test images that was classified right in each epoch.
pub fn accuracy(epochs: &[EpochMetrics]) -> Figure {
    let note = highest(epochs)
        .map(|e| format!("highest test accuracy {:.2}%, after epoch {}", 100.0 * e.test_accuracy, e.epoch));
    figure("Accuracy", note, epochs, "accuracy (%)", |e| (100.0 * e.train_accuracy, 100.0 * e.test_accuracy))
}

fn lowest(epochs: &[EpochMetrics]) -> Option<&EpochMetrics> {
    epochs.iter().min_by(|a, b| a.test_loss.total_cmp(&b.test_loss))
}

/// The first of the best, as the run keeps it.
fn highest(epochs: &[EpochMetrics]) -> Option<&EpochMetrics> {
    epochs.iter().rev().max_by(|a, b| a.test_accuracy.total_cmp(&b.test_accuracy))
}

fn figure(
    title: &str,
    note: Option<String>,
    epochs: &[EpochMetrics],
    label: &str,
    train_and_test: impl Fn(&EpochMetrics) -> (f64, f64),
) -> Figure {
    let points = |of: &dyn Fn((f64, f64)) -> f64| -> Vec<(f64, f64)> {
        epochs.iter().map(|e| (e.epoch as f64, of(train_and_test(e)))).collect()
    };
    let (train, test) = (points(&|(train, _)| train), points(&|(_, test)| test));
    let y = Axis::around(label, train.iter().chain(&test).map(|p| p.1));
    let last = epochs.last().map_or(1, |e| e.epoch) as f64;
    let few = epochs.len() <= 60;
    // Told apart without colour too: by their symbols, or where those would touch, by dashes.
    let curve = |name: &str, points, pen: Pen, symbol| {
        let pen = if few || symbol == Symbol::Dot { pen } else { pen.dashed() };
        Curve { symbol: few.then_some(symbol), ..Curve::plain(name, points, pen) }
    };
    Figure {
        title: title.into(),
        notes: note.into_iter().collect(),
        panels: vec![Panel {
            x: Axis::linear("epoch", 1.0, last).whole(),
            y,
            height: 320,
            curves: vec![
                curve("train, during the epoch", train, Pen::new(Ink::Series(0), 2.5), Symbol::Dot),
                curve("test, after it", test, Pen::new(Ink::Series(1), 2.5), Symbol::Square),
            ],
            marks: Vec::new(),
        }],
    }
}
