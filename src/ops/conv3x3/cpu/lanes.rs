//! Neighbouring channels that are computed together, as lanes of the processor's vectors.

use crate::device::Real;
use std::ops::Add;

/// How many: one cache line of f32.
pub const LANES: usize = 16;

/// The same quantity for [`LANES`] neighbouring channels.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
pub struct Lanes<T>(pub [T; LANES]);

impl<T: Real> Lanes<T> {
    /// Zero in every lane.
    #[inline(always)]
    pub fn zero() -> Self {
        Lanes([T::zero(); LANES])
    }

    /// The first channels of `from`; zero beyond its last.
    #[inline(always)]
    pub fn load(from: &[T]) -> Self {
        match from.first_chunk() {
            Some(from) => Lanes(*from),
            None => {
                let mut lanes = Lanes::zero();
                lanes.0[..from.len()].copy_from_slice(from);
                lanes
            }
        }
    }

    /// The first channels of `from`, where they are; if they are fewer, a copy in `part`, zero beyond
    /// the last.
    #[inline(always)]
    pub fn first_of<'a>(from: &'a [T], part: &'a mut Self) -> &'a Self {
        match from.first_chunk::<LANES>() {
            Some(from) => bytemuck::cast_ref(from),
            None => {
                *part = Lanes::load(from);
                part
            }
        }
    }

    /// Writes the first channels of `to`, as many as it has.
    #[inline(always)]
    pub fn store(self, to: &mut [T]) {
        match to.first_chunk_mut() {
            Some(to) => *to = self.0,
            None => to.copy_from_slice(&self.0[..to.len()]),
        }
    }
}

impl<T: Real> Add for Lanes<T> {
    type Output = Self;

    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for (a, &b) in self.0.iter_mut().zip(&other.0) {
            *a += b;
        }
        self
    }
}
