//! How the lanes of an access lie to one another.
//!
//! Most accesses are simple: lanes side by side, or few addresses that many lanes share. This is found
//! once, so that what is noted of an access need not look at each of its lanes.

use super::Addresses;
use crate::machine::{LANES, lanes};

/// What the lanes of an access touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Active lanes that touch all that the access does; others repeat them.
    pub distinct: u32,
    /// First byte of what the distinct lanes touch and how much it is, if that has no gap, starts with
    /// the lowest of them and is made of whole words.
    pub run: Option<(u64, usize)>,
}

impl Pattern {
    /// The pattern of an access of `bytes` bytes by the `active` lanes.
    pub fn of(addresses: &Addresses, active: u32, bytes: usize) -> Self {
        let size = bytes as u64;
        if active == u32::MAX && is_row(addresses, size) {
            let run = (bytes >= 4).then_some((addresses[0], bytes * LANES));
            return Self { distinct: u32::MAX, run };
        }
        let candidates = if active == u32::MAX { first_period(addresses) } else { active };
        let distinct = without_repeats(addresses, candidates);
        let start = addresses[distinct.trailing_zeros() as usize & (LANES - 1)];
        let mut end = start;
        let follows = |lane: usize| {
            let follows = addresses[lane] == end;
            end = end.wrapping_add(size);
            follows
        };
        let run = bytes >= 4 && lanes(distinct).all(follows);
        Self { distinct, run: run.then_some((start, bytes * distinct.count_ones() as usize)) }
    }

    /// The run and its first lane, if each of its lanes is the next one.
    pub fn run_of_neighbours(&self) -> Option<(usize, (u64, usize))> {
        let first = self.distinct.trailing_zeros() as usize;
        let lanes = self.distinct.checked_shr(first as u32)?;
        // A mask without gaps is all ones once shifted down: the next power of two less one.
        (lanes & lanes.wrapping_add(1) == 0).then_some((first, self.run?))
    }
}

/// Whether every lane follows the one before without a gap.
fn is_row(addresses: &Addresses, size: u64) -> bool {
    addresses[1].wrapping_sub(addresses[0]) == size
        && addresses.windows(2).fold(true, |row, pair| row & (pair[1].wrapping_sub(pair[0]) == size))
}

/// The lanes before the addresses repeat, every 16, 8 or 4 lanes; all of them if they do not.
fn first_period(addresses: &Addresses) -> u32 {
    let mut period = LANES;
    while period > 4 && addresses[..period / 2] == addresses[period / 2..period] {
        period /= 2;
    }
    u32::MAX >> (LANES - period)
}

/// Those of the lanes in `mask` whose address is not that of the lane before.
fn without_repeats(addresses: &Addresses, mask: u32) -> u32 {
    let mut last = None;
    lanes(mask).fold(0, |found, lane| {
        let repeats = last.replace(addresses[lane]) == Some(addresses[lane]);
        found | u32::from(!repeats) << lane
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: usize, active: u32, address: impl Fn(u64) -> u64) -> (u32, Option<(u64, usize)>) {
        let Pattern { distinct, run } =
            Pattern::of(&std::array::from_fn(|lane| address(lane as u64)), active, bytes);
        (distinct, run)
    }

    #[test]
    fn lanes_side_by_side_are_one_run() {
        assert_eq!(of(4, u32::MAX, |lane| 64 + lane * 4), (u32::MAX, Some((64, 128))));
        assert_eq!(of(16, 0xf0, |lane| lane * 16), (0xf0, Some((64, 64))));
        assert_eq!(of(4, u32::MAX, |lane| lane * 8), (u32::MAX, None));
        assert_eq!(of(4, u32::MAX, |lane| (31 - lane) * 4), (u32::MAX, None));
        assert_eq!(of(2, u32::MAX, |lane| lane * 2), (u32::MAX, None), "no whole words");
        assert_eq!(of(4, 0b101, |lane| lane * 4), (0b101, None), "a gap where a lane is inactive");
    }

    #[test]
    fn shared_addresses_are_named_by_the_lowest_lane() {
        assert_eq!(of(4, u32::MAX, |_| 32), (1, Some((32, 4))));
        assert_eq!(of(16, u32::MAX, |lane| lane % 8 * 16), (0xff, Some((0, 128))));
        assert_eq!(of(16, u32::MAX, |lane| lane / 8 * 16), (0x0101_0101, Some((0, 64))));
        assert_eq!(of(4, u32::MAX, |lane| lane % 4 * 100), (0xf, None));
        assert_eq!(of(4, 0xff00_0000, |lane| lane / 4 * 4), (0x1100_0000, Some((24, 8))));
    }

    #[test]
    fn runs_of_neighbours_know_each_byte_s_lane() {
        let of = |active, address: fn(u64) -> u64| {
            let addresses = std::array::from_fn(|lane| address(lane as u64));
            Pattern::of(&addresses, active, 4).run_of_neighbours()
        };
        assert_eq!(of(u32::MAX, |lane| lane * 4), Some((0, (0, 128))));
        assert_eq!(of(u32::MAX, |lane| lane % 8 * 4), Some((0, (0, 32))));
        assert_eq!(of(0xff0, |lane| lane * 4), Some((4, (16, 32))));
        assert_eq!(of(1 << 31, |lane| lane * 4), Some((31, (124, 4))));
        assert_eq!(of(u32::MAX, |lane| lane / 8 * 4), None);
        assert_eq!(of(u32::MAX, |lane| lane * 8), None);
    }
}
