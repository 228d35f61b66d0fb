//! What an opcode's lowering works with: its modifiers and operands, each taken once.
//!
//! An unknown modifier or a surplus operand is found because nothing took it. Operands are decoded in
//! [`super::operands`].

use super::builder::Builder;
use super::operands::plain_name;
use super::symbols::Symbol;
use crate::counters::Class;
use crate::machine::context::Context;
use crate::machine::kernel::{Action, Flow};
use crate::machine::registers::{Bank, PredDst, Slot};
use crate::parse::ast;
use crate::types::Type;

/// A decoded action, or what is wrong with the instruction.
pub(crate) type Lowered = Result<Action, String>;

/// One instruction being decoded.
pub(crate) struct Build<'b, 'm> {
    pub(super) builder: &'b mut Builder<'m>,
    pub(super) ast: &'b ast::Instruction,
    modifiers: Vec<&'b str>,
    pub(super) next_operand: usize,
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

    /// Modifiers not yet taken.
    pub fn modifiers_left(&self) -> usize {
        self.modifiers.len()
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
