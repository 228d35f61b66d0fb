//! The state spaces: what is stored where, and which accesses are allowed.

pub(crate) mod access;
pub(crate) mod allocation;
pub(crate) mod block_races;
mod bulk;
pub(crate) mod global;
pub(crate) mod heap;
pub(crate) mod layout;
pub(crate) mod local;
mod marks;
mod observe;
pub(crate) mod order;
mod pattern;
mod peek;
pub(crate) mod place;
pub(crate) mod shadow;
pub(crate) mod shared;
pub(crate) mod swizzle;
pub(crate) mod tensor_map;
mod traffic;
pub(crate) mod warp_races;

use crate::machine::LANES;
use crate::types::Space;

/// Data of one access of up to 32 bytes a lane, as 32-bit words: `planes[word][lane]`.
pub(crate) type Planes = [[u32; LANES]];

/// Planes for the widest access.
pub(crate) type AllPlanes = [[u32; LANES]; 8];

/// An empty set of them.
pub(crate) const NO_DATA: AllPlanes = [[0; LANES]; 8];

/// Addresses of an access, one a lane.
pub(crate) type Addresses = [u64; LANES];

/// What an access does, as far as races go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    /// An atomic change, or a strong store.
    Atomic,
}

impl Access {
    pub const ALL: [Access; 3] = [Access::Read, Access::Write, Access::Atomic];
    /// Pairs that race without an order between them.
    pub const CONFLICTS: [(Access, Access); 4] = [
        (Access::Write, Access::Write),
        (Access::Write, Access::Read),
        (Access::Write, Access::Atomic),
        (Access::Read, Access::Atomic),
    ];

    /// Whether two such accesses race without an order between them.
    pub fn conflicts(self, other: Access) -> bool {
        !matches!((self, other), (Access::Read, Access::Read) | (Access::Atomic, Access::Atomic))
    }

    /// The name of the hazard if `earlier` came first.
    pub fn hazard_after(self, earlier: Access) -> &'static str {
        match (self, earlier) {
            (Access::Read, _) => "read after write",
            (_, Access::Read) => "write after read",
            _ => "write after write",
        }
    }
}

/// Each window of generic addresses is this many bits wide.
const WINDOW_BITS: u32 = 40;
/// Generic addresses of shared, local and parameter memory start here; the rest is global memory.
pub(crate) const SHARED_WINDOW: u64 = 1 << WINDOW_BITS;
pub(crate) const LOCAL_WINDOW: u64 = 2 << WINDOW_BITS;
pub(crate) const PARAM_WINDOW: u64 = 3 << WINDOW_BITS;
/// The first address of global memory.
pub(crate) const HEAP_START: u64 = 0x7f << WINDOW_BITS;

/// A shared address names the block of the cluster in the bits from here: 0 is the thread's own
/// block, `n + 1` is the block of rank `n`.
pub(crate) const SHARED_RANK_SHIFT: u32 = 24;

/// Split a generic address into its space and the address there.
pub(crate) fn resolve_generic(address: u64) -> (Space, u64) {
    let offset = address & ((1 << WINDOW_BITS) - 1);
    match address >> WINDOW_BITS {
        1 => (Space::Shared, offset),
        2 => (Space::Local, offset),
        3 => (Space::Param, offset),
        _ => (Space::Global, address),
    }
}

/// The generic address of `address` in `space`.
pub(crate) fn to_generic(space: Space, address: u64) -> u64 {
    match space {
        Space::Shared => address.wrapping_add(SHARED_WINDOW),
        Space::Local => address.wrapping_add(LOCAL_WINDOW),
        Space::Param => address.wrapping_add(PARAM_WINDOW),
        Space::Global | Space::Const | Space::Generic => address,
    }
}

/// Valid-byte marks of the words that `bytes` bytes at byte `offset` touch: one shadow byte for each
/// 4-byte word, its low four bits saying which bytes have been written.
pub(crate) fn word_marks(offset: usize, bytes: usize) -> u8 {
    match bytes {
        1 => 1 << (offset & 3),
        2 => 3 << (offset & 3),
        _ => 0xf,
    }
}
