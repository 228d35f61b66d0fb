//! Transformed tiles: plane p holds, for every tile, the p-th of its P² values, channels in strips of
//! [`LANES`].

use super::gemm::Matrix;
use super::lanes::{LANES, Lanes};
use super::winograd::Map;
use crate::device::Real;
use multiversion::multiversion;
use std::ops::Range;

/// Where the values of some tiles lie: tile t's in strip s of plane p are
/// `lanes[s * strip + p * plane + t]`.
#[derive(Clone, Copy)]
pub struct Planes {
    pub tiles: usize,
    pub channels: usize,
    pub strip: usize,
    pub plane: usize,
    pub len: usize,
}

impl Planes {
    /// Strip after strip, each with all its planes, so that strips can be written by several threads.
    pub fn by_strip(planes: usize, tiles: usize, channels: usize) -> Planes {
        let plane = odd(tiles);
        let strip = planes * plane;
        Planes { tiles, channels, strip, plane, len: channels.div_ceil(LANES) * strip }
    }

    /// Plane after plane, each with all its strips, so that planes can be written by several threads.
    pub fn by_plane(planes: usize, tiles: usize, channels: usize) -> Planes {
        let plane = odd(channels.div_ceil(LANES) * tiles);
        Planes { tiles, channels, strip: tiles, plane, len: planes * plane }
    }

    pub fn strips(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Plane `p` as a matrix of [tiles, channels].
    pub fn matrix<'a, T>(&self, lanes: &'a [Lanes<T>], p: usize) -> Matrix<'a, T> {
        Matrix { lanes: &lanes[p * self.plane..], rows: self.tiles, cols: self.channels, stride: self.strip }
    }
}

/// A distance between planes that is not a multiple of a cache's period: a tile's values, one in each
/// plane, would share a set otherwise.
fn odd(lanes: usize) -> usize {
    lanes | 1
}

/// Where the pixels of a square lie: the first channel's index, if the pixel is inside the image.
pub type Square<const S: usize> = [[Option<usize>; S]; S];

/// Transforms the pixels of all tiles, `F` along the columns and then along the rows, to the values
/// of some strips; `lanes` begins with the first of these. Pixels outside the image are zero.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma", "aarch64+neon"))]
pub fn to_planes<F, T: Real, Pixels, const S: usize, const P: usize>(
    image: &[T],
    pixels: Pixels,
    to: Planes,
    strips: Range<usize>,
    lanes: &mut [Lanes<T>],
) where
    Pixels: Fn(usize) -> Square<S>,
    F: Map<S, P>,
{
    let zeros = Lanes::zero();
    for tile in 0..to.tiles {
        let pixels = pixels(tile);
        for (strip, lanes) in strips.clone().zip(lanes.chunks_mut(to.strip)) {
            let (first, count) = (strip * LANES, LANES.min(to.channels - strip * LANES));
            let mut parts = [[zeros; S]; S];
            let mut from = [[&zeros; S]; S];
            for (from, (part, pixel)) in from
                .as_flattened_mut()
                .iter_mut()
                .zip(parts.as_flattened_mut().iter_mut().zip(pixels.as_flattened()))
            {
                if let Some(at) = pixel {
                    *from = Lanes::first_of(&image[at + first..][..count], part);
                }
            }
            let values: [[Lanes<T>; P]; P] = along_both::<F, T, S, P>(from);
            for (p, value) in values.as_flattened().iter().enumerate() {
                lanes[p * to.plane + tile] = *value;
            }
        }
    }
}

/// Transforms the values of some tiles to pixels, `F` along the columns and then along the rows, and
/// adds `bias` to them; pixels outside the image are dropped.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma", "aarch64+neon"))]
pub fn from_planes<F, T: Real, Pixels, const P: usize, const S: usize>(
    from: Planes,
    lanes: &[Lanes<T>],
    tiles: Range<usize>,
    bias: Option<&[T]>,
    pixels: Pixels,
    image: &mut [T],
) where
    Pixels: Fn(usize) -> Square<S>,
    F: Map<P, S>,
{
    for tile in tiles {
        let pixels = pixels(tile);
        for strip in 0..from.strips() {
            let (first, end) = (strip * LANES, from.channels.min((strip + 1) * LANES));
            let lanes = &lanes[strip * from.strip + tile..];
            let mut values = [[&lanes[0]; P]; P];
            for (p, value) in values.as_flattened_mut().iter_mut().enumerate() {
                *value = &lanes[p * from.plane];
            }
            let to: [[Lanes<T>; S]; S] = along_both::<F, T, P, S>(values);
            let bias = bias.map_or(Lanes::zero(), |bias| Lanes::load(&bias[first..end]));
            for (pixel, value) in pixels.as_flattened().iter().zip(to.as_flattened()) {
                if let Some(at) = pixel {
                    (*value + bias).store(&mut image[at + first..at + end]);
                }
            }
        }
    }
}

/// `F` along the columns and then along the rows, for each lane: a loop whose body the compiler
/// unrolls, and whose rounds become the lanes of vectors.
#[inline(always)]
fn along_both<F: Map<I, O>, T: Real, const I: usize, const O: usize>(
    from: [[&Lanes<T>; I]; I],
) -> [[Lanes<T>; O]; O] {
    let mut to = [[Lanes::zero(); O]; O];
    for l in 0..LANES {
        let mut columns = [[T::zero(); O]; I];
        for j in 0..I {
            let mut column = [T::zero(); I];
            for i in 0..I {
                column[i] = from[i][j].0[l];
            }
            columns[j] = F::of(column);
        }
        for i in 0..O {
            let mut row = [T::zero(); I];
            for j in 0..I {
                row[j] = columns[j][i];
            }
            let row = F::of(row);
            for j in 0..O {
                to[i][j].0[l] = row[j];
            }
        }
    }
    to
}
