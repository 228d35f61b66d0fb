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

/// A linear map in one dimension.
pub trait Map<const I: usize, const O: usize> {
    fn of<T: Real>(values: [T; I]) -> [T; O];
}

/// The maps of F(MxM, 3x3).
pub trait Filtering<const M: usize, const P: usize>: Sync {
    /// Bᵀ d, of inputs.
    type Input: Map<P, P>;
    /// G g, of filters.
    type Filter: Map<3, P>;
    /// Aᵀ m, to outputs.
    type Output: Map<P, M>;
    /// A dy, of the outputs' gradients.
    type OutputAdjoint: Map<M, P>;
    /// Gᵀ m, to the filters' gradients.
    type FilterAdjoint: Map<P, 3>;
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
    type Input = F2Input;
    type Filter = F2Filter;
    type Output = F2Output;
    type OutputAdjoint = F2OutputAdjoint;
    type FilterAdjoint = F2FilterAdjoint;
}

pub struct F2Input;

impl Map<4, 4> for F2Input {
    #[inline(always)]
    fn of<T: Real>(d: [T; 4]) -> [T; 4] {
        [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]
    }
}

pub struct F2Filter;

impl Map<3, 4> for F2Filter {
    #[inline(always)]
    fn of<T: Real>(g: [T; 3]) -> [T; 4] {
        let half = T::from_f64(0.5);
        let outer = g[0] + g[2];
        [g[0], (outer + g[1]) * half, (outer - g[1]) * half, g[2]]
    }
}

pub struct F2Output;

impl Map<4, 2> for F2Output {
    #[inline(always)]
    fn of<T: Real>(m: [T; 4]) -> [T; 2] {
        [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
    }
}

pub struct F2OutputAdjoint;

impl Map<2, 4> for F2OutputAdjoint {
    #[inline(always)]
    fn of<T: Real>(dy: [T; 2]) -> [T; 4] {
        [dy[0], dy[0] + dy[1], dy[0] - dy[1], -dy[1]]
    }
}

pub struct F2FilterAdjoint;

impl Map<4, 3> for F2FilterAdjoint {
    #[inline(always)]
    fn of<T: Real>(m: [T; 4]) -> [T; 3] {
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
    /// G's rows 1 and 3.
    const G: [f64; 6] =
        [Self::N, Self::N * Self::B, Self::N * Self::B2, Self::M, Self::M * Self::A, Self::M * Self::A2];
    /// G's first element.
    const G0: f64 = 1.0 / (Self::A2 * Self::B2);
}

impl Filtering<4, 6> for F4 {
    type Input = F4Input;
    type Filter = F4Filter;
    type Output = F4Output;
    type OutputAdjoint = F4OutputAdjoint;
    type FilterAdjoint = F4FilterAdjoint;
}

pub struct F4Input;

impl Map<6, 6> for F4Input {
    #[inline(always)]
    fn of<T: Real>(d: [T; 6]) -> [T; 6] {
        let [a, b, a2, b2] = [F4::A, F4::B, F4::A2, F4::B2].map(T::from_f64);
        let (product, sum) = (T::from_f64(F4::A2 * F4::B2), T::from_f64(F4::A2 + F4::B2));
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
}

pub struct F4Filter;

impl Map<3, 6> for F4Filter {
    #[inline(always)]
    fn of<T: Real>(g: [T; 3]) -> [T; 6] {
        let [n, nb, nb2, m, ma, ma2] = F4::G.map(T::from_f64);
        let (even_b, odd_b) = (n * g[0] + nb2 * g[2], nb * g[1]);
        let (even_a, odd_a) = (m * g[0] + ma2 * g[2], ma * g[1]);
        let zero = T::from_f64(F4::G0);
        [zero * g[0], even_b + odd_b, even_b - odd_b, even_a + odd_a, even_a - odd_a, g[2]]
    }
}

pub struct F4Output;

impl Map<6, 4> for F4Output {
    #[inline(always)]
    fn of<T: Real>(m: [T; 6]) -> [T; 4] {
        let [a, b, a2, b2] = [F4::A, F4::B, F4::A2, F4::B2].map(T::from_f64);
        let (even_b, odd_b) = (m[1] + m[2], b * (m[1] - m[2]));
        let (even_a, odd_a) = (m[3] + m[4], a * (m[3] - m[4]));
        [m[0] + even_b + even_a, odd_b + odd_a, b2 * even_b + a2 * even_a, b2 * odd_b + a2 * odd_a + m[5]]
    }
}

pub struct F4OutputAdjoint;

impl Map<4, 6> for F4OutputAdjoint {
    #[inline(always)]
    fn of<T: Real>(dy: [T; 4]) -> [T; 6] {
        let [a, b, a2, b2] = [F4::A, F4::B, F4::A2, F4::B2].map(T::from_f64);
        let (even_b, odd_b) = (dy[0] + b2 * dy[2], b * (dy[1] + b2 * dy[3]));
        let (even_a, odd_a) = (dy[0] + a2 * dy[2], a * (dy[1] + a2 * dy[3]));
        [dy[0], even_b + odd_b, even_b - odd_b, even_a + odd_a, even_a - odd_a, dy[3]]
    }
}

pub struct F4FilterAdjoint;

impl Map<6, 3> for F4FilterAdjoint {
    #[inline(always)]
    fn of<T: Real>(m: [T; 6]) -> [T; 3] {
        let [n, nb, nb2, l, la, la2] = F4::G.map(T::from_f64);
        let (even_b, odd_b) = (m[1] + m[2], m[1] - m[2]);
        let (even_a, odd_a) = (m[3] + m[4], m[3] - m[4]);
        let zero = T::from_f64(F4::G0);
        [zero * m[0] + n * even_b + l * even_a, nb * odd_b + la * odd_a, nb2 * even_b + la2 * even_a + m[5]]
    }
}
