//! Blocks and clusters: the shared state of their warps.

use std::collections::BTreeMap;

use super::LANES;
use super::async_copies::AsyncCopies;
use super::mbarrier::Mbarrier;
use super::transfers::{Delivery, Warpgroup};
use crate::memory::order::{Horizon, Order, merge};
use crate::memory::shared::SharedMemory;
use crate::memory::warp_races::Shadow;

/// Named barriers of a block.
pub(crate) const BARRIERS: usize = 16;

/// One block's state that its warps share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    /// Index in the grid.
    pub index: [u32; 3],
    pub shared: SharedMemory,
    /// Who accessed which shared memory, and what its warps know of one another; empty if not checked.
    pub races: Shadow,
    pub order: Order,
    /// What `cp.async` is copying there.
    pub async_copies: AsyncCopies,
    pub barriers: [Barrier; BARRIERS],
    /// Threads that have not exited.
    pub live: u32,
    /// Threads that have.
    pub exited: u32,
    /// Its threads that have arrived at the cluster barrier.
    pub cluster_arrivals: u32,
    /// How often the cluster barrier has completed; counted in the block of rank 0.
    pub cluster_generation: u64,
    /// What its warps knew to be over when they arrived there.
    pub cluster_horizon: Horizon,
    /// Initialised mbarriers by their offset in shared memory.
    pub mbarriers: BTreeMap<u32, Mbarrier>,
    /// Bulk copies on their way here.
    pub deliveries: Vec<Delivery>,
    /// Its warpgroups, by number.
    pub warpgroups: Vec<Warpgroup>,
}

impl Block {
    /// Make ready for a new block of `threads` threads.
    pub fn reset(&mut self, index: [u32; 3], threads: u32, shared_bytes: usize, races: bool) {
        self.index = index;
        self.shared.reset(shared_bytes);
        if races {
            self.races.reset(shared_bytes, &mut self.order);
        }
        self.order.reset(threads.div_ceil(LANES as u32) as usize);
        self.async_copies.reset(threads, shared_bytes);
        self.barriers = Default::default();
        self.live = threads;
        self.exited = 0;
        self.cluster_arrivals = 0;
        self.cluster_generation = 0;
        self.cluster_horizon = Horizon::default();
        self.mbarriers.clear();
        self.deliveries.clear();
        self.warpgroups.clear();
        self.warpgroups.resize((threads as usize).div_ceil(128), Warpgroup::default());
    }
}

/// A barrier of a block. Threads that wait hold the generation they wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Barrier {
    /// Threads that have arrived.
    pub threads: u32,
    /// The same by PTX's count, where a whole warp counts 32 whatever its size.
    pub counted: u32,
    /// How often the barrier has completed.
    pub generation: u64,
    /// Of the predicates brought by `red`: how many were true, and how many there were.
    pub trues: u32,
    pub brought: u32,
    /// Those two at the last completion.
    pub result: (u32, u32),
    /// What the warps that have arrived know is over, and what those did that it released.
    pub arrived: Horizon,
    pub released: Horizon,
}

impl Barrier {
    /// Whether all that are expected have arrived: `count` by PTX's count, or every live thread.
    pub fn is_full(&self, count: Option<u32>, live: u32) -> bool {
        match count {
            Some(count) => self.counted >= count,
            None => self.threads >= live,
        }
    }

    /// Release those who wait.
    pub fn complete(&mut self) {
        self.result = (self.trues, self.brought);
        self.generation += 1;
        merge(&mut self.released, &self.arrived);
        (self.threads, self.counted, self.trues, self.brought) = (0, 0, 0, 0);
    }
}
