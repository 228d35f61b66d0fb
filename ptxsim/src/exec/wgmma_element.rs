//! The types of wgmma's operands, widened to f32, which holds all their values.

/// Types of A's and B's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Bf16,
    F16,
    Tf32,
    E4m3,
    E5m2,
}

impl Element {
    pub fn bytes(self) -> usize {
        match self {
            Element::Bf16 | Element::F16 => 2,
            Element::Tf32 => 4,
            Element::E4m3 | Element::E5m2 => 1,
        }
    }

    /// The values of the elements in 16 bytes; as many as [`Self::bytes`] says.
    #[inline(always)]
    pub fn widen(self, words: [u32; 4]) -> [f32; 16] {
        let mut out = [0.0; 16];
        match self {
            Element::Bf16 => {
                for (pair, word) in out.chunks_exact_mut(2).zip(words) {
                    (pair[0], pair[1]) = (f32::from_bits(word << 16), f32::from_bits(word & 0xffff_0000));
                }
            }
            Element::F16 => {
                for (pair, word) in out.chunks_exact_mut(2).zip(words) {
                    (pair[0], pair[1]) = (half(word & 0xffff), half(word >> 16));
                }
            }
            Element::Tf32 => {
                out.iter_mut().zip(words).for_each(|(out, word)| *out = f32::from_bits(word & 0xffff_e000));
            }
            Element::E4m3 => bytes(words, &mut out, e4m3),
            // The top byte of an f16.
            Element::E5m2 => bytes(words, &mut out, |byte| half(byte << 8)),
        }
        out
    }
}

/// The values of 16 single bytes.
fn bytes(words: [u32; 4], out: &mut [f32; 16], value: impl Fn(u32) -> f32) {
    let bytes = words.into_iter().flat_map(u32::to_le_bytes);
    out.iter_mut().zip(bytes).for_each(|(out, byte)| *out = value(byte.into()));
}

/// The value of an f16's bits.
#[inline(always)]
pub(super) fn half(bits: u32) -> f32 {
    // Placed 112 exponents too low, then scaled up: subnormals come out right.
    let scaled = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    let special = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits((bits & 0x8000) << 16 | scaled.to_bits() | special)
}

/// The value of an e4m3's byte: the exponent's bias is 7, and only all ones is NaN.
pub(super) fn e4m3(byte: u32) -> f32 {
    if byte & 0x7f == 0x7f {
        return f32::NAN;
    }
    // As for halves: placed 120 exponents too low.
    let scaled = f32::from_bits((byte & 0x7f) << 20) * f32::from_bits((127 + 120) << 23);
    f32::from_bits((byte & 0x80) << 24 | scaled.to_bits())
}
