//! The passes of a convolution over the tiles of its images.

use super::gemm::{Left, multiply};
use super::lanes::{LANES, Lanes};
use super::planes::{Planes, Square, from_planes, to_planes};
use super::winograd::Filtering;
use crate::device::Real;
use crate::ops::conv3x3::Conv3x3Shape;
use crate::ops::scratch;
use rayon::prelude::*;
use std::array::from_fn;
use std::marker::PhantomData;
use std::ops::Range;

/// Bytes of a block's transformed tiles, before and after the product: a share of a core's own cache.
const BLOCK_BYTES: usize = 512 << 10;

/// The fewest tiles of a block: enough to outweigh reading the filter once for each block.
const BLOCK_TILES: usize = 64;

/// Bytes of transformed tiles that the filter's gradient keeps at a time: what the caches hold together.
const CHUNK_BYTES: usize = 4 << 20;

/// The images of a batch, cut into tiles of MxM pixels that `F` computes from patches of PxP. Rows of
/// tiles are numbered through all images.
pub struct Tiling<F, const M: usize, const P: usize> {
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

    pub fn new(s: &Conv3x3Shape) -> Self {
        let (rows, cols) = (s.h.div_ceil(M), s.w.div_ceil(M));
        Tiling { filtering: PhantomData, n: s.n, h: s.h, w: s.w, rows, cols }
    }

    pub fn fprop<T: Real>(&self, s: &Conv3x3Shape, x: &[T], filter: &[T], bias: Option<&[T]>, y: &mut [T]) {
        scratch::with(filter.len(), |taps: &mut [T]| {
            transpose(filter, 9 * s.c, taps);
            // Now [9,C,K].
            let tap = |c, tap| (tap * s.c + c) * s.k;
            self.correlate([s.c, s.k], x, taps, tap, bias, y);
        });
    }

    /// dy correlated with the filter turned by half a turn, its input and output channels exchanged.
    pub fn dgrad<T: Real>(&self, s: &Conv3x3Shape, dy: &[T], filter: &[T], dx: &mut [T]) {
        let tap = |k, tap| (k * 9 + 8 - tap) * s.c;
        self.correlate([s.k, s.c], dy, filter, tap, None, dx);
    }

    pub fn wgrad<T: Real>(&self, s: &Conv3x3Shape, x: &[T], dy: &[T], dfilter: &mut [T]) {
        let sums = Planes::by_plane(Self::PLANES, s.k, s.c);
        scratch::with(sums.len, |lanes| {
            self.correlate_with_gradient(s, x, dy, sums, lanes);
            dfilter.par_chunks_mut(9 * s.c).enumerate().for_each(|(k, dfilter)| {
                let taps = |_| from_fn(|i| from_fn(|j| Some((i * 3 + j) * s.c)));
                from_planes::<F::FilterAdjoint, _, _, _, _>(sums, lanes, k..k + 1, None, taps, dfilter);
            });
        });
    }

    /// y[n,h,w,k] = bias[k] + the correlation of x, of `c` channels, with a filter: tap t of input
    /// channel i and the first output channel is `filter[tap(i, t)]`, the other output channels follow.
    fn correlate<T: Real>(
        &self,
        [c, k]: [usize; 2],
        x: &[T],
        filter: &[T],
        tap: impl Fn(usize, usize) -> usize + Sync,
        bias: Option<&[T]>,
        y: &mut [T],
    ) {
        let filters = Planes::by_strip(Self::PLANES, c, k);
        scratch::with(filters.len, |filter_lanes: &mut [Lanes<T>]| {
            filter_lanes.par_chunks_mut(filters.strip).enumerate().for_each(|(strip, lanes)| {
                let taps = |c| from_fn(|i| from_fn(|j| Some(tap(c, i * 3 + j))));
                to_planes::<F::Filter, _, _, _, _>(filter, taps, filters, strip..strip + 1, lanes);
            });
            let filter_lanes = &*filter_lanes;
            self.split(y, k, self.block_rows::<T>(c + k)).into_par_iter().for_each(|(rows, y)| {
                let tiles = rows.len() * self.cols;
                let xs = Planes::by_strip(Self::PLANES, tiles, c);
                let ys = Planes::by_strip(Self::PLANES, tiles, k);
                scratch::with(xs.len + ys.len, |lanes: &mut [Lanes<T>]| {
                    let (x_lanes, y_lanes) = lanes.split_at_mut(xs.len);
                    let patches = |tile| self.patch(&rows, tile, c);
                    to_planes::<F::Input, _, _, _, _>(x, patches, xs, 0..xs.strips(), x_lanes);
                    for p in 0..Self::PLANES {
                        let x = Left::Plain(xs.matrix(x_lanes, p));
                        let product = &mut y_lanes[p * ys.plane..];
                        multiply(x, filters.matrix(filter_lanes, p), false, product, ys.strip);
                    }
                    let pixels = |tile| self.pixels(&rows, tile, k);
                    from_planes::<F::Output, _, _, _, _>(ys, y_lanes, 0..tiles, bias, pixels, y);
                });
            });
        });
    }

    /// The planes of the filter's gradient, tiles of which are output channels: in each the sum, over
    /// all tiles, of a tile of dy and one of x.
    fn correlate_with_gradient<T: Real>(
        &self,
        s: &Conv3x3Shape,
        x: &[T],
        dy: &[T],
        sums: Planes,
        sum_lanes: &mut [Lanes<T>],
    ) {
        let block_rows = self.block_rows::<T>(s.c + s.k);
        let tiles = block_rows * self.cols;
        let xs = Planes::by_strip(Self::PLANES, tiles, s.c);
        let dys = Planes::by_strip(Self::PLANES, tiles, s.k);
        let block = xs.len + dys.len;
        let blocks: Vec<Range<usize>> = self.blocks(block_rows).collect();
        let chunk = (CHUNK_BYTES / (block * size_of::<Lanes<T>>())).clamp(1, blocks.len());

        scratch::with(chunk * block, |lanes: &mut [Lanes<T>]| {
            for (number, blocks) in blocks.chunks(chunk).enumerate() {
                lanes.par_chunks_mut(block).zip(blocks).for_each(|(lanes, rows)| {
                    let (x_lanes, dy_lanes) = lanes.split_at_mut(xs.len);
                    let tiles = rows.len() * self.cols;
                    let (xs, dys) = (Planes { tiles, ..xs }, Planes { tiles, ..dys });
                    let patches = |tile| self.patch(rows, tile, s.c);
                    to_planes::<F::Input, _, _, _, _>(x, patches, xs, 0..xs.strips(), x_lanes);
                    let pixels = |tile| self.pixels_of_image(rows, tile, s.k);
                    to_planes::<F::OutputAdjoint, _, _, _, _>(dy, pixels, dys, 0..dys.strips(), dy_lanes);
                });
                // Each plane's sum goes through the blocks in their order.
                sum_lanes.par_chunks_mut(sums.plane).enumerate().for_each(|(p, sum)| {
                    for (i, (rows, lanes)) in blocks.iter().zip(lanes.chunks(block)).enumerate() {
                        let (x_lanes, dy_lanes) = lanes.split_at(xs.len);
                        let tiles = rows.len() * self.cols;
                        let x = Planes { tiles, ..xs }.matrix(x_lanes, p);
                        let dy = Left::Transposed(Planes { tiles, ..dys }.matrix(dy_lanes, p));
                        multiply(dy, x, number + i > 0, sum, sums.strip);
                    }
                });
            }
        });
    }

    /// The rows of tiles of a block, for so many channels before and after the product.
    fn block_rows<T: Real>(&self, channels: usize) -> usize {
        let tile_bytes = Self::PLANES * channels * size_of::<T>();
        let tiles = (BLOCK_BYTES / tile_bytes).max(BLOCK_TILES);
        (tiles / self.cols).clamp(1, self.n * self.rows)
    }

    /// All rows of tiles, `rows` at a time.
    fn blocks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<F, M, P> {
        let end = self.n * self.rows;
        (0..end).step_by(rows).map(move |start| start..(start + rows).min(end))
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

    /// Where the pixels are from which a tile of `rows` is computed: one more on each side.
    fn patch(&self, rows: &Range<usize>, tile: usize, channels: usize) -> Square<P> {
        let (row, col) = (rows.start + tile / self.cols, tile % self.cols);
        let (n, i) = (row / self.rows, row % self.rows);
        from_fn(|a| {
            from_fn(|b| {
                // Above or left of the image these wrap around to beyond its end.
                let (h, w) = ((M * i + a).wrapping_sub(1), (M * col + b).wrapping_sub(1));
                (h < self.h && w < self.w).then(|| ((n * self.h + h) * self.w + w) * channels)
            })
        })
    }

    /// Where a tile's own pixels are.
    fn pixels_of_image(&self, rows: &Range<usize>, tile: usize, channels: usize) -> Square<M> {
        let (row, col) = (rows.start + tile / self.cols, tile % self.cols);
        let (n, i) = (row / self.rows, row % self.rows);
        from_fn(|a| {
            from_fn(|b| {
                let (h, w) = (M * i + a, M * col + b);
                (h < self.h && w < self.w).then(|| ((n * self.h + h) * self.w + w) * channels)
            })
        })
    }

    /// The same, in the pixels that [`Tiling::split`] gives to the block.
    fn pixels(&self, rows: &Range<usize>, tile: usize, channels: usize) -> Square<M> {
        let first = self.pixel_row(rows.start) * self.w * channels;
        self.pixels_of_image(rows, tile, channels).map(|row| row.map(|at| at.map(|at| at - first)))
    }
}

/// `to` = `from` with rows, of length `cols`, and columns exchanged.
fn transpose<T: Real>(from: &[T], cols: usize, to: &mut [T]) {
    let rows = from.len() / cols;
    // By strips of columns, so that whole cache lines are read.
    to.par_chunks_mut(LANES * rows).enumerate().for_each(|(strip, to)| {
        for (i, row) in from.chunks_exact(cols).enumerate() {
            for (to, &value) in to.chunks_exact_mut(rows).zip(&row[strip * LANES..]) {
                to[i] = value;
            }
        }
    });
}
