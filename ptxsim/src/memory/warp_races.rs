//! Races between the warps of a block in shared memory.
//!
//! An access races with an earlier one of another warp, one of them writing, that it does not know to be
//! over: see [`Order`].
//!
//! The lanes of a warp run in lockstep here and are not told apart.

use super::Access;
use super::order::Order;
use crate::machine::LANES;

/// Where an access was made: thread in the block and instruction, in one word to keep the shadow small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Site(u32);

/// Bits of a site's thread; the instruction stands above.
const THREAD_BITS: u32 = 10;

impl Site {
    pub fn new(thread: u32, pc: u32) -> Self {
        // No kernel has more instructions than the bits above name.
        Self(pc << THREAD_BITS | thread)
    }

    pub fn thread(self) -> u32 {
        self.0 & ((1 << THREAD_BITS) - 1)
    }

    pub fn pc(self) -> u32 {
        self.0 >> THREAD_BITS
    }

    fn warp(self) -> usize {
        self.thread() as usize / LANES
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Write {
    time: u32,
    site: Site,
    atomic: bool,
}

/// Reads since the last write.
#[derive(Clone, Copy, Debug, Default)]
struct Reads {
    time: u32,
    warps: u32,
    first: Site,
    last: Site,
}

/// The last accesses to a word or byte.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    reads: Reads,
    write: Write,
}

/// The earlier of two accesses that race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub access: Access,
    pub site: Site,
}

impl Cell {
    #[inline(always)]
    fn note(&mut self, order: &Order, access: Access, site: Site) -> Option<Earlier> {
        let warp = site.warp();
        let fresh = match access {
            Access::Read => self.reads.warps >> warp & 1 == 1 && self.reads.time >= order.latest(warp),
            Access::Write => {
                self.write.time >= order.latest(warp)
                    && self.write.site.warp() == warp
                    && !self.write.atomic
                    && self.reads.warps & !(1 << warp) == 0
            }
            Access::Atomic => false,
        };
        if fresh { None } else { self.note_anew(order, access, site) }
    }

    fn note_anew(&mut self, order: &Order, access: Access, site: Site) -> Option<Earlier> {
        let found = self.race(order, access, site);
        let warp = site.warp();
        if access != Access::Read {
            self.write = Write { time: order.now(), atomic: access == Access::Atomic, site };
            self.reads.warps = 0;
            return found;
        }
        let reads = &mut self.reads;
        let over = reads.time < order.latest(warp)
            && others(reads.warps, warp).all(|other| order.is_over(warp, other, reads.time));
        if over {
            *reads = Reads { time: order.now(), warps: 1 << warp, first: site, last: site };
        } else {
            reads.warps |= 1 << warp;
            reads.last = site;
        }
        found
    }

    /// The earlier access that this one races with.
    fn race(&self, order: &Order, access: Access, site: Site) -> Option<Earlier> {
        let warp = site.warp();
        let Write { time, atomic, site: writer } = self.write;
        let earlier = if atomic { Access::Atomic } else { Access::Write };
        if time != 0 && access.conflicts(earlier) && !order.is_over(warp, writer.warp(), time) {
            return Some(Earlier { access: earlier, site: writer });
        }
        if access == Access::Read {
            return None;
        }
        let reads = &self.reads;
        let other = others(reads.warps, warp).find(|&other| !order.is_over(warp, other, reads.time))?;
        let known = [reads.first, reads.last].into_iter().find(|site| site.warp() == other);
        let site = known.unwrap_or(Site::new((other * LANES) as u32, reads.last.pc()));
        Some(Earlier { access: Access::Read, site })
    }
}

fn others(warps: u32, warp: usize) -> impl Iterator<Item = usize> {
    crate::machine::lanes(warps & !(1 << warp))
}

/// The shadow of a block's shared memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shadow {
    words: Vec<Cell>,
    /// One cell a byte, for accesses of one or two bytes; empty until the first.
    bytes: Vec<Cell>,
}

impl Shadow {
    /// Make room for `bytes` bytes; cells of earlier blocks are over by their time.
    pub fn reset(&mut self, bytes: usize, order: &mut Order) {
        if order.is_old() {
            self.words.clear();
            self.bytes.clear();
            *order = Order::default();
        }
        self.words.resize(bytes.div_ceil(4), Cell::default());
    }

    /// Note an access to `bytes` bytes at `offset`; the earlier access that it races with, if any.
    #[inline]
    pub fn note(
        &mut self,
        order: &Order,
        offset: usize,
        bytes: usize,
        access: Access,
        site: Site,
    ) -> Option<Earlier> {
        if bytes < 4 {
            return self.note_narrow(order, offset, bytes, access, site);
        }
        let mut found = None;
        for cell in &mut self.words[offset / 4..(offset + bytes) / 4] {
            found = found.or(cell.note(order, access, site));
        }
        if !self.bytes.is_empty() {
            let cells = self.bytes[offset..offset + bytes].iter();
            found = found.or(cells.filter_map(|cell| cell.race(order, access, site)).next());
        }
        found
    }

    /// The earlier access that reading `bytes` bytes at `offset`, whole words, races with, if any. Not
    /// noted: for reads of which nothing need be known later.
    #[inline]
    pub fn look(&self, order: &Order, offset: usize, bytes: usize, site: Site) -> Option<Earlier> {
        let (warp, words) = (site.warp(), &self.words[offset / 4..(offset + bytes) / 4]);
        let over = order.over(warp);
        let is_open =
            |Write { time, site, .. }: Write| time >= over[site.warp()] && site.warp() != warp && time != 0;
        // Nearly always the reader has passed a barrier after all stores, and nothing need be named.
        if self.bytes.is_empty() && !words.iter().any(|cell| is_open(cell.write)) {
            return None;
        }
        let words = words.iter();
        let narrow = self.bytes.get(offset..offset + bytes).unwrap_or_default().iter();
        words.chain(narrow).find_map(|cell| cell.race(order, Access::Read, site))
    }

    fn note_narrow(
        &mut self,
        order: &Order,
        offset: usize,
        bytes: usize,
        access: Access,
        site: Site,
    ) -> Option<Earlier> {
        self.bytes.resize(self.words.len() * 4, Cell::default());
        let wide = self.words[offset / 4].race(order, access, site);
        let cells = self.bytes[offset..offset + bytes].iter_mut();
        cells.fold(wide, |found, cell| found.or(cell.note(order, access, site)))
    }
}
