//! The learning-rate range test: train a little at ever higher rates, and see where it goes well.
//!
//! The rates that it suggests follow from three readings of the curves, all over smoothed values:
//!
//! - *steepest descent*: the rate at which the loss falls fastest for a factor of the rate, once it is
//!   below that of guessing (before, the network only unlearns the confidence of its random weights);
//! - *plateau*: the first rate at which the accuracy has done 95% of its rise;
//! - *a tenth of the minimum*: a tenth of the rate at which the loss is lowest, since at the minimum
//!   itself the rise has begun.
//!
//! Only the part of the curve before the loss first rises clearly counts: a fall after that is a recovery.
//!
//! LRMAX is half way, by factors, from the steepest descent to the plateau: where learning is fastest a
//! peak wastes the run's best epochs, where it ends the peak is one that a few steps survive but not an
//! epoch. LRMIN is a tenth of the minimum, or LRMAX if that is less. Both have two digits: the test knows no
//! more. `scripts/lr-sweep` holds LRMAX to the best of a sweep of trainings.
//!
//! Source: Smith, "Cyclical Learning Rates for Training Neural Networks" (2015), section 3.3; the
//! tenth is that of Smith, "A disciplined approach to neural network hyper-parameters" (2018).

use crate::data::CLASSES;
use crate::error::{Error, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// How the rate rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Rise {
    /// By the same factor each step.
    Exponential,
    /// By the same amount each step.
    Linear,
}

/// A range test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangeTest {
    /// The rate of the first step.
    pub from: f64,
    /// The rate of the last step.
    pub to: f64,
    /// Steps, if the loss does not diverge before.
    pub steps: usize,
    /// How the rate rises.
    pub rise: Rise,
    /// The share of the past in a smoothed value, 0 for none.
    pub smoothing: f64,
    /// The test ends when the smoothed loss is above so many times its lowest.
    pub diverged: f64,
}

impl Default for RangeTest {
    fn default() -> RangeTest {
        RangeTest { from: 1e-4, to: 1.0, steps: 300, rise: Rise::Exponential, smoothing: 0.95, diverged: 4.0 }
    }
}

/// One step of a range test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The learning rate.
    pub lr: f64,
    /// The mean loss of the step's images, before the update.
    pub loss: f64,
    /// The loss, smoothed.
    pub smoothed_loss: f64,
    /// The share of the step's images classified right, smoothed.
    pub smoothed_accuracy: f64,
}

/// What a range test found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sweep {
    /// Its settings.
    pub test: RangeTest,
    /// Its steps, those with a finite loss.
    pub samples: Vec<Sample>,
    /// Whether it ended because the loss diverged.
    pub diverged: bool,
}

/// The rates that a range test suggests, and the readings they follow from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// LRMIN: a tenth of the minimum, at most LRMAX.
    pub lr_min: f64,
    /// LRMAX: half way, by factors, from the steepest descent to the plateau.
    pub lr_max: f64,
    /// Where the loss falls fastest.
    pub steepest_descent: f64,
    /// A tenth of the rate at which the loss is lowest.
    pub tenth_of_minimum: f64,
    /// Where the accuracy stops rising.
    pub plateau: f64,
    /// Where the loss is lowest.
    pub minimum: f64,
}

/// The smoothed loss is unstable when it is above so many times its lowest.
const UNSTABLE: f64 = 1.15;

/// Steps that a suggestion needs at least.
const LEAST_SAMPLES: usize = 10;

impl RangeTest {
    /// The test, if its numbers make one.
    ///
    /// # Errors
    /// [`Error::Config`] naming the flag, what it is and what was expected.
    pub fn checked(self) -> Result<RangeTest> {
        let ok = |holds: bool, flag: &str, value: f64, expected: &str| match holds {
            true => Ok(()),
            false => Err(Error::Config(format!("{flag} is {value}, expected {expected}"))),
        };
        ok(self.from.is_finite() && self.from > 0.0, "--from", self.from, "a number above 0")?;
        let above = format!("more than --from, which is {}", self.from);
        ok(self.to.is_finite() && self.to > self.from, "--to", self.to, &above)?;
        let least = format!("at least {LEAST_SAMPLES}");
        ok(self.steps >= LEAST_SAMPLES, "--steps", self.steps as f64, &least)?;
        let share = "at least 0 and less than 1";
        ok((0.0..1.0).contains(&self.smoothing), "--smoothing", self.smoothing, share)?;
        ok(self.diverged > 1.0, "--diverged", self.diverged, "more than 1")?;
        Ok(self)
    }

    /// The rate of step `i`, counted from 0.
    pub fn rate(&self, i: usize) -> f64 {
        let share = i as f64 / (self.steps - 1).max(1) as f64;
        match self.rise {
            Rise::Exponential => self.from * (self.to / self.from).powf(share),
            Rise::Linear => self.from + (self.to - self.from) * share,
        }
    }

    /// Runs the test: `step` trains one step at a rate and returns its mean loss and the share of its
    /// images classified right.
    ///
    /// # Errors
    /// What `step` reports.
    pub fn run(&self, mut step: impl FnMut(usize, f64) -> Result<(f64, f64)>) -> Result<Sweep> {
        let mut samples = Vec::new();
        let (mut loss_mean, mut accuracy_mean) = (Mean::new(self.smoothing), Mean::new(self.smoothing));
        let mut lowest = f64::INFINITY;
        for i in 0..self.steps {
            let lr = self.rate(i);
            let (loss, accuracy) = step(i, lr)?;
            if !loss.is_finite() {
                return Ok(Sweep { test: *self, samples, diverged: true });
            }
            let (smoothed_loss, smoothed_accuracy) = (loss_mean.add(loss), accuracy_mean.add(accuracy));
            samples.push(Sample { lr, loss, smoothed_loss, smoothed_accuracy });
            lowest = lowest.min(smoothed_loss);
            if smoothed_loss > self.diverged * lowest {
                return Ok(Sweep { test: *self, samples, diverged: true });
            }
        }
        Ok(Sweep { test: *self, samples, diverged: false })
    }
}

/// An exponential moving average, corrected for its start at zero.
struct Mean {
    keep: f64,
    sum: f64,
    weight: f64,
}

impl Mean {
    fn new(keep: f64) -> Mean {
        Mean { keep, sum: 0.0, weight: 0.0 }
    }

    /// The mean with `value`.
    fn add(&mut self, value: f64) -> f64 {
        self.sum = self.keep * self.sum + (1.0 - self.keep) * value;
        self.weight = self.keep * self.weight + (1.0 - self.keep);
        self.sum / self.weight
    }
}

impl Sweep {
    /// The samples before the smoothed loss first stood clearly above its lowest. What comes later is
    /// training from wherever that threw the weights: a recovery there is no descent.
    fn stable(&self) -> &[Sample] {
        let mut lowest = f64::INFINITY;
        let end = self.samples.iter().position(|s| {
            lowest = lowest.min(s.smoothed_loss);
            s.smoothed_loss > UNSTABLE * lowest
        });
        &self.samples[..end.unwrap_or(self.samples.len())]
    }

    /// The suggested rates, by the rules in the [module's](self) description.
    ///
    /// # Errors
    /// [`Error::Config`] when the test ended too early or the loss never fell.
    pub fn suggest(&self) -> Result<Suggestion> {
        let no = |why: String| {
            Err(Error::Config(format!(
                "the range test from {} to {} suggests no learning rate: {why}",
                self.test.from, self.test.to
            )))
        };
        let samples = self.stable();
        if samples.len() < LEAST_SAMPLES {
            return no(format!(
                "the loss rose after {} steps, expected at least {LEAST_SAMPLES}; lower --from",
                samples.len()
            ));
        }
        let lowest = first_max(samples.iter().map(|s| -s.smoothed_loss));
        if lowest < 2 {
            return no("the loss only rose; lower --from, or raise --steps".into());
        }
        let guessing = (CLASSES as f64).ln();
        let learns = samples.iter().position(|s| s.smoothed_loss < guessing);
        let begin = learns.filter(|&i| i < lowest).unwrap_or(0).max(1);
        // The slope over two steps at each inner sample up to the minimum, per factor of the rate.
        let slopes = (begin..lowest).map(|i| {
            let (before, after) = (&samples[i - 1], &samples[i + 1]);
            (before.smoothed_loss - after.smoothed_loss) / (after.lr / before.lr).ln()
        });
        let steepest = begin + first_max(slopes);
        let first = samples[0].smoothed_accuracy;
        let best = samples.iter().map(|s| s.smoothed_accuracy).fold(first, f64::max);
        let risen = first + 0.95 * (best - first);
        let plateau = samples.iter().position(|s| s.smoothed_accuracy >= risen).unwrap_or(lowest);
        let minimum = samples[lowest].lr;
        let (steepest_descent, plateau) = (samples[steepest].lr, samples[plateau].lr);
        let lr_max = two_digits((steepest_descent * plateau).sqrt());
        Ok(Suggestion {
            lr_min: two_digits(minimum / 10.0).min(lr_max),
            lr_max,
            steepest_descent,
            tenth_of_minimum: minimum / 10.0,
            plateau,
            minimum,
        })
    }
}

/// `rate` with two digits.
fn two_digits(rate: f64) -> f64 {
    let unit = 10f64.powf(1.0 - rate.log10().floor());
    (rate * unit).round() / unit
}

/// The position of the largest value, the first of equals.
fn first_max(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (i, value) in values.enumerate() {
        if value > best.1 {
            best = (i, value);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: RangeTest =
        RangeTest { from: 1e-4, to: 1.0, steps: 81, rise: Rise::Exponential, smoothing: 0.0, diverged: 4.0 };

    /// A loss that falls by a sigmoid centred at 10⁻², and rises steeply from 10⁻¹ on.
    fn synthetic(lr: f64) -> (f64, f64) {
        let x = lr.log10();
        let fallen = 1.0 / (1.0 + (-4.0 * (x + 2.0)).exp());
        (2.3 - 1.5 * fallen + if x > -1.0 { 20.0 * (x + 1.0) } else { 0.0 }, 0.1 + 0.5 * fallen)
    }

    #[test]
    fn rates_rise_from_end_to_end() {
        assert_eq!(TEST.rate(0), 1e-4);
        assert!((TEST.rate(40) - 1e-2).abs() < 1e-12);
        assert!((TEST.rate(80) - 1.0).abs() < 1e-12);
        let linear = RangeTest { rise: Rise::Linear, from: 0.1, to: 0.9, ..TEST };
        assert!((linear.rate(40) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn reads_a_known_curve_by_its_rules() {
        let sweep = TEST.run(|_, lr| Ok(synthetic(lr))).unwrap();
        let found = sweep.suggest().unwrap();
        let near = |found: f64, expected: f64| {
            assert!((found / expected).ln().abs() < 0.13, "{found}, expected {expected} or a step beside it");
        };
        near(found.steepest_descent, 1e-2);
        near(found.minimum, 1e-1);
        near(found.tenth_of_minimum, 1e-2);
        // The accuracy has done 95% of its rise where ln(0.95 / 0.05) = 4 (x + 2).
        near(found.plateau, 10f64.powf(-2.0 + 19f64.ln() / 4.0));
        assert_eq!(found.lr_max, two_digits((found.steepest_descent * found.plateau).sqrt()));
        assert_eq!(found.lr_min, two_digits(found.minimum / 10.0));
    }

    #[test]
    fn a_recovery_is_no_descent() {
        // The synthetic curve up to its rise; then the loss falls again, lower than ever, at huge rates.
        let curve = |lr: f64| match lr < 0.2 {
            true => synthetic(lr),
            false => (0.5, 0.9),
        };
        let calm = TEST.run(|_, lr| Ok(synthetic(lr))).unwrap().suggest().unwrap();
        let wild = TEST.run(|_, lr| Ok(curve(lr))).unwrap().suggest().unwrap();
        assert_eq!(wild, calm);
    }

    #[test]
    fn the_fall_towards_guessing_is_no_descent() {
        // From 4 steeply down to 2.31 by 10⁻³, then gently, steepest at 10⁻², as if it learned.
        let loss = |lr: f64| {
            let x = lr.log10();
            synthetic(lr).0 + 0.01 + if x < -3.0 { 1.7 * (-3.0 - x) } else { 0.0 }
        };
        let sweep = TEST.run(|_, lr| Ok((loss(lr), synthetic(lr).1))).unwrap();
        let found = sweep.suggest().unwrap().steepest_descent;
        assert!((found / 1e-2).ln().abs() < 0.13, "{found}");
    }

    #[test]
    fn rates_are_rounded_to_two_digits() {
        for (rate, rounded) in [(0.012345, 0.012), (0.067, 0.067), (1.25e-5, 1.3e-5), (0.0996, 0.1)] {
            assert!((two_digits(rate) / rounded - 1.0).abs() < 1e-12, "{rate}: {}", two_digits(rate));
        }
    }

    #[test]
    fn stops_on_divergence() {
        let mut calls = 0;
        let sweep = TEST
            .run(|_, lr| {
                calls += 1;
                Ok(synthetic(lr))
            })
            .unwrap();
        assert!(sweep.diverged && calls < TEST.steps);
        let last = sweep.samples.last().unwrap();
        assert!(last.smoothed_loss > 4.0 * 0.8, "ended at {}", last.smoothed_loss);

        let nan = TEST.run(|i, _| Ok((if i < 20 { 2.0 } else { f64::NAN }, 0.1))).unwrap();
        assert!(nan.diverged);
        assert_eq!(nan.samples.len(), 20);
    }

    #[test]
    fn the_smoothed_loss_is_corrected_for_its_start() {
        let mut mean = Mean::new(0.9);
        assert!((mean.add(2.0) - 2.0).abs() < 1e-15);
        // (0.9 * 0.1 * 2 + 0.1 * 4) / (1 - 0.9²)
        assert!((mean.add(4.0) - 0.58 / 0.19).abs() < 1e-12);
    }

    #[test]
    fn says_why_it_suggests_nothing() {
        let rises = TEST.run(|i, _| Ok((2.0 + 0.01 * i as f64, 0.1))).unwrap();
        assert!(rises.suggest().unwrap_err().to_string().contains("only rose"));
        let short = TEST.run(|i, _| Ok((if i < 3 { 2.0 } else { f64::INFINITY }, 0.1))).unwrap();
        assert!(short.suggest().unwrap_err().to_string().contains("after 3 steps"));
    }

    #[test]
    fn refuses_what_is_no_test() {
        for wrong in [
            RangeTest { from: 0.0, ..TEST },
            RangeTest { to: 1e-5, ..TEST },
            RangeTest { steps: 9, ..TEST },
            RangeTest { smoothing: 1.0, ..TEST },
            RangeTest { diverged: f64::NAN, ..TEST },
        ] {
            assert!(wrong.checked().is_err(), "{wrong:?}");
        }
        assert!(TEST.checked().is_ok());
    }
}
