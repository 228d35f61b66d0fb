//! Marks of memory: one byte for each 4-byte word, set from many threads.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The marks of some words. Eight share an integer, so that long accesses set and test eight at once.
#[derive(Debug)]
pub(crate) struct Marks(Box<[AtomicU64]>);

/// A byte eight times over.
const EACH: u64 = 0x0101_0101_0101_0101;

impl Marks {
    /// Marks for `words` words, none set.
    pub fn new(words: usize) -> Self {
        Self(std::iter::repeat_with(AtomicU64::default).take(words.div_ceil(8)).collect())
    }

    /// Each integer that holds marks of `words`, with the bits that `marks` has there.
    #[inline(always)]
    fn parts(&self, words: Range<usize>, marks: u8) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let (first, last) = (words.start / 8, words.end.div_ceil(8));
        self.0[first..last].iter().enumerate().map(move |(i, integer)| {
            let low = words.start.saturating_sub((first + i) * 8);
            let high = (words.end - (first + i) * 8).min(8);
            let bytes = u64::MAX >> (64 - (high - low) * 8) << (low * 8);
            (integer, (EACH * u64::from(marks)) & bytes)
        })
    }

    /// Set `marks` for all of `words`, which are at least one.
    #[inline]
    pub fn set(&self, words: Range<usize>, marks: u8) {
        for (integer, bits) in self.parts(words, marks) {
            if integer.load(Relaxed) & bits != bits {
                integer.fetch_or(bits, Relaxed);
            }
        }
    }

    /// Whether all of `words`, at least one, have all of `marks`.
    #[inline]
    pub fn have(&self, words: Range<usize>, marks: u8) -> bool {
        self.parts(words, marks).all(|(integer, bits)| integer.load(Relaxed) & bits == bits)
    }

    /// Unset all.
    pub fn clear(&self) {
        self.0.iter().for_each(|integer| integer.store(0, Relaxed));
    }

    /// How many marks of `kinds` are set, over all words.
    pub fn count(&self, kinds: u8) -> u64 {
        let kinds = EACH * u64::from(kinds);
        self.0.iter().map(|integer| u64::from((integer.load(Relaxed) & kinds).count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_set_and_found_across_integers() {
        for (start, end) in [(0, 1), (0, 8), (3, 5), (7, 9), (5, 30), (8, 16), (15, 16)] {
            let marks = Marks::new(32);
            marks.set(start..end, 0x35);
            assert_eq!(marks.count(0xff), 4 * (end - start) as u64);
            assert_eq!(marks.count(0xf0), 2 * (end - start) as u64);
            for word in 0..32 {
                assert_eq!(marks.have(word..word + 1, 0x35), (start..end).contains(&word));
            }
            assert!(marks.have(start..end, 0x11) && !marks.have(start..end, 0x3));
            assert!(!marks.have(start..end + 1, 1));
            marks.clear();
            assert_eq!(marks.count(0xff), 0);
        }
    }
}
