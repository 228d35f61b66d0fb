//! Calls, which are inlined.

use std::rc::Rc;

use super::builder::{Builder, Draft, Result};
use super::symbols::{Scope, Symbol, bank};
use crate::counters::Class;
use crate::exec::transfer;
use crate::machine::kernel::{Constant, Instruction, NO_JOIN};
use crate::machine::registers::Slot;
use crate::parse::ast;
use crate::types::{Space, Type};

/// Calls may nest this deep once inlined.
const MAX_CALL_DEPTH: usize = 32;

impl Builder<'_> {
    /// Inline a call: `call (returns), function, (arguments);`
    pub(super) fn call(&mut self, ast: &ast::Instruction) -> Result<()> {
        let fail = |this: &Self, message: String| Err(this.error(message, ast.position));
        let mut operands = ast.operands.iter().peekable();
        let returns: &[ast::Operand] = match operands.peek() {
            Some(ast::Operand::List(list)) => {
                operands.next();
                list
            }
            _ => &[],
        };
        let name = match operands.next() {
            Some(ast::Operand::Name { name, .. }) => name,
            _ => return fail(self, "`call` needs a function".into()),
        };
        let arguments: &[ast::Operand] = match operands.next() {
            Some(ast::Operand::List(list)) => list,
            _ => &[],
        };
        if ast.guard.is_some() {
            return fail(self, "`call` under a guard is not supported; branch around it".into());
        }
        if self.lookup(name).is_some() {
            return fail(
                self,
                format!("indirect call through `{name}` is not supported; call the function by name"),
            );
        }
        let Some(function) = self.functions.get(name.as_str()).map(|f| Rc::clone(f)) else {
            return fail(self, format!("call of `{name}`, which this module does not define"));
        };
        if self.calls.iter().any(|(caller, _)| caller == name) || self.calls.len() >= MAX_CALL_DEPTH {
            return fail(self, format!("recursive call of `{name}` is not supported"));
        }
        if returns.len() != function.returns.len() || arguments.len() != function.params.len() {
            return fail(
                self,
                format!(
                    "`{name}` takes {} arguments and returns {}; this call has {} and {}",
                    function.params.len(),
                    function.returns.len(),
                    arguments.len(),
                    returns.len()
                ),
            );
        }
        let mut scope = Scope::new();
        for (formal, actual) in function.params.iter().zip(arguments) {
            self.bind(&mut scope, formal, actual, ast, true)?;
        }
        let mut copies_back = Vec::new();
        for (formal, actual) in function.returns.iter().zip(returns) {
            let symbol = self.bind(&mut scope, formal, actual, ast, false)?;
            if let Symbol::Register { slot, ty } = symbol {
                copies_back.push((slot, ty, actual));
            }
        }
        let end = self.labels.len();
        self.labels.push(None);
        // The callee sees its own names only.
        let outer = std::mem::replace(&mut self.scopes, vec![Scope::new(), scope]);
        self.calls.push((name.clone(), end));
        let body = self.scope(function.body.as_deref().unwrap_or_default());
        self.calls.pop();
        self.scopes = outer;
        body?;
        self.labels[end] = Some(self.drafts.len() as u32);
        for (slot, ty, actual) in copies_back {
            let ast::Operand::Name { name, .. } = actual else {
                return fail(self, "a returned value needs a register".into());
            };
            let (target, _) = self.register(name).map_err(|m| self.error(m, ast.position))?;
            self.copy(target, slot, ty, ast)?;
        }
        Ok(())
    }

    /// Bind a formal parameter to what the call passes.
    fn bind(
        &mut self,
        scope: &mut Scope,
        formal: &ast::Variable,
        actual: &ast::Operand,
        ast: &ast::Instruction,
        copy_in: bool,
    ) -> Result<Symbol> {
        let name = match actual {
            ast::Operand::Name { name, addend: 0 } => Some(name.as_str()),
            _ => None,
        };
        let symbol = match name.and_then(|n| self.lookup(n)) {
            // A `.param` variable of the caller is the callee's own.
            Some(variable @ Symbol::Variable { space: Space::Local, .. }) if formal.space.is_some() => {
                variable
            }
            _ if formal.space.is_none() => {
                let Some(bank) = bank(formal.ty) else {
                    return Err(
                        self.error(format!("parameter `{}` has no register type", formal.name), ast.position)
                    );
                };
                let slot = self.new_slot(bank);
                self.register_names.push((slot, formal.name.clone()));
                if copy_in {
                    let source = match name {
                        Some(name) => self.register(name).map(|(slot, _)| slot),
                        None => match actual {
                            ast::Operand::Int(bits) => Ok(self.constant(bank, Constant::Bits(*bits))),
                            _ => Err("an argument must be a register or an integer".to_owned()),
                        },
                    };
                    let source = source.map_err(|m| self.error(m, ast.position))?;
                    self.copy(slot, source, formal.ty, ast)?;
                }
                Symbol::Register { slot, ty: formal.ty }
            }
            _ => {
                return Err(self.error(
                    format!("`{}` is a .param variable and needs one as its argument", formal.name),
                    ast.position,
                ));
            }
        };
        scope.insert(formal.name.clone(), symbol.clone());
        Ok(symbol)
    }

    /// Emit a copy between two registers of one bank.
    fn copy(&mut self, to: Slot, from: Slot, ty: Type, ast: &ast::Instruction) -> Result<()> {
        if to.bank != from.bank {
            return Err(self.error(format!("an argument is no `.{}`", ty.name()), ast.position));
        }
        let next = self.spellings.len() as u32;
        let index = *self.spelling_index.entry("mov".into()).or_insert(next);
        if index == next {
            self.spellings.push("mov".into());
        }
        let is_constant = self.constants.iter().any(|(slot, _)| *slot == from);
        let instruction = Instruction {
            guard: None,
            action: transfer::copy(to, from),
            exits: false,
            spins: false,
            targets: Vec::new(),
            join: NO_JOIN,
            reads: if is_constant { Vec::new() } else { vec![from] },
            writes: vec![to],
            class: Class::Move,
            position: ast.position,
            async_proxy: false,
            wgmma: false,
            spelling: index,
        };
        self.drafts.push(Draft { instruction, labels: Vec::new() });
        Ok(())
    }

    pub(super) fn return_label(&self) -> Option<usize> {
        self.calls.last().map(|(_, label)| *label)
    }
}
