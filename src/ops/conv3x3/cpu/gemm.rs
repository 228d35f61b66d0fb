//! Matrix products, by the `matrixmultiply` crate: it picks AVX-512, AVX2 or NEON code when it runs,
//! reads matrices through any strides, and brings one small dependency. It runs on the calling
//! thread; the passes share work between threads by blocks, so that no sum depends on their number.

use crate::device::Real;
use crate::tensor::DType;

/// A matrix within a slice: element (i, j) is `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// The first `rows * cols` elements of `data`, row by row.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Matrix<'a, T> {
        Matrix { data: &data[..rows * cols], rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The same elements with rows and columns exchanged.
    pub fn transposed(self) -> Matrix<'a, T> {
        Matrix {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// product = a b + beta product, where `product` is row-major; with `beta` 0 it is overwritten.
///
/// # Panics
/// When the extents of `a`, `b` and `product` do not fit each other.
pub fn gemm<T: Real>(a: Matrix<T>, b: Matrix<T>, beta: T, product: &mut [T]) {
    assert_eq!(a.cols, b.rows, "the depth of the operands");
    assert_eq!(product.len(), a.rows * b.cols, "the elements of the product");
    macro_rules! call {
        ($gemm:path, $t:ty) => {{
            let (a_data, b_data): (&[$t], &[$t]) =
                (bytemuck::cast_slice(a.data), bytemuck::cast_slice(b.data));
            let product: &mut [$t] = bytemuck::cast_slice_mut(product);
            // SAFETY: `Matrix` is only made of slices that hold all rows * cols elements at its
            // strides, the extents were checked above, and `product` is borrowed exclusively.
            unsafe {
                $gemm(
                    a.rows,
                    a.cols,
                    b.cols,
                    1.0,
                    a_data.as_ptr(),
                    a.row_stride as isize,
                    a.col_stride as isize,
                    b_data.as_ptr(),
                    b.row_stride as isize,
                    b.col_stride as isize,
                    beta.to_f64() as $t,
                    product.as_mut_ptr(),
                    b.cols as isize,
                    1,
                )
            }
        }};
    }
    match T::DTYPE {
        DType::F64 => call!(matrixmultiply::dgemm, f64),
        _ => call!(matrixmultiply::sgemm, f32),
    }
}
