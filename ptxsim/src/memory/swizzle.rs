//! The swizzle of shared memory that bulk tensor copies write and wgmma reads.

/// How 16-byte chunks are permuted inside each 128-byte line of shared memory.
///
/// The chunk's number is combined by exclusive or with the line's number, of which 1, 2 or 3 bits
/// count: the pattern repeats after 256, 512 or 1024 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Swizzle {
    /// Chunks stay where they are.
    #[default]
    None = 0,
    /// Rows of 32 bytes.
    B32 = 1,
    /// Rows of 64 bytes.
    B64 = 2,
    /// Rows of 128 bytes.
    B128 = 3,
}

impl Swizzle {
    /// The swizzle of that number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Self::None, Self::B32, Self::B64, Self::B128].get(usize::from(number)).copied()
    }

    /// Bytes of a row of the pattern; 16 if there is none.
    pub(crate) fn row_bytes(self) -> usize {
        16 << self as u8
    }

    /// Line numbers that count, as a mask.
    pub(crate) fn line_mask(self) -> usize {
        (1 << self as u8) - 1
    }

    /// Where the byte at shared offset `offset` of the dense layout lies.
    #[inline(always)]
    pub(crate) fn apply(self, offset: usize) -> usize {
        offset ^ (offset >> 7 & self.line_mask()) << 4
    }
}
