//! Shared memory of a block.

use std::ops::Range;

use super::pattern::Pattern;
use super::shadow::Shadow;
use super::{Addresses, Planes, word_marks};
use crate::machine::lanes;

/// The shared memory of one block.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedMemory {
    words: Vec<u32>,
    /// Valid-byte marks of each word.
    valid: Vec<u8>,
    bytes: usize,
    /// What the async proxy has to do with it.
    pub shadow: Shadow,
}

impl SharedMemory {
    /// Fresh memory of `bytes` bytes.
    pub fn reset(&mut self, bytes: usize) {
        self.bytes = bytes;
        self.words.clear();
        self.words.resize(bytes.div_ceil(4) + 8, 0);
        self.valid.clear();
        self.valid.resize(bytes.div_ceil(4) + 8, 0);
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copy bytes out; they are inside.
    pub fn read_bytes(&self, offset: usize, out: &mut [u8]) {
        if let (words, []) = out.as_chunks_mut::<4>()
            && offset.is_multiple_of(4)
        {
            let from = &self.words[offset / 4..];
            words.iter_mut().zip(from).for_each(|(to, word)| *to = word.to_le_bytes());
            return;
        }
        for (at, byte) in out.iter_mut().enumerate() {
            let place = offset + at;
            *byte = (self.words[place / 4] >> (place % 4 * 8)) as u8;
        }
    }

    /// The four words of the 16 bytes at `offset`, which is a multiple of 16 and inside.
    #[inline(always)]
    pub fn granule(&self, offset: usize) -> [u32; 4] {
        self.words[offset / 4..].first_chunk().copied().unwrap_or_default()
    }

    /// Copy bytes in and note them as written; they are inside.
    pub fn write_bytes(&mut self, offset: usize, data: &[u8]) {
        if let (words, []) = data.as_chunks::<4>()
            && offset.is_multiple_of(4)
        {
            let place = offset / 4..offset / 4 + words.len();
            let to = self.words[place.clone()].iter_mut();
            to.zip(words).for_each(|(to, bytes)| *to = u32::from_le_bytes(*bytes));
            self.valid[place].fill(0xf);
            return;
        }
        for (at, &byte) in data.iter().enumerate() {
            let (word, shift) = ((offset + at) / 4, (offset + at) % 4 * 8);
            self.words[word] = self.words[word] & !(0xff << shift) | u32::from(byte) << shift;
            self.valid[word] |= 1 << (shift / 8);
        }
    }

    /// Whether all of the 16 bytes of `granule` have been written.
    #[inline]
    pub fn is_granule_written(&self, granule: usize) -> bool {
        self.valid[granule * 4..granule * 4 + 4] == [0xf; 4]
    }

    /// The first of `bytes` bytes at `offset` that nothing has written.
    pub fn first_unwritten_byte(&self, offset: usize, bytes: usize) -> Option<usize> {
        (offset..offset + bytes).find(|&place| self.valid[place / 4] >> (place % 4) & 1 == 0)
    }

    /// Load `bytes` bytes for each of the `active` lanes; offsets are inside and aligned.
    pub fn load(&self, offsets: &Addresses, active: u32, bytes: usize, out: &mut Planes) {
        if bytes < 4 {
            let mask = (1u32 << (bytes * 8)) - 1;
            for lane in lanes(active) {
                let offset = offsets[lane] as usize;
                out[0][lane] = self.words[offset / 4] >> (offset % 4 * 8) & mask;
            }
            return;
        }
        for lane in lanes(active) {
            let first = offsets[lane] as usize / 4;
            for (plane, &word) in out.iter_mut().zip(&self.words[first..first + bytes / 4]) {
                plane[lane] = word;
            }
        }
    }

    /// Store `bytes` bytes for each of the `active` lanes; of two lanes at one address the higher wins.
    pub fn store(&mut self, offsets: &Addresses, active: u32, bytes: usize, data: &Planes) {
        for lane in lanes(active) {
            let offset = offsets[lane] as usize;
            let first = offset / 4;
            if bytes < 4 {
                let shift = offset % 4 * 8;
                let mask = ((1u32 << (bytes * 8)) - 1) << shift;
                self.words[first] = self.words[first] & !mask | data[0][lane] << shift & mask;
            } else {
                for (word, plane) in self.words[first..first + bytes / 4].iter_mut().zip(data) {
                    *word = plane[lane];
                }
            }
        }
    }

    /// Replace the value at `offset` by `change` of it; returns the old value.
    pub fn update(&mut self, offset: usize, bytes: usize, change: impl Fn(u64) -> u64) -> u64 {
        let first = offset / 4;
        match bytes {
            8 => {
                let old = u64::from(self.words[first]) | u64::from(self.words[first + 1]) << 32;
                let new = change(old);
                self.words[first] = new as u32;
                self.words[first + 1] = (new >> 32) as u32;
                old
            }
            4 => {
                let old = self.words[first];
                self.words[first] = change(old.into()) as u32;
                old.into()
            }
            _ => {
                let shift = offset % 4 * 8;
                let old = self.words[first] >> shift & 0xffff;
                let new = change(old.into()) as u32 & 0xffff;
                self.words[first] = self.words[first] & !(0xffff << shift) | new << shift;
                old.into()
            }
        }
    }

    /// Note the bytes of an access as written.
    pub fn mark_lanes_written(&mut self, offsets: &Addresses, pattern: &Pattern, bytes: usize) {
        if let Some((start, length)) = pattern.run {
            self.valid[words(start as usize, length)].fill(0xf);
            return;
        }
        for lane in lanes(pattern.distinct) {
            let offset = offsets[lane] as usize;
            let marks = word_marks(offset, bytes);
            self.valid[words(offset, bytes)].iter_mut().for_each(|v| *v |= marks);
        }
    }

    /// The first lane of an access that reads bytes which have not been written.
    pub fn first_unwritten(&self, offsets: &Addresses, pattern: &Pattern, bytes: usize) -> Option<usize> {
        if let Some((start, length)) = pattern.run
            && self.valid[words(start as usize, length)].iter().fold(0xf, |all, marks| all & marks) == 0xf
        {
            return None;
        }
        lanes(pattern.distinct).find(|&lane| {
            let offset = offsets[lane] as usize;
            let marks = word_marks(offset, bytes);
            self.valid[words(offset, bytes)].iter().any(|v| v & marks != marks)
        })
    }
}

/// The words that `bytes` bytes at `offset` lie in.
fn words(offset: usize, bytes: usize) -> Range<usize> {
    offset / 4..(offset + bytes).div_ceil(4)
}
