//! 3x3 convolution on the CPU: Winograd's transforms around matrix products, F(4x4, 3x3) for f32 and the
//! more exact F(2x2, 3x3) for f64.
//!
//! Work is cut into blocks of whole rows of tiles at places that depend on the shape alone, and each
//! block is computed by one thread: the bits of a result do not depend on the number of threads.

mod gemm;
mod winograd;

use super::Conv3x3Shape;
use crate::device::Real;
use crate::ops::parallel::sum_rows;
use crate::tensor::DType;
use gemm::{Matrix, gemm};
use rayon::prelude::*;
use std::array::from_fn;
use std::marker::PhantomData;
use std::ops::Range;
use winograd::{F2, F4, Filtering, LANES, from_planes, store, to_planes};

/// Tiles of a block: enough to outweigh reading the filter once for each block.
const BLOCK_TILES: usize = 128;

/// Bytes of transformed tiles that [`wgrad`] keeps at a time: what the caches hold together.
const CHUNK_BYTES: usize = 16 << 20;

/// `y[n,h,w,k] = bias[k] + sum_{r,s,c} x[n,h+r-1,w+s-1,c] filter[k,r,s,c]`
pub fn fprop<T: Real>(s: &Conv3x3Shape, x: &[T], filter: &[T], bias: Option<&[T]>, y: &mut [T]) {
    match T::DTYPE {
        DType::F32 => Tiling::<F4, 4, 6>::new(s).fprop(s, x, filter, bias, y),
        _ => Tiling::<F2, 2, 4>::new(s).fprop(s, x, filter, bias, y),
    }
}

/// `dx[n,h,w,c] = sum_{k,r,s} dy[n,h+1-r,w+1-s,k] filter[k,r,s,c]`
pub fn dgrad<T: Real>(s: &Conv3x3Shape, dy: &[T], filter: &[T], dx: &mut [T]) {
    match T::DTYPE {
        DType::F32 => Tiling::<F4, 4, 6>::new(s).dgrad(s, dy, filter, dx),
        _ => Tiling::<F2, 2, 4>::new(s).dgrad(s, dy, filter, dx),
    }
}

/// `dfilter[k,r,s,c] = sum_{n,h,w} x[n,h+r-1,w+s-1,c] dy[n,h,w,k]`
pub fn wgrad<T: Real>(s: &Conv3x3Shape, x: &[T], dy: &[T], dfilter: &mut [T]) {
    match T::DTYPE {
        DType::F32 => Tiling::<F4, 4, 6>::new(s).wgrad(s, x, dy, dfilter),
        _ => Tiling::<F2, 2, 4>::new(s).wgrad(s, x, dy, dfilter),
    }
}

/// `dbias[k] = sum_{n,h,w} dy[n,h,w,k]`
pub fn bias_grad<T: Real>(s: &Conv3x3Shape, dy: &[T], dbias: &mut [T]) {
    let sums = sum_rows(s.n * s.h * s.w, s.k, s.k, |rows, sums| {
        for dy in dy[rows.start * s.k..rows.end * s.k].chunks_exact(s.k) {
            for (sum, &dy) in sums.iter_mut().zip(dy) {
                *sum += dy.to_f64();
            }
        }
    });
    for (dbias, sum) in dbias.iter_mut().zip(sums) {
        *dbias = T::from_f64(sum);
    }
}

/// `to` = `from` with rows, of length `cols`, and columns exchanged.
fn transpose<T: Real>(from: &[T], cols: usize, to: &mut [T]) {
    let rows = from.len() / cols;
    // By strips of columns, so that the lines written stay in the cache until they are full.
    for first in (0..cols).step_by(16) {
        for (i, row) in from.chunks_exact(cols).enumerate() {
            for (j, &value) in row.iter().enumerate().skip(first).take(16) {
                to[j * rows + i] = value;
            }
        }
    }
}

/// The images of a batch, cut into tiles of MxM pixels that `F` computes from patches of PxP. Rows of
/// tiles are numbered through all images.
struct Tiling<F, const M: usize, const P: usize> {
    filtering: PhantomData<F>,
    n: usize,
    h: usize,
    w: usize,
    /// Rows of tiles of an image.
    rows: usize,
    /// Tiles of a row.
    cols: usize,
}

impl<F: Filtering<M, P>, const M: usize, const P: usize> Tiling<F, M, P> {
    /// The products of a tile, each in a plane of its own.
    const PLANES: usize = P * P;

    fn new(s: &Conv3x3Shape) -> Self {
        let (rows, cols) = (s.h.div_ceil(M), s.w.div_ceil(M));
        Tiling { filtering: PhantomData, n: s.n, h: s.h, w: s.w, rows, cols }
    }

    fn fprop<T: Real>(&self, s: &Conv3x3Shape, x: &[T], filter: &[T], bias: Option<&[T]>, y: &mut [T]) {
        let by_k = Self::filter_planes(s, filter, |tap| tap);
        let mut by_c = vec![T::zero(); by_k.len()];
        let size = s.k * s.c;
        by_c.par_chunks_mut(size).zip(by_k.par_chunks(size)).for_each(|(to, from)| transpose(from, s.c, to));
        self.correlate([s.c, s.k], x, &by_c, bias, y);
    }

    /// dy correlated with the filter turned by half a turn, its input and output channels exchanged.
    fn dgrad<T: Real>(&self, s: &Conv3x3Shape, dy: &[T], filter: &[T], dx: &mut [T]) {
        let by_k = Self::filter_planes(s, filter, |tap| 8 - tap);
        self.correlate([s.k, s.c], dy, &by_k, None, dx);
    }

    fn wgrad<T: Real>(&self, s: &Conv3x3Shape, x: &[T], dy: &[T], dfilter: &mut [T]) {
        let planes = Self::PLANES;
        let block_rows = self.rows_of(BLOCK_TILES);
        let block_tiles = block_rows * self.cols;
        let block_bytes = block_tiles * planes * (s.c + s.k) * size_of::<T>();
        let blocks: Vec<Range<usize>> = self.blocks(block_rows).collect();
        let chunk_blocks = (CHUNK_BYTES / block_bytes).clamp(1, blocks.len());

        let mut xs = vec![T::zero(); chunk_blocks * planes * block_tiles * s.c];
        let mut dys = vec![T::zero(); chunk_blocks * planes * block_tiles * s.k];
        let mut sums = vec![T::zero(); planes * s.k * s.c];
        for blocks in blocks.chunks(chunk_blocks) {
            let (x_planes, dy_planes) = (planes * block_tiles * s.c, planes * block_tiles * s.k);
            let operands = xs.par_chunks_mut(x_planes).zip(dys.par_chunks_mut(dy_planes));
            operands.zip(blocks).for_each(|((xs, dys), rows)| {
                let (x_plane, dy_plane) = (block_tiles * s.c, block_tiles * s.k);
                self.transform::<T, P>(x, s.c, 1, rows.clone(), F::input, xs, x_plane);
                self.transform::<T, M>(dy, s.k, 0, rows.clone(), F::output_adjoint, dys, dy_plane);
            });
            // Each plane's sum goes through the blocks in their order.
            sums.par_chunks_mut(s.k * s.c).enumerate().for_each(|(p, sum)| {
                for (i, rows) in blocks.iter().enumerate() {
                    let (count, first) = (rows.len() * self.cols, (i * planes + p) * block_tiles);
                    let x = Matrix::new(&xs[first * s.c..], count, s.c);
                    let dy = Matrix::new(&dys[first * s.k..], count, s.k);
                    gemm(dy.transposed(), x, T::one(), sum);
                }
            });
        }
        dfilter.par_chunks_mut(9 * s.c).enumerate().for_each(|(k, dfilter)| {
            from_planes(&sums, s.k * s.c, k * s.c, s.c, F::filter_adjoint, |i, j, c, lanes| {
                store(lanes, &mut dfilter[(i * 3 + j) * s.c..][c..s.c]);
            });
        });
    }

    /// The transformed filter, planes of [K,C]; tap i of the transform is the filter's tap `tap(i)`.
    fn filter_planes<T: Real>(s: &Conv3x3Shape, filter: &[T], tap: impl Fn(usize) -> usize) -> Vec<T> {
        let mut planes = vec![T::zero(); Self::PLANES * s.k * s.c];
        for (k, filter) in filter.chunks_exact(9 * s.c).enumerate() {
            let taps: [[&[T]; 3]; 3] = from_fn(|i| from_fn(|j| &filter[tap(i * 3 + j) * s.c..][..s.c]));
            to_planes(taps, F::filter, &mut planes, s.k * s.c, k * s.c);
        }
        planes
    }

    /// y[n,h,w,k] = bias[k] + the correlation of x, of `c` channels, with the filter whose planes of
    /// [C,K] are `filter`.
    fn correlate<T: Real>(&self, [c, k]: [usize; 2], x: &[T], filter: &[T], bias: Option<&[T]>, y: &mut [T]) {
        let planes = Self::PLANES;
        let block_rows = self.rows_of(BLOCK_TILES);
        let block_tiles = block_rows * self.cols;
        let scratch =
            || (vec![T::zero(); planes * block_tiles * c], vec![T::zero(); planes * block_tiles * k]);
        let blocks = self.split(y, k, block_rows);
        blocks.into_par_iter().for_each_init(scratch, |(xs, ys), (rows, y)| {
            let count = rows.len() * self.cols;
            self.transform::<T, P>(x, c, 1, rows.clone(), F::input, xs, count * c);
            for p in 0..planes {
                let x = Matrix::new(&xs[p * count * c..], count, c);
                let filter = Matrix::new(&filter[p * c * k..], c, k);
                gemm(x, filter, T::zero(), &mut ys[p * count * k..][..count * k]);
            }
            let first = self.pixel_row(rows.start);
            for (tile, (row, col)) in self.of(rows).enumerate() {
                from_planes(ys, count * k, tile * k, k, F::output, |i, j, channel, lanes| {
                    let (p, q) = (M * (row % self.rows) + i, M * col + j);
                    if p < self.h && q < self.w {
                        let pixel = (self.pixel_row(row) - first + i) * self.w + q;
                        let y = &mut y[pixel * k..][channel..k];
                        store(lanes, y);
                        if let Some(bias) = bias {
                            y.iter_mut().zip(&bias[channel..]).take(LANES).for_each(|(y, &bias)| *y += bias);
                        }
                    }
                });
            }
        });
    }

    /// The rows that make up about `tiles` tiles.
    fn rows_of(&self, tiles: usize) -> usize {
        (tiles / self.cols).clamp(1, self.n * self.rows)
    }

    /// All rows of tiles, `rows` at a time.
    fn blocks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<F, M, P> {
        let end = self.n * self.rows;
        (0..end).step_by(rows).map(move |start| start..(start + rows).min(end))
    }

    /// The tiles of some rows, as (row, column).
    fn of(&self, rows: Range<usize>) -> impl Iterator<Item = (usize, usize)> + use<F, M, P> {
        let cols = self.cols;
        rows.flat_map(move |row| (0..cols).map(move |col| (row, col)))
    }

    /// The first row of pixels, numbered through all images, of a row of tiles.
    fn pixel_row(&self, row: usize) -> usize {
        row / self.rows * self.h + M * (row % self.rows)
    }

    /// The [`Tiling::blocks`], each with its pixels of `image`.
    fn split<'a, T>(
        &self,
        mut image: &'a mut [T],
        channels: usize,
        rows: usize,
    ) -> Vec<(Range<usize>, &'a mut [T])> {
        let blocks = self.blocks(rows).map(|rows| {
            let pixel_rows = self.pixel_row(rows.end) - self.pixel_row(rows.start);
            let (block, rest) = std::mem::take(&mut image).split_at_mut(pixel_rows * self.w * channels);
            image = rest;
            (rows, block)
        });
        blocks.collect()
    }

    /// Transforms the SxS pixels of each tile of `rows`, which begin `border` above and left of the
    /// tile, to its rows in the planes; pixels outside the image are zero.
    #[expect(clippy::too_many_arguments, reason = "a source, a map and a destination")]
    fn transform<T: Real, const S: usize>(
        &self,
        image: &[T],
        channels: usize,
        border: usize,
        rows: Range<usize>,
        map: impl Fn([T; S]) -> [T; P],
        planes: &mut [T],
        plane: usize,
    ) {
        let zeros = vec![T::zero(); channels];
        for (tile, (row, col)) in self.of(rows).enumerate() {
            let (n, i) = (row / self.rows, row % self.rows);
            let pixels: [[&[T]; S]; S] = from_fn(|a| {
                from_fn(|b| {
                    // Above or left of the image these wrap around to beyond its end.
                    let (h, w) = ((M * i + a).wrapping_sub(border), (M * col + b).wrapping_sub(border));
                    if h < self.h && w < self.w {
                        &image[((n * self.h + h) * self.w + w) * channels..][..channels]
                    } else {
                        &zeros[..]
                    }
                })
            });
            to_planes(pixels, &map, planes, plane, tile * channels);
        }
    }
}

#[cfg(test)]
mod tests;
