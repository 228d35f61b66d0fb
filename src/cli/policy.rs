//! The learning-rate policy of a command line: what was given, and defaults that fit it.
//!
//! A default that what was given makes impossible is scaled. The peak moves with the number of epochs; of
//! two bounds, the one that was not given keeps its default's ratio to the other.

use crate::optim::schedule::OneCycle;
use crate::report::plot::axis::rate;
use crate::train::TrainConfig;

/// The share of the epochs that the learning rate rises for: 5 of 24, as in the assignment.
const RISE: f64 = 5.0 / 24.0;

/// The learning-rate policy, as far as it was given.
#[derive(Clone, Copy, Debug, Default)]
pub struct GivenPolicy {
    /// The learning rate of the first step.
    pub lr_min: Option<f64>,
    /// The learning rate at the peak.
    pub lr_max: Option<f64>,
    /// The learning rate at the end.
    pub lr_end: Option<f64>,
    /// Epochs until the peak.
    pub peak_epoch: Option<f64>,
    /// Epochs of the run.
    pub epochs: Option<usize>,
}

impl GivenPolicy {
    /// The whole policy, not yet checked, and a note on each default that was scaled.
    pub fn complete(&self, defaults: &TrainConfig) -> (OneCycle, Vec<String>) {
        let mut notes = Vec::new();
        let (min, max) = bounds((self.lr_min, self.lr_max), (defaults.lr_min, defaults.lr_max));
        let ratio = rate(defaults.lr_max / defaults.lr_min);
        if self.lr_max.is_none() && max != defaults.lr_max {
            notes.push(format!("--lr-max {} ({ratio} × --lr-min)", rate(max)));
        }
        if self.lr_min.is_none() && min != defaults.lr_min {
            notes.push(format!("--lr-min {} (--lr-max / {ratio})", rate(min)));
        }
        let epochs = self.epochs.unwrap_or(defaults.epochs) as f64;
        let peak_epoch = match (self.peak_epoch, self.epochs) {
            (Some(peak), _) => peak,
            (None, None) => defaults.peak_epoch,
            (None, Some(_)) => {
                let peak = RISE * epochs;
                notes.push(format!("--peak-epoch {} (5/24 of --epochs)", rate(peak)));
                peak
            }
        };
        // The cycle ends where it began, unless told otherwise.
        let end = self.lr_end.unwrap_or(min);
        (OneCycle { min, max, end, peak_epoch, epochs }, notes)
    }

    /// Whether the peak follows from the epochs.
    pub fn scales_peak(&self) -> bool {
        self.peak_epoch.is_none() && self.epochs.is_some()
    }
}

/// A lower and an upper bound of which each may be given. One that was not given is its default or, where the
/// other bound leaves no room for that, keeps its default's ratio to the other.
pub fn bounds(given: (Option<f64>, Option<f64>), defaults: (f64, f64)) -> (f64, f64) {
    let ratio = defaults.1 / defaults.0;
    match given {
        (Some(low), None) if low >= defaults.1 => (low, low * ratio),
        (None, Some(high)) if high >= 0.0 && high <= defaults.0 => (high / ratio, high),
        (low, high) => (low.unwrap_or(defaults.0), high.unwrap_or(defaults.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Preset;

    #[test]
    fn bounds_are_scaled_only_where_there_is_no_room() {
        let defaults = (1.0, 10.0);
        for (given, expected) in [
            ((None, None), (1.0, 10.0)),
            ((Some(2.0), None), (2.0, 10.0)),
            ((Some(20.0), None), (20.0, 200.0)),
            ((None, Some(5.0)), (1.0, 5.0)),
            ((None, Some(0.5)), (0.05, 0.5)),
            // What makes no sense by itself is for the check to name.
            ((None, Some(-5.0)), (1.0, -5.0)),
            ((Some(20.0), Some(5.0)), (20.0, 5.0)),
        ] {
            assert_eq!(bounds(given, defaults), expected, "{given:?}");
        }
    }

    #[test]
    fn any_one_setting_completes_to_a_policy() {
        for defaults in [Preset::Full, Preset::Quick].map(TrainConfig::defaults) {
            let alone = GivenPolicy::default();
            assert!(alone.complete(&defaults).1.is_empty());
            for given in [
                GivenPolicy { epochs: Some(1), ..alone },
                GivenPolicy { epochs: Some(1_000_000), ..alone },
                GivenPolicy { lr_min: Some(5.0), ..alone },
                GivenPolicy { lr_max: Some(1e-9), ..alone },
                GivenPolicy { lr_max: Some(0.0), ..alone },
            ] {
                let (policy, notes) = given.complete(&defaults);
                policy.checked().unwrap();
                assert_eq!(notes.len(), 1, "{notes:?}");
            }
        }
    }

    #[test]
    fn a_peak_that_is_not_given_is_at_5_of_24_epochs() {
        let defaults = TrainConfig::defaults(Preset::Full);
        let peak = |epochs, peak_epoch| {
            let given = GivenPolicy { epochs, peak_epoch, ..GivenPolicy::default() };
            given.complete(&defaults).0.peak_epoch
        };
        assert_eq!(peak(None, None), 5.0);
        assert_eq!(peak(Some(24), None), 5.0);
        assert_eq!(peak(Some(48), None), 10.0);
        assert_eq!(peak(Some(1), None), 5.0 / 24.0);
        assert_eq!(peak(Some(1), Some(0.5)), 0.5);
    }
}
