//! Races between the blocks of a launch in global memory.
//!
//! For every word, and for every byte of those accessed in smaller pieces, a shadow keeps the lowest and
//! the highest block that read it, wrote it, or changed it atomically, with the place of that block's
//! first such access. Lowest and highest do not depend on the order in which blocks ran, so the race
//! that is reported (the one at the lowest address) does not either. It is reported when all blocks
//! have ended.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst, fence};

use super::Access;

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

/// Keys of the lowest and the highest block; zero while there is none.
#[derive(Default)]
struct Extremes([AtomicU64; 2]);

impl Extremes {
    /// Note an access; true if it is the first of a new lowest or highest block.
    fn note(&self, key: Key) -> bool {
        let block = key.0 >> BLOCK_SHIFT;
        let [low, high] = &self.0;
        if high.load(Relaxed) >> BLOCK_SHIFT == block {
            return false;
        }
        let raised = high.fetch_update(SeqCst, SeqCst, |old| (old >> BLOCK_SHIFT < block).then_some(key.0));
        let lowered =
            low.fetch_update(SeqCst, SeqCst, |old| (old == 0 || old >> BLOCK_SHIFT > block).then_some(key.0));
        raised.is_ok() || lowered.is_ok()
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        self.0.iter().map(|key| key.load(SeqCst)).filter(|key| *key != 0).map(Key)
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
    /// Note an access to `bytes` bytes at `offset` of an allocation of `size` bytes; the offset of the
    /// first word in which it may race with what has been noted before.
    pub fn note(&self, size: u64, offset: usize, bytes: usize, access: Access, key: Key) -> Option<usize> {
        let words = size.div_ceil(4) as usize + 2;
        let (tables, entries, grain) =
            if bytes < 4 { (&self.bytes, words * 4, 1) } else { (&self.words, words, 4) };
        let table = tables[access as usize].get_or_init(|| {
            self.used.store(true, Relaxed);
            std::iter::repeat_with(Extremes::default).take(entries).collect()
        });
        let mut raced = None;
        for at in (offset..offset + bytes).step_by(grain) {
            if table[at / grain].note(key) {
                fence(SeqCst);
                if raced.is_none() && self.may_race(at, grain, access, key) {
                    raced = Some(at / 4 * 4);
                }
            }
        }
        raced
    }

    /// Keys noted for byte `at` by accesses of one kind.
    fn keys(&self, at: usize, access: Access) -> impl Iterator<Item = Key> {
        let word = self.words[access as usize].get().map(|t| &t[at / 4]);
        let byte = self.bytes[access as usize].get().map(|t| &t[at]);
        word.into_iter().chain(byte).flat_map(Extremes::keys)
    }

    fn may_race(&self, at: usize, bytes: usize, access: Access, key: Key) -> bool {
        (at..at + bytes).any(|at| {
            Access::ALL
                .into_iter()
                .filter(|other| access.conflicts(*other))
                .any(|other| self.keys(at, other).any(|found| found.block() != key.block()))
        })
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
                entry.0.iter().for_each(|key| key.store(0, Relaxed));
            }
        }
    }
}
