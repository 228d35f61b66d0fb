//! What kernels print: `vprintf` and the text of failed assertions.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Mutex;

/// Bytes that one block may print; what comes after is left out, as a GPU's buffer leaves it out.
const MAX_PRINTED: usize = 1 << 20;

/// What the blocks of a launch have printed, by their linear index.
#[derive(Debug, Default)]
pub(crate) struct Printed(Mutex<BTreeMap<u64, String>>);

impl Printed {
    /// Add `text` to what `block` has printed; false if there is no room for it.
    pub fn add(&self, block: u64, text: &str) -> bool {
        let mut blocks = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let printed = blocks.entry(block).or_default();
        let fits = printed.len() + text.len() <= MAX_PRINTED;
        if fits {
            printed.push_str(text);
        }
        fits
    }

    /// What the blocks up to `last` have printed, in their order.
    pub fn until(&self, last: u64) -> String {
        let blocks = self.0.lock().unwrap_or_else(|e| e.into_inner());
        blocks.range(..=last).map(|(_, text)| text.as_str()).collect()
    }
}

/// Where the arguments of a format come from.
pub(crate) trait Arguments {
    type Error;
    /// The next argument, of 4 or 8 bytes at a multiple of its size.
    fn next(&mut self, bytes: usize) -> Result<u64, Self::Error>;
    /// The text at an address.
    fn text(&mut self, address: u64) -> Result<Vec<u8>, Self::Error>;
}

/// One conversion of a format, such as `%-08.3lf`.
#[derive(Default)]
struct Conversion {
    left: bool,
    plus: bool,
    space: bool,
    alternative: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    long: bool,
}

/// Format as C's `printf` does; `%n` and wide characters print nothing.
pub(crate) fn format<A: Arguments>(format: &[u8], arguments: &mut A) -> Result<String, A::Error> {
    let mut out = Vec::new();
    let mut rest = format.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut c = Conversion::default();
        while let Some(&flag) = rest.peek() {
            match flag {
                b'-' => c.left = true,
                b'+' => c.plus = true,
                b' ' => c.space = true,
                b'#' => c.alternative = true,
                b'0' => c.zero = true,
                _ => break,
            }
            rest.next();
        }
        let width = number(&mut rest, arguments)?;
        c.left |= width < 0;
        c.width = width.unsigned_abs().min(4096) as usize;
        if rest.next_if_eq(&b'.').is_some() {
            c.precision = usize::try_from(number(&mut rest, arguments)?).ok().map(|p| p.min(4096));
        }
        while let Some(modifier) = rest.next_if(|b| b"hlLqjzt".contains(b)) {
            c.long |= b"lqjzt".contains(&modifier);
        }
        match rest.next() {
            Some(b'%') => out.push(b'%'),
            Some(kind) => c.print(kind, arguments, &mut out)?,
            None => out.push(b'%'),
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// A width or precision: digits, or `*` for the next argument.
fn number<A: Arguments>(
    rest: &mut Peekable<impl Iterator<Item = u8>>,
    arguments: &mut A,
) -> Result<i32, A::Error> {
    if rest.next_if_eq(&b'*').is_some() {
        return Ok(arguments.next(4)? as i32);
    }
    let mut value = 0i32;
    while let Some(digit) = rest.next_if(u8::is_ascii_digit) {
        value = value.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
    }
    Ok(value)
}

impl Conversion {
    fn print<A: Arguments>(&self, kind: u8, arguments: &mut A, out: &mut Vec<u8>) -> Result<(), A::Error> {
        let bytes = if self.long { 8 } else { 4 };
        match kind {
            b'd' | b'i' => {
                let bits = arguments.next(bytes)?;
                let value = if self.long { bits as i64 } else { i64::from(bits as i32) };
                self.number(value < 0, "", &self.digits(value.unsigned_abs().to_string()), out);
            }
            b'u' => self.unsigned("", &arguments.next(bytes)?.to_string(), out),
            b'x' | b'X' | b'o' => {
                let bits = arguments.next(bytes)?;
                let (prefix, digits) = match kind {
                    b'x' => ("0x", format!("{bits:x}")),
                    b'X' => ("0X", format!("{bits:X}")),
                    _ => ("0", format!("{bits:o}")),
                };
                self.unsigned(if self.alternative && bits != 0 { prefix } else { "" }, &digits, out);
            }
            b'p' => self.pad(format!("0x{:x}", arguments.next(8)?).as_bytes(), out),
            b'c' => self.pad(&[arguments.next(4)? as u8], out),
            b's' => {
                let address = arguments.next(8)?;
                let text = if address == 0 { b"(null)".to_vec() } else { arguments.text(address)? };
                self.pad(&text[..text.len().min(self.precision.unwrap_or(usize::MAX))], out);
            }
            b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A' => {
                let value = f64::from_bits(arguments.next(8)?);
                let text = self.float(kind.to_ascii_lowercase(), value.abs());
                let text = if kind.is_ascii_uppercase() { text.to_uppercase() } else { text };
                let unpadded = Self { zero: self.zero && value.is_finite(), precision: None, ..*self };
                unpadded.number(value.is_sign_negative() && !value.is_nan(), "", &text, out);
            }
            _ => {
                arguments.next(bytes)?;
            }
        }
        Ok(())
    }

    fn digits(&self, digits: String) -> String {
        format!("{digits:0>width$}", width = self.precision.unwrap_or(1))
    }

    fn unsigned(&self, prefix: &str, digits: &str, out: &mut Vec<u8>) {
        let unsigned = Self { plus: false, space: false, ..*self };
        unsigned.number(false, prefix, &self.digits(digits.to_owned()), out);
    }

    /// A number with its sign, in its field.
    fn number(&self, negative: bool, prefix: &str, digits: &str, out: &mut Vec<u8>) {
        let sign = match (negative, self.plus, self.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        let length = sign.len() + prefix.len() + digits.len();
        let zeros = if self.zero && !self.left && self.precision.is_none() {
            self.width.saturating_sub(length)
        } else {
            0
        };
        self.pad(format!("{sign}{prefix}{}{digits}", "0".repeat(zeros)).as_bytes(), out);
    }

    fn pad(&self, text: &[u8], out: &mut Vec<u8>) {
        let blanks = vec![b' '; self.width.saturating_sub(text.len())];
        let (first, second) = if self.left { (text, &blanks[..]) } else { (&blanks[..], text) };
        out.extend_from_slice(first);
        out.extend_from_slice(second);
    }

    /// A magnitude as `%f`, `%e`, `%g` or `%a` has it.
    fn float(&self, kind: u8, value: f64) -> String {
        let precision = self.precision.unwrap_or(6);
        match kind {
            _ if value.is_nan() => "nan".into(),
            _ if value.is_infinite() => "inf".into(),
            b'f' => format!("{value:.precision$}"),
            b'e' => exponential(value, precision),
            b'g' => {
                let digits = precision.max(1);
                let text = exponential(value, digits - 1);
                let exponent: i32 = text.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
                let scientific = exponent < -4 || exponent >= digits as i32;
                let text = if scientific {
                    text
                } else {
                    format!("{value:.*}", (digits as i32 - 1 - exponent).max(0) as usize)
                };
                if self.alternative { text } else { without_zeros(&text) }
            }
            _ => hexadecimal(value),
        }
    }
}

/// `1.5e+00`
fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// Without the zeros at the end of a fraction.
fn without_zeros(text: &str) -> String {
    let (mantissa, exponent) = text.split_at(text.find('e').unwrap_or(text.len()));
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    format!("{mantissa}{exponent}")
}

/// `0x1.8p+0`
fn hexadecimal(value: f64) -> String {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
    let (lead, exponent) = match (exponent, fraction) {
        (0, 0) => (0, 0),
        (0, _) => (0, -1022),
        _ => (1, exponent - 1023),
    };
    let digits = format!("{fraction:013x}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("0x{lead}{point}{digits}p{exponent:+}")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct List(Vec<u64>);

    impl Arguments for List {
        type Error = ();
        fn next(&mut self, bytes: usize) -> Result<u64, ()> {
            let value = self.0.remove(0);
            Ok(if bytes == 4 { value & 0xffff_ffff } else { value })
        }
        fn text(&mut self, _: u64) -> Result<Vec<u8>, ()> {
            Ok(b"text".to_vec())
        }
    }

    #[test]
    fn formats_as_c_does() {
        let double = |x: f64| x.to_bits();
        for (text, arguments, wanted) in [
            ("%d|%5d|%-5d|%05d|%+d", vec![-7i64 as u64, 42, 42, -42i64 as u64, 3], "-7|   42|42   |-0042|+3"),
            ("%u %lu %lld", vec![u64::MAX, u64::MAX, u64::MAX], "4294967295 18446744073709551615 -1"),
            ("%x %#X %o %#x %.4x", vec![255, 255, 8, 0, 5], "ff 0XFF 10 0 0005"),
            (
                "%f %.2f %8.3f|%-9.1f|%08.2f",
                [1.5, 2.005, -7.14159, 2.25, -1.5].map(double).to_vec(),
                "1.500000 2.00   -7.142|2.2      |-0001.50",
            ),
            (
                "%e %.1E %g %g %g",
                [12345.678, 0.00012, 0.0001, 1e-5, 1e6].map(double).to_vec(),
                "1.234568e+04 1.2E-04 0.0001 1e-05 1e+06",
            ),
            (
                "%g %g %a %f %F",
                [100.0, 0.1, 1.5, f64::NAN, f64::NEG_INFINITY].map(double).to_vec(),
                "100 0.1 0x1.8p+0 nan -INF",
            ),
            ("%s|%6s|%-6s|%.2s|%c%%|%p", vec![1, 1, 1, 1, 65, 0x7f00], "text|  text|text  |te|A%|0x7f00"),
            ("%*d|%.*f|%s", vec![4, 9, 1, double(0.25), 0], "   9|0.2|(null)"),
            ("100%", vec![], "100%"),
        ] {
            assert_eq!(format(text.as_bytes(), &mut List(arguments)).as_deref(), Ok(wanted), "{text}");
        }
    }
}
