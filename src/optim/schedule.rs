//! Learning rates over a run.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The one-cycle policy of the assignment: linear from `min` to `max` over the first `peak_epoch`
/// epochs, then linear down to `end` at the end of the run. No annihilation phase.
///
/// Source: Smith and Topin, "Super-Convergence" (2018).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OneCycle {
    /// LRMIN, the rate of the first step.
    pub min: f64,
    /// LRMAX, the rate at the peak.
    pub max: f64,
    /// The rate the run falls to.
    pub end: f64,
    /// Epochs from the start to the peak.
    pub peak_epoch: f64,
    /// Epochs of the run.
    pub epochs: f64,
}

impl OneCycle {
    /// The policy, if its numbers make one.
    ///
    /// # Errors
    /// [`Error::Config`] naming the number that does not fit.
    pub fn checked(self) -> Result<OneCycle> {
        let positive = |name: &str, rate: f64| match rate.is_finite() && rate >= 0.0 {
            true => Ok(()),
            false => Err(Error::Config(format!("{name} is {rate}, expected a number that is not negative"))),
        };
        positive("--lr-min", self.min)?;
        positive("--lr-max", self.max)?;
        positive("--lr-end", self.end)?;
        if self.max < self.min {
            return Err(Error::Config(format!(
                "--lr-max is {}, expected at least --lr-min, which is {}",
                self.max, self.min
            )));
        }
        if !(0.0..=self.epochs).contains(&self.peak_epoch) {
            return Err(Error::Config(format!(
                "--peak-epoch is {}, expected 0 to {} (--epochs)",
                self.peak_epoch, self.epochs
            )));
        }
        Ok(self)
    }

    /// The rate `epochs` epochs (a fraction counts) after the start.
    pub fn rate(&self, epochs: f64) -> f64 {
        if epochs < self.peak_epoch {
            let risen = epochs / self.peak_epoch;
            self.min + (self.max - self.min) * risen
        } else {
            let fallen = (epochs - self.peak_epoch) / (self.epochs - self.peak_epoch);
            self.max + (self.end - self.max) * fallen.clamp(0.0, 1.0)
        }
    }
}

/// The triangular cyclic policy: linear from `base` to `max` in `step_size` iterations, linear back in
/// as many, over and over.
///
/// Source: Smith, "Cyclical Learning Rates for Training Neural Networks" (2015).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Triangular {
    /// The lower bound, base_lr.
    pub base: f64,
    /// The upper bound, max_lr.
    pub max: f64,
    /// Iterations in half a cycle.
    pub step_size: f64,
}

impl Triangular {
    /// The policy, if its numbers make one.
    ///
    /// # Errors
    /// [`Error::Config`] naming the number that does not fit.
    pub fn checked(self) -> Result<Triangular> {
        let expected = |flag: &str, value: f64, expected: &str| {
            Err(Error::Config(format!("{flag} is {value}, expected {expected}")))
        };
        if !(self.base.is_finite() && self.base >= 0.0) {
            return expected("--min-lr", self.base, "a number that is not negative");
        }
        if !(self.max.is_finite() && self.max > self.base) {
            return expected("--max-lr", self.max, &format!("more than --min-lr, which is {}", self.base));
        }
        if !(self.step_size.is_finite() && self.step_size > 0.0) {
            return expected("--step-size", self.step_size, "a number above 0");
        }
        Ok(self)
    }

    /// The rate of `iteration`, counted from 0.
    pub fn rate(&self, iteration: f64) -> f64 {
        // How far from the nearest peak, in steps: 1 at a trough, 0 at a peak.
        let from_peak = ((iteration / self.step_size).rem_euclid(2.0) - 1.0).abs();
        self.base + (self.max - self.base) * (1.0 - from_peak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_triangle_has_its_corners_at_multiples_of_the_step_size() {
        let policy = Triangular { base: 0.001, max: 0.006, step_size: 2000.0 };
        for (iteration, rate) in [
            (0.0, 0.001),
            (1000.0, 0.0035),
            (2000.0, 0.006),
            (3000.0, 0.0035),
            (4000.0, 0.001),
            (6000.0, 0.006),
            (9000.0, 0.0035),
        ] {
            assert!((policy.rate(iteration) - rate).abs() < 1e-15, "iteration {iteration}");
        }
        for wrong in [
            Triangular { base: -1.0, ..policy },
            Triangular { max: 0.001, ..policy },
            Triangular { step_size: 0.0, ..policy },
            Triangular { max: f64::NAN, ..policy },
        ] {
            assert!(wrong.checked().is_err(), "{wrong:?}");
        }
    }

    const POLICY: OneCycle = OneCycle { min: 0.01, max: 0.1, end: 0.001, peak_epoch: 5.0, epochs: 24.0 };

    #[test]
    fn passes_through_its_corners() {
        assert_eq!(POLICY.rate(0.0), 0.01);
        assert_eq!(POLICY.rate(5.0), 0.1);
        assert!((POLICY.rate(24.0) - 0.001).abs() < 1e-15);
    }

    #[test]
    fn is_linear_between_them() {
        assert!((POLICY.rate(2.5) - 0.055).abs() < 1e-15);
        assert!((POLICY.rate(14.5) - 0.0505).abs() < 1e-15);
    }

    #[test]
    fn may_peak_at_either_end() {
        assert_eq!(OneCycle { peak_epoch: 0.0, ..POLICY }.rate(0.0), 0.1);
        assert!((OneCycle { peak_epoch: 24.0, ..POLICY }.rate(12.0) - 0.055).abs() < 1e-15);
    }

    #[test]
    fn refuses_what_is_no_policy() {
        assert!(OneCycle { peak_epoch: 25.0, ..POLICY }.checked().is_err());
        assert!(OneCycle { max: 0.001, ..POLICY }.checked().is_err());
        assert!(OneCycle { min: f64::NAN, ..POLICY }.checked().is_err());
        assert!(POLICY.checked().is_ok());
    }
}
