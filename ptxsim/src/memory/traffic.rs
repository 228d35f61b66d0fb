//! What an access of a warp costs: sectors of global memory, wavefronts of shared memory.

use super::Addresses;
use super::pattern::Pattern;
use crate::counters::SECTOR;
use crate::machine::{LANES, lanes};

/// Bytes that shared memory moves in one pass: 32 banks of 4.
const ROW: usize = 128;

/// Sectors that an access touches; each lane's part is aligned and no larger than a sector.
pub(crate) fn sectors(addresses: &Addresses, pattern: &Pattern) -> u64 {
    if let Some((start, bytes)) = pattern.run {
        return (start + bytes as u64 - 1) / SECTOR - start / SECTOR + 1;
    }
    let mut numbers = [u64::MAX; LANES];
    let (mut count, mut sorted) = (0, true);
    let mut last = None;
    for lane in lanes(pattern.distinct) {
        let sector = addresses[lane] / SECTOR;
        if last == Some(sector) {
            continue;
        }
        sorted &= last.is_none_or(|last| last < sector);
        last = Some(sector);
        numbers[count] = sector;
        count += 1;
    }
    if !sorted {
        let numbers = &mut numbers[..count];
        numbers.sort_unstable();
        count = 1 + numbers.windows(2).filter(|w| w[0] != w[1]).count();
    }
    count as u64
}

/// Passes over the banks: what an access takes, and what it would take without conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wavefronts {
    pub taken: u64,
    pub ideal: u64,
}

/// Wavefronts of a shared access of `bytes` bytes a lane. As many lanes go together as fill one row of
/// the banks: all 32 up to 4 bytes, half a warp at 8, a quarter at 16. Lanes that want the same word
/// share it; each further word in a bank takes a further pass.
pub(crate) fn wavefronts(offsets: &Addresses, active: u32, bytes: usize, pattern: &Pattern) -> Wavefronts {
    let unit = bytes.max(4);
    let banks = ROW / unit;
    let together = banks.min(LANES);
    if pattern.distinct == u32::MAX && pattern.run.is_some() {
        // Side by side, the lanes of each group fill the banks once.
        let groups = (LANES / together) as u64;
        return Wavefronts { taken: groups, ideal: groups };
    }
    let mut found = Wavefronts { taken: 0, ideal: 0 };
    for first in (0..LANES).step_by(together) {
        let group = active >> first & (u32::MAX >> (LANES - together));
        if group != 0 {
            found.ideal += 1;
            found.taken += passes(&offsets[first..], group, unit, banks);
        }
    }
    found
}

/// The largest number of different units that the lanes of `group` want from one of the banks.
fn passes(offsets: &[u64], group: u32, unit: usize, banks: usize) -> u64 {
    const EMPTY: u32 = u32::MAX;
    let shift = unit.trailing_zeros();
    let mut held = [EMPTY; LANES];
    let mut further: Vec<u32> = Vec::new();
    let mut last = EMPTY;
    for lane in lanes(group) {
        let wanted = (offsets[lane] >> shift) as u32;
        if wanted == last {
            continue;
        }
        last = wanted;
        let slot = &mut held[wanted as usize & (banks - 1)];
        if *slot == EMPTY {
            *slot = wanted;
        } else if *slot != wanted {
            further.push(wanted);
        }
    }
    if further.is_empty() {
        return 1;
    }
    further.sort_unstable();
    further.dedup();
    let mut counts = [1u64; LANES];
    further.iter().for_each(|wanted| counts[*wanted as usize & (banks - 1)] += 1);
    counts.into_iter().max().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: usize, address: impl Fn(u64) -> u64) -> (u64, u64) {
        let offsets = std::array::from_fn(|lane| address(lane as u64));
        let found = wavefronts(&offsets, u32::MAX, bytes, &Pattern::of(&offsets, u32::MAX, bytes));
        (found.taken, found.ideal)
    }

    #[test]
    fn wavefronts_count_the_words_of_the_fullest_bank() {
        assert_eq!(of(4, |lane| lane * 4), (1, 1));
        assert_eq!(of(4, |_| 64), (1, 1), "a broadcast is one pass");
        assert_eq!(of(4, |lane| lane * 8), (2, 1));
        assert_eq!(of(4, |lane| lane * 128), (32, 1));
        assert_eq!(of(4, |lane| lane * 132), (1, 1), "a padded column has no conflict");
        assert_eq!(of(2, |lane| lane * 2), (1, 1), "two halves share a word");
        assert_eq!(of(8, |lane| lane * 8), (2, 2));
        assert_eq!(of(8, |lane| lane * 16), (4, 2));
        assert_eq!(of(16, |lane| lane * 16), (4, 4));
        assert_eq!(of(16, |lane| lane * 128), (32, 4));
        assert_eq!(of(4, |lane| lane % 2 * 128 + lane / 2 * 4), (2, 1));
    }

    #[test]
    fn sectors_are_counted_once_in_any_order() {
        let of = |f: fn(u64) -> u64, active| {
            let addresses = std::array::from_fn(|lane| f(lane as u64));
            sectors(&addresses, &Pattern::of(&addresses, active, 4))
        };
        assert_eq!(of(|lane| lane * 4, u32::MAX), 4);
        assert_eq!(of(|lane| 16 + lane * 4, u32::MAX), 5);
        assert_eq!(of(|lane| (31 - lane) * 4, u32::MAX), 4);
        assert_eq!(of(|lane| lane * 32, u32::MAX), 32);
        assert_eq!(of(|lane| lane % 2 * 64, u32::MAX), 2);
        assert_eq!(of(|lane| lane * 4, 0x8000_0001), 2);
        assert_eq!(of(|_| 0, 1), 1);
    }
}
