//! Runs the blocks of a launch: warps in turns inside a block, blocks in parallel on the CPU's cores.
//!
//! Results do not depend on the number of threads: blocks of a kernel that is not order-sensitive
//! cannot see one another's order, and those of one that is run on one thread, in a fixed rotation.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::LANES;
use super::cluster::Block;
use super::context::{Launch, Waiting, unflatten};
use super::kernel::{Constant, Special};
use super::mbarrier::Mbarrier;
use super::progress::Progress;
use super::registers::Registers;
use super::warp::{Surroundings, Warp};
use crate::counters::Counters;
use crate::fault::{Fault, FaultKind};

/// Rounds a cluster of an order-sensitive kernel runs before the next has its turn.
const ROUNDS: u32 = 16;

/// Run all blocks of a launch; returns the counts, or the fault of the lowest block that had one, or a
/// race between blocks.
pub(crate) fn run(launch: &Launch<'_>, pool: &rayon::ThreadPool) -> Result<Counters, Box<Fault>> {
    let counters = run_blocks(launch, pool)?;
    match launch.block_race() {
        Some(fault) => Err(fault),
        None => Ok(counters),
    }
}

fn run_blocks(launch: &Launch<'_>, pool: &rayon::ThreadPool) -> Result<Counters, Box<Fault>> {
    let clusters: [u32; 3] = std::array::from_fn(|i| launch.grid[i] / launch.cluster[i]);
    let total: u64 = clusters.iter().map(|&c| u64::from(c)).product();
    if launch.kernel.order_sensitive || total == 1 || pool.current_num_threads() == 1 {
        return run_in_rotation(launch, clusters, total);
    }
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let first_fault = AtomicU64::new(u64::MAX);
    let outcome = Mutex::new((Counters::new(launch.kernel), None));
    let workers = (pool.current_num_threads() as u64).min(total);
    pool.scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|_| {
                let mut cluster = Cluster::new(launch);
                let mut progress = Progress::new(launch.limits, started);
                let mut fault = None;
                loop {
                    let linear = next.fetch_add(1, Ordering::Relaxed);
                    // Blocks below a faulty one still run: one of them may fault first.
                    if linear >= total || linear > first_fault.load(Ordering::Relaxed) {
                        break;
                    }
                    cluster.start(launch, linear, clusters);
                    if let Err(found) = cluster.run_to_end(launch, &mut progress) {
                        first_fault.fetch_min(linear, Ordering::Relaxed);
                        fault = Some((linear, found));
                        break;
                    }
                }
                let mut outcome = outcome.lock().unwrap_or_else(|e| e.into_inner());
                outcome.0.merge(&cluster.counters);
                outcome.1 = outcome.1.take().into_iter().chain(fault).min_by_key(|(linear, _)| *linear);
            });
        }
    });
    let (counters, fault) = outcome.into_inner().unwrap_or_else(|e| e.into_inner());
    match fault {
        Some((_, fault)) => Err(fault),
        None => Ok(counters),
    }
}

/// Run all clusters on this thread; those that do not end soon take turns.
fn run_in_rotation(launch: &Launch<'_>, clusters: [u32; 3], total: u64) -> Result<Counters, Box<Fault>> {
    let rounds = if launch.kernel.order_sensitive { ROUNDS } else { u32::MAX };
    let mut counters = Counters::new(launch.kernel);
    let mut progress = Progress::new(launch.limits, Instant::now());
    let mut running: VecDeque<Box<Cluster>> = VecDeque::new();
    let mut idle: Option<Box<Cluster>> = None;
    let mut next = 0;
    while next < total || !running.is_empty() {
        if next < total && running.len() < resident(launch) {
            let mut cluster = idle.take().unwrap_or_else(|| Box::new(Cluster::new(launch)));
            cluster.start(launch, next, clusters);
            next += 1;
            running.push_back(cluster);
        }
        let Some(mut cluster) = running.pop_front() else { break };
        let mut ended = false;
        for _ in 0..rounds {
            ended = cluster.round(launch, &mut progress)?;
            if ended {
                break;
            }
        }
        if ended {
            if !launch.kernel.order_sensitive {
                progress.restart();
            }
            counters.merge(&cluster.counters);
            cluster.counters = Counters::new(launch.kernel);
            idle = Some(cluster);
        } else {
            running.push_back(cluster);
        }
    }
    Ok(counters)
}

/// Clusters that an order-sensitive kernel may have started and not ended: as many as a large GPU's 132
/// multiprocessors hold by their 227 KiB of shared memory, at most 8 blocks each.
fn resident(launch: &Launch<'_>) -> usize {
    let shared = launch.packed_shared_bytes().max(1) as usize;
    let size: u32 = launch.cluster.iter().product();
    (132 * (227 * 1024 / shared).clamp(1, 8)).div_ceil(size as usize)
}

/// The blocks of one cluster (one block, if the launch has no clusters), and their warps.
struct Cluster {
    blocks: Vec<Block>,
    warps: Vec<Vec<Warp>>,
    /// Registers with their constants, which every warp starts from.
    template: Registers,
    /// `%tid` of each warp's lanes, which is the same in all blocks.
    threads: Vec<[[u32; LANES]; 3]>,
    counters: Counters,
}

impl Cluster {
    fn new(launch: &Launch<'_>) -> Self {
        let size: u32 = launch.cluster.iter().product();
        let warps = launch.threads().div_ceil(LANES as u32) as usize;
        Self {
            blocks: vec![Block::default(); size as usize],
            warps: vec![vec![Warp::default(); warps]; size as usize],
            template: template(launch),
            threads: (0..warps)
                .map(|warp| {
                    let index = |lane| launch.thread_index((warp * LANES + lane) as u32);
                    std::array::from_fn(|i| std::array::from_fn(|lane| index(lane)[i]))
                })
                .collect(),
            counters: Counters::new(launch.kernel),
        }
    }

    /// Make ready to run cluster number `linear`.
    fn start(&mut self, launch: &Launch<'_>, linear: u64, clusters: [u32; 3]) {
        let [x, y, _] = clusters.map(u64::from);
        let cluster = [(linear % x) as u32, (linear / x % y) as u32, (linear / x / y) as u32];
        let kernel = launch.kernel;
        let threads = launch.threads();
        let shared_bytes = launch.shared_bytes() as usize;
        for (rank, (block, warps)) in self.blocks.iter_mut().zip(&mut self.warps).enumerate() {
            let within = unflatten(rank as u32, launch.cluster);
            let index = std::array::from_fn(|i| cluster[i] * launch.cluster[i] + within[i]);
            block.reset(index, threads, shared_bytes, launch.checks.races);
            let tracked = launch.kernel.uses_async_proxy && launch.checks.async_proxy;
            block.shared.shadow.reset(if tracked { shared_bytes } else { 0 }, threads as usize);
            for (number, warp) in warps.iter_mut().enumerate() {
                let count = (threads as usize - number * LANES).min(LANES);
                let live = if count == LANES { u32::MAX } else { (1 << count) - 1 };
                warp.reset(number, live);
                warp.registers.clone_from(&self.template);
                warp.local.reset(kernel.local_bytes as usize);
                for &(slot, constant) in &kernel.constants {
                    if let Constant::Special(special) = constant {
                        let place =
                            Place { index, within, rank: rank as u32, cluster, clusters, warp: number };
                        match special {
                            Special::Tid(i) => {
                                let row = &self.threads[number][usize::from(i)];
                                warp.registers.set_row(slot, |lane| u64::from(row[lane]));
                            }
                            _ if special.differs_in_warp() => {
                                warp.registers.set_row(slot, |lane| special.value(launch, &place, lane));
                            }
                            _ => warp.registers.broadcast(slot, special.value(launch, &place, 0)),
                        }
                    }
                }
            }
        }
    }

    fn run_to_end(&mut self, launch: &Launch<'_>, progress: &mut Progress) -> Result<(), Box<Fault>> {
        progress.restart();
        while !self.round(launch, progress)? {}
        Ok(())
    }

    /// Give every warp a turn; true once all threads have exited.
    fn round(&mut self, launch: &Launch<'_>, progress: &mut Progress) -> Result<bool, Box<Fault>> {
        let mut advanced = false;
        let mut live = false;
        for rank in 0..self.blocks.len() {
            for warp in &mut self.warps[rank] {
                if warp.live == 0 {
                    continue;
                }
                let blocks = &mut self.blocks[..];
                let counters = &mut self.counters;
                let mut around = Surroundings { launch, blocks, rank, counters, progress };
                advanced |= warp.run(&mut around)?;
                live |= warp.live != 0;
            }
        }
        if live && !advanced {
            let mut opened = false;
            for warp in self.warps.iter_mut().flatten() {
                opened |= warp.live != 0 && warp.open_joins();
            }
            if !opened {
                return Err(self.deadlock(launch));
            }
        }
        Ok(!live)
    }

    /// The fault of a cluster in which every path waits.
    fn deadlock(&self, launch: &Launch<'_>) -> Box<Fault> {
        let mut waiting = Vec::new();
        let mut first = None;
        for (block, warps) in self.blocks.iter().zip(&self.warps) {
            for warp in warps {
                for path in warp.waiting_paths() {
                    let place = launch.place(path.pc);
                    let why = match path.waiting {
                        Waiting::Nothing => "nothing".to_owned(),
                        Waiting::Barrier { id } => {
                            let come = block.barriers.get(id as usize).map_or(0, |b| b.threads);
                            format!("barrier {id} ({come} threads have come)")
                        }
                        Waiting::Cluster => "the cluster barrier".to_owned(),
                        Waiting::Mbarrier { rank, offset } => {
                            let mbarrier =
                                self.blocks.get(rank as usize).and_then(|b| b.mbarriers.get(&offset));
                            let state = mbarrier.map_or("gone".to_owned(), Mbarrier::describe);
                            format!("the mbarrier at shared {offset:#x} of rank {rank} ({state})")
                        }
                        Waiting::Warpgroup => "the other warps of its warpgroup".to_owned(),
                        Waiting::WarpSync { mask } | Waiting::WarpBarrier { mask } => {
                            format!("lanes {:#010x} of its warp", mask & warp.live & !path.mask)
                        }
                    };
                    let [x, y, z] = block.index;
                    waiting.push(format!(
                        "block {x},{y},{z} warp {} lanes {:#010x} at {place} for {why}",
                        warp.index, path.mask
                    ));
                    first.get_or_insert((path.pc, block.index, warp, path));
                }
            }
        }
        let Some((pc, block, warp, path)) = first else {
            // Unreachable by construction; a fault all the same, never a panic.
            return launch.fault_at(0, [0; 3], 0, FaultKind::Deadlock { waiting });
        };
        let thread = (warp.index * LANES) as u32 + path.mask.trailing_zeros();
        launch.fault_at(pc, block, thread, FaultKind::Deadlock { waiting })
    }
}

fn template(launch: &Launch<'_>) -> Registers {
    let mut registers = Registers::new(launch.kernel.registers);
    for &(slot, constant) in &launch.kernel.constants {
        let bits = match constant {
            Constant::Bits(bits) => bits,
            Constant::Global { index, addend } => {
                launch.variables[index as usize].wrapping_add_signed(addend)
            }
            Constant::Shared { index, addend } => {
                launch.shared_layout.addresses[index as usize].wrapping_add_signed(addend)
            }
            Constant::DynamicShared { addend } => {
                launch.shared_layout.dynamic_start.wrapping_add_signed(addend)
            }
            Constant::Special(_) => continue,
        };
        registers.broadcast(slot, bits);
    }
    registers
}

/// Where a warp stands in its launch.
struct Place {
    index: [u32; 3],
    within: [u32; 3],
    rank: u32,
    cluster: [u32; 3],
    clusters: [u32; 3],
    warp: usize,
}

impl Special {
    /// Whether the lanes of a warp see different values.
    fn differs_in_warp(self) -> bool {
        use Special::*;
        matches!(self, Tid(_) | Laneid | LanemaskEq | LanemaskLt | LanemaskLe | LanemaskGt | LanemaskGe)
    }

    fn value(self, launch: &Launch<'_>, place: &Place, lane: usize) -> u64 {
        let kernel = launch.kernel;
        let below = (1u32 << lane) - 1;
        let value = match self {
            Special::Tid(i) => launch.thread_index((place.warp * LANES + lane) as u32)[i as usize],
            Special::Ntid(i) => launch.block[i as usize],
            Special::Ctaid(i) => place.index[i as usize],
            Special::Nctaid(i) => launch.grid[i as usize],
            Special::Clusterid(i) => place.cluster[i as usize],
            Special::Nclusterid(i) => place.clusters[i as usize],
            Special::ClusterCtaid(i) => place.within[i as usize],
            Special::ClusterNctaid(i) => launch.cluster[i as usize],
            Special::ClusterCtarank => place.rank,
            Special::ClusterNctarank => launch.cluster.iter().product(),
            Special::IsExplicitCluster => u32::from(kernel.cluster.is_some() || launch.cluster != [1; 3]),
            Special::Laneid => lane as u32,
            Special::Warpid => place.warp as u32,
            Special::Nwarpid => launch.threads().div_ceil(LANES as u32),
            // Every block reports a multiprocessor of its own, as on an empty GPU.
            Special::Smid => {
                let [x, y, _] = launch.grid;
                place.index[0] + x * (place.index[1] + y * place.index[2])
            }
            Special::Nsmid => launch.grid.iter().product(),
            Special::Gridid => 1,
            Special::LanemaskEq => 1 << lane,
            Special::LanemaskLt => below,
            Special::LanemaskLe => below | 1 << lane,
            Special::LanemaskGt => !(below | 1 << lane),
            Special::LanemaskGe => !below,
            Special::DynamicSharedSize => launch.dynamic_shared,
            Special::TotalSharedSize => launch.packed_shared_bytes(),
        };
        u64::from(value)
    }
}
