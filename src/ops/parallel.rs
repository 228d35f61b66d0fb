//! How the CPU operations share work between threads.
//!
//! Work is always cut at the same places, and partial sums are always added in the same order, so
//! that results have the same bits on any number of threads.

use rayon::prelude::*;
use std::ops::Range;

/// Elements a task works on: enough to outweigh the task's start, few enough to stay in a core's
/// cache.
pub const CHUNK: usize = 1 << 15;

/// How many rows of `width` elements make a chunk.
pub fn chunk_rows(width: usize) -> usize {
    (CHUNK / width.max(1)).max(1)
}

/// `sums` sums over `rows` rows of `width` elements, in f64: `add(range, sums)` adds the rows of
/// `range` to the sums of a chunk, and the chunks' sums are then added in the order of their rows.
pub fn sum_rows(
    rows: usize,
    width: usize,
    sums: usize,
    add: impl Fn(Range<usize>, &mut [f64]) + Sync,
) -> Vec<f64> {
    let step = chunk_rows(width);
    let partials: Vec<Vec<f64>> = (0..rows.div_ceil(step))
        .into_par_iter()
        .map(|chunk| {
            let mut partial = vec![0.0; sums];
            add(chunk * step..((chunk + 1) * step).min(rows), &mut partial);
            partial
        })
        .collect();
    let mut total = vec![0.0; sums];
    for partial in partials {
        for (total, partial) in total.iter_mut().zip(partial) {
            *total += partial;
        }
    }
    total
}
