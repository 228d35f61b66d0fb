//! Axes: which numbers stand on them, and where.

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Equal lengths for equal differences.
    Linear,
    /// Equal lengths for equal factors; every number is above 0.
    Logarithmic,
}

/// An axis with its numbers.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it measures, with the unit.
    pub label: String,
    /// The number at its beginning.
    pub low: f64,
    /// The number at its end.
    pub high: f64,
    /// How it is divided.
    pub spacing: Spacing,
    /// The numbers that stand on it.
    pub ticks: Vec<f64>,
}

impl Axis {
    /// A linear axis over exactly `low` to `high`.
    pub fn linear(label: impl Into<String>, low: f64, high: f64) -> Axis {
        // A single value still needs an axis to stand on.
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        let ticks = linear_ticks(low, high, 6);
        Axis { label: label.into(), low, high, spacing: Spacing::Linear, ticks }
    }

    /// A linear axis that has all of `values`, with some room at both ends, but does not go below
    /// zero for values that do not.
    pub fn around(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Axis {
        let finite = values.into_iter().filter(|v| v.is_finite());
        let (low, high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            return Axis::linear(label, 0.0, 1.0);
        }
        let room = 0.06 * (high - low);
        let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        Axis::linear(label, (low - room).max(floor), high + room)
    }

    /// A logarithmic axis over exactly `low` to `high`, both above 0.
    pub fn logarithmic(label: impl Into<String>, low: f64, high: f64) -> Axis {
        let (low, high) = if high > low { (low, high) } else { (low / 2.0, low * 2.0) };
        let ticks = logarithmic_ticks(low, high);
        Axis { label: label.into(), low, high, spacing: Spacing::Logarithmic, ticks }
    }

    /// The axis with whole numbers only on it.
    pub fn whole(mut self) -> Axis {
        self.ticks.retain(|t| t.fract() == 0.0);
        self
    }

    /// How far along the axis `value` is: 0 at its beginning, 1 at its end.
    pub fn position(&self, value: f64) -> f64 {
        match self.spacing {
            Spacing::Linear => (value - self.low) / (self.high - self.low),
            Spacing::Logarithmic => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// The numbers that stand on the axis, as they are written.
    pub fn labels(&self) -> Vec<String> {
        match self.spacing {
            Spacing::Linear => {
                let step = self.ticks.windows(2).map(|t| t[1] - t[0]).fold(f64::INFINITY, f64::min);
                // As many decimals as tell neighbours apart.
                let decimals = if step.is_finite() { (-step.log10().floor()).clamp(0.0, 8.0) } else { 2.0 };
                self.ticks.iter().map(|t| format!("{t:.*}", decimals as usize)).collect()
            }
            Spacing::Logarithmic => self.ticks.iter().map(|&t| rate(t)).collect(),
        }
    }
}

/// A learning rate as it is written: 0.0123, and 3·10⁻⁵ where zeros would hide it.
pub fn rate(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let exponent = value.abs().log10().floor() as i32;
    if (-4..4).contains(&exponent) {
        // Three digits, without zeros at the end.
        let text = format!("{value:.*}", (2 - exponent).max(0) as usize);
        return match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').into(),
            false => text,
        };
    }
    let digits = rate(value / 10f64.powi(exponent));
    let power: String = exponent.to_string().chars().map(superscript).collect();
    if digits == "1" { format!("10{power}") } else { format!("{digits}·10{power}") }
}

fn superscript(c: char) -> char {
    match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4'..='9' => char::from_u32('⁴' as u32 + (c as u32 - '4' as u32)).unwrap_or(c),
        _ => '⁰',
    }
}

/// At most about `most` multiples of 1, 2 or 5 times a power of ten, within `low` to `high`.
fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let rough = (high - low) / most as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    // A product and no running sum: 0.3 is to be 0.3. Adding 0 turns -0 into 0.
    (first..=last).map(|i| i as f64 * step + 0.0).collect()
}

/// The powers of ten within `low` to `high`, and their double and fivefold where there are few.
fn logarithmic_ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = (high / low).log10();
    let within: &[f64] = if decades < 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    (first..=last)
        .flat_map(|e| within.iter().map(move |m| m * 10f64.powi(e)))
        .filter(|t| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(t))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(Axis::linear("", 0.0, 24.0).ticks, [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(Axis::linear("", 0.0, 0.045).labels(), ["0.00", "0.01", "0.02", "0.03", "0.04"]);
        assert_eq!(Axis::linear("", -1.0, 1.0).labels(), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(Axis::linear("", 1.0, 3.0).whole().labels(), ["1", "2", "3"]);
        assert_eq!(Axis::logarithmic("", 1e-3, 1.0).labels(), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(Axis::logarithmic("", 1e-2, 1e-1).labels(), ["0.01", "0.02", "0.05", "0.1"]);
    }

    #[test]
    fn rates_are_short() {
        for (value, text) in [
            (0.01, "0.01"),
            (0.012345, "0.0123"),
            (1.0, "1"),
            (250.0, "250"),
            (1e-5, "10⁻⁵"),
            (2.5e-6, "2.5·10⁻⁶"),
            (1e-10, "10⁻¹⁰"),
            (0.0, "0"),
        ] {
            assert_eq!(rate(value), text);
        }
    }

    #[test]
    fn an_axis_begins_at_0_and_ends_at_1() {
        for axis in [Axis::linear("", 2.0, 6.0), Axis::logarithmic("", 1e-4, 1e-2)] {
            assert_eq!((axis.position(axis.low), axis.position(axis.high)), (0.0, 1.0));
        }
        assert_eq!(Axis::linear("", 2.0, 6.0).position(3.0), 0.25);
        assert!((Axis::logarithmic("", 1e-4, 1e-2).position(1e-3) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn any_values_have_an_axis() {
        assert_eq!(Axis::around("", []).position(1.0), 1.0);
        assert_eq!(Axis::around("", [f64::NAN, 3.0]).position(3.0), 0.5);
        assert_eq!(Axis::around("", [0.0, 1.0]).low, 0.0);
    }
}
