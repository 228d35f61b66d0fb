//! What an opcode's lowering works with: its modifiers and operands, each taken once.
//!
//! An unknown modifier or a surplus operand is found because nothing took it.

use super::builder::Builder;
use super::symbols::{Symbol, special};
use crate::counters::Class;
use crate::machine::kernel::{Action, Constant, Flow};
use crate::machine::registers::{Bank, Dst, PredDst, PredSrc, Scalar, Slot, Src, Word};
use crate::machine::{LANES, context::Context};
use crate::memory::{Addresses, to_generic};
use crate::parse::ast;
use crate::types::{Space, Type};

/// A decoded action, or what is wrong with the instruction.
pub(crate) type Lowered = Result<Action, String>;

/// One instruction being decoded.
pub(crate) struct Build<'b, 'm> {
    pub(super) builder: &'b mut Builder<'m>,
    pub(super) ast: &'b ast::Instruction,
    modifiers: Vec<&'b str>,
    next_operand: usize,
    pub(super) reads: Vec<Slot>,
    pub(super) writes: Vec<Slot>,
    /// Labels the instruction may jump to.
    pub(super) targets: Vec<usize>,
    pub(super) class: Class,
    pub(super) exits: bool,
    pub(super) spins: bool,
    pub(super) async_proxy: bool,
    pub(super) wgmma: bool,
}

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

impl<'b, 'm> Build<'b, 'm> {
    pub(super) fn new(builder: &'b mut Builder<'m>, ast: &'b ast::Instruction, class: Class) -> Self {
        let modifiers = ast.modifiers.iter().map(String::as_str).collect();
        Self {
            builder,
            ast,
            modifiers,
            next_operand: 0,
            reads: Vec::new(),
            writes: Vec::new(),
            targets: Vec::new(),
            class,
            exits: false,
            spins: false,
            async_proxy: false,
            wgmma: false,
        }
    }

    /// Check that every modifier and operand was taken.
    pub(super) fn finish(&self) -> Result<(), String> {
        self.all_modifiers_taken()?;
        match self.ast.operands.len() - self.next_operand {
            0 => Ok(()),
            extra => Err(format!("{extra} operands too many")),
        }
    }

    /// Say what kind of work this is, where the opcode alone does not.
    pub fn set_class(&mut self, class: Class) {
        self.class = class;
    }

    /// Threads that run this end.
    pub fn set_exits(&mut self) {
        self.exits = true;
    }

    /// Threads may run this over and over while they wait for others.
    pub fn set_spins(&mut self) {
        self.spins = true;
    }

    /// It reads or writes shared memory through the async proxy.
    pub fn set_async_proxy(&mut self) {
        self.async_proxy = true;
    }

    /// It is a wgmma, which may use registers that another is working on.
    pub fn set_wgmma(&mut self) {
        self.wgmma = true;
        self.async_proxy = true;
    }

    /// Blocks of this kernel may see one another's order.
    pub fn set_order_sensitive(&mut self) {
        self.builder.order_sensitive = true;
    }

    /// Blocks may see one another's order if anything reads `dst`'s register.
    pub fn set_order_sensitive_if_read(&mut self, index: u32, bank: Bank) {
        self.builder.order_sensitive_if_read.push(Slot { bank, index });
    }

    // --- modifiers ---

    /// Check that every modifier was taken, before operands that depend on them.
    pub fn all_modifiers_taken(&self) -> Result<(), String> {
        match self.modifiers.first() {
            Some(modifier) => Err(format!("unknown modifier `.{modifier}`")),
            None => Ok(()),
        }
    }

    /// Take `.name` if it is there.
    pub fn take(&mut self, name: &str) -> bool {
        match self.modifiers.iter().position(|m| *m == name) {
            Some(at) => {
                self.modifiers.remove(at);
                true
            }
            None => false,
        }
    }

    /// Take whichever of the named modifiers comes first.
    pub fn choose<T: Copy>(&mut self, choices: &[(&str, T)]) -> Option<T> {
        for (at, modifier) in self.modifiers.iter().enumerate() {
            if let Some((_, value)) = choices.iter().find(|(name, _)| name == modifier) {
                self.modifiers.remove(at);
                return Some(*value);
            }
        }
        None
    }

    /// As [`Self::choose`], but one must be there.
    pub fn must_choose<T: Copy>(&mut self, what: &str, choices: &[(&str, T)]) -> Result<T, String> {
        self.choose(choices).ok_or_else(|| {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!(".{name}")).collect();
            format!("needs a {what}: {}", names.join(" "))
        })
    }

    /// Take the first type modifier.
    pub fn ty(&mut self) -> Result<Type, String> {
        let at = self.modifiers.iter().position(|m| Type::parse(m).is_some());
        let at = at.ok_or("needs a type")?;
        Type::parse(self.modifiers.remove(at)).ok_or_else(|| "needs a type".into())
    }

    /// The error for a type this opcode does not have.
    pub fn bad_type<T>(&self, ty: Type) -> Result<T, String> {
        Err(format!("unknown type `.{}` for this opcode", ty.name()))
    }

    // --- operands ---

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

    // --- control ---

    /// The label `operand` as a jump target.
    pub fn add_target(&mut self, operand: &ast::Operand) -> Result<(), String> {
        let name = plain_name(operand)?;
        match self.builder.lookup(name) {
            Some(Symbol::Label(label)) => {
                self.targets.push(label);
                Ok(())
            }
            _ => Err(format!("`{name}` is no label that can be reached from here")),
        }
    }

    /// The labels of a `.branchtargets` list as jump targets.
    pub fn add_targets_of(&mut self, operand: &ast::Operand) -> Result<usize, String> {
        let name = plain_name(operand)?;
        let Some(Symbol::Targets(names)) = self.builder.lookup(name) else {
            return Err(format!("`{name}` is no `.branchtargets` list"));
        };
        for target in &names {
            self.add_target(&ast::Operand::Name { name: target.clone(), addend: 0 })?;
        }
        Ok(names.len())
    }

    /// End of the function that is being inlined, or none in the entry itself.
    pub fn add_return_target(&mut self) -> bool {
        match self.builder.return_label() {
            Some(label) => {
                self.targets.push(label);
                true
            }
            None => false,
        }
    }

    /// An action that can do nothing but go on.
    pub fn plain(action: impl Fn(&mut Context<'_>) + Send + Sync + 'static) -> Action {
        Box::new(move |ctx| {
            action(ctx);
            Ok(Flow::Next)
        })
    }

    /// The carry flag of the function.
    pub fn carry_flag(&mut self) -> PredDst {
        PredDst { index: self.builder.carry_flag() }
    }

    /// The special register or symbol an operand names, as text.
    pub fn name_of(operand: &ast::Operand) -> Option<&str> {
        plain_name(operand).ok()
    }
}

fn mask(value: u64, bits: u32) -> u64 {
    if bits >= 64 { value } else { value & ((1 << bits) - 1) }
}

/// The name of an operand that is only a name.
fn plain_name(operand: &ast::Operand) -> Result<&str, String> {
    match operand {
        ast::Operand::Name { name, addend: 0 } => Ok(name),
        _ => Err("a name is needed here".into()),
    }
}
