//! The other rungs of the convolution's ladder, for tests, benchmarks and study; training uses the
//! functions of the parent module. GPU only.

use super::gpu::Extents;
use super::{Conv3x3Shape, OP};
use crate::device::driver::{Grid, Ptr};
use crate::device::kernels::conv3x3::ladder::naive::{
    BLOCK_THREADS, Conv3x3DgradNaive, Conv3x3FpropNaive, Conv3x3WgradNaive,
};
use crate::error::Result;
use crate::ops::{expect_alike, expect_shape, extents};
use crate::tensor::{Tensor, gpu_of};

/// One thread for each of `count` outputs.
fn grid(count: usize) -> Grid {
    Grid::linear(count.div_ceil(BLOCK_THREADS as usize), BLOCK_THREADS)
}

/// Rung 1 of [`super::conv3x3`]: `y [N,H,W,K]` from `x [N,H,W,C]`, `filter [K,3,3,C]` and `bias [K]`.
///
/// # Errors
/// As [`super::conv3x3`]; [`crate::Error::Operand`] when a tensor is not on a GPU.
///
/// Source: `kernels/conv3x3/ladder/1_naive.cu`.
pub fn fprop_naive(x: &Tensor, filter: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    expect_alike(OP, &[("x", x), ("filter", filter)])?;
    let [n, h, w, c] = extents(OP, "x [N,H,W,C]", x)?;
    let [k, ..] = extents::<4>(OP, "filter [K,3,3,C]", filter)?;
    expect_shape(OP, "filter [K,3,3,C] with the C of x:", filter, &[k, 3, 3, c])?;
    let bias = match bias {
        Some(bias) => {
            expect_alike(OP, &[("x", x), ("bias", bias)])?;
            expect_shape(OP, "bias [K] =", bias, &[k])?;
            bias.gpu()?.ptr()
        }
        None => Ptr::new(0),
    };
    let e = Extents::checked(&Conv3x3Shape { n, h, w, c, k })?;
    let mut y = x.empty_like(&[n, h, w, k])?;
    let count = y.len();
    let (x_ptr, filter, y_ptr) = (x.gpu()?.ptr(), filter.gpu()?.ptr(), y.gpu_mut()?.ptr_mut());
    gpu_of(x)?.launch(
        &Conv3x3FpropNaive { x: x_ptr, filter, bias, y: y_ptr, N: e.n, H: e.h, W: e.w, C: e.c, K: e.k },
        grid(count),
    )?;
    Ok(y)
}

/// Rung 1 of [`super::dgrad`]: `dx [N,H,W,C]` from `dy [N,H,W,K]` and `filter [K,3,3,C]`.
///
/// # Errors
/// As [`fprop_naive`].
///
/// Source: `kernels/conv3x3/ladder/1_naive.cu`.
pub fn dgrad_naive(dy: &Tensor, filter: &Tensor) -> Result<Tensor> {
    expect_alike(OP, &[("dy", dy), ("filter", filter)])?;
    let [n, h, w, k] = extents(OP, "dy [N,H,W,K]", dy)?;
    let [.., c] = extents::<4>(OP, "filter [K,3,3,C]", filter)?;
    expect_shape(OP, "filter [K,3,3,C] with the K of dy:", filter, &[k, 3, 3, c])?;
    let e = Extents::checked(&Conv3x3Shape { n, h, w, c, k })?;
    let mut dx = dy.empty_like(&[n, h, w, c])?;
    let count = dx.len();
    let (dy_ptr, filter, dx_ptr) = (dy.gpu()?.ptr(), filter.gpu()?.ptr(), dx.gpu_mut()?.ptr_mut());
    gpu_of(dy)?.launch(
        &Conv3x3DgradNaive { dy: dy_ptr, filter, dx: dx_ptr, N: e.n, H: e.h, W: e.w, C: e.c, K: e.k },
        grid(count),
    )?;
    Ok(dx)
}

/// Rung 1 of [`super::wgrad`]: `dfilter [K,3,3,C]` from `x [N,H,W,C]` and `dy [N,H,W,K]`.
///
/// # Errors
/// As [`fprop_naive`].
///
/// Source: `kernels/conv3x3/ladder/1_naive.cu`.
pub fn wgrad_naive(x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    expect_alike(OP, &[("x", x), ("dy", dy)])?;
    let [n, h, w, c] = extents(OP, "x [N,H,W,C]", x)?;
    let [.., k] = extents::<4>(OP, "dy [N,H,W,K]", dy)?;
    expect_shape(OP, "dy [N,H,W,K] with the N, H and W of x:", dy, &[n, h, w, k])?;
    let e = Extents::checked(&Conv3x3Shape { n, h, w, c, k })?;
    let mut dfilter = x.empty_like(&[k, 3, 3, c])?;
    let count = dfilter.len();
    let (x_ptr, dy_ptr, dfilter_ptr) = (x.gpu()?.ptr(), dy.gpu()?.ptr(), dfilter.gpu_mut()?.ptr_mut());
    gpu_of(x)?.launch(
        &Conv3x3WgradNaive {
            x: x_ptr,
            dy: dy_ptr,
            dfilter: dfilter_ptr,
            N: e.n,
            H: e.h,
            W: e.w,
            C: e.c,
            K: e.k,
        },
        grid(count),
    )?;
    Ok(dfilter)
}
