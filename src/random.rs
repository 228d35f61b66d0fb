//! Random numbers: Philox4x32-10, a counter-based generator.
//!
//! A number is a function of where it is used, not of what was drawn before: the seed is the key;
//! the purpose, the epoch, the index (of an image, of a tensor) and the position in the stream are
//! the counter. So any one of them can be made again alone, in any order and on any machine, which
//! is what lets a resumed run repeat the uninterrupted one bit for bit.
//!
//! Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

use std::convert::Infallible;

use rand_core::TryRng;

/// What a stream's numbers are for. Streams of two purposes never share a number.
///
/// The discriminants are part of every result: they are added to, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial weights; the index is the parameter's.
    Init = 0,
    /// The order of the images in an epoch.
    Shuffle = 1,
    /// Crop, flip and hole of one image in one epoch.
    Augment = 2,
    /// The images of the embedded set.
    Embedded = 3,
    /// The learning-rate range test.
    LrFinder = 4,
    /// Inputs of tests and benchmarks.
    Test = 5,
}

/// The ten rounds: a bijection of the 128-bit `counter` chosen by the 64-bit `key`.
pub fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    for _ in 0..10 {
        let [c0, c1, c2, c3] = counter;
        let (low0, high0) = MULTIPLIERS[0].widening_product(c0);
        let (low1, high1) = MULTIPLIERS[1].widening_product(c2);
        counter = [high1 ^ c1 ^ key[0], low1, high0 ^ c3 ^ key[1], low0];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// The two halves of a 64-bit product.
trait WideningProduct {
    fn widening_product(self, other: u32) -> (u32, u32);
}

impl WideningProduct for u32 {
    fn widening_product(self, other: u32) -> (u32, u32) {
        let product = u64::from(self) * u64::from(other);
        (product as u32, (product >> 32) as u32)
    }
}

/// The stream of random numbers of one (seed, purpose, epoch, index): 2^34 words, then it repeats.
///
/// It is a generator to the `rand` crate, too. Its own methods are preferred wherever a result has
/// to stay the same for good: they are fixed here, `rand`'s distributions may change with a version.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    /// Of the next block: position, index, epoch, purpose.
    counter: [u32; 4],
    block: [u32; 4],
    /// Words of `block` already given out.
    used: usize,
}

impl Stream {
    /// The stream of one use; it costs nothing to make.
    pub fn new(seed: u64, purpose: Purpose, epoch: u32, index: u32) -> Stream {
        Stream {
            key: [seed as u32, (seed >> 32) as u32],
            counter: [0, index, epoch, purpose as u32],
            block: [0; 4],
            used: 4,
        }
    }

    /// The next 32 bits.
    pub fn bits(&mut self) -> u32 {
        if self.used == 4 {
            self.block = philox4x32_10(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// The next 64 bits: two words, the low one first.
    pub fn bits64(&mut self) -> u64 {
        let low = u64::from(self.bits());
        low | u64::from(self.bits()) << 32
    }

    /// Uniform in [0, 1): a multiple of 2^-24, exact.
    pub fn uniform_f32(&mut self) -> f32 {
        (self.bits() >> 8) as f32 * (1.0 / (1 << 24) as f32)
    }

    /// Uniform in [0, 1): a multiple of 2^-53, exact.
    pub fn uniform_f64(&mut self) -> f64 {
        (self.bits64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `low..high` (one multiplication and one addition, so equal on every machine).
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform_f32()
    }

    /// Uniform in `0..n` without bias: Lemire's multiplication, with rejection.
    ///
    /// # Panics
    /// If `n` is 0: there is no such number.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "below(0): there is no number below 0");
        // Of the 2^32 words the first 2^32 mod n of each run are one too many.
        let excess = n.wrapping_neg() % n;
        loop {
            let (low, high) = self.bits().widening_product(n);
            if low >= excess {
                return high;
            }
        }
    }

    /// True once in two.
    pub fn coin(&mut self) -> bool {
        self.bits() >> 31 == 1
    }

    /// A uniform permutation of `values`: Fisher and Yates, from the back.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.bits())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.bits64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::seq::SliceRandom;

    #[test]
    fn philox_gives_the_published_answers() {
        // Random123's kat_vectors: zeros, ones, digits of pi.
        let cases = [
            ([0; 4], [0; 2], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]),
            (
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xa4093822, 0x299f31d0],
                [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox4x32_10(counter, key), expected, "counter {counter:x?}, key {key:x?}");
        }
    }

    #[test]
    fn a_stream_is_the_blocks_of_its_counter() {
        let mut stream = Stream::new(0x0123_4567_89AB_CDEF, Purpose::Augment, 7, 42);
        for position in 0..3 {
            let block = philox4x32_10([position, 42, 7, 2], [0x89AB_CDEF, 0x0123_4567]);
            assert_eq!([(); 4].map(|()| stream.bits()), block, "block {position}");
        }
    }

    #[test]
    fn streams_differ_in_each_coordinate() {
        let first = |seed, purpose, epoch, index| Stream::new(seed, purpose, epoch, index).bits64();
        let here = first(1, Purpose::Init, 2, 3);
        assert_eq!(here, first(1, Purpose::Init, 2, 3));
        assert_ne!(here, first(1 + (1 << 40), Purpose::Init, 2, 3));
        assert_ne!(here, first(1, Purpose::Shuffle, 2, 3));
        assert_ne!(here, first(1, Purpose::Init, 3, 3));
        assert_ne!(here, first(1, Purpose::Init, 2, 4));
    }

    #[test]
    fn uniform_stays_below_one_and_has_mean_and_variance_of_uniform() {
        let mut stream = Stream::new(9, Purpose::Test, 0, 0);
        let n = 100_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let (single, double) = (stream.uniform_f32(), stream.uniform_f64());
            assert!((0.0..1.0).contains(&single) && (0.0..1.0).contains(&double));
            sum += f64::from(single) + double;
            squares += f64::from(single).powi(2) + double * double;
        }
        let mean = sum / (2 * n) as f64;
        let variance = squares / (2 * n) as f64 - mean * mean;
        assert!((mean - 0.5).abs() < 0.003, "mean {mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.001, "variance {variance}");
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut stream = Stream::new(3, Purpose::Test, 0, 1);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        // Five deviations of a binomial with p = 1/7.
        assert!(counts.iter().all(|&count| count.abs_diff(10_000) < 470), "{counts:?}");
        assert_eq!(stream.below(1), 0);
        // With n just above 2^31 nearly half of all words are rejected.
        let n = (1 << 31) + 1;
        assert!((0..1000).all(|_| stream.below(n) < n));
    }

    #[test]
    fn works_with_the_rand_crate() {
        let mut values: Vec<u32> = (0..100).collect();
        values.shuffle(&mut Stream::new(5, Purpose::Test, 0, 0));
        assert_ne!(values, (0..100).collect::<Vec<_>>());
        values.sort_unstable();
        assert_eq!(values, (0..100).collect::<Vec<_>>());

        use rand::RngExt;
        let die = Stream::new(5, Purpose::Test, 0, 1).random_range(1..=6);
        assert!((1..=6).contains(&die));

        use rand_core::Rng;
        let mut bytes = [0; 7];
        Stream::new(5, Purpose::Test, 0, 2).fill_bytes(&mut bytes);
        let mut same = Stream::new(5, Purpose::Test, 0, 2);
        assert_eq!(bytes[..4], same.bits().to_le_bytes());
        assert_eq!(bytes[4..], same.bits().to_le_bytes()[..3]);
    }
}
