//! One allocation of global memory: its bytes, and what is known of each.
//!
//! Blocks run in parallel, so all of it is atomic integers, accessed without an order.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

use super::block_races::Shadow;
use super::marks::Marks;
use super::pattern::Pattern;
use super::{Access, Addresses, Planes, word_marks};
use crate::machine::{LANES, lanes};

/// One allocation.
pub(crate) struct Allocation {
    pub base: u64,
    pub bytes: u64,
    /// Whether kernels may write it.
    pub writable: bool,
    words: Box<[AtomicU64]>,
    /// Which bytes have been written.
    valid: Marks,
    /// Bytes of each word that the launch has read (low four bits) and written (high four).
    touched: Marks,
    any_touched: AtomicBool,
    /// Who accessed what in this launch.
    pub(super) races: Shadow,
}

impl Allocation {
    /// Memory of `bytes` bytes, none of them written.
    pub fn new(base: u64, bytes: u64) -> Self {
        let count = bytes.div_ceil(8) as usize + 1;
        Self {
            base,
            bytes,
            writable: true,
            words: std::iter::repeat_with(AtomicU64::default).take(count).collect(),
            valid: Marks::new(count * 2),
            touched: Marks::new(count * 2),
            any_touched: AtomicBool::new(false),
            races: Shadow::default(),
        }
    }

    /// Whether `bytes` bytes at `address` lie inside.
    pub fn holds(&self, address: u64, bytes: u64) -> bool {
        address >= self.base
            && address - self.base <= self.bytes
            && bytes <= self.bytes - (address - self.base)
    }

    /// The cell of type `T` at byte `offset`.
    fn cell<T: Cell>(&self, offset: usize) -> &T {
        let size = size_of::<T>();
        assert!(offset.is_multiple_of(size) && offset + size <= self.words.len() * 8);
        // SAFETY: the cell lies inside `words` and is aligned (both asserted); `Cell` is implemented
        // for atomic integers only, for which every bit pattern is valid and shared access is sound.
        unsafe { &*self.words.as_ptr().cast::<u8>().add(offset).cast::<T>() }
    }

    /// Have it count as written everywhere.
    pub fn mark_all_written(&self) {
        self.valid.set(0..self.words.len() * 2, 0xf);
    }

    fn mark_written(&self, offset: usize, bytes: usize) {
        self.valid.set(words(offset, bytes), word_marks(offset, bytes));
    }

    /// Whether a naturally aligned access of `bytes` bytes at `offset` finds all of them written.
    pub fn is_written(&self, offset: usize, bytes: usize) -> bool {
        self.valid.have(words(offset, bytes), word_marks(offset, bytes))
    }

    /// The first of `bytes` bytes at `offset` that nothing has written.
    pub fn first_unwritten_byte(&self, offset: usize, bytes: usize) -> Option<usize> {
        let end = offset + bytes;
        if self.valid.have(offset / 4..end.div_ceil(4).max(offset / 4 + 1), 0xf) {
            return None;
        }
        (offset..end).find(|&at| !self.is_written(at, 1))
    }

    /// Copy `data` to byte `offset`, whatever its alignment.
    pub fn write(&self, offset: usize, data: &[u8]) {
        let mut at = 0;
        while at < data.len() {
            let to = offset + at;
            match data[at..].first_chunk::<8>() {
                Some(chunk) if to.is_multiple_of(8) => {
                    self.words[to / 8].store(u64::from_ne_bytes(*chunk), Relaxed);
                    self.mark_written(to, 8);
                    at += 8;
                }
                _ => {
                    self.cell::<AtomicU8>(to).store(data[at], Relaxed);
                    self.mark_written(to, 1);
                    at += 1;
                }
            }
        }
    }

    pub fn read(&self, offset: usize, out: &mut [u8]) {
        let mut at = 0;
        while at < out.len() {
            let from = offset + at;
            if from.is_multiple_of(8) && out.len() - at >= 8 {
                out[at..at + 8].copy_from_slice(&self.words[from / 8].load(Relaxed).to_ne_bytes());
                at += 8;
            } else {
                out[at] = self.cell::<AtomicU8>(from).load(Relaxed);
                at += 1;
            }
        }
    }
}

/// Atomic integers, which an allocation's bytes may be seen as.
trait Cell {}
impl Cell for AtomicU8 {}
impl Cell for AtomicU16 {}
impl Cell for AtomicU32 {}
impl Cell for AtomicU64 {}

/// An access whose lanes all lie inside one allocation, aligned.
impl Allocation {
    /// Place of an address in the allocation.
    pub fn offset(&self, address: u64) -> usize {
        address.wrapping_sub(self.base) as usize
    }

    /// Load `bytes` bytes for each of the `active` lanes.
    pub fn load(&self, addresses: &Addresses, active: u32, bytes: usize, out: &mut Planes) {
        match bytes {
            1 => self.gather(addresses, active, |offset, lane| {
                out[0][lane] = self.cell::<AtomicU8>(offset).load(Relaxed).into();
            }),
            2 => self.gather(addresses, active, |offset, lane| {
                out[0][lane] = self.cell::<AtomicU16>(offset).load(Relaxed).into();
            }),
            4 => self.gather(addresses, active, |offset, lane| {
                out[0][lane] = self.cell::<AtomicU32>(offset).load(Relaxed);
            }),
            _ => self.gather(addresses, active, |offset, lane| {
                for part in 0..bytes / 8 {
                    let word = self.cell::<AtomicU64>(offset + part * 8).load(Relaxed);
                    out[part * 2][lane] = word as u32;
                    out[part * 2 + 1][lane] = (word >> 32) as u32;
                }
            }),
        }
    }

    /// Store `bytes` bytes for each of the `active` lanes; of two lanes at one address the higher wins.
    pub fn store(&self, addresses: &Addresses, active: u32, bytes: usize, data: &Planes) {
        match bytes {
            1 => self.gather(addresses, active, |offset, lane| {
                self.cell::<AtomicU8>(offset).store(data[0][lane] as u8, Relaxed);
            }),
            2 => self.gather(addresses, active, |offset, lane| {
                self.cell::<AtomicU16>(offset).store(data[0][lane] as u16, Relaxed);
            }),
            4 => self.gather(addresses, active, |offset, lane| {
                self.cell::<AtomicU32>(offset).store(data[0][lane], Relaxed);
            }),
            _ => self.gather(addresses, active, |offset, lane| {
                for part in 0..bytes / 8 {
                    let word = u64::from(data[part * 2][lane]) | u64::from(data[part * 2 + 1][lane]) << 32;
                    self.cell::<AtomicU64>(offset + part * 8).store(word, Relaxed);
                }
            }),
        }
    }

    #[inline(always)]
    fn gather(&self, addresses: &Addresses, active: u32, mut each: impl FnMut(usize, usize)) {
        if active == u32::MAX {
            for (lane, &address) in addresses.iter().enumerate().take(LANES) {
                each(self.offset(address), lane);
            }
        } else {
            for lane in lanes(active) {
                each(self.offset(addresses[lane]), lane);
            }
        }
    }

    /// Replace the value at `address` by `change` of it, atomically; returns the old value.
    pub fn update(&self, address: u64, bytes: usize, change: impl Fn(u64) -> u64) -> u64 {
        let offset = self.offset(address);
        // The closure never declines, so the update never fails.
        match bytes {
            2 => {
                let cell = self.cell::<AtomicU16>(offset);
                cell.fetch_update(Relaxed, Relaxed, |old| Some(change(old.into()) as u16))
                    .unwrap_or_default()
                    .into()
            }
            4 => {
                let cell = self.cell::<AtomicU32>(offset);
                cell.fetch_update(Relaxed, Relaxed, |old| Some(change(old.into()) as u32))
                    .unwrap_or_default()
                    .into()
            }
            _ => {
                let cell = self.cell::<AtomicU64>(offset);
                cell.fetch_update(Relaxed, Relaxed, |old| Some(change(old))).unwrap_or_default()
            }
        }
    }

    /// Forget what the last launch touched.
    pub fn begin_launch(&self) {
        self.races.clear();
        if self.any_touched.swap(false, Relaxed) {
            self.touched.clear();
        }
    }

    /// Different bytes that the launch has read, and written.
    pub fn touched_bytes(&self) -> (u64, u64) {
        if self.any_touched.load(Relaxed) {
            (self.touched.count(0x0f), self.touched.count(0xf0))
        } else {
            (0, 0)
        }
    }

    /// Note the bytes of an access as touched by this launch.
    pub fn mark_touched(&self, addresses: &Addresses, pattern: &Pattern, bytes: usize, access: Access) {
        if !self.any_touched.load(Relaxed) {
            self.any_touched.store(true, Relaxed);
        }
        let both = match access {
            Access::Read => 0x0f,
            Access::Write => 0xf0,
            Access::Atomic => 0xff,
        };
        self.each_piece(addresses, pattern, bytes, |words, marks| {
            self.touched.set(words, (marks | marks << 4) & both);
        });
    }

    /// Note the bytes of an access as written.
    pub fn mark_lanes_written(&self, addresses: &Addresses, pattern: &Pattern, bytes: usize) {
        self.each_piece(addresses, pattern, bytes, |words, marks| self.valid.set(words, marks));
    }

    /// Call `each` with the words of an access and the marks of its bytes there, as few times as possible.
    #[inline(always)]
    fn each_piece(
        &self,
        addresses: &Addresses,
        pattern: &Pattern,
        bytes: usize,
        mut each: impl FnMut(Range<usize>, u8),
    ) {
        if let Some((start, length)) = pattern.run {
            return each(words(self.offset(start), length), 0xf);
        }
        for lane in lanes(pattern.distinct) {
            let offset = self.offset(addresses[lane]);
            each(words(offset, bytes), word_marks(offset, bytes));
        }
    }

    /// The first lane of an access that reads bytes which have not been written.
    pub fn first_unwritten(&self, addresses: &Addresses, pattern: &Pattern, bytes: usize) -> Option<usize> {
        if let Some((start, length)) = pattern.run
            && self.is_written(self.offset(start), length)
        {
            return None;
        }
        lanes(pattern.distinct).find(|&lane| !self.is_written(self.offset(addresses[lane]), bytes))
    }
}

/// The words that `bytes` bytes at `offset` lie in.
fn words(offset: usize, bytes: usize) -> Range<usize> {
    offset / 4..(offset + bytes).div_ceil(4)
}
