//! Matrix products of transformed tiles. The operands are small, in cache, and already cut into strips
//! as wide as a vector, so nothing is packed: a tile of the product stays in registers while the loop
//! runs over the whole depth.

use super::lanes::{LANES, Lanes};
use crate::device::Real;
use crate::device::registers::{Array, Register};

/// A matrix whose columns are cut into strips of [`LANES`]: row r of strip s is
/// `lanes[s * stride + r]`. Lanes beyond the last column are never read.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    pub lanes: &'a [Lanes<T>],
    pub rows: usize,
    pub cols: usize,
    pub stride: usize,
}

/// The left operand of a product.
#[derive(Clone, Copy)]
pub enum Left<'a, T> {
    Plain(Matrix<'a, T>),
    /// With rows and columns exchanged.
    Transposed(Matrix<'a, T>),
}

impl<T> Left<'_, T> {
    /// Rows and columns of the operand.
    fn extents(&self) -> (usize, usize) {
        match self {
            Left::Plain(a) => (a.rows, a.cols),
            Left::Transposed(a) => (a.cols, a.rows),
        }
    }
}

/// product = a b, or product += a b if `accumulate`. The product is cut into strips as `b` is: row r of
/// strip s is `product[s * stride + r]`. Each element is summed in the order of the depth.
///
/// # Panics
/// When the depths of `a` and `b` differ, or a slice is shorter than its extents say.
pub fn multiply<T: Real>(
    a: Left<T>,
    b: Matrix<T>,
    accumulate: bool,
    product: &mut [Lanes<T>],
    stride: usize,
) {
    assert_eq!(a.extents().1, b.rows, "the depth of the operands");
    // As many rows at a time as the registers hold sums of, beside a row of b.
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has it.
            return unsafe { with_avx512(a, b, accumulate, product, stride) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has them.
            return unsafe { with_avx2(a, b, accumulate, product, stride) };
        }
    }
    // SAFETY: every processor has these registers.
    unsafe { by_tiles::<T, Array<T>, 2>(a, b, accumulate, product, stride) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn with_avx512<T: Real>(a: Left<T>, b: Matrix<T>, accumulate: bool, product: &mut [Lanes<T>], stride: usize) {
    // SAFETY: this function is compiled for these registers.
    unsafe { by_tiles::<T, T::Avx512, 16>(a, b, accumulate, product, stride) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<T: Real>(a: Left<T>, b: Matrix<T>, accumulate: bool, product: &mut [Lanes<T>], stride: usize) {
    // SAFETY: this function is compiled for these registers.
    unsafe { by_tiles::<T, T::Avx2, 4>(a, b, accumulate, product, stride) }
}

/// The product in tiles of R rows and one strip, and in tiles of one row where fewer than R are left.
/// R divides [`LANES`].
///
/// # Safety
/// That of [`Register`].
#[inline(always)]
unsafe fn by_tiles<T: Real, V: Register<T>, const R: usize>(
    a: Left<T>,
    b: Matrix<T>,
    accumulate: bool,
    product: &mut [Lanes<T>],
    stride: usize,
) {
    let rows = a.extents().0;
    let whole = rows / R * R;
    for strip in 0..b.cols.div_ceil(LANES) {
        let b = &b.lanes[strip * b.stride..][..b.rows];
        let product = &mut product[strip * stride..][..rows];
        // SAFETY: the caller's.
        unsafe {
            for row in (0..whole).step_by(R) {
                tile::<T, V, R>(a, row, b, accumulate, &mut product[row..]);
            }
            for row in whole..rows {
                tile::<T, V, 1>(a, row, b, accumulate, &mut product[row..]);
            }
        }
    }
}

/// The first R rows of `product` = R rows of `a` from `row`, times the strip `b`; in parts of a strip that are as
/// wide as a register.
///
/// # Safety
/// That of [`Register`].
#[inline(always)]
unsafe fn tile<T: Real, V: Register<T>, const R: usize>(
    a: Left<T>,
    row: usize,
    b: &[Lanes<T>],
    accumulate: bool,
    product: &mut [Lanes<T>],
) {
    for part in (0..LANES).step_by(V::LEN) {
        // SAFETY: the caller's.
        unsafe {
            let mut sums = [V::splat(T::zero()); R];
            match a {
                Left::Plain(a) => {
                    for (rows, b) in a.lanes[row..].chunks(a.stride).zip(b.chunks(LANES)) {
                        let rows: &[Lanes<T>; R] = rows.first_chunk().expect("rows of a");
                        for (d, b) in b.iter().enumerate() {
                            let b = V::load(&b.0[part..]);
                            for r in 0..R {
                                sums[r] = sums[r].add_product(V::splat(rows[r].0[d]), b);
                            }
                        }
                    }
                }
                Left::Transposed(a) => {
                    for (column, b) in a.lanes[row / LANES * a.stride..].iter().zip(b) {
                        let column: &[T; R] =
                            column.0[row % LANES..].first_chunk().expect("a divisor of LANES");
                        let b = V::load(&b.0[part..]);
                        for r in 0..R {
                            sums[r] = sums[r].add_product(V::splat(column[r]), b);
                        }
                    }
                }
            }
            for (product, mut sum) in product[..R].iter_mut().zip(sums) {
                let product = &mut product.0[part..];
                if accumulate {
                    sum = sum.add(V::load(product));
                }
                sum.store(product);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix of small integers, whose products f32 holds exactly, with NaN beyond its columns.
    fn lanes(
        rows: usize,
        cols: usize,
        stride: usize,
        value: impl Fn(usize, usize) -> f32,
    ) -> Vec<Lanes<f32>> {
        let mut lanes = vec![Lanes([f32::NAN; LANES]); cols.div_ceil(LANES) * stride];
        for (row, col) in (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col))) {
            lanes[col / LANES * stride + row].0[col % LANES] = value(row, col);
        }
        lanes
    }

    type Multiply = fn(Left<f32>, Matrix<f32>, bool, &mut [Lanes<f32>], usize);

    fn assert_multiplies(multiply: Multiply) {
        let (a_of, b_of) =
            (|i, j| (i * 7 + j * 3) as f32 % 11.0 - 5.0, |i, j| (i * 5 + j) as f32 % 13.0 - 6.0);
        for [rows, depth, cols] in [[1_usize, 1, 1], [8, 16, 32], [13, 17, 50], [21, 40, 16], [3, 5, 33]] {
            let strips = cols.div_ceil(LANES);
            let (plain, turned) =
                (lanes(rows, depth, rows + 2, a_of), lanes(depth, rows, depth + 1, |i, j| a_of(j, i)));
            let b = lanes(depth, cols, depth, b_of);
            let b = Matrix { lanes: &b, rows: depth, cols, stride: depth };
            for a in [
                Left::Plain(Matrix { lanes: &plain, rows, cols: depth, stride: rows + 2 }),
                Left::Transposed(Matrix { lanes: &turned, rows: depth, cols: rows, stride: depth + 1 }),
            ] {
                let mut product = vec![Lanes([f32::NAN; LANES]); strips * rows];
                multiply(a, b, false, &mut product, rows);
                multiply(a, b, true, &mut product, rows);
                for (row, col) in (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col))) {
                    let expected: f32 = (0..depth).map(|d| a_of(row, d) * b_of(d, col)).sum();
                    assert_eq!(
                        product[col / LANES * rows + row].0[col % LANES],
                        2.0 * expected,
                        "{row}, {col}"
                    );
                }
            }
        }
    }

    #[test]
    fn product_is_that_of_the_definition() {
        assert_multiplies(multiply);
    }

    #[test]
    fn product_without_vector_instructions_is_that_of_the_definition() {
        // SAFETY: every processor has these registers.
        assert_multiplies(|a, b, accumulate, product, stride| unsafe {
            by_tiles::<f32, Array<f32>, 2>(a, b, accumulate, product, stride)
        });
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn product_with_avx2_is_that_of_the_definition() {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has them.
            assert_multiplies(|a, b, accumulate, product, stride| unsafe {
                with_avx2(a, b, accumulate, product, stride)
            });
        }
    }
}
