//! A warp's part of the wgmma under way, and the rules for the registers they use.

use std::collections::VecDeque;

use super::context::Context;
use super::kernel::Instruction;
use super::registers::{Bank, Slot};
use crate::counters::Class;
use crate::fault::{Fault, FaultKind};

/// What a wgmma uses a register for. Accumulators of the same shape may be shared by several under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    #[default]
    Operand,
    /// With the columns of the product, and whether it is of f16.
    Accumulator(u32, bool),
}

/// The last wgmma that uses a register, by its number in the warp from 1.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    number: u64,
    role: Role,
}

/// One warp's state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wgmma {
    /// wgmma this warp has run, and how many of those are known to be complete.
    pub issued: u64,
    pub done: u64,
    /// `issued` at each commit that nothing has waited for.
    pub commits: VecDeque<u64>,
    /// The clock, from 1, at the last `wgmma.fence`; 0 before the first.
    fence: u64,
    /// By 32-bit register: its last use, and the clock from 1 of its last ordinary write.
    uses: Vec<Use>,
    writes: Vec<u64>,
}

impl Wgmma {
    /// Make ready for a new warp.
    pub fn reset(&mut self) {
        (self.issued, self.done, self.fence) = (0, 0, 0);
        self.commits.clear();
        self.uses.clear();
        self.writes.clear();
    }

    fn size(&mut self, registers: usize) {
        if self.uses.len() != registers {
            self.uses.resize(registers, Use::default());
            self.writes.resize(registers, 0);
        }
    }

    fn is_busy(&self, register: u32) -> bool {
        self.uses[register as usize].number > self.done
    }
}

impl Context<'_> {
    /// Run `wgmma.fence`.
    pub fn fence_wgmma(&mut self) {
        self.wgmma.fence = self.clock + 1;
    }

    /// A fault if an ordinary instruction touches what a wgmma works on; notes what it writes.
    ///
    /// A plain `mov` passes a register's state on: compilers write copies around inline assembly
    /// that are gone once registers are assigned.
    pub fn check_wgmma(&mut self, instruction: &Instruction) -> Result<(), Box<Fault>> {
        if !self.launch.checks.async_proxy {
            return Ok(());
        }
        self.wgmma.size(self.registers.words.len());
        let stamp = self.clock + 1;
        if let (Class::Move, [Slot { bank: Bank::Word, index: to }]) =
            (instruction.class, &instruction.writes[..])
            && !self.wgmma.is_busy(*to)
        {
            match instruction.reads[..] {
                [] => self.wgmma.writes[*to as usize] = 0,
                [Slot { bank: Bank::Word, index: from }] => {
                    self.wgmma.writes[*to as usize] = self.wgmma.writes[from as usize];
                    self.wgmma.uses[*to as usize] = self.wgmma.uses[from as usize];
                    return Ok(());
                }
                _ => self.wgmma.writes[*to as usize] = stamp,
            }
        }
        for slot in instruction.reads.iter().chain(&instruction.writes) {
            if slot.bank == Bank::Word && self.wgmma.is_busy(slot.index) {
                let register = self.register_name(slot.index);
                return Err(self.fault(self.leader(), FaultKind::WgmmaRegister { register }));
            }
        }
        if instruction.class != Class::Move {
            for slot in instruction.writes.iter().filter(|slot| slot.bank == Bank::Word) {
                self.wgmma.writes[slot.index as usize] = stamp;
            }
        }
        Ok(())
    }

    /// A wgmma uses `registers` in `role` from here on; a fault if it must not yet.
    pub fn use_in_wgmma(&mut self, registers: &[u32], role: Role) -> Result<(), Box<Fault>> {
        if !self.launch.checks.async_proxy || !self.launch.checks.registers {
            return Ok(());
        }
        self.wgmma.size(self.registers.words.len());
        let lane = self.leader();
        if self.wgmma.fence == 0 {
            return Err(self.fault(lane, FaultKind::MissingWgmmaFence { register: String::new() }));
        }
        for &register in registers {
            let index = register as usize;
            if self.wgmma.writes[index] > self.wgmma.fence {
                let register = self.register_name(register);
                return Err(self.fault(lane, FaultKind::MissingWgmmaFence { register }));
            }
            if self.wgmma.is_busy(register) && self.wgmma.uses[index].role != role {
                let register = self.register_name(register);
                return Err(self.fault(lane, FaultKind::WgmmaRegister { register }));
            }
            self.wgmma.uses[index] = Use { number: self.wgmma.issued + 1, role };
        }
        Ok(())
    }

    fn register_name(&self, index: u32) -> String {
        let names = &self.launch.kernel.register_names;
        let slot = Slot { bank: Bank::Word, index };
        names.iter().find(|(s, _)| *s == slot).map_or("?", |(_, name)| name).to_owned()
    }
}
