//! How fast a launch could be at best on a GPU: floors from what it did, not a timing.

use std::fmt;

use crate::counters::{Class, LaunchReport, SECTOR};

/// What bounds a kernel's speed on a GPU; peak figures of its maker, at boost clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gpu {
    /// Short name, such as `h200`.
    pub name: &'static str,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Boost clock in Hz.
    pub clock: f64,
    /// Warp instructions that a multiprocessor issues in a cycle.
    pub issue: f64,
    /// f32 warp instructions of a multiprocessor in a cycle.
    pub f32_rate: f64,
    /// The same for 32-bit integers.
    pub integer_rate: f64,
    /// The same for f64.
    pub f64_rate: f64,
    /// The same for transcendental functions.
    pub transcendental_rate: f64,
    /// Dense tensor-core operations a second of bf16 or f16 with f32 sums.
    pub tensor_16_bit: f64,
    /// Dense tensor-core operations a second of tf32.
    pub tensor_tf32: f64,
    /// Bytes a second of device memory.
    pub memory_bandwidth: f64,
    /// Bytes that L2 delivers in a cycle, to all multiprocessors.
    pub l2_bytes_per_cycle: f64,
    /// Threads that a multiprocessor holds.
    pub max_threads: u32,
    /// Blocks that it holds.
    pub max_blocks: u32,
    /// Shared memory that it holds, in bytes, 1024 of which each block takes besides its own.
    pub shared_bytes: u32,
}

/// 32-bit registers of a multiprocessor.
const REGISTERS: u32 = 65536;
/// Registers are given to warps in pieces of this many, from one of four equal parts.
const REGISTER_PIECE: u32 = 256;

/// H200 SXM.
const H200: Gpu = Gpu {
    name: "h200",
    multiprocessors: 132,
    clock: 1.98e9,
    issue: 4.0,
    f32_rate: 4.0,
    integer_rate: 2.0,
    f64_rate: 2.0,
    transcendental_rate: 0.5,
    tensor_16_bit: 989.4e12,
    tensor_tf32: 494.7e12,
    memory_bandwidth: 4.8e12,
    l2_bytes_per_cycle: 132.0 * 64.0,
    max_threads: 2048,
    max_blocks: 32,
    shared_bytes: 228 * 1024,
};

/// A100 SXM, 80 GB.
const A100: Gpu = Gpu {
    name: "a100",
    multiprocessors: 108,
    clock: 1.41e9,
    f64_rate: 1.0,
    tensor_16_bit: 311.9e12,
    tensor_tf32: 155.9e12,
    memory_bandwidth: 2.039e12,
    l2_bytes_per_cycle: 5120.0,
    shared_bytes: 164 * 1024,
    ..H200
};

/// GeForce RTX 4090.
const RTX_4090: Gpu = Gpu {
    name: "rtx4090",
    multiprocessors: 128,
    clock: 2.52e9,
    f64_rate: 0.0625,
    tensor_16_bit: 165.2e12,
    tensor_tf32: 82.6e12,
    memory_bandwidth: 1.008e12,
    l2_bytes_per_cycle: 128.0 * 64.0,
    max_threads: 1536,
    max_blocks: 24,
    shared_bytes: 100 * 1024,
    ..H200
};

impl Gpu {
    /// The GPUs that are known.
    pub const ALL: [Gpu; 3] = [H200, A100, RTX_4090];

    /// The GPU of that name.
    pub fn find(name: &str) -> Option<&'static Gpu> {
        const ALL: &[Gpu] = &Gpu::ALL;
        ALL.iter().find(|gpu| gpu.name.eq_ignore_ascii_case(name))
    }

    /// How many blocks of `threads` threads with so many registers a thread and so much shared memory
    /// a multiprocessor holds at once.
    pub fn occupancy(&self, threads: u32, registers: u32, shared_bytes: u32) -> Occupancy {
        let warps = threads.div_ceil(32).max(1);
        let registers_of_warp = (registers.max(1) * 32).next_multiple_of(REGISTER_PIECE);
        let by_registers = REGISTERS / 4 / registers_of_warp * 4 / warps;
        let candidates = [
            (self.max_threads / 32 / warps, Resource::Threads),
            (by_registers, Resource::Registers),
            (self.shared_bytes / (shared_bytes + 1024), Resource::SharedMemory),
            (self.max_blocks, Resource::Blocks),
        ];
        let (blocks, limit) =
            candidates.into_iter().min_by_key(|(blocks, _)| *blocks).unwrap_or(candidates[0]);
        let fraction = f64::from(blocks * warps * 32) / f64::from(self.max_threads);
        Occupancy { blocks, warps: blocks * warps, fraction, limit }
    }
}

/// What limits the blocks of a multiprocessor.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Threads,
    Registers,
    SharedMemory,
    Blocks,
}

/// What a multiprocessor holds of a kernel at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occupancy {
    /// Blocks; 0 if not one fits.
    pub blocks: u32,
    /// Their warps.
    pub warps: u32,
    /// Those warps over the most there can be.
    pub fraction: f64,
    /// What there is too little of for another block.
    pub limit: Resource,
}

/// A thing that takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// The busiest of the arithmetic units, tensor cores included.
    Arithmetic,
    /// Each byte that is read or written crosses the memory bus once.
    Memory,
    /// Every sector of every request comes from L2, L1 never hitting.
    L2,
    /// The wavefronts of shared memory, one a cycle.
    SharedMemory,
    /// Issuing the warp instructions.
    Issue,
}

impl Limit {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Arithmetic => "arithmetic",
            Limit::Memory => "memory (HBM)",
            Limit::L2 => "L2",
            Limit::SharedMemory => "shared memory",
            Limit::Issue => "issue slots",
        }
    }
}

/// The least time that each part of a GPU needs for a launch.
///
/// These are floors, not a timing: latency, waiting, uneven blocks and clocks below boost come on top.
/// A launch of fewer blocks than the GPU has multiprocessors is taken to leave the others idle.
#[derive(Clone, Debug, PartialEq)]
pub struct Roofline {
    /// The GPU.
    pub gpu: &'static str,
    /// Seconds by each limit, in the order of [`Limit`].
    pub floors: Vec<(Limit, f64)>,
    /// Seconds if every sector of every request came from device memory, no cache hitting.
    pub uncached_memory: f64,
    /// What a multiprocessor holds at once, if the registers are known.
    pub occupancy: Option<Occupancy>,
}

impl Roofline {
    /// The floors of a launch on `gpu`; `registers` a thread come from the compiler's report.
    pub fn estimate(report: &LaunchReport, gpu: &Gpu, registers: Option<u32>) -> Self {
        let busy = f64::from(gpu.multiprocessors).min(report.blocks.max(1) as f64);
        let cycles = |work: f64, rate: f64| work / (rate * busy * gpu.clock);
        let moved = (report.total.global_sectors * SECTOR) as f64;
        let unique = (report.unique_bytes_read + report.unique_bytes_written) as f64;
        let floors = vec![
            (Limit::Arithmetic, arithmetic(report, gpu, busy)),
            (Limit::Memory, unique / gpu.memory_bandwidth),
            (Limit::L2, moved / (gpu.l2_bytes_per_cycle * gpu.clock)),
            (Limit::SharedMemory, cycles(report.total.shared_wavefronts as f64, 1.0)),
            (Limit::Issue, cycles(report.total.warp_instructions as f64, gpu.issue)),
        ];
        let shared = report.shared_bytes_per_block;
        Self {
            gpu: gpu.name,
            floors,
            uncached_memory: moved / gpu.memory_bandwidth,
            occupancy: registers.map(|r| gpu.occupancy(report.threads_per_block, r, shared)),
        }
    }

    /// The limit that binds, and its floor in seconds.
    pub fn binding(&self) -> (Limit, f64) {
        let worst = self.floors.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
        worst.unwrap_or((Limit::Issue, 0.0))
    }
}

/// Seconds of the busiest arithmetic unit on `busy` multiprocessors.
fn arithmetic(report: &LaunchReport, gpu: &Gpu, busy: f64) -> f64 {
    let work = |classes: &[Class]| {
        let counts = classes.iter().filter_map(|class| report.by_class.get(class));
        counts.map(|count| count.warp_instructions as f64).sum::<f64>()
    };
    let units = [
        (work(&[Class::F32, Class::Half]), gpu.f32_rate),
        (work(&[Class::Integer]), gpu.integer_rate),
        (work(&[Class::F64]), gpu.f64_rate),
        (work(&[Class::Transcendental]), gpu.transcendental_rate),
    ];
    let plain = units.into_iter().map(|(work, rate)| work / (rate * busy * gpu.clock)).fold(0.0, f64::max);
    let share = busy / f64::from(gpu.multiprocessors);
    let tensor: f64 = report
        .by_opcode
        .iter()
        .map(|(opcode, count)| {
            let rate = if opcode.contains("tf32") { gpu.tensor_tf32 } else { gpu.tensor_16_bit };
            count.tensor_flop as f64 / (rate * share)
        })
        .sum();
    plain.max(tensor)
}

impl fmt::Display for Roofline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (binding, _) = self.binding();
        writeln!(f, "floors on {} (not a timing: a real launch takes longer)", self.gpu)?;
        for (limit, seconds) in &self.floors {
            let mark = if *limit == binding { "  <- binds" } else { "" };
            writeln!(f, "  {:<14} {:>12}{mark}", limit.name(), microseconds(*seconds))?;
        }
        write!(f, "  memory if no cache ever hit: {}", microseconds(self.uncached_memory))?;
        if let Some(occupancy) = &self.occupancy {
            let Occupancy { blocks, warps, fraction, limit } = occupancy;
            let percent = fraction * 100.0;
            write!(f, "\n  occupancy {percent:.0}%: {blocks} blocks, {warps} warps a multiprocessor, ")?;
            write!(f, "limited by {}", limit.name())?;
        }
        Ok(())
    }
}

impl Resource {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Threads => "threads",
            Resource::Registers => "registers",
            Resource::SharedMemory => "shared memory",
            Resource::Blocks => "blocks",
        }
    }
}

fn microseconds(seconds: f64) -> String {
    format!("{:.3} us", seconds * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occupancy_is_what_the_scarcest_resource_allows() {
        let h200 = Gpu::find("H200").unwrap();
        let of = |threads, registers, shared| {
            let o = h200.occupancy(threads, registers, shared);
            (o.blocks, o.limit)
        };
        assert_eq!(of(256, 32, 0), (8, Resource::Threads));
        assert_eq!(of(256, 128, 0), (2, Resource::Registers));
        assert_eq!(of(256, 32, 64 * 1024), (3, Resource::SharedMemory));
        assert_eq!(of(32, 16, 0), (32, Resource::Blocks));
        assert_eq!(of(1024, 255, 0), (0, Resource::Registers));
        assert_eq!(h200.occupancy(256, 128, 0).fraction, 0.25);
    }

    #[test]
    fn the_largest_floor_binds() {
        let mut report = LaunchReport { blocks: 1000, unique_bytes_read: 48_000_000, ..Default::default() };
        report.total.warp_instructions = 1000;
        let floors = Roofline::estimate(&report, &H200, None);
        assert_eq!(floors.binding(), (Limit::Memory, 1e-5));
        assert!(floors.to_string().contains("memory (HBM)      10.000 us  <- binds"), "{floors}");
        assert!(floors.to_string().contains("not a timing"));
        report.total.shared_wavefronts = 132 * 1_980_000;
        assert_eq!(Roofline::estimate(&report, &H200, None).binding(), (Limit::SharedMemory, 1e-3));
        // One block keeps one multiprocessor busy.
        report.blocks = 1;
        assert_eq!(Roofline::estimate(&report, &H200, None).binding().1, 0.132);
    }
}
