//! Winograd's minimal filtering F(2x2, 3x3): a 2x2 tile of outputs from a 4x4 patch of inputs with 16
//! products where the definition needs 36.
//!
//! In one dimension, for a patch d of 4, a filter g of 3 and outputs y of 2:
//!
//! ```text
//! y = Aᵀ [ (G g) ⊙ (Bᵀ d) ]
//!      | 1  0 -1  0 |        | 1    0    0  |
//! Bᵀ = | 0  1  1  0 |    G = | 1/2  1/2 1/2 |    Aᵀ = | 1  1  1  0 |
//!      | 0 -1  1  0 |        | 1/2 -1/2 1/2 |         | 0  1 -1 -1 |
//!      | 0  1  0 -1 |        | 0    0    1  |
//! ```
//!
//! and in two, each map is applied along the rows and along the columns. With many channels the 16
//! products become 16 matrix products over all tiles. The filter's gradient is the adjoint of the
//! same equation in g: `dg = Gᵀ [ (A dy) ⊙ (Bᵀ d) ]`.
//!
//! The coefficients are 0, ±1 and 1/2, so the rounding error stays within a small factor of the
//! direct sum's; larger tiles would need coefficients that cost digits.
//!
//! Source: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015.

use crate::device::Real;

/// The number of products of a tile, and so of planes.
pub const PLANES: usize = 16;

/// Channels transformed together: one cache line of f32.
pub const LANES: usize = 16;

/// Bᵀ d, of inputs.
#[inline(always)]
pub fn input<T: Real>(d: [T; 4]) -> [T; 4] {
    [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]
}

/// G g, of filters.
#[inline(always)]
pub fn filter<T: Real>(g: [T; 3]) -> [T; 4] {
    let half = T::from_f64(0.5);
    let outer = g[0] + g[2];
    [g[0], (outer + g[1]) * half, (outer - g[1]) * half, g[2]]
}

/// Aᵀ m, to outputs.
#[inline(always)]
pub fn output<T: Real>(m: [T; 4]) -> [T; 2] {
    [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
}

/// A dy, of the outputs' gradients: the adjoint of [`output`].
#[inline(always)]
pub fn output_adjoint<T: Real>(dy: [T; 2]) -> [T; 4] {
    [dy[0], dy[0] + dy[1], dy[0] - dy[1], -dy[1]]
}

/// Gᵀ m, to the filters' gradients: the adjoint of [`filter`].
#[inline(always)]
pub fn filter_adjoint<T: Real>(m: [T; 4]) -> [T; 3] {
    let half = T::from_f64(0.5);
    let sum = (m[1] + m[2]) * half;
    [m[0] + sum, (m[1] - m[2]) * half, sum + m[3]]
}

/// Some neighbouring channels of a square of pixels.
type Square<T, const P: usize> = [[[T; LANES]; P]; P];

/// `map` along the columns and then along the rows, for each channel. Written with plain loops over
/// local arrays, which the compiler unrolls, but for the channels, which become lanes of vectors.
#[inline(always)]
fn along_both<T: Real, const I: usize, const O: usize>(
    from: &Square<T, I>,
    map: impl Fn([T; I]) -> [T; O],
    to: &mut Square<T, O>,
) {
    for l in 0..LANES {
        let mut columns = [[T::zero(); O]; I];
        for j in 0..I {
            let mut column = [T::zero(); I];
            for i in 0..I {
                column[i] = from[i][j][l];
            }
            columns[j] = map(column);
        }
        for i in 0..O {
            let mut row = [T::zero(); I];
            for j in 0..I {
                row[j] = columns[j][i];
            }
            let row = map(row);
            for j in 0..O {
                to[i][j][l] = row[j];
            }
        }
    }
}

/// Reads the first channels of `from`, as many as it has.
#[inline(always)]
fn load<T: Real>(from: &[T], lanes: &mut [T; LANES]) {
    match from.first_chunk() {
        Some(from) => *lanes = *from,
        None => lanes[..from.len()].copy_from_slice(from),
    }
}

/// Writes the first channels of `to`, as many as it has.
#[inline(always)]
pub fn store<T: Real>(lanes: &[T; LANES], to: &mut [T]) {
    match to.first_chunk_mut() {
        Some(to) => *to = *lanes,
        None => to.copy_from_slice(&lanes[..to.len()]),
    }
}

/// Transforms a square of pixels to one row of channels in each plane: plane p's row is
/// `planes[p * plane + at..]`.
#[inline(always)]
pub fn to_planes<T: Real, const P: usize>(
    pixels: [[&[T]; P]; P],
    map: impl Fn([T; P]) -> [T; 4],
    planes: &mut [T],
    plane: usize,
    at: usize,
) {
    let channels = pixels[0][0].len();
    let (mut from, mut to) = ([[[T::zero(); LANES]; P]; P], [[[T::zero(); LANES]; 4]; 4]);
    for c in (0..channels).step_by(LANES) {
        for (lanes, pixel) in from.as_flattened_mut().iter_mut().zip(pixels.as_flattened()) {
            load(&pixel[c..], lanes);
        }
        along_both(&from, &map, &mut to);
        for (p, lanes) in to.as_flattened().iter().enumerate() {
            store(lanes, &mut planes[p * plane + at..][c..channels]);
        }
    }
}

/// Transforms one row of `channels` in each plane to a square of pixels: `write(i, j, c, lanes)` gets
/// the channels from `c` of pixel (i, j).
#[inline(always)]
pub fn from_planes<T: Real, const P: usize>(
    planes: &[T],
    plane: usize,
    at: usize,
    channels: usize,
    map: impl Fn([T; 4]) -> [T; P],
    mut write: impl FnMut(usize, usize, usize, &[T; LANES]),
) {
    let (mut from, mut to) = ([[[T::zero(); LANES]; 4]; 4], [[[T::zero(); LANES]; P]; P]);
    for c in (0..channels).step_by(LANES) {
        for (p, lanes) in from.as_flattened_mut().iter_mut().enumerate() {
            load(&planes[p * plane + at..][c..channels], lanes);
        }
        along_both(&from, &map, &mut to);
        for (i, row) in to.iter().enumerate() {
            for (j, lanes) in row.iter().enumerate() {
                write(i, j, c, lanes);
            }
        }
    }
}
