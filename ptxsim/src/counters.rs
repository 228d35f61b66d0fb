//! What a launch did: counts kept for each instruction, summed by class and by source line.

use std::collections::BTreeMap;

use crate::machine::kernel::Kernel;

/// What kind of work an instruction is.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Integer,
    Logic,
    Half,
    F32,
    F64,
    Transcendental,
    Compare,
    Convert,
    Move,
    Control,
    LoadGlobal,
    StoreGlobal,
    LoadShared,
    StoreShared,
    LoadLocal,
    StoreLocal,
    LoadParam,
    Atomic,
    WarpSync,
    Barrier,
    TensorCore,
    Async,
    Other,
}

/// Counts of one instruction, line or class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Times a warp ran it.
    pub warp_instructions: u64,
    /// Threads active, summed over those times.
    pub thread_instructions: u64,
    /// Accesses to global memory, one for each warp instruction (of each element, for vector atomics).
    pub global_requests: u64,
    /// Bytes that threads asked of global memory.
    pub global_bytes: u64,
    /// 32-byte sectors that those requests touch: what moves between L1 and L2 if L1 never hits.
    pub global_sectors: u64,
    /// Accesses to shared memory, one for each warp instruction.
    pub shared_requests: u64,
    /// Bytes that threads asked of shared memory.
    pub shared_bytes: u64,
    /// Passes over the 32 banks that those requests take.
    pub shared_wavefronts: u64,
    /// Passes they would take if no two lanes met in a bank.
    pub shared_ideal: u64,
    /// Floating-point operations of the tensor cores: two for each multiply-add, useful or not.
    pub tensor_flop: u64,
}

impl Count {
    /// Active lanes of 32, on average.
    pub fn average_lanes(&self) -> f64 {
        self.thread_instructions as f64 / (self.warp_instructions as f64).max(1.0)
    }

    /// Bytes that moved, in whole sectors, for each byte asked for; 1 is ideal, 0 without accesses.
    pub fn sector_overhead(&self) -> f64 {
        (self.global_sectors * SECTOR) as f64 / (self.global_bytes as f64).max(1.0)
    }

    /// Wavefronts taken for each one needed; 1 means no bank conflicts, 0 without accesses.
    pub fn bank_conflicts(&self) -> f64 {
        self.shared_wavefronts as f64 / (self.shared_ideal as f64).max(1.0)
    }

    fn add(&mut self, other: &Count) {
        self.warp_instructions += other.warp_instructions;
        self.thread_instructions += other.thread_instructions;
        self.global_requests += other.global_requests;
        self.global_bytes += other.global_bytes;
        self.global_sectors += other.global_sectors;
        self.shared_requests += other.shared_requests;
        self.shared_bytes += other.shared_bytes;
        self.shared_wavefronts += other.shared_wavefronts;
        self.shared_ideal += other.shared_ideal;
        self.tensor_flop += other.tensor_flop;
    }
}

/// Bytes of a sector, the unit in which caches and memory move data.
pub(crate) const SECTOR: u64 = 32;

/// Counts by instruction, as the machine gathers them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub instructions: Vec<Count>,
}

impl Counters {
    pub fn new(kernel: &Kernel) -> Self {
        Self { instructions: vec![Count::default(); kernel.instructions.len()] }
    }

    /// Count one warp instruction.
    #[inline(always)]
    pub fn count(&mut self, pc: usize, active: u32) {
        let count = &mut self.instructions[pc];
        count.warp_instructions += 1;
        count.thread_instructions += u64::from(active.count_ones());
    }

    /// Count `flop` operations of the tensor cores for the instruction `pc`.
    pub fn tensor_flop(&mut self, pc: u32, flop: u64) {
        self.instructions[pc as usize].tensor_flop += flop;
    }

    pub fn merge(&mut self, other: &Counters) {
        for (mine, theirs) in self.instructions.iter_mut().zip(&other.instructions) {
            mine.add(theirs);
        }
    }
}

/// What a launch did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LaunchReport {
    /// Entry that ran.
    pub kernel: String,
    /// Blocks that ran.
    pub blocks: u64,
    /// Threads in each.
    pub threads_per_block: u32,
    /// Static and dynamic shared memory of each.
    pub shared_bytes_per_block: u32,
    /// Different bytes of global memory that the launch read: what must come from memory at least.
    pub unique_bytes_read: u64,
    /// Different bytes of global memory that it wrote.
    pub unique_bytes_written: u64,
    /// What it printed with `printf`, in the order of the blocks.
    pub printed: String,
    /// Over all instructions.
    pub total: Count,
    /// By kind of work.
    pub by_class: BTreeMap<Class, Count>,
    /// By `file:line` of the source; empty where the PTX has no `.loc`.
    pub by_line: BTreeMap<String, Count>,
    /// By opcode with its modifiers.
    pub by_opcode: BTreeMap<String, Count>,
}

impl LaunchReport {
    pub(crate) fn new(kernel: &Kernel, counters: &Counters) -> Self {
        let mut report = Self { kernel: kernel.name.clone(), ..Self::default() };
        for (instruction, count) in kernel.instructions.iter().zip(&counters.instructions) {
            if count.warp_instructions == 0 {
                continue;
            }
            report.total.add(count);
            report.by_class.entry(instruction.class).or_default().add(count);
            let opcode = &kernel.spellings[instruction.spelling as usize];
            report.by_opcode.entry(opcode.clone()).or_default().add(count);
            if let Some(line) = kernel.source(instruction.position) {
                report.by_line.entry(line).or_default().add(count);
            }
        }
        report
    }
}
