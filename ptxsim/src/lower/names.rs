//! Slots for registers and constants, and what names stand for.

use super::builder::{Builder, MAX_FRAME};
use super::symbols::{Symbol, bank};
use crate::machine::kernel::Constant;
use crate::machine::registers::{Bank, Slot};
use crate::types::{Space, Type};

impl Builder<'_> {
    pub(super) fn new_slot(&mut self, bank: Bank) -> Slot {
        let count = &mut self.counts[bank as usize];
        *count += 1;
        Slot { bank, index: *count - 1 }
    }

    /// The predicate that holds the carry flag.
    pub(super) fn carry_flag(&mut self) -> u32 {
        match self.carry {
            Some(index) => index,
            None => {
                let slot = self.new_slot(Bank::Predicate);
                self.carry = Some(slot.index);
                slot.index
            }
        }
    }

    /// The slot that holds `constant` from the start.
    pub(super) fn constant(&mut self, bank: Bank, constant: Constant) -> Slot {
        if let Some(slot) = self.constant_slots.get(&(bank, constant)) {
            return *slot;
        }
        let slot = self.new_slot(bank);
        self.constants.push((slot, constant));
        self.constant_slots.insert((bank, constant), slot);
        slot
    }

    /// What `name` stands for, innermost scope first.
    pub(super) fn lookup(&self, name: &str) -> Option<Symbol> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name)).cloned()
    }

    /// The register `name`; an error if it is none.
    pub(super) fn register(&mut self, name: &str) -> std::result::Result<(Slot, Type), String> {
        self.find_register(name)?.ok_or_else(|| format!("`{name}` is no declared register"))
    }

    /// The register `name`, or none if the name stands for something else.
    pub(super) fn find_register(&mut self, name: &str) -> std::result::Result<Option<(Slot, Type)>, String> {
        let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
        for depth in (0..self.scopes.len()).rev() {
            match self.scopes[depth].get(name) {
                Some(Symbol::Register { slot, ty }) => return Ok(Some((*slot, *ty))),
                Some(Symbol::RegisterRange { .. }) | None => {}
                Some(_) => return Ok(None),
            }
            if let Some(Symbol::RegisterRange { ty, count }) = self.scopes[depth].get(base)
                && base.len() < name.len()
            {
                let (ty, count) = (*ty, *count);
                let number = name[base.len()..].parse::<u32>().ok().filter(|n| *n < count);
                if number.is_none() {
                    return Err(format!("`{name}` is beyond the {count} registers declared"));
                }
                let bank = bank(ty).unwrap_or(Bank::Word);
                let slot = self.new_slot(bank);
                self.register_names.push((slot, name.to_owned()));
                self.scopes[depth].insert(name.to_owned(), Symbol::Register { slot, ty });
                return Ok(Some((slot, ty)));
            }
        }
        Ok(None)
    }

    /// The address of variable `name` plus `addend`, and the space it lies in.
    pub(super) fn address_constant(
        &mut self,
        name: &str,
        addend: i64,
    ) -> std::result::Result<(Constant, Space), String> {
        match self.lookup(name) {
            Some(Symbol::Variable { space, address, .. }) => {
                return Ok((Constant::Bits(address.wrapping_add_signed(addend)), space));
            }
            Some(Symbol::SharedVariable(index)) => {
                return Ok((Constant::Shared { index, addend }, Space::Shared));
            }
            Some(Symbol::DynamicShared) => return Ok((Constant::DynamicShared { addend }, Space::Shared)),
            Some(_) => return Err(format!("`{name}` has no address")),
            None => {}
        }
        if let Some(&index) = self.symbols.global_index.get(name) {
            let space = self.symbols.globals[index as usize].space;
            return Ok((Constant::Global { index, addend }, space));
        }
        if let Some(variable) = self.symbols.shared.get(name) {
            let Some(bytes) = variable.size else {
                self.dynamic_align = self.dynamic_align.max(u64::from(variable.align));
                return Ok((Constant::DynamicShared { addend }, Space::Shared));
            };
            let index = match self.module_shared.get(name) {
                Some(index) => *index,
                None => {
                    let index = self.add_shared(variable, bytes);
                    if self.static_shared() > MAX_FRAME {
                        return Err(format!("`{name}` does not fit any GPU's shared memory"));
                    }
                    self.module_shared.insert(name.to_owned(), index);
                    index
                }
            };
            return Ok((Constant::Shared { index, addend }, Space::Shared));
        }
        Err(format!("unknown name `{name}`"))
    }
}
