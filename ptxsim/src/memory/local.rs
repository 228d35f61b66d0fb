//! Local memory of a warp: every thread has its own, word by word beside its neighbours'.

use super::word_marks;
use crate::machine::LANES;

/// The local memory of a warp's threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalMemory {
    words: Vec<[u32; LANES]>,
    /// Valid-byte marks of each word and lane.
    valid: Vec<[u8; LANES]>,
    bytes: usize,
}

impl LocalMemory {
    /// Fresh memory of `bytes` bytes a thread.
    pub fn reset(&mut self, bytes: usize) {
        self.bytes = bytes;
        self.words.clear();
        self.words.resize(bytes.div_ceil(4), [0; LANES]);
        self.valid.clear();
        self.valid.resize(bytes.div_ceil(4), [0; LANES]);
    }

    /// Bytes each thread has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether `lane` has written all `bytes` bytes at `offset`.
    pub fn is_written(&self, lane: usize, offset: usize, bytes: usize) -> bool {
        let marks = word_marks(offset, bytes);
        (0..bytes.div_ceil(4)).all(|i| self.valid[offset / 4 + i][lane] & marks == marks)
    }

    /// The word `index` words after byte `offset`; narrower values come shifted down.
    pub fn load(&self, lane: usize, offset: usize, index: usize) -> u32 {
        self.words[offset / 4 + index][lane] >> (offset % 4 * 8)
    }

    /// Store a value of `bytes` bytes, at most 4, `index` words after byte `offset`.
    pub fn store(&mut self, lane: usize, offset: usize, index: usize, bytes: usize, value: u32) {
        let word = &mut self.words[offset / 4 + index][lane];
        let shift = offset % 4 * 8;
        let mask = if bytes >= 4 { u32::MAX } else { ((1 << (bytes * 8)) - 1) << shift };
        *word = *word & !mask | value << shift & mask;
        self.valid[offset / 4 + index][lane] |= word_marks(offset, bytes);
    }
}
