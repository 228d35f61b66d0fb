//! Operands: sources, destinations, vectors and addresses.

use super::build::Build;
use super::symbols::special;
use crate::machine::LANES;
use crate::machine::context::Context;
use crate::machine::kernel::Constant;
use crate::machine::registers::{Bank, Dst, PredDst, PredSrc, Scalar, Slot, Src, Word};
use crate::memory::{Addresses, to_generic};
use crate::parse::ast;
use crate::types::{Space, Type};

/// The address of a memory operand: a register or constant, plus an offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    base: Slot,
    offset: i64,
}

impl Address {
    /// The address of each lane.
    #[inline(always)]
    pub fn lanes(&self, ctx: &Context<'_>) -> Addresses {
        let index = self.base.index as usize;
        let mut out = [0; LANES];
        if self.base.bank == Bank::Double {
            for (address, base) in out.iter_mut().zip(&ctx.registers.doubles[index]) {
                *address = base.wrapping_add_signed(self.offset);
            }
        } else {
            for (address, &base) in out.iter_mut().zip(&ctx.registers.words[index]) {
                *address = u64::from(base.wrapping_add(self.offset as u32));
            }
        }
        out
    }
}

impl<'b> Build<'b, '_> {
    /// Operands not yet taken.
    pub fn operands_left(&self) -> usize {
        self.ast.operands.len() - self.next_operand
    }

    /// Take the next operand.
    pub fn operand(&mut self) -> Result<&'b ast::Operand, String> {
        let operand = self.ast.operands.get(self.next_operand).ok_or("too few operands")?;
        self.next_operand += 1;
        Ok(operand)
    }

    /// Look at the next operand.
    pub fn peek(&self) -> Option<&'b ast::Operand> {
        self.ast.operands.get(self.next_operand)
    }

    /// Look at the operand after the next.
    pub fn peek_second(&self) -> Option<&'b ast::Operand> {
        self.ast.operands.get(self.next_operand + 1)
    }

    /// The next operand as a source of type `T`.
    pub fn src<T: Scalar>(&mut self) -> Result<Src<T>, String> {
        let operand = self.operand()?;
        self.src_of(operand)
    }

    /// The next operand as a destination of type `T`.
    pub fn dst<T: Scalar>(&mut self) -> Result<Dst<T>, String> {
        let operand = self.operand()?;
        self.dst_of(operand)
    }

    /// `operand` as a source of type `T`.
    pub fn src_of<T: Scalar>(&mut self, operand: &ast::Operand) -> Result<Src<T>, String> {
        let slot = self.source_slot(operand, T::Word::BANK, T::BITS, true)?;
        Ok(Src::new(slot.index))
    }

    /// `operand` as a destination of type `T`; `_` is one that nothing reads.
    pub fn dst_of<T: Scalar>(&mut self, operand: &ast::Operand) -> Result<Dst<T>, String> {
        let (slot, bits) = self.register_dst(operand, T::Word::BANK, T::BITS)?;
        if bits != T::BITS || slot.bank != T::Word::BANK {
            return Err(format!("a destination of {} bits is needed, this one has {bits}", T::BITS));
        }
        Ok(Dst::new(slot.index))
    }

    /// A destination register of whatever width, with that width; `_` gets `bits` in `bank`.
    pub fn register_dst(
        &mut self,
        operand: &ast::Operand,
        bank: Bank,
        bits: u32,
    ) -> Result<(Slot, u32), String> {
        let name = plain_name(operand)?;
        if name == "_" {
            return Ok((self.builder.new_slot(bank), bits));
        }
        let (slot, ty) = self.builder.register(name)?;
        self.writes.push(slot);
        Ok((slot, ty.bits()))
    }

    /// A source register of whatever width, with its type; none if `operand` is no register.
    pub fn register_src(&mut self, operand: &ast::Operand) -> Option<(Slot, Type)> {
        let name = plain_name(operand).ok()?;
        let (slot, ty) = self.builder.register(name).ok()?;
        self.read(slot);
        Some((slot, ty))
    }

    fn read(&mut self, slot: Slot) {
        if !self.reads.contains(&slot) {
            self.reads.push(slot);
        }
    }

    fn source_slot(
        &mut self,
        operand: &ast::Operand,
        want: Bank,
        bits: u32,
        exact: bool,
    ) -> Result<Slot, String> {
        let constant = match operand {
            ast::Operand::Name { name, addend } => {
                if let Some((slot, ty)) = self.builder.find_register(name)? {
                    if *addend != 0 {
                        return Err(format!("`{name}` is a register; nothing can be added to it here"));
                    }
                    let fits = if exact { ty.bits() == bits } else { ty.bits() >= bits };
                    if slot.bank != want || !fits {
                        return Err(format!("`{name}` has {} bits where {bits} are needed", ty.bits()));
                    }
                    self.read(slot);
                    return Ok(slot);
                }
                self.named_constant(name, *addend, bits)?
            }
            ast::Operand::Int(value) => Constant::Bits(mask(*value, bits)),
            ast::Operand::F32(value) if bits == 64 => {
                Constant::Bits(f64::from(f32::from_bits(*value)).to_bits())
            }
            ast::Operand::F32(value) => Constant::Bits(u64::from(*value)),
            ast::Operand::F64(value) if bits == 64 => Constant::Bits(*value),
            ast::Operand::F64(value) => Constant::Bits(u64::from((f64::from_bits(*value) as f32).to_bits())),
            _ => return Err("a register or constant is needed here".into()),
        };
        Ok(self.builder.constant(want, constant))
    }

    /// The value of a name that is no register: a special register, an address or `WARP_SZ`.
    fn named_constant(&mut self, name: &str, addend: i64, bits: u32) -> Result<Constant, String> {
        if name == "WARP_SZ" {
            return Ok(Constant::Bits(32));
        }
        if let Some((constant, width)) = special(name) {
            // A wider destination gets the value zero-extended; a narrower one would lose bits.
            return if width <= bits {
                Ok(constant)
            } else {
                Err(format!("`{name}` has {width} bits, not {bits}"))
            };
        }
        if bits < 32 {
            return Err(format!("`{name}` is an address, which {bits} bits do not hold"));
        }
        self.builder.address_constant(name, addend).map(|(constant, _)| constant)
    }

    /// The next operand as a predicate source, possibly negated.
    pub fn pred_src(&mut self) -> Result<PredSrc, String> {
        let operand = self.operand()?;
        self.pred_src_of(operand)
    }

    /// `operand` as a predicate source.
    pub fn pred_src_of(&mut self, operand: &ast::Operand) -> Result<PredSrc, String> {
        match operand {
            ast::Operand::Not(inner) => {
                let inner = self.pred_src_of(inner)?;
                Ok(PredSrc { negated: !inner.negated, ..inner })
            }
            _ => {
                let slot = self.source_slot(operand, Bank::Predicate, 1, true)?;
                Ok(PredSrc { index: slot.index, negated: false })
            }
        }
    }

    /// The next operand as a predicate destination.
    pub fn pred_dst(&mut self) -> Result<PredDst, String> {
        let operand = self.operand()?;
        self.pred_dst_of(operand)
    }

    /// `operand` as a predicate destination.
    pub fn pred_dst_of(&mut self, operand: &ast::Operand) -> Result<PredDst, String> {
        match self.register_dst(operand, Bank::Predicate, 1)? {
            (Slot { bank: Bank::Predicate, index }, _) => Ok(PredDst { index }),
            _ => Err("a predicate destination is needed".into()),
        }
    }

    /// The next operand as a destination, with a second one after `|` if it has one.
    pub fn dst_pair(&mut self) -> Result<(&'b ast::Operand, Option<&'b ast::Operand>), String> {
        Ok(match self.operand()? {
            ast::Operand::Pair(first, second) => (first, Some(second)),
            other => (other, None),
        })
    }

    /// The next operand as the elements of a vector; a single operand is a vector of one.
    pub fn vector(&mut self) -> Result<Vec<&'b ast::Operand>, String> {
        Ok(match self.operand()? {
            ast::Operand::Vector(items) => items.iter().collect(),
            single => vec![single],
        })
    }

    /// The next operand as an address in `space`; also the space that it really lies in.
    pub fn address(&mut self, space: Space) -> Result<(Address, Space), String> {
        match self.operand()? {
            ast::Operand::Address { base, offset, rest } if rest.is_empty() => {
                self.address_of(base.as_deref(), *offset, space)
            }
            _ => Err("an address in [ ] is needed".into()),
        }
    }

    /// An address made of a base name and an offset.
    pub fn address_of(
        &mut self,
        base: Option<&str>,
        offset: i64,
        space: Space,
    ) -> Result<(Address, Space), String> {
        let Some(name) = base else {
            let base = self.builder.constant(Bank::Double, Constant::Bits(offset as u64));
            return Ok((Address { base, offset: 0 }, space));
        };
        if let Some((base, ty)) = self.builder.find_register(name)? {
            if !matches!(ty.bits(), 32 | 64) {
                return Err(format!("`{name}` has {} bits; an address has 32 or 64", ty.bits()));
            }
            self.read(base);
            return Ok((Address { base, offset }, space));
        }
        let (constant, home) = self.builder.address_constant(name, offset)?;
        // A function's `.param` variables lie in local memory.
        let (constant, found) = match (space, home) {
            (Space::Generic, _) => match constant {
                Constant::Bits(bits) => (Constant::Bits(to_generic(home, bits)), Space::Generic),
                other => (other, home),
            },
            (Space::Param, Space::Local) => (constant, Space::Local),
            (a, b) if a == b || (a, b) == (Space::Global, Space::Const) => (constant, b),
            (a, b) => return Err(format!("`{name}` is in {} memory, not in {}", b.name(), a.name())),
        };
        let base = self.builder.constant(Bank::Double, constant);
        Ok((Address { base, offset: 0 }, found))
    }
}

fn mask(value: u64, bits: u32) -> u64 {
    if bits >= 64 { value } else { value & ((1 << bits) - 1) }
}

/// The name of an operand that is only a name.
pub(super) fn plain_name(operand: &ast::Operand) -> Result<&str, String> {
    match operand {
        ast::Operand::Name { name, addend: 0 } => Ok(name),
        _ => Err("a name is needed here".into()),
    }
}
