//! Floating-point arithmetic in software: any format up to f64, any rounding, exactly.
//!
//! Used where the CPU has no instruction for it: half precision, directed rounding, conversions.

/// PTX's rounding modes.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    NearestEven,
    NearestAway,
    Zero,
    Down,
    Up,
}

/// A binary floating-point format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub exponent_bits: u32,
    pub mantissa_bits: u32,
    /// Whether the highest exponent means infinity and NaN; without, only all ones is NaN.
    infinities: bool,
}

const fn format(exponent_bits: u32, mantissa_bits: u32) -> Format {
    Format { exponent_bits, mantissa_bits, infinities: true }
}

pub(crate) const E4M3_FORMAT: Format = Format { infinities: false, ..format(4, 3) };
pub(crate) const E5M2_FORMAT: Format = format(5, 2);
pub(crate) const F16_FORMAT: Format = format(5, 10);
pub(crate) const BF16_FORMAT: Format = format(8, 7);
pub(crate) const TF32_FORMAT: Format = format(8, 10);
pub(crate) const F32_FORMAT: Format = format(8, 23);
pub(crate) const F64_FORMAT: Format = format(11, 52);

/// IEEE half precision, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct F16(pub u16);

/// bfloat16, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bf16(pub u16);

/// A number taken apart. A finite one is `significand * 2^(exponent - 126)`, its leading one at bit 126.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Nan,
    Infinity { negative: bool },
    Zero { negative: bool },
    Finite { negative: bool, exponent: i32, significand: u128 },
}

const TOP: u32 = 126;

impl Format {
    fn bias(self) -> i32 {
        (1 << (self.exponent_bits - 1)) - 1
    }

    /// Width, with the sign.
    pub fn bits(self) -> u32 {
        1 + self.exponent_bits + self.mantissa_bits
    }

    /// What is beyond the largest finite number: infinity, or NaN where there is none.
    fn infinity(self) -> u64 {
        if self.infinities { ((1 << self.exponent_bits) - 1) << self.mantissa_bits } else { self.nan() }
    }

    /// The NaN that PTX arithmetic produces.
    pub fn nan(self) -> u64 {
        (1 << (self.bits() - 1)) - 1
    }

    /// The largest finite number.
    pub fn largest(self) -> u64 {
        self.infinity() - 1
    }

    /// Take `bits` apart.
    pub fn unpack(self, bits: u64) -> Number {
        let negative = bits >> (self.bits() - 1) & 1 == 1;
        let exponent = (bits >> self.mantissa_bits) as i32 & ((1 << self.exponent_bits) - 1);
        let mantissa = bits & ((1 << self.mantissa_bits) - 1);
        if bits & self.nan() >= self.infinity() {
            return if self.infinities && mantissa == 0 {
                Number::Infinity { negative }
            } else {
                Number::Nan
            };
        }
        let implicit = u64::from(exponent != 0) << self.mantissa_bits;
        let scale = exponent.max(1) - self.bias() - self.mantissa_bits as i32;
        Number::scaled(negative, u128::from(mantissa | implicit), scale)
    }

    /// Round `number` into this format.
    pub fn pack(self, number: Number, rounding: Rounding) -> u64 {
        let sign = |negative: bool| u64::from(negative) << (self.bits() - 1);
        let (negative, exponent, significand) = match number {
            Number::Nan => return self.nan(),
            Number::Infinity { negative } => return sign(negative) | self.infinity(),
            Number::Zero { negative } => return sign(negative),
            Number::Finite { negative, exponent, significand } => (negative, exponent, significand),
        };
        let smallest = 1 - self.bias();
        let below = (smallest - exponent).max(0) as u32;
        let shift = TOP - self.mantissa_bits + below;
        let (kept, half, rest) = if shift > 127 {
            (0, false, true)
        } else {
            let half = 1u128 << (shift - 1);
            ((significand >> shift) as u64, significand & half != 0, significand & (half - 1) != 0)
        };
        let up = match rounding {
            Rounding::NearestEven => half && (rest || kept & 1 == 1),
            Rounding::NearestAway => half,
            Rounding::Zero => false,
            Rounding::Down => negative && (half || rest),
            Rounding::Up => !negative && (half || rest),
        };
        // A carry out of the mantissa moves into the exponent field, which is what it should do.
        let field = (exponent.max(smallest) - smallest) as u64;
        let magnitude = (field << self.mantissa_bits) + kept + u64::from(up);
        let highest = self.bias() + i32::from(!self.infinities);
        let overflows = exponent > highest || magnitude >= self.infinity();
        if !overflows {
            return sign(negative) | magnitude;
        }
        let to_largest = match rounding {
            Rounding::NearestEven | Rounding::NearestAway => false,
            Rounding::Zero => true,
            Rounding::Down => !negative,
            Rounding::Up => negative,
        };
        sign(negative) | if to_largest { self.largest() } else { self.infinity() }
    }
}

/// Shift right, a lost one staying as the lowest bit.
fn shift_right_jam(value: u128, by: u32) -> u128 {
    if by == 0 {
        value
    } else if by > 127 {
        u128::from(value != 0)
    } else {
        value >> by | u128::from(value & ((1 << by) - 1) != 0)
    }
}

impl Number {
    /// `value * 2^scale`; `value` below 2^127.
    pub fn scaled(negative: bool, value: u128, scale: i32) -> Self {
        if value == 0 {
            return Number::Zero { negative };
        }
        let up = value.leading_zeros() as i32 - 1;
        Number::Finite { negative, exponent: scale + TOP as i32 - up, significand: value << up }
    }

    pub fn from_f64(value: f64) -> Self {
        F64_FORMAT.unpack(value.to_bits())
    }

    pub fn is_negative(self) -> bool {
        match self {
            Number::Nan => false,
            Number::Infinity { negative } | Number::Zero { negative } | Number::Finite { negative, .. } => {
                negative
            }
        }
    }

    /// The exact product of two numbers of at most 53 bits each.
    pub fn multiply(self, other: Self) -> Self {
        use Number::*;
        let negative = self.is_negative() != other.is_negative();
        match (self, other) {
            (Nan, _) | (_, Nan) | (Infinity { .. }, Zero { .. }) | (Zero { .. }, Infinity { .. }) => Nan,
            (Infinity { .. }, _) | (_, Infinity { .. }) => Infinity { negative },
            (Zero { .. }, _) | (_, Zero { .. }) => Zero { negative },
            (Finite { exponent: ea, significand: sa, .. }, Finite { exponent: eb, significand: sb, .. }) => {
                let product = (sa >> 63) * (sb >> 63);
                let carry = product >> 127 != 0;
                Finite {
                    negative,
                    exponent: ea + eb + i32::from(carry),
                    significand: if carry { product >> 1 } else { product },
                }
            }
        }
    }

    /// The sum, exact but for a sticky lowest bit far below any format's last place.
    pub fn add(self, other: Self, rounding: Rounding) -> Self {
        use Number::*;
        let opposite_zero = Zero { negative: rounding == Rounding::Down };
        match (self, other) {
            (Nan, _) | (_, Nan) => Nan,
            (Infinity { negative: a }, Infinity { negative: b }) => {
                if a == b {
                    self
                } else {
                    Nan
                }
            }
            (Infinity { .. }, _) => self,
            (_, Infinity { .. }) => other,
            (Zero { negative: a }, Zero { negative: b }) => {
                if a == b {
                    self
                } else {
                    opposite_zero
                }
            }
            (Zero { .. }, _) => other,
            (_, Zero { .. }) => self,
            (
                Finite { negative: na, exponent: ea, significand: sa },
                Finite { negative: nb, exponent: eb, significand: sb },
            ) => {
                if (ea, sa) < (eb, sb) {
                    return other.add(self, rounding);
                }
                let small = shift_right_jam(sb, (ea - eb) as u32);
                if na == nb {
                    let sum = sa + small;
                    let carry = sum >> 127 != 0;
                    let significand = if carry { shift_right_jam(sum, 1) } else { sum };
                    return Finite { negative: na, exponent: ea + i32::from(carry), significand };
                }
                let difference = sa - small;
                if difference == 0 {
                    return opposite_zero;
                }
                let up = difference.leading_zeros() - 1;
                Finite { negative: na, exponent: ea - up as i32, significand: difference << up }
            }
        }
    }
}

/// `a * b + c` in one rounding, all in `format`.
pub(crate) fn fma(format: Format, a: u64, b: u64, c: u64, rounding: Rounding) -> u64 {
    let product = format.unpack(a).multiply(format.unpack(b));
    format.pack(product.add(format.unpack(c), rounding), rounding)
}

/// `a + b` in `format`.
pub(crate) fn add(format: Format, a: u64, b: u64, rounding: Rounding) -> u64 {
    format.pack(format.unpack(a).add(format.unpack(b), rounding), rounding)
}

/// `a * b` in `format`.
pub(crate) fn multiply(format: Format, a: u64, b: u64, rounding: Rounding) -> u64 {
    format.pack(format.unpack(a).multiply(format.unpack(b)), rounding)
}

/// `a / b` in `format`.
pub(crate) fn divide(format: Format, a: u64, b: u64, rounding: Rounding) -> u64 {
    use Number::*;
    let (a, b) = (format.unpack(a), format.unpack(b));
    let negative = a.is_negative() != b.is_negative();
    let quotient = match (a, b) {
        (Nan, _) | (_, Nan) | (Infinity { .. }, Infinity { .. }) | (Zero { .. }, Zero { .. }) => Nan,
        (Infinity { .. }, _) | (_, Zero { .. }) => Infinity { negative },
        (Zero { .. }, _) | (_, Infinity { .. }) => Zero { negative },
        (Finite { exponent: ea, significand: sa, .. }, Finite { exponent: eb, significand: sb, .. }) => {
            // 53 bits over 53 bits, the quotient to 72 bits with a sticky bit below.
            let (n, d) = (sa, sb >> 72);
            let value = (n / d) << 1 | u128::from(n % d != 0);
            Number::scaled(negative, value, ea - eb - 72 - 1)
        }
    };
    format.pack(quotient, rounding)
}

/// The square root of `a` in `format`.
pub(crate) fn square_root(format: Format, a: u64, rounding: Rounding) -> u64 {
    let root = match format.unpack(a) {
        Number::Finite { negative: false, exponent, significand } => {
            // An even power of two outside the root; the significand's lowest bits are zero.
            let odd = exponent.rem_euclid(2);
            let radicand = significand >> odd;
            let root = integer_square_root(radicand);
            let sticky = u128::from(root * root != radicand);
            Number::scaled(false, root << 1 | sticky, (exponent + odd) / 2 - 63 - 1)
        }
        Number::Finite { negative: true, .. } | Number::Infinity { negative: true } => Number::Nan,
        other => other,
    };
    format.pack(root, rounding)
}

fn integer_square_root(value: u128) -> u128 {
    let mut root = (value as f64).sqrt() as u128;
    // The estimate is good to about 52 bits; Newton's step and a last correction do the rest.
    for _ in 0..3 {
        if root == 0 {
            return 0;
        }
        root = (root + value / root) / 2;
    }
    while root * root > value {
        root -= 1;
    }
    while (root + 1) * (root + 1) <= value {
        root += 1;
    }
    root
}

impl F16 {
    /// The same number, exactly.
    pub fn to_f32(self) -> f32 {
        const TWO_TO_112: f32 = f32::from_bits((112 + 127) << 23);
        let (sign, magnitude) = (u32::from(self.0 >> 15) << 31, u32::from(self.0 & 0x7fff));
        // Halves moved to f32's fields are too small by the difference of the biases; an all-ones
        // exponent stays one.
        let bits = if magnitude >= 0x7c00 {
            0x7f80_0000 | magnitude << 13
        } else {
            (f32::from_bits(magnitude << 13) * TWO_TO_112).to_bits()
        };
        f32::from_bits(sign | bits)
    }
}

impl Bf16 {
    /// The same number, exactly.
    pub fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_widen_as_their_fields_say() {
        for bits in 0..=u16::MAX {
            let wanted = |format: Format| {
                f32::from_bits(F32_FORMAT.pack(format.unpack(bits.into()), Rounding::NearestEven) as u32)
            };
            for (found, wanted) in
                [(F16(bits).to_f32(), wanted(F16_FORMAT)), (Bf16(bits).to_f32(), wanted(BF16_FORMAT))]
            {
                let same = found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan();
                assert!(same, "{bits:#x}: {found:e}, not {wanted:e}");
            }
        }
    }
}
