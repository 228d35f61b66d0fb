//! Races between the blocks of a launch in global memory.
//!
//! For every word, and for every byte of those accessed in smaller pieces, a shadow keeps the lowest and
//! the highest block that read it, wrote it, or changed it atomically, with the place of that block's
//! first such access. Lowest and highest do not depend on the order in which blocks ran, so the race
//! that is reported (the one at the lowest address) does not either. It is reported when all blocks
//! have ended.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst, fence};

use super::Access;
use super::allocation::Allocation;
use super::global::GlobalView;

/// The races of a launch between its blocks.
#[derive(Debug)]
pub(crate) struct BlockRaces {
    /// The lowest address where one was seen.
    first: AtomicU64,
}

impl BlockRaces {
    /// None so far.
    pub fn new() -> Self {
        Self { first: AtomicU64::new(u64::MAX) }
    }

    /// Note an access to `bytes` bytes at `address`, all of one block; the thread with the key `key(i)`
    /// accesses byte `i`.
    #[inline]
    pub fn note(
        &self,
        allocation: &Allocation,
        address: u64,
        bytes: usize,
        access: Access,
        key: impl Fn(usize) -> Key,
    ) {
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

/// Low bits of a key: the thread in its block, then the instruction; above them block + 1.
const THREAD_BITS: u32 = 10;
const PC_BITS: u32 = 20;
const BLOCK_SHIFT: u32 = THREAD_BITS + PC_BITS;

/// Who accessed a word, and where: never zero, ordered by block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    pub fn new(block: u64, pc: u32, thread: u32) -> Self {
        let pc = u64::from(pc.min((1 << PC_BITS) - 1));
        Self((block + 1) << BLOCK_SHIFT | pc << THREAD_BITS | u64::from(thread))
    }

    pub fn block(self) -> u64 {
        (self.0 >> BLOCK_SHIFT) - 1
    }

    pub fn pc(self) -> u32 {
        (self.0 >> THREAD_BITS) as u32 & ((1 << PC_BITS) - 1)
    }

    pub fn thread(self) -> u32 {
        self.0 as u32 & ((1 << THREAD_BITS) - 1)
    }
}

/// Keys of the lowest block, and of the highest if that is another; zero while there is none.
#[derive(Default)]
struct Extremes {
    low: AtomicU64,
    high: AtomicU64,
}

impl Extremes {
    /// Note an access; true if it is the first of a new lowest or highest block.
    #[inline]
    fn note(&self, key: Key) -> bool {
        let block = |key: u64| key >> BLOCK_SHIFT;
        let own = block(key.0);
        let mut low = self.low.load(Relaxed);
        loop {
            if block(low) == own || block(self.high.load(Relaxed)) == own {
                return false;
            }
            if low != 0 && block(low) < own {
                return self.raise(key.0);
            }
            if low != 0 {
                // The lowest so far may be the highest; whoever looks meanwhile finds it in either place.
                self.raise(low);
            }
            match self.low.compare_exchange(low, key.0, SeqCst, SeqCst) {
                Ok(_) => return true,
                Err(found) => low = found,
            }
        }
    }

    fn raise(&self, key: u64) -> bool {
        let raised = |high: u64| (high >> BLOCK_SHIFT < key >> BLOCK_SHIFT).then_some(key);
        self.high.fetch_update(SeqCst, SeqCst, raised).is_ok()
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        [&self.low, &self.high].into_iter().map(|key| key.load(SeqCst)).filter(|key| *key != 0).map(Key)
    }

    fn clear(&self) {
        self.low.store(0, Relaxed);
        self.high.store(0, Relaxed);
    }
}

type Table = OnceLock<Box<[Extremes]>>;

/// The shadow of one allocation.
#[derive(Default)]
pub(crate) struct Shadow {
    /// One entry a word, for each kind of access.
    words: [Table; 3],
    /// One entry a byte, for accesses of one or two bytes.
    bytes: [Table; 3],
    used: AtomicBool,
}

/// Two accesses that race: the first is of the lower block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Race {
    pub first: (Access, Key),
    pub second: (Access, Key),
}

impl Shadow {
    /// Note an access to `bytes` bytes at `offset` of an allocation of `size` bytes, of which the thread
    /// with the key `key(i)` accesses byte `i`; the offset of the first word in which it may race with
    /// what has been noted before.
    pub fn note(
        &self,
        size: u64,
        offset: usize,
        bytes: usize,
        access: Access,
        key: impl Fn(usize) -> Key,
    ) -> Option<usize> {
        let words = size.div_ceil(4) as usize + 2;
        let (tables, entries, grain) =
            if bytes < 4 { (&self.bytes, words * 4, 1) } else { (&self.words, words, 4) };
        let table = tables[access as usize].get_or_init(|| {
            self.used.store(true, Relaxed);
            std::iter::repeat_with(Extremes::default).take(entries).collect()
        });
        let noted = table[offset / grain..(offset + bytes) / grain].iter().enumerate();
        if !noted.fold(false, |anew, (i, entry)| anew | entry.note(key(i * grain))) {
            return None;
        }
        // Of two accesses that race, whoever passes here second finds the other noted.
        fence(SeqCst);
        let own = key(0).block();
        let others = Access::ALL.into_iter().filter(|other| access.conflicts(*other));
        others.filter_map(|other| self.first_of_another(offset, bytes, other, own)).min()
    }

    /// The first word of `bytes` bytes at `offset` that another block than `own` is noted to access.
    fn first_of_another(&self, offset: usize, bytes: usize, access: Access, own: u64) -> Option<usize> {
        let first = |table: &Table, place: Range<usize>| {
            let another = |entry: &Extremes| entry.keys().any(|key| key.block() != own);
            table.get()?[place.clone()].iter().position(another).map(|i| place.start + i)
        };
        let word = first(&self.words[access as usize], offset / 4..(offset + bytes).div_ceil(4));
        let byte = first(&self.bytes[access as usize], offset..offset + bytes);
        word.into_iter().chain(byte.map(|at| at / 4)).min().map(|word| word * 4)
    }

    /// Keys noted for byte `at` by accesses of one kind.
    fn keys(&self, at: usize, access: Access) -> impl Iterator<Item = Key> {
        let word = self.words[access as usize].get().map(|t| &t[at / 4]);
        let byte = self.bytes[access as usize].get().map(|t| &t[at]);
        word.into_iter().chain(byte).flat_map(Extremes::keys)
    }

    /// The race in the word at `offset`.
    pub fn race(&self, offset: usize) -> Option<Race> {
        for at in offset..offset + 4 {
            for (a, b) in Access::CONFLICTS {
                for x in self.keys(at, a) {
                    if let Some(y) = self.keys(at, b).find(|y| y.block() != x.block()) {
                        let (x, y) = ((a, x), (b, y));
                        let (first, second) = if x.1.block() < y.1.block() { (x, y) } else { (y, x) };
                        return Some(Race { first, second });
                    }
                }
            }
        }
        None
    }

    /// Forget what the last launch did.
    pub fn clear(&self) {
        if self.used.load(Relaxed) {
            for entry in self.words.iter().chain(&self.bytes).filter_map(Table::get).flatten() {
                entry.clear();
            }
        }
    }
}
