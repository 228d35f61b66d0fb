//! A warp: 32 lanes in lockstep. Each of its [`Paths`] takes turns of some instructions, so that one
//! which spins on another's doing does not starve it.

use super::cluster::Block;
use super::context::{Context, Launch, Waiting};
use super::kernel::Flow;
use super::paths::{Path, Paths};
use super::progress::Progress;
use super::registers::{Bank, Registers, Slot};
use super::transfers::BulkGroups;
use super::wgmma::Wgmma;
use super::{LANES, lanes};
use crate::counters::Counters;
use crate::fault::{Fault, FaultKind};
use crate::memory::local::LocalMemory;

/// Instructions a path runs before its siblings and the other warps have their turn.
const TURN: u32 = 256;
/// Instructions typical of waiting for another thread (atomics, volatile loads) that a warp runs
/// while lanes wait at a join, before the join is opened.
const PATIENCE: u32 = 1024;
/// What the warps of a block work with.
pub(crate) struct Surroundings<'a> {
    pub launch: &'a Launch<'a>,
    pub blocks: &'a mut [Block],
    pub rank: usize,
    pub counters: &'a mut Counters,
    pub progress: &'a mut Progress,
}

/// One warp.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warp {
    pub registers: Registers,
    pub local: LocalMemory,
    /// Index in its block.
    pub index: usize,
    /// Lanes that have not exited.
    pub live: u32,
    paths: Paths,
    clock: u64,
    /// Lanes that have arrived at a `bar.warp.sync` and wait there.
    arrived: u32,
    /// How often each lane has arrived at the cluster barrier.
    cluster_phases: [u64; LANES],
    /// Bulk stores of each lane.
    bulk: [BulkGroups; LANES],
    /// Its part of the wgmma under way.
    wgmma: Wgmma,
    /// Waiting-like instructions since the last join was opened.
    spins: u32,
    /// Whether a join has been opened, so that lanes may come to a barrier one after the other.
    opened: bool,
}

/// What became of a path's turn.
enum Turn {
    /// It ran out of its turn, ended or met the others.
    Progress,
    /// It waits and did nothing.
    Stuck,
}

impl Warp {
    /// Make ready to run `lanes` from the kernel's start.
    pub fn reset(&mut self, index: usize, live: u32) {
        self.index = index;
        self.live = live;
        self.paths.reset(live);
        (self.clock, self.spins, self.opened, self.arrived) = (0, 0, false, 0);
        self.cluster_phases = [0; LANES];
        self.bulk = Default::default();
        self.wgmma.reset();
    }

    /// Paths that wait, for the report of a deadlock.
    pub fn waiting_paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.running().filter(|path| path.waiting != Waiting::Nothing)
    }

    /// Give every path a turn; false if none could do anything.
    pub fn run(&mut self, around: &mut Surroundings<'_>) -> Result<bool, Box<Fault>> {
        let mut progress = false;
        let mut index = 0;
        let clock = self.clock;
        while index < self.paths.len() {
            if self.paths[index].is_running() {
                progress |= matches!(self.turn(index, around)?, Turn::Progress);
            }
            index += 1;
        }
        if let Err(detail) = around.progress.ran(self.clock - clock) {
            return Err(self.hang(around, detail));
        }
        if self.spins > PATIENCE {
            self.spins = 0;
            self.open_joins();
        }
        Ok(progress)
    }

    /// Let lanes that wait for others at a join go on without them; false if there are none.
    pub fn open_joins(&mut self) -> bool {
        let any = self.paths.open_joins();
        self.opened |= any;
        any
    }

    /// Run path `index` until its turn is over.
    fn turn(&mut self, index: usize, around: &mut Surroundings<'_>) -> Result<Turn, Box<Fault>> {
        let launch = around.launch;
        let kernel = launch.kernel;
        let Path { mut pc, mut mask, join, mut ticket, mut gathered, .. } = self.paths[index];
        let has_siblings = self.paths[index].has_parent();
        let check_registers = launch.checks.registers;
        let mut done = 0;
        let clock = self.clock;
        let mut ctx = Context {
            launch,
            registers: &mut self.registers,
            local: &mut self.local,
            blocks: around.blocks,
            rank: around.rank,
            counters: around.counters,
            progress: around.progress,
            warp: self.index,
            active: mask,
            live: self.live,
            pc,
            waiting_here: 0,
            opened: self.opened,
            arrived: &mut self.arrived,
            cluster_phases: &mut self.cluster_phases,
            bulk: &mut self.bulk,
            wgmma: &mut self.wgmma,
            ticket: &mut ticket,
            branch_index: [0; LANES],
            waiting: Waiting::Nothing,
            clock,
        };
        while done < TURN {
            if pc == join {
                break;
            }
            let instruction = &kernel.instructions[pc as usize];
            let mut active = mask;
            if let Some(guard) = instruction.guard {
                let predicate = ctx.get_pred(guard);
                if check_registers {
                    ctx.active = mask;
                    ctx.pc = pc;
                    let slot = Slot { bank: Bank::Predicate, index: guard.index };
                    check_written(&ctx, slot)?;
                }
                active &= predicate;
                if active == 0 {
                    pc += 1;
                    done += 1;
                    continue;
                }
            }
            if gathered != 0 {
                // Only a path that waited comes here, and only at the start of its turn.
                let (others, led) = self.paths.others_at(index, pc);
                if led {
                    return Ok(Turn::Stuck);
                }
                ctx.waiting_here = others;
                active |= others;
            }
            ctx.active = active;
            ctx.pc = pc;
            ctx.clock = clock + u64::from(done);
            if check_registers {
                for &slot in &instruction.reads {
                    check_written(&ctx, slot)?;
                }
                if kernel.uses_wgmma && !instruction.wgmma {
                    ctx.check_wgmma(instruction)?;
                }
            }
            let flow = (instruction.action)(&mut ctx)?;
            if flow == Flow::Wait {
                let waiting = ctx.waiting;
                if matches!(waiting, Waiting::WarpSync { .. }) && gathered == 0 {
                    gathered = active;
                }
                let path = &mut self.paths[index];
                let newly = path.waiting != waiting;
                (path.pc, path.mask, path.ticket, path.waiting, path.gathered) =
                    (pc, mask, ticket, waiting, gathered);
                self.clock += u64::from(done);
                return Ok(if done > 0 || newly { Turn::Progress } else { Turn::Stuck });
            }
            ctx.counters.count(pc as usize, active);
            *ctx.ticket = 0;
            if gathered != 0 {
                gathered = 0;
                self.paths.release_others(index, pc);
                active &= mask;
            }
            if check_registers {
                for &slot in &instruction.writes {
                    ctx.registers.mark_written(slot, ctx.active);
                }
            }
            done += 1;
            match flow {
                Flow::Next => {
                    pc += 1;
                    if has_siblings && instruction.spins {
                        self.spins += 1;
                    }
                }
                Flow::Branch if active == mask => pc = instruction.targets[0],
                Flow::Branch => {
                    self.clock += u64::from(done);
                    let parts = [(instruction.targets[0], active), (pc + 1, mask & !active)];
                    self.paths.diverge(index, &parts, instruction.join);
                    return Ok(Turn::Progress);
                }
                Flow::Indexed => {
                    let mut parts: Vec<(u32, u32)> = Vec::new();
                    for lane in lanes(active) {
                        let target = instruction.targets[ctx.branch_index[lane] as usize];
                        match parts.iter_mut().find(|(pc, _)| *pc == target) {
                            Some((_, lanes)) => *lanes |= 1 << lane,
                            None => parts.push((target, 1 << lane)),
                        }
                    }
                    if mask != active {
                        parts.push((pc + 1, mask & !active));
                    }
                    if let [(target, _)] = parts[..] {
                        pc = target;
                        continue;
                    }
                    self.clock += u64::from(done);
                    self.paths.diverge(index, &parts, instruction.join);
                    return Ok(Turn::Progress);
                }
                Flow::Exit => {
                    ctx.progress.made();
                    let count = active.count_ones();
                    let block = &mut ctx.blocks[ctx.rank];
                    block.live -= count;
                    block.exited += count;
                    ctx.live &= !active;
                    self.live &= !active;
                    mask &= !active;
                    pc += 1;
                    if mask == 0 {
                        self.clock += u64::from(done);
                        self.paths.end(index);
                        return Ok(Turn::Progress);
                    }
                }
                Flow::Wait => {}
            }
        }
        self.clock += u64::from(done);
        let path = &mut self.paths[index];
        (path.pc, path.mask, path.ticket, path.gathered) = (pc, mask, 0, 0);
        path.waiting = Waiting::Nothing;
        if pc == join {
            self.paths.join(index);
        }
        Ok(Turn::Progress)
    }

    /// The fault of running into a limit, put down to where the first path stands.
    #[cold]
    fn hang(&self, around: &Surroundings<'_>, detail: String) -> Box<Fault> {
        let (pc, lane) =
            self.paths.running().next().map_or((0, 0), |path| (path.pc, path.mask.trailing_zeros()));
        let thread = (self.index * LANES) as u32 + lane;
        around.launch.fault_at(pc, around.blocks[around.rank].index, thread, FaultKind::Hang { detail })
    }
}

/// A fault if some active lane reads `slot` without having written it.
#[inline(always)]
fn check_written(ctx: &Context<'_>, slot: Slot) -> Result<(), Box<Fault>> {
    let missing = ctx.active & !ctx.registers.written(slot);
    if missing == 0 { Ok(()) } else { Err(unwritten_register(ctx, slot, missing)) }
}

#[cold]
fn unwritten_register(ctx: &Context<'_>, slot: Slot, missing: u32) -> Box<Fault> {
    let names = &ctx.launch.kernel.register_names;
    let register = names.iter().find(|(s, _)| *s == slot).map_or("?", |(_, name)| name).to_owned();
    ctx.fault(missing.trailing_zeros() as usize, FaultKind::UninitialisedRegister { register })
}
