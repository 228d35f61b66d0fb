//! The machine that runs decoded kernels: registers, warps, blocks and clusters.

pub(crate) mod async_copies;
pub(crate) mod cluster;
pub(crate) mod context;
pub(crate) mod kernel;
pub(crate) mod mbarrier;
pub(crate) mod paths;
pub(crate) mod print;
pub(crate) mod progress;
pub(crate) mod registers;
pub(crate) mod schedule;
pub(crate) mod transfers;
pub(crate) mod warp;
pub(crate) mod wgmma;

/// Lanes of a warp.
pub(crate) const LANES: usize = 32;

/// The lanes set in `mask`, lowest first.
pub(crate) fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    let mut rest = mask;
    std::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let lane = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        Some(lane)
    })
}
