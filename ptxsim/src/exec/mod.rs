//! Instruction families: each file decodes its opcodes into actions.
//!
//! A lowering takes its modifiers and operands from [`Build`](crate::lower::Build) and returns the
//! action to run. Opcodes are listed in [`crate::opcodes`].

pub(crate) mod approx;
pub(crate) mod async_copy;
pub(crate) mod atomic;
pub(crate) mod barrier;
pub(crate) mod bits;
pub(crate) mod bulk_reduce;
pub(crate) mod carry;
pub(crate) mod compare;
pub(crate) mod control;
pub(crate) mod convert;
mod descriptor;
pub(crate) mod dot;
pub(crate) mod float;
mod fragment;
pub(crate) mod host;
pub(crate) mod integer;
pub(crate) mod map;
pub(crate) mod matrix;
pub(crate) mod mbarrier;
pub(crate) mod memory;
pub(crate) mod mma;
pub(crate) mod product;
pub(crate) mod shuffle;
pub(crate) mod tma;
pub(crate) mod tma_tensor;
pub(crate) mod transfer;
pub(crate) mod wgmma;
mod wgmma_element;
mod wgmma_product;
pub(crate) mod whole_warp;
pub(crate) mod wmma;
