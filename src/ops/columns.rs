//! The launch of the kernels that work by channel on a matrix [rows, C]; what a block does there is
//! drawn in `kernels/common/columns.cuh`.

use crate::device::driver::Grid;
use crate::device::kernels::batchnorm::apply::{BLOCK_CHANNELS, BLOCK_THREADS};

/// Rows that are worth a block: 8 for each of its warps.
const MIN_ROWS: usize = 64;

/// Blocks that fill the largest GPU. A constant, not the number of multiprocessors: sums must not
/// depend on the machine.
const FULL: usize = 1024;

/// Spans that one block merges in little time.
const MAX_SPANS: usize = 256;

/// Blocks a grid can have in y.
const MAX_GRID_Y: usize = 65_535;

/// The rows, cut into spans of equal length (the last may be shorter), and the launch that works on them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    /// Spans of rows.
    pub spans: usize,
    /// Rows of a span.
    pub rows_per_block: i32,
    /// A block for each span and tile of channels.
    pub grid: Grid,
}

impl Columns {
    /// For a kernel that writes every element: as many blocks as are of use.
    pub fn map(rows: usize, c: usize) -> Columns {
        Columns::spans_of(MIN_ROWS.max(rows.div_ceil(MAX_GRID_Y)), rows, c)
    }

    /// For a kernel that reduces each span: enough blocks to fill a GPU, few enough to merge.
    pub fn reduce(rows: usize, c: usize) -> Columns {
        let most = (FULL / tiles(c).max(1)).clamp(1, MAX_SPANS);
        Columns::spans_of(MIN_ROWS.max(rows.div_ceil(most)), rows, c)
    }

    /// For a kernel that merges the results of `spans` spans.
    pub fn merge(spans: usize, c: usize) -> Columns {
        Columns::spans_of(spans, spans, c)
    }

    fn spans_of(rows_per_block: usize, rows: usize, c: usize) -> Columns {
        let spans = rows.div_ceil(rows_per_block.max(1));
        Columns {
            spans,
            rows_per_block: i32::try_from(rows_per_block).unwrap_or(i32::MAX),
            grid: Grid::new([tiles(c), spans, 1], BLOCK_THREADS),
        }
    }
}

fn tiles(c: usize) -> usize {
    c.div_ceil(BLOCK_CHANNELS as usize)
}
