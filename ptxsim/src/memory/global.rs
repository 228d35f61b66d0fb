//! Global memory: allocations with bounds of their own, apart from one another, never reused.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

use super::block_races::{Key, Race, Shadow};
use super::{Access, Addresses, HEAP_START, Planes, word_marks};
use crate::error::Error;
use crate::machine::{LANES, lanes};

/// Allocations start at multiples of this, with at least as much empty space between.
const GRAIN: u64 = 512;

/// One allocation.
pub(crate) struct Allocation {
    pub base: u64,
    pub bytes: u64,
    /// Whether kernels may write it.
    pub writable: bool,
    words: Box<[AtomicU64]>,
    /// Valid-byte marks, one byte for each 4-byte word.
    valid: Box<[AtomicU8]>,
    /// Bytes of each word that the launch has read (low four bits) and written (high four).
    touched: Box<[AtomicU8]>,
    any_touched: AtomicBool,
    /// Who accessed what in this launch.
    races: Shadow,
}

impl Allocation {
    fn new(base: u64, bytes: u64) -> Self {
        let count = bytes.div_ceil(8) as usize + 1;
        Self {
            base,
            bytes,
            writable: true,
            words: vec![0u64; count].into_iter().map(AtomicU64::new).collect(),
            valid: vec![0u8; count * 2].into_iter().map(AtomicU8::new).collect(),
            touched: vec![0u8; count * 2].into_iter().map(AtomicU8::new).collect(),
            any_touched: AtomicBool::new(false),
            races: Shadow::default(),
        }
    }

    /// Whether `bytes` bytes at `address` lie inside.
    fn holds(&self, address: u64, bytes: u64) -> bool {
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

    fn mark_written(&self, offset: usize, bytes: usize) {
        let marks = word_marks(offset, bytes);
        let first = offset / 4;
        for mark in &self.valid[first..first + bytes.div_ceil(4)] {
            if marks == 0xf {
                mark.store(0xf, Relaxed);
            } else if mark.load(Relaxed) & marks != marks {
                mark.fetch_or(marks, Relaxed);
            }
        }
    }

    pub fn is_written(&self, offset: usize, bytes: usize) -> bool {
        let marks = word_marks(offset, bytes);
        let first = offset / 4;
        self.valid[first..first + bytes.div_ceil(4)].iter().all(|m| m.load(Relaxed) & marks == marks)
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

/// All allocations of a device.
#[derive(Default)]
pub(crate) struct GlobalMemory {
    live: BTreeMap<u64, Allocation>,
    freed: BTreeMap<u64, u64>,
    used: u64,
}

impl GlobalMemory {
    /// A new allocation of `bytes` bytes.
    pub fn allocate(&mut self, bytes: u64) -> Result<u64, Error> {
        let rounded = bytes.checked_next_multiple_of(GRAIN).filter(|b| *b <= 1 << 38);
        let Some(rounded) = rounded else {
            return Err(Error::Memory(format!(
                "an allocation of {bytes} bytes is larger than any GPU's memory"
            )));
        };
        let base = HEAP_START + self.used;
        self.used += rounded + GRAIN;
        self.live.insert(base, Allocation::new(base, bytes));
        Ok(base)
    }

    /// Free the allocation that starts at `address`.
    pub fn free(&mut self, address: u64) -> Result<(), Error> {
        match self.live.remove(&address) {
            Some(allocation) => {
                self.freed.insert(address, allocation.bytes);
                Ok(())
            }
            None if self.freed.contains_key(&address) => {
                Err(Error::Memory(format!("{address:#x} has been freed before")))
            }
            None => Err(Error::Memory(format!("{address:#x} is not the start of an allocation"))),
        }
    }

    /// Forbid kernels to write the allocation at `address`.
    pub fn make_read_only(&mut self, address: u64) {
        if let Some(allocation) = self.live.get_mut(&address) {
            allocation.writable = false;
        }
    }

    fn find(&self, address: u64, bytes: u64) -> Result<(&Allocation, usize), Error> {
        match self.live.range(..=address).next_back() {
            Some((_, allocation)) if allocation.holds(address, bytes) => {
                Ok((allocation, (address - allocation.base) as usize))
            }
            _ => Err(Error::Memory(format!(
                "{bytes} bytes at {address:#x} are not inside one live allocation"
            ))),
        }
    }

    /// Copy `data` from the host.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Error> {
        let (allocation, offset) = self.find(address, data.len() as u64)?;
        allocation.write(offset, data);
        Ok(())
    }

    /// Copy to the host.
    pub fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Error> {
        let (allocation, offset) = self.find(address, out.len() as u64)?;
        allocation.read(offset, out);
        Ok(())
    }

    /// Forget what the last launch touched.
    pub fn begin_launch(&self) {
        for allocation in self.live.values() {
            allocation.races.clear();
            if allocation.any_touched.swap(false, Relaxed) {
                allocation.touched.iter().for_each(|marks| marks.store(0, Relaxed));
            }
        }
    }

    /// Different bytes that the launch has read, and written.
    pub fn touched_bytes(&self) -> (u64, u64) {
        let touched = self.live.values().filter(|a| a.any_touched.load(Relaxed));
        touched.flat_map(|a| &a.touched).map(|marks| marks.load(Relaxed)).fold((0, 0), |(r, w), marks| {
            (r + u64::from((marks & 0xf).count_ones()), w + u64::from((marks >> 4).count_ones()))
        })
    }

    /// Whether all of `bytes` bytes have been written.
    pub fn is_written(&self, address: u64, bytes: usize) -> Result<bool, Error> {
        let (allocation, offset) = self.find(address, bytes as u64)?;
        Ok((offset..offset + bytes).all(|at| allocation.is_written(at, 1)))
    }

    /// What kernels see.
    pub fn view(&self) -> GlobalView<'_> {
        GlobalView { allocations: self.live.values().collect(), freed: &self.freed }
    }
}

/// Global memory during a launch.
pub(crate) struct GlobalView<'a> {
    allocations: Vec<&'a Allocation>,
    freed: &'a BTreeMap<u64, u64>,
}

/// What stands in the way of an access.
pub(crate) enum Trouble {
    Freed,
    OutOfBounds(String),
}

impl<'a> GlobalView<'a> {
    /// The allocation that holds `bytes` bytes at `address`.
    pub fn find(&self, address: u64, bytes: u64) -> Option<&'a Allocation> {
        let next = self.allocations.partition_point(|a| a.base <= address);
        let allocation = *self.allocations.get(next.checked_sub(1)?)?;
        allocation.holds(address, bytes).then_some(allocation)
    }

    /// Why [`Self::find`] found nothing.
    pub fn explain(&self, address: u64, bytes: u64) -> Trouble {
        if let Some((base, length)) = self.freed.range(..=address).next_back()
            && address - base < *length
        {
            return Trouble::Freed;
        }
        let next = self.allocations.partition_point(|a| a.base <= address);
        let detail = match next.checked_sub(1).and_then(|i| self.allocations.get(i)) {
            Some(a) if address < a.base + a.bytes + (1 << 20) => format!(
                "the allocation at {:#x} has {} bytes, this needs bytes {} to {}",
                a.base,
                a.bytes,
                address - a.base,
                (address - a.base).saturating_add(bytes)
            ),
            _ => "no allocation is near".to_owned(),
        };
        Trouble::OutOfBounds(detail)
    }
}

/// An access whose lanes all lie inside one allocation, aligned.
impl Allocation {
    fn offset(&self, address: u64) -> usize {
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

    /// Note the active lanes' bytes as touched by this launch.
    pub fn mark_lanes_touched(&self, addresses: &Addresses, active: u32, bytes: usize, access: Access) {
        if !self.any_touched.load(Relaxed) {
            self.any_touched.store(true, Relaxed);
        }
        let both = match access {
            Access::Read => 0x0f,
            Access::Write => 0xf0,
            Access::Atomic => 0xff,
        };
        let mut last = None;
        for lane in lanes(active) {
            let offset = self.offset(addresses[lane]);
            if last == Some(offset) {
                continue;
            }
            last = Some(offset);
            let marks = word_marks(offset, bytes);
            let marks = (marks | marks << 4) & both;
            for word in &self.touched[offset / 4..offset / 4 + bytes.div_ceil(4)] {
                if word.load(Relaxed) & marks != marks {
                    word.fetch_or(marks, Relaxed);
                }
            }
        }
    }

    /// Note the active lanes' bytes as written.
    pub fn mark_lanes_written(&self, addresses: &Addresses, active: u32, bytes: usize) {
        for lane in lanes(active) {
            self.mark_written(self.offset(addresses[lane]), bytes);
        }
    }

    /// The first active lane whose bytes have not all been written.
    pub fn first_unwritten(&self, addresses: &Addresses, active: u32, bytes: usize) -> Option<usize> {
        lanes(active).find(|&lane| !self.is_written(self.offset(addresses[lane]), bytes))
    }
}

/// The races of a launch between its blocks.
#[derive(Debug)]
pub(crate) struct BlockRaces {
    /// The lowest address where one was seen.
    first: AtomicU64,
}

impl BlockRaces {
    pub fn new() -> Self {
        Self { first: AtomicU64::new(u64::MAX) }
    }

    /// Note an access.
    pub fn note(&self, allocation: &Allocation, address: u64, bytes: usize, access: Access, key: Key) {
        let offset = allocation.offset(address);
        if let Some(offset) = allocation.races.note(allocation.bytes, offset, bytes, access, key) {
            self.first.fetch_min(allocation.base + offset as u64, Relaxed);
        }
    }

    /// The race at the lowest address, once all blocks have ended.
    pub fn first(&self, memory: &GlobalView<'_>) -> Option<(u64, Race)> {
        let address = self.first.load(Relaxed);
        let allocation = memory.find(address, 1)?;
        Some((address, allocation.races.race(allocation.offset(address))?))
    }
}
