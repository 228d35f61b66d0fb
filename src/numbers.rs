//! Numbers as a person reads them.

/// A number with its thousands apart: 6,574,090.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A length of time: 4.2 s, 80 s, 12 min 5 s, 3 h 20 min.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..120 => format!("{whole} s"),
        120..7200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A share in per cent with two decimals: 96.80%.
pub fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1000, 6_574_090].map(thousands), ["0", "999", "1,000", "6,574,090"]);
        assert_eq!(
            [0.04, 9.96, 80.4, 725.0, 12_000.0].map(duration),
            ["0.0 s", "10 s", "80 s", "12 min 5 s", "3 h 20 min"]
        );
        assert_eq!([0.968, 1.0].map(percent), ["96.80%", "100.00%"]);
    }
}
