//! Matrix descriptors of wgmma: where the 16-byte rows of an operand's core matrices are.
//!
//! Bits 0–13 hold the start address, 16–29 the leading and 32–45 the stride byte offset, each
//! divided by 16; 49–51 the base offset; 62–63 the swizzle (1, 2, 3 for 128, 64, 32 bytes).
//!
//! With P the swizzle's row of 16, 32, 64 or 128 bytes, the 16 bytes at row `r` and chunk `c` of a
//! K-major operand lie at `start + r%8·P + r/8·stride + c·16` (without swizzle `c·leading`). Those of
//! an MN-major operand at `k` and chunk `c` along MN lie at
//! `start + c·16%P + c·16/P·leading + k%8·P + k/8·stride` (without swizzle the two offsets change
//! places). Then the address is swizzled.

use crate::memory::swizzle::Swizzle;

/// A decoded descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor {
    start: usize,
    leading: usize,
    stride: usize,
    swizzle: Swizzle,
}

impl Descriptor {
    /// Decode and check.
    pub fn decode(bits: u64) -> Result<Self, String> {
        let field = |low: u32| ((bits >> low & 0x3fff) as usize) << 4;
        let swizzle = match bits >> 62 {
            0 => Swizzle::None,
            1 => Swizzle::B128,
            2 => Swizzle::B64,
            _ => Swizzle::B32,
        };
        const USED: u64 = 0xc00e_3fff_3fff_3fff;
        if bits & !USED != 0 {
            return Err(format!("bits {:#x} belong to no field", bits & !USED));
        }
        let (start, base) = (field(0), (bits >> 49 & 7) as usize);
        let line = start >> 7 & swizzle.line_mask();
        if base != 0 {
            return Err(format!("base offset {base}; only patterns that start aligned, at 0, are simulated"));
        }
        if line != 0 {
            let repeat = 128 << swizzle as u8;
            return Err(format!(
                "the matrix starts at {start:#x}, in line {line} of a swizzle that repeats every {repeat} bytes"
            ));
        }
        Ok(Self { start, leading: field(16), stride: field(32), swizzle })
    }

    /// Offset of the 16 bytes at `row` and `chunk` of a K-major operand.
    pub fn k_major(&self, row: usize, chunk: usize) -> usize {
        let across = if self.swizzle == Swizzle::None { chunk * self.leading } else { chunk * 16 };
        let dense = self.start + row % 8 * self.swizzle.row_bytes() + row / 8 * self.stride + across;
        self.swizzle.apply(dense)
    }

    /// Offset of the 16 bytes at `k` and `chunk` of an MN-major operand.
    pub fn mn_major(&self, k: usize, chunk: usize) -> usize {
        let row = self.swizzle.row_bytes();
        let (along, deep) = match self.swizzle {
            Swizzle::None => (self.stride, self.leading),
            _ => (self.leading, self.stride),
        };
        let dense = self.start + chunk * 16 % row + chunk * 16 / row * along + k % 8 * row + k / 8 * deep;
        self.swizzle.apply(dense)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_128_byte_swizzle_are_permuted_by_their_number() {
        let descriptor = Descriptor::decode(0x4000 >> 4 | (1024 >> 4) << 32 | 1 << 62).unwrap();
        for row in 0..64 {
            for chunk in 0..2 {
                let wanted = 0x4000 + row * 128 + ((chunk ^ (row % 8)) * 16);
                assert_eq!(descriptor.k_major(row, chunk), wanted);
            }
        }
    }

    #[test]
    fn a_pattern_must_start_aligned() {
        assert!(Descriptor::decode((128 >> 4) | 1 << 62).is_err());
        assert!(Descriptor::decode((32 >> 4) | 1 << 62).is_ok());
        assert!(Descriptor::decode(1 << 49 | 1 << 62).is_err());
        assert!(Descriptor::decode(1 << 15).is_err());
    }
}
