//! A warp: 32 lanes in lockstep, their diverging paths and where these meet again.
//!
//! Paths form a tree. Where a branch diverges, the path becomes a *join*, which waits at the branch's
//! immediate post-dominator for its children; each child runs on its own until it gets there. All
//! children take turns, so that a path which spins on another's doing does not starve it. A join that
//! holds back lanes on which the others wait is opened ([`Warp::open_joins`]): its lanes go on alone.

use super::cluster::Block;
use super::context::{Context, Launch, Waiting};
use super::kernel::{Flow, NO_JOIN};
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
/// No parent.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Running,
    /// Waits at `pc` for its children; `mask` are the lanes that have come.
    Join,
}

#[derive(Clone, Debug)]
pub(crate) struct Path {
    state: State,
    pub pc: u32,
    pub mask: u32,
    /// Where this path ends and its parent goes on.
    join: u32,
    parent: u32,
    children: u32,
    ticket: u64,
    pub waiting: Waiting,
    /// Lanes that wait as part of a warp-synchronous instruction, until it completes.
    gathered: u32,
}

impl Path {
    fn running(pc: u32, mask: u32, join: u32, parent: u32) -> Self {
        Self {
            state: State::Running,
            pc,
            mask,
            join,
            parent,
            children: 0,
            ticket: 0,
            waiting: Waiting::Nothing,
            gathered: 0,
        }
    }
}

/// What the warps of a block work with.
pub(crate) struct Surroundings<'a> {
    pub launch: &'a Launch<'a>,
    pub blocks: &'a mut [Block],
    pub rank: usize,
    pub counters: &'a mut Counters,
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
    paths: Vec<Path>,
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
        self.paths.clear();
        self.paths.push(Path::running(0, live, NO_JOIN, NONE));
        (self.clock, self.spins, self.opened, self.arrived) = (0, 0, false, 0);
        self.cluster_phases = [0; LANES];
        self.bulk = Default::default();
        self.wgmma.reset();
    }

    /// Paths that wait, for the report of a deadlock.
    pub fn waiting_paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().filter(|p| p.state == State::Running && p.waiting != Waiting::Nothing)
    }

    /// Give every path a turn; false if none could do anything.
    pub fn run(&mut self, around: &mut Surroundings<'_>) -> Result<bool, Box<Fault>> {
        let mut progress = false;
        let mut index = 0;
        while index < self.paths.len() {
            if self.paths[index].state == State::Running {
                progress |= matches!(self.turn(index, around)?, Turn::Progress);
            }
            index += 1;
        }
        if self.spins > PATIENCE {
            self.spins = 0;
            self.open_joins();
        }
        Ok(progress)
    }

    /// Let lanes that wait for others at a join go on without them; false if there are none.
    pub fn open_joins(&mut self) -> bool {
        let mut any = false;
        for index in 0..self.paths.len() {
            let Path { state, pc, mask, join, parent, .. } = self.paths[index];
            if state != State::Join || mask == 0 {
                continue;
            }
            any = true;
            self.paths[index].mask = 0;
            if parent != NONE {
                self.paths[parent as usize].children += 1;
            }
            self.add(Path::running(pc, mask, join, parent));
        }
        self.opened |= any;
        any
    }

    fn add(&mut self, path: Path) -> usize {
        match self.paths.iter().position(|p| p.state == State::Free) {
            Some(index) => {
                self.paths[index] = path;
                index
            }
            None => {
                self.paths.push(path);
                self.paths.len() - 1
            }
        }
    }

    /// A path is over; its lanes have exited or joined the parent.
    fn end(&mut self, index: usize) {
        let mut index = index;
        loop {
            let parent = self.paths[index].parent;
            self.paths[index].state = State::Free;
            if parent == NONE {
                return;
            }
            index = parent as usize;
            let node = &mut self.paths[index];
            node.children -= 1;
            if node.children > 0 {
                return;
            }
            if node.mask != 0 {
                node.state = State::Running;
                node.ticket = 0;
                node.waiting = Waiting::Nothing;
                node.gathered = 0;
                return;
            }
        }
    }

    /// Split path `index` into parts that meet again at `join`. The path itself runs the first part.
    fn diverge(&mut self, index: usize, parts: &[(u32, u32)], join: u32) {
        let Path { join: old_join, parent: old_parent, .. } = self.paths[index];
        let (parent, first) = if join == old_join {
            (old_parent, Some(index))
        } else {
            let node = &mut self.paths[index];
            node.state = State::Join;
            node.pc = join;
            node.mask = 0;
            node.children = 0;
            (index as u32, None)
        };
        let mut reuse = first;
        for &(pc, mask) in parts {
            if pc == join && parent != NONE {
                self.paths[parent as usize].mask |= mask;
                continue;
            }
            let path = Path::running(pc, mask, join, parent);
            match reuse.take() {
                // The path goes on as its own first part and stays counted as a child.
                Some(own) => self.paths[own] = path,
                None => {
                    if parent != NONE {
                        self.paths[parent as usize].children += 1;
                    }
                    self.add(path);
                }
            }
        }
        if let Some(own) = reuse {
            self.end(own);
        }
    }

    /// Run path `index` until its turn is over.
    fn turn(&mut self, index: usize, around: &mut Surroundings<'_>) -> Result<Turn, Box<Fault>> {
        let launch = around.launch;
        let kernel = launch.kernel;
        let Path { mut pc, mut mask, join, mut ticket, mut gathered, .. } = self.paths[index];
        let has_siblings = self.paths[index].parent != NONE;
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
                let (others, led) = others_at(&self.paths, index, pc);
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
                release_others(&mut self.paths, index, pc);
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
                    self.diverge(index, &parts, instruction.join);
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
                    self.diverge(index, &parts, instruction.join);
                    return Ok(Turn::Progress);
                }
                Flow::Exit => {
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
                        self.end(index);
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
            let parent = path.parent;
            if parent != NONE {
                self.paths[parent as usize].mask |= mask;
            }
            self.end(index);
        }
        Ok(Turn::Progress)
    }

    /// Where the first path stands.
    pub fn pc(&self) -> u32 {
        self.paths.iter().find(|p| p.state == State::Running).map_or(0, |p| p.pc)
    }

    /// Instructions run so far.
    pub fn clock(&self) -> u64 {
        self.clock
    }
}

/// Lanes of other paths that wait at `pc` as part of a warp-synchronous instruction, and whether a
/// path before `index` is among them, which then acts for all.
fn others_at(paths: &[Path], index: usize, pc: u32) -> (u32, bool) {
    let mut mask = 0;
    let mut led = false;
    for (i, path) in paths.iter().enumerate() {
        if i != index && path.state == State::Running && path.gathered != 0 && path.pc == pc {
            mask |= path.gathered;
            led |= i < index;
        }
    }
    (mask, led)
}

/// The instruction that the paths at `pc` gathered for is done: they go on behind it.
fn release_others(paths: &mut [Path], index: usize, pc: u32) {
    for (i, path) in paths.iter_mut().enumerate() {
        if i != index && path.state == State::Running && path.gathered != 0 && path.pc == pc {
            path.pc += 1;
            (path.gathered, path.ticket, path.waiting) = (0, 0, Waiting::Nothing);
        }
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
