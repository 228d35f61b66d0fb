//! Winograd's minimal filtering F(MxM, 3x3): an MxM tile of outputs from a PxP patch of inputs, P = M + 2,
//! with P² products where the definition needs 9 M².
//!
//! In one dimension, for a patch d of P, a filter g of 3 and outputs y of M:
//!
//! ```text
//! y = Aᵀ [ (G g) ⊙ (Bᵀ d) ]
//! ```
//!
//! and in two, each map is applied along the rows and along the columns. With many channels the P²
//! products become P² matrix products over all tiles. The filter's gradient is the adjoint of the
//! same equation in g: `dg = Gᵀ [ (A dy) ⊙ (Bᵀ d) ]`.
//!
//! | | products per output | relative error of f32, 128 channels |
//! |---|--:|--:|
//! | the definition | 9 | 6e-7 |
//! | [`F2`] | 4 | 4e-7 |
//! | [`F4`] | 2.25 | 1.1e-6 |
//!
//! Sources: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015; for the
//! choice of points, B. Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd
//! Convolution for Deep Neural Networks", 2020.

use crate::device::Real;

/// Channels transformed together: one cache line of f32.
pub const LANES: usize = 16;

/// The maps of F(MxM, 3x3) in one dimension. The adjoints are those of the transposed matrices.
pub trait Filtering<const M: usize, const P: usize>: Sync {
    /// Bᵀ d, of inputs.
    fn input<T: Real>(d: [T; P]) -> [T; P];
    /// G g, of filters.
    fn filter<T: Real>(g: [T; 3]) -> [T; P];
    /// Aᵀ m, to outputs.
    fn output<T: Real>(m: [T; P]) -> [T; M];
    /// A dy, of the outputs' gradients.
    fn output_adjoint<T: Real>(dy: [T; M]) -> [T; P];
    /// Gᵀ m, to the filters' gradients.
    fn filter_adjoint<T: Real>(m: [T; P]) -> [T; 3];
}

/// F(2x2, 3x3), which interpolates at 0, 1, -1 and infinity: its coefficients are 0, ±1 and 1/2.
///
/// ```text
///      | 1  0 -1  0 |        | 1    0    0  |
/// Bᵀ = | 0  1  1  0 |    G = | 1/2  1/2 1/2 |    Aᵀ = | 1  1  1  0 |
///      | 0 -1  1  0 |        | 1/2 -1/2 1/2 |         | 0  1 -1 -1 |
///      | 0  1  0 -1 |        | 0    0    1  |
/// ```
pub struct F2;

impl Filtering<2, 4> for F2 {
    #[inline(always)]
    fn input<T: Real>(d: [T; 4]) -> [T; 4] {
        [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]
    }

    #[inline(always)]
    fn filter<T: Real>(g: [T; 3]) -> [T; 4] {
        let half = T::from_f64(0.5);
        let outer = g[0] + g[2];
        [g[0], (outer + g[1]) * half, (outer - g[1]) * half, g[2]]
    }

    #[inline(always)]
    fn output<T: Real>(m: [T; 4]) -> [T; 2] {
        [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
    }

    #[inline(always)]
    fn output_adjoint<T: Real>(dy: [T; 2]) -> [T; 4] {
        [dy[0], dy[0] + dy[1], dy[0] - dy[1], -dy[1]]
    }

    #[inline(always)]
    fn filter_adjoint<T: Real>(m: [T; 4]) -> [T; 3] {
        let half = T::from_f64(0.5);
        let sum = (m[1] + m[2]) * half;
        [m[0] + sum, (m[1] - m[2]) * half, sum + m[3]]
    }
}

/// F(4x4, 3x3), which interpolates at 0, ±a, ±b and infinity with a = 5/8 and b = 3/2.
///
/// The usual points ±1 and ±2 give twice the error. These are the best of the pairs of small
/// fractions, and they and their products are exact in f32.
///
/// ```text
///      | a²b²   0   -a²-b²   0     1  0 |       | 1/(a²b²)  0    0   |        | 1  1  1   1  1   0 |
///      |  0   -a²b   -a²     b     1  0 |       | n         nb   nb² |   Aᵀ = | 0  b -b   a -a   0 |
/// Bᵀ = |  0    a²b   -a²    -b     1  0 |   G = | n        -nb   nb² |        | 0  b² b²  a² a²  0 |
///      |  0   -ab²   -b²     a     1  0 |       | m         ma   ma² |        | 0  b³ -b³ a³ -a³ 1 |
///      |  0    ab²   -b²    -a     1  0 |       | m        -ma   ma² |
///      |  0    a²b²   0   -a²-b²   0  1 |       | 0         0    1   |
///
/// n = 1 / (2b² (b² - a²))     m = 1 / (2a² (a² - b²))
/// ```
pub struct F4;

impl F4 {
    const A: f64 = 5.0 / 8.0;
    const B: f64 = 3.0 / 2.0;
    const A2: f64 = Self::A * Self::A;
    const B2: f64 = Self::B * Self::B;
    const N: f64 = 1.0 / (2.0 * Self::B2 * (Self::B2 - Self::A2));
    const M: f64 = 1.0 / (2.0 * Self::A2 * (Self::A2 - Self::B2));
}

impl Filtering<4, 6> for F4 {
    #[inline(always)]
    fn input<T: Real>(d: [T; 6]) -> [T; 6] {
        let [a, b, a2, b2] = [Self::A, Self::B, Self::A2, Self::B2].map(T::from_f64);
        let (product, sum) = (T::from_f64(Self::A2 * Self::B2), T::from_f64(Self::A2 + Self::B2));
        // Those of points that differ in sign share their even and their odd half.
        let (even_b, odd_b) = (d[4] - a2 * d[2], b * (d[3] - a2 * d[1]));
        let (even_a, odd_a) = (d[4] - b2 * d[2], a * (d[3] - b2 * d[1]));
        [
            product * d[0] - sum * d[2] + d[4],
            even_b + odd_b,
            even_b - odd_b,
            even_a + odd_a,
            even_a - odd_a,
            product * d[1] - sum * d[3] + d[5],
        ]
    }

    #[inline(always)]
    fn filter<T: Real>(g: [T; 3]) -> [T; 6] {
        let [n, nb, nb2, m, ma, ma2] =
            [Self::N, Self::N * Self::B, Self::N * Self::B2, Self::M, Self::M * Self::A, Self::M * Self::A2]
                .map(T::from_f64);
        let (even_b, odd_b) = (n * g[0] + nb2 * g[2], nb * g[1]);
        let (even_a, odd_a) = (m * g[0] + ma2 * g[2], ma * g[1]);
        let zero = T::from_f64(1.0 / (Self::A2 * Self::B2));
        [zero * g[0], even_b + odd_b, even_b - odd_b, even_a + odd_a, even_a - odd_a, g[2]]
    }

    #[inline(always)]
    fn output<T: Real>(m: [T; 6]) -> [T; 4] {
        let [a, b, a2, b2] = [Self::A, Self::B, Self::A2, Self::B2].map(T::from_f64);
        let (even_b, odd_b) = (m[1] + m[2], b * (m[1] - m[2]));
        let (even_a, odd_a) = (m[3] + m[4], a * (m[3] - m[4]));
        [m[0] + even_b + even_a, odd_b + odd_a, b2 * even_b + a2 * even_a, b2 * odd_b + a2 * odd_a + m[5]]
    }

    #[inline(always)]
    fn output_adjoint<T: Real>(dy: [T; 4]) -> [T; 6] {
        let [a, b, a2, b2] = [Self::A, Self::B, Self::A2, Self::B2].map(T::from_f64);
        let (even_b, odd_b) = (dy[0] + b2 * dy[2], b * (dy[1] + b2 * dy[3]));
        let (even_a, odd_a) = (dy[0] + a2 * dy[2], a * (dy[1] + a2 * dy[3]));
        [dy[0], even_b + odd_b, even_b - odd_b, even_a + odd_a, even_a - odd_a, dy[3]]
    }

    #[inline(always)]
    fn filter_adjoint<T: Real>(m: [T; 6]) -> [T; 3] {
        let [n, nb, nb2, l, la, la2] =
            [Self::N, Self::N * Self::B, Self::N * Self::B2, Self::M, Self::M * Self::A, Self::M * Self::A2]
                .map(T::from_f64);
        let (even_b, odd_b) = (m[1] + m[2], m[1] - m[2]);
        let (even_a, odd_a) = (m[3] + m[4], m[3] - m[4]);
        let zero = T::from_f64(1.0 / (Self::A2 * Self::B2));
        [zero * m[0] + n * even_b + l * even_a, nb * odd_b + la * odd_a, nb2 * even_b + la2 * even_a + m[5]]
    }
}

/// Some neighbouring channels of a square of pixels.
type Square<T, const S: usize> = [[[T; LANES]; S]; S];

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
pub fn to_planes<T: Real, const S: usize, const P: usize>(
    pixels: [[&[T]; S]; S],
    map: impl Fn([T; S]) -> [T; P],
    planes: &mut [T],
    plane: usize,
    at: usize,
) {
    let channels = pixels[0][0].len();
    let (mut from, mut to) = ([[[T::zero(); LANES]; S]; S], [[[T::zero(); LANES]; P]; P]);
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
pub fn from_planes<T: Real, const P: usize, const S: usize>(
    planes: &[T],
    plane: usize,
    at: usize,
    channels: usize,
    map: impl Fn([T; P]) -> [T; S],
    mut write: impl FnMut(usize, usize, usize, &[T; LANES]),
) {
    let (mut from, mut to) = ([[[T::zero(); LANES]; P]; P], [[[T::zero(); LANES]; S]; S]);
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
