//! Calls, which are inlined.

use std::rc::Rc;

use super::builder::{Builder, Draft, Result};
use super::operands::plain_name;
use super::symbols::{Scope, Symbol, bank};
use crate::counters::Class;
use crate::exec::{host, transfer};
use crate::machine::kernel::{Action, Constant, Flow, Instruction, NO_JOIN};
use crate::machine::registers::{Bank, PredSrc, Slot};
use crate::parse::ast;
use crate::types::{Space, Type};

/// Calls may nest this deep once inlined.
const MAX_CALL_DEPTH: usize = 128;

/// An argument or result of a function of the toolkit.
#[derive(Clone, Copy)]
pub(crate) enum HostValue {
    Register(Slot),
    /// A `.param` variable of the caller, in local memory.
    Local {
        address: u64,
        bytes: usize,
    },
}

/// What a call passes to a function of the toolkit.
pub(crate) struct HostCall {
    pub arguments: Vec<HostValue>,
    pub returns: Vec<HostValue>,
}

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
        if let Some(guard) = self.guard(ast)? {
            let around = self.labels.len();
            self.labels.push(None);
            let skip = PredSrc { negated: !guard.negated, ..guard };
            self.emit("call", ast, Class::Control, Box::new(|_| Ok(Flow::Branch)), (vec![], vec![]));
            if let Some(Draft { instruction, labels }) = self.drafts.last_mut() {
                (instruction.guard, *labels) = (Some(skip), vec![around]);
            }
            self.call(&ast::Instruction { guard: None, ..ast.clone() })?;
            self.labels[around] = Some(self.drafts.len() as u32);
            return Ok(());
        }
        if self.lookup(name).is_some() {
            return fail(
                self,
                format!("indirect call through `{name}` is not supported; call the function by name"),
            );
        }
        let Some(function) = self.functions.get(name.as_str()).map(|f| Rc::clone(f)) else {
            if !self.module.functions.iter().any(|function| function.name == *name) {
                return fail(self, format!("call of `{name}`, which this module does not define"));
            }
            return self.host_call(name, returns, arguments, ast);
        };
        if self.calls.iter().any(|(caller, _)| caller == name) {
            return fail(self, format!("recursive call of `{name}` is not supported"));
        }
        if self.calls.len() >= MAX_CALL_DEPTH {
            return fail(self, format!("calls nest more than {MAX_CALL_DEPTH} deep"));
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
        let body = super::builder::body(&function).and_then(|body| self.scope(body));
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

    /// Call a function of the toolkit.
    fn host_call(
        &mut self,
        name: &str,
        returns: &[ast::Operand],
        arguments: &[ast::Operand],
        ast: &ast::Instruction,
    ) -> Result<()> {
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        let arguments = self.host_values(arguments, &mut reads).map_err(|m| self.error(m, ast.position))?;
        let returns = self.host_values(returns, &mut writes).map_err(|m| self.error(m, ast.position))?;
        let call = HostCall { arguments, returns };
        let action = host::call(name, &call).map_err(|message| self.error(message, ast.position))?;
        if name == "malloc" {
            // Addresses depend on the order of the blocks.
            self.order_sensitive = true;
        }
        self.emit(&format!("call {name}"), ast, Class::Control, action, (reads, writes));
        Ok(())
    }

    fn host_values(
        &mut self,
        operands: &[ast::Operand],
        registers: &mut Vec<Slot>,
    ) -> std::result::Result<Vec<HostValue>, String> {
        let mut values = Vec::new();
        for operand in operands {
            values.push(match operand {
                ast::Operand::Int(bits) => {
                    HostValue::Register(self.constant(Bank::Double, Constant::Bits(*bits)))
                }
                _ => {
                    let name = plain_name(operand)?;
                    match self.lookup(name) {
                        Some(Symbol::Variable { space: Space::Local, address, bytes }) => {
                            HostValue::Local { address, bytes: bytes.min(8) as usize }
                        }
                        _ => {
                            let (slot, _) = self.register(name)?;
                            registers.push(slot);
                            HostValue::Register(slot)
                        }
                    }
                }
            });
        }
        Ok(values)
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
        let is_constant = self.constants.iter().any(|(slot, _)| *slot == from);
        let reads = if is_constant { Vec::new() } else { vec![from] };
        self.emit("mov", ast, Class::Move, transfer::copy(to, from), (reads, vec![to]));
        Ok(())
    }

    /// Add an instruction that a call is made of.
    fn emit(
        &mut self,
        spelling: &str,
        ast: &ast::Instruction,
        class: Class,
        action: Action,
        (reads, writes): (Vec<Slot>, Vec<Slot>),
    ) {
        let instruction = Instruction {
            guard: None,
            action,
            exits: false,
            spins: false,
            targets: Vec::new(),
            join: NO_JOIN,
            reads,
            writes,
            class,
            position: ast.position,
            async_proxy: false,
            wgmma: false,
            spelling: self.spelling(spelling.to_owned()),
        };
        self.drafts.push(Draft { instruction, labels: Vec::new() });
    }

    pub(super) fn return_label(&self) -> Option<usize> {
        self.calls.last().map(|(_, label)| *label)
    }
}
