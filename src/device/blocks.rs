//! Which blocks of a GPU's memory are free, and which a recording still works in.

use std::collections::{HashMap, HashSet};

/// Freed blocks by size.
type Pool = HashMap<usize, Vec<u64>>;

/// The blocks that nobody holds any more, or that a [`Recording`](super::Recording) works in.
///
/// A recording repeats its work at fixed addresses. So what it touches stays its own, whoever drops
/// the buffers meanwhile, and only when the last recording that works in a block is gone is the block
/// handed out again.
#[derive(Default)]
pub(super) struct Blocks {
    /// The stream runs in order, so a block may be handed out again while the work that last used it
    /// is still queued.
    pool: Pool,
    pinned: HashMap<u64, Pin>,
    open: Option<Open>,
}

/// A block that recordings work in.
#[derive(Default)]
struct Pin {
    recordings: usize,
    /// Its size, once nobody holds its buffer any more.
    freed: Option<usize>,
}

/// A recording that is being made.
#[derive(Default)]
struct Open {
    touched: HashSet<u64>,
    /// Of these, blocks freed since: the recording itself may use them again.
    pool: Pool,
}

impl Blocks {
    /// A free block of `bytes` bytes.
    pub fn take(&mut self, bytes: usize) -> Option<u64> {
        let own = self.open.as_mut().and_then(|open| pop(&mut open.pool, bytes));
        own.or_else(|| pop(&mut self.pool, bytes))
    }

    /// Takes back a block of `bytes` bytes.
    pub fn give(&mut self, address: u64, bytes: usize) {
        let pool = match (&mut self.open, self.pinned.get_mut(&address)) {
            (_, Some(pin)) => return pin.freed = Some(bytes),
            (Some(open), None) if open.touched.contains(&address) => &mut open.pool,
            _ => &mut self.pool,
        };
        pool.entry(bytes).or_default().push(address);
    }

    /// Starts a recording.
    pub fn begin(&mut self) {
        self.open = Some(Open::default());
    }

    /// Whether a recording is being made.
    pub fn is_recording(&self) -> bool {
        self.open.is_some()
    }

    /// Work at `address` has been queued: it belongs to the recording, if one is being made.
    pub fn touch(&mut self, address: u64) {
        if let Some(open) = &mut self.open {
            open.touched.insert(address);
        }
    }

    /// Ends the recording. The blocks it works in are pinned until [`Blocks::unpin`].
    pub fn end(&mut self) -> Vec<u64> {
        let Open { touched, pool } = self.open.take().unwrap_or_default();
        for &address in &touched {
            self.pinned.entry(address).or_default().recordings += 1;
        }
        for (bytes, addresses) in pool {
            addresses.into_iter().for_each(|address| self.give(address, bytes));
        }
        touched.into_iter().collect()
    }

    /// A recording that worked in these blocks is gone.
    pub fn unpin(&mut self, addresses: &[u64]) {
        for &address in addresses {
            let Some(pin) = self.pinned.get_mut(&address) else { continue };
            pin.recordings -= 1;
            if pin.recordings == 0
                && let Some(Pin { freed: Some(bytes), .. }) = self.pinned.remove(&address)
            {
                self.give(address, bytes);
            }
        }
    }

    /// Takes out all free blocks.
    pub fn drain(&mut self) -> Vec<u64> {
        self.pool.drain().flat_map(|(_, blocks)| blocks).collect()
    }
}

fn pop(pool: &mut Pool, bytes: usize) -> Option<u64> {
    pool.get_mut(&bytes).and_then(Vec::pop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_block_is_handed_out_again() {
        let mut blocks = Blocks::default();
        assert_eq!(blocks.take(8), None);
        blocks.give(100, 8);
        assert_eq!((blocks.take(4), blocks.take(8), blocks.take(8)), (None, Some(100), None));
    }

    #[test]
    fn what_a_recording_touched_is_its_own_until_it_is_gone() {
        let mut blocks = Blocks::default();
        blocks.begin();
        blocks.touch(100);
        blocks.give(100, 8);
        assert_eq!(blocks.take(8), Some(100), "the recording itself uses it again");
        blocks.give(100, 8);
        blocks.give(200, 8);
        let touched = blocks.end();
        assert_eq!((blocks.take(8), blocks.take(8)), (Some(200), None), "what it did not touch is free");
        blocks.unpin(&touched);
        assert_eq!(blocks.take(8), Some(100));
    }

    #[test]
    fn a_block_dropped_later_stays_while_a_recording_needs_it() {
        let mut blocks = Blocks::default();
        let [first, second] = [(); 2].map(|()| {
            blocks.begin();
            blocks.touch(100);
            blocks.end()
        });
        blocks.give(100, 8);
        blocks.unpin(&first);
        assert_eq!(blocks.take(8), None, "the second recording works in it");
        blocks.unpin(&second);
        assert_eq!(blocks.take(8), Some(100));
        blocks.begin();
        blocks.touch(100);
        let third = blocks.end();
        blocks.unpin(&third);
        assert_eq!(blocks.take(8), None, "somebody holds it");
    }
}
