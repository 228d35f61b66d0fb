//! What an instruction's action sees: its warp's registers, its block, its launch.

use super::cluster::Block;
use super::kernel::{Flow, Kernel, Step};
use super::print::Printed;
use super::progress::{Limits, Progress};
use super::registers::{Bank, Dst, PredDst, PredSrc, Registers, Scalar, Slot, Src, Word};
use super::transfers::BulkGroups;
use super::wgmma::Wgmma;
use super::{LANES, lanes};
use crate::counters::Counters;
use crate::device::Checks;
use crate::fault::{Fault, FaultKind};
use crate::memory::block_races::BlockRaces;
use crate::memory::global::GlobalView;
use crate::memory::layout::Layout;
use crate::memory::local::LocalMemory;

/// What all blocks of a launch share.
pub(crate) struct Launch<'a> {
    pub kernel: &'a Kernel,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub cluster: [u32; 3],
    /// Where the shared variables lie, and the bytes of dynamic shared memory.
    pub shared_layout: &'a Layout,
    pub dynamic_shared: u32,
    pub params: &'a [u8],
    pub global: GlobalView<'a>,
    /// Addresses of the module's variables.
    pub variables: &'a [u64],
    pub checks: Checks,
    pub limits: Limits,
    /// Whether sectors, wavefronts and bytes are counted.
    pub traffic: bool,
    /// Races between blocks, if they are looked for.
    pub races: Option<BlockRaces>,
    pub printed: Printed,
}

impl Launch<'_> {
    /// Threads in a block.
    pub fn threads(&self) -> u32 {
        self.block.iter().product()
    }

    /// Bytes of a block's shared memory.
    pub fn shared_bytes(&self) -> u64 {
        self.shared_layout.total(self.dynamic_shared.into())
    }

    /// Bytes of shared memory that a block takes of a GPU's.
    pub fn packed_shared_bytes(&self) -> u32 {
        self.kernel.packed_shared.total(self.dynamic_shared.into()) as u32
    }

    /// Why `bytes` bytes at shared `offset` are not inside one variable.
    #[cold]
    pub fn explain_shared(&self, offset: u64, bytes: u64) -> String {
        let dynamic = self.dynamic_shared.into();
        self.shared_layout.explain(&self.kernel.shared_variables, dynamic, offset, bytes)
    }

    /// Linear index of a block in the grid.
    pub fn linear_block(&self, index: [u32; 3]) -> u64 {
        let [x, y, _] = self.grid.map(u64::from);
        u64::from(index[0]) + x * (u64::from(index[1]) + y * u64::from(index[2]))
    }

    /// Coordinates of linear thread `linear` in its block.
    pub fn thread_index(&self, linear: u32) -> [u32; 3] {
        unflatten(linear, self.block)
    }
}

/// Coordinates of `linear` in a box of `size`, x fastest.
pub(crate) fn unflatten(linear: u32, size: [u32; 3]) -> [u32; 3] {
    let [x, y, _] = size;
    [linear % x, linear / x % y, linear / x / y]
}

/// Why a path of threads waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Waiting {
    #[default]
    Nothing,
    /// A block barrier.
    Barrier { id: u32 },
    /// The cluster barrier.
    Cluster,
    /// A warp-synchronous instruction that all of `mask` must reach, to run it together.
    WarpSync { mask: u32 },
    /// `bar.warp.sync`, which the lanes of `mask` may reach at different places.
    WarpBarrier { mask: u32 },
    /// A phase of the mbarrier at that shared offset of the cluster's block of that rank.
    Mbarrier { rank: u32, offset: u32 },
    /// The other warps of the warpgroup, to run the same wgmma.
    Warpgroup,
}

/// The state an action works on.
pub(crate) struct Context<'a> {
    pub launch: &'a Launch<'a>,
    pub registers: &'a mut Registers,
    pub local: &'a mut LocalMemory,
    /// The blocks of this cluster; `rank` is this warp's.
    pub blocks: &'a mut [Block],
    pub rank: usize,
    pub counters: &'a mut Counters,
    pub progress: &'a mut Progress,
    /// This warp's index in its block.
    pub warp: usize,
    /// Lanes that run this instruction.
    pub active: u32,
    /// Lanes of this warp that have not exited.
    pub live: u32,
    /// Index of this instruction.
    pub pc: u32,
    /// Lanes of this warp's other paths that wait at this same instruction.
    pub waiting_here: u32,
    /// Whether lanes of this warp were let go past a point where they should have met.
    pub opened: bool,
    /// Lanes of this warp that wait at a `bar.warp.sync`.
    pub arrived: &'a mut u32,
    /// How often each lane has arrived at the cluster barrier.
    pub cluster_phases: &'a mut [u64; LANES],
    /// Bulk stores of each lane.
    pub bulk: &'a mut [BulkGroups; LANES],
    /// This warp's part of the wgmma under way.
    pub wgmma: &'a mut Wgmma,
    /// Nonzero once the path has told a barrier that it is here.
    pub ticket: &'a mut u64,
    /// Target numbers for [`Flow::Indexed`].
    pub branch_index: [u32; LANES],
    /// The reason of a [`Flow::Wait`].
    pub waiting: Waiting,
    /// Warp instructions this warp has run: its clock.
    pub clock: u64,
}

impl Context<'_> {
    /// The row of a source operand.
    #[inline(always)]
    pub fn get<T: Scalar>(&self, src: Src<T>) -> [T::Word; LANES] {
        T::Word::rows(self.registers)[src.index as usize]
    }

    /// Lane `lane` of a source operand.
    #[inline(always)]
    pub fn lane<T: Scalar>(&self, src: Src<T>, lane: usize) -> T {
        T::load(T::Word::rows(self.registers)[src.index as usize][lane])
    }

    /// Write `value(lane)` to the active lanes of a destination.
    #[inline(always)]
    pub fn put<T: Scalar>(&mut self, dst: Dst<T>, value: impl Fn(usize) -> T) {
        if self.active == u32::MAX {
            self.put_all(dst, value);
        } else {
            for lane in lanes(self.active) {
                self.put_lane(dst, lane, value(lane));
            }
        }
    }

    /// Write `value(lane)` to all lanes of a destination.
    #[inline(always)]
    pub fn put_all<T: Scalar>(&mut self, dst: Dst<T>, value: impl Fn(usize) -> T) {
        let row = &mut T::Word::rows_mut(self.registers)[dst.index as usize];
        for (lane, slot) in row.iter_mut().enumerate() {
            *slot = value(lane).store();
        }
    }

    /// Write one lane of a destination.
    #[inline(always)]
    pub fn put_lane<T: Scalar>(&mut self, dst: Dst<T>, lane: usize, value: T) {
        T::Word::rows_mut(self.registers)[dst.index as usize][lane] = value.store();
    }

    /// A row of words or doubles as bits, zero-extended.
    #[inline(always)]
    pub fn get_bits(&self, slot: Slot) -> [u64; LANES] {
        let index = slot.index as usize;
        match slot.bank {
            Bank::Double => self.registers.doubles[index],
            _ => self.registers.words[index].map(u64::from),
        }
    }

    /// Write the active lanes of a row of words or doubles.
    #[inline(always)]
    pub fn put_bits(&mut self, slot: Slot, value: impl Fn(usize) -> u64) {
        match slot.bank {
            Bank::Double => self.put(Dst::<u64>::new(slot.index), value),
            _ => self.put(Dst::<u32>::new(slot.index), |lane| value(lane) as u32),
        }
    }

    /// A predicate operand's lanes, its negation applied.
    #[inline(always)]
    pub fn get_pred(&self, src: PredSrc) -> u32 {
        let bits = self.registers.predicates[src.index as usize];
        if src.negated { !bits } else { bits }
    }

    /// Write the active lanes of a predicate.
    #[inline(always)]
    pub fn put_pred(&mut self, dst: PredDst, bits: u32) {
        let old = &mut self.registers.predicates[dst.index as usize];
        *old = *old & !self.active | bits & self.active;
    }

    /// This warp's block.
    pub fn block(&mut self) -> &mut Block {
        &mut self.blocks[self.rank]
    }

    /// The first active lane.
    pub fn leader(&self) -> usize {
        self.active.trailing_zeros() as usize & 31
    }

    /// Wait for `why` and run this instruction again.
    pub fn wait(&mut self, why: Waiting) -> Step {
        self.waiting = why;
        Ok(Flow::Wait)
    }

    /// A fault of `lane` at this instruction.
    #[cold]
    pub fn fault(&self, lane: usize, kind: FaultKind) -> Box<Fault> {
        let thread = (self.warp * LANES + lane) as u32;
        self.launch.fault_at(self.pc, self.blocks[self.rank].index, thread, kind)
    }
}

impl Launch<'_> {
    /// `file:line` of an instruction, or its line in the PTX.
    pub fn place(&self, pc: u32) -> String {
        let position = self.kernel.instructions[pc as usize].position;
        self.kernel.source(position).unwrap_or_else(|| format!("PTX line {}", position.ptx_line))
    }

    /// The race between blocks at the lowest address, once all have ended.
    pub fn block_race(&self) -> Option<Box<Fault>> {
        let (address, race) = self.races.as_ref()?.first(&self.global)?;
        let ((earlier, other), (access, key)) = (race.first, race.second);
        let kind = FaultKind::GlobalRace {
            address,
            other_block: other.block(),
            other_source: self.place(other.pc()),
            hazard: access.hazard_after(earlier),
        };
        let [x, y, _] = self.grid.map(u64::from);
        let block = key.block();
        let index = [(block % x) as u32, (block / x % y) as u32, (block / x / y) as u32];
        Some(self.fault_at(key.pc(), index, key.thread(), kind))
    }

    /// A fault of linear thread `thread` of `block` at instruction `pc`.
    #[cold]
    pub fn fault_at(&self, pc: u32, block: [u32; 3], thread: u32, kind: FaultKind) -> Box<Fault> {
        let kernel = self.kernel;
        let instruction = &kernel.instructions[pc as usize];
        Box::new(Fault {
            kind,
            kernel: kernel.name.clone(),
            source: kernel.source(instruction.position),
            ptx_line: instruction.position.ptx_line,
            instruction: kernel.spellings[instruction.spelling as usize].clone(),
            block,
            thread: self.thread_index(thread),
            printed: String::new(),
        })
    }
}
