//! Decodes one entry, its called functions inlined.

use std::collections::HashMap;
use std::rc::Rc;

use super::flow::set_joins;
use super::operands::Build;
use super::symbols::{ModuleSymbols, Scope, Symbol, bank};
use crate::counters::Class;
use crate::error::ParseError;
use crate::exec::transfer;
use crate::machine::kernel::{Constant, Instruction, Kernel, NO_JOIN, Param, source_name};
use crate::machine::registers::{Bank, PredSrc, Slot};
use crate::opcodes;
use crate::parse::ast::{self, Position, Statement};
use crate::types::{Space, Type};

type Result<T> = std::result::Result<T, ParseError>;

/// Calls may nest this deep once inlined.
const MAX_CALL_DEPTH: usize = 32;
/// An entry with more instructions than this, its calls inlined, is refused.
const MAX_INSTRUCTIONS: usize = 1 << 20;
/// More shared or local memory than any GPU has.
const MAX_FRAME: u64 = 1 << 24;

/// A jump target before addresses are known.
struct Draft {
    instruction: Instruction,
    labels: Vec<usize>,
}

/// An entry being decoded.
pub(crate) struct Builder<'m> {
    module: &'m ast::Module,
    symbols: &'m ModuleSymbols,
    functions: HashMap<&'m str, &'m Rc<ast::Function>>,
    counts: [u32; 3],
    constants: Vec<(Slot, Constant)>,
    constant_slots: HashMap<(Bank, Constant), Slot>,
    register_names: Vec<(Slot, String)>,
    drafts: Vec<Draft>,
    /// Instruction of each label, once it is placed.
    labels: Vec<Option<u32>>,
    scopes: Vec<Scope>,
    /// Functions being inlined, innermost last: name, end label, and where its scopes begin.
    calls: Vec<(String, usize, usize)>,
    shared: HashMap<String, u64>,
    shared_bytes: u64,
    shared_align: u64,
    local_bytes: u64,
    carry: Option<u32>,
    spellings: Vec<String>,
    spelling_index: HashMap<String, u32>,
    pub(super) order_sensitive: bool,
    pub(super) order_sensitive_if_read: Vec<Slot>,
}

/// Decode `entry`.
pub(crate) fn kernel(module: &ast::Module, symbols: &ModuleSymbols, entry: &ast::Function) -> Result<Kernel> {
    let functions =
        module.functions.iter().filter(|f| f.body.is_some()).map(|f| (f.name.as_str(), f)).collect();
    let mut builder = Builder {
        module,
        symbols,
        functions,
        counts: [0; 3],
        constants: Vec::new(),
        constant_slots: HashMap::new(),
        register_names: Vec::new(),
        drafts: Vec::new(),
        labels: Vec::new(),
        scopes: vec![Scope::new()],
        calls: Vec::new(),
        shared: HashMap::new(),
        shared_bytes: 0,
        shared_align: 16,
        local_bytes: 0,
        carry: None,
        spellings: Vec::new(),
        spelling_index: HashMap::new(),
        order_sensitive: false,
        order_sensitive_if_read: Vec::new(),
    };
    let (params, param_bytes) = builder.declare_params(entry)?;
    let body = entry.body.as_deref().unwrap_or_default();
    builder.scope(body)?;
    builder.finish(entry, params, param_bytes)
}

impl<'m> Builder<'m> {
    fn finish(mut self, entry: &ast::Function, params: Vec<Param>, param_bytes: u32) -> Result<Kernel> {
        // What runs off the end of the body returns.
        let position = self.drafts.last().map_or(Position::default(), |d| d.instruction.position);
        let ret = ast::Instruction {
            guard: None,
            opcode: "ret".into(),
            modifiers: Vec::new(),
            operands: Vec::new(),
            position,
        };
        self.instruction(&ret)?;
        let end = self.drafts.len() as u32 - 1;
        let labels = std::mem::take(&mut self.labels);
        let mut instructions: Vec<Instruction> = Vec::with_capacity(self.drafts.len());
        for Draft { mut instruction, labels: targets } in self.drafts {
            instruction.targets = targets.iter().map(|&l| labels[l].unwrap_or(end)).collect();
            instructions.push(instruction);
        }
        set_joins(&mut instructions);
        let is_read = |slot: &Slot| instructions.iter().any(|i| i.reads.contains(slot));
        let order_sensitive = self.order_sensitive || self.order_sensitive_if_read.iter().any(is_read);
        Ok(Kernel {
            name: entry.name.clone(),
            params,
            param_bytes,
            instructions,
            constants: self.constants,
            registers: self.counts,
            register_names: self.register_names,
            static_shared: self.shared_bytes as u32,
            shared_align: self.shared_align as u32,
            local_bytes: self.local_bytes as u32,
            max_threads: entry.max_threads,
            required_threads: entry.required_threads,
            cluster: entry.cluster,
            order_sensitive,
            spellings: self.spellings,
            files: self.module.files.clone(),
        })
    }

    fn declare_params(&mut self, entry: &ast::Function) -> Result<(Vec<Param>, u32)> {
        let mut params = Vec::new();
        let mut end = 0u64;
        for variable in &entry.params {
            let bytes = variable.size.unwrap_or(0);
            let offset = end.next_multiple_of(u64::from(variable.align));
            end = offset + bytes;
            if end > 32764 || variable.space != Some(Space::Param) {
                return Err(ParseError::new(
                    format!("parameter `{}` does not fit an entry's 32764 bytes of .param", variable.name),
                    variable.line,
                ));
            }
            let symbol = Symbol::Variable { space: Space::Param, address: offset };
            self.scopes[0].insert(variable.name.clone(), symbol);
            params.push(Param {
                name: variable.name.clone(),
                ty: variable.ty,
                offset: offset as u32,
                bytes: bytes as u32,
                align: variable.align,
            });
        }
        Ok((params, end as u32))
    }

    fn error(&self, message: impl Into<String>, position: Position) -> ParseError {
        ParseError {
            message: message.into(),
            ptx_line: position.ptx_line,
            source: source_name(&self.module.files, position),
        }
    }

    // --- statements ---

    fn scope(&mut self, statements: &[Statement]) -> Result<()> {
        let mut scope = Scope::new();
        for statement in statements {
            match statement {
                Statement::Label(name) => {
                    scope.insert(name.clone(), Symbol::Label(self.labels.len()));
                    self.labels.push(None);
                }
                Statement::BranchTargets(name, targets) => {
                    scope.insert(name.clone(), Symbol::Targets(targets.clone()));
                }
                _ => {}
            }
        }
        self.scopes.push(scope);
        for statement in statements {
            self.statement(statement)?;
        }
        self.scopes.pop();
        Ok(())
    }

    fn declare(&mut self, name: &str, symbol: Symbol) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_owned(), symbol);
        }
    }

    fn statement(&mut self, statement: &Statement) -> Result<()> {
        match statement {
            Statement::Label(name) => {
                if let Some(Symbol::Label(label)) = self.lookup(name) {
                    self.labels[label] = Some(self.drafts.len() as u32);
                }
                Ok(())
            }
            Statement::BranchTargets(..) => Ok(()),
            Statement::Scope(inner) => self.scope(inner),
            Statement::Registers { ty, names, line } => {
                let Some(bank) = bank(*ty) else {
                    return Err(ParseError::new(
                        format!("registers of type `.{}` are not supported", ty.name()),
                        *line,
                    ));
                };
                for declared in names {
                    let symbol = match declared.count {
                        Some(count) => Symbol::RegisterRange { ty: *ty, count },
                        None => {
                            let slot = self.new_slot(bank);
                            self.register_names.push((slot, declared.name.clone()));
                            Symbol::Register { slot, ty: *ty }
                        }
                    };
                    self.declare(&declared.name, symbol);
                }
                Ok(())
            }
            Statement::Variable(variable) => self.variable(variable),
            Statement::Instruction(instruction) if instruction.opcode == "call" => self.call(instruction),
            Statement::Instruction(instruction) => self.instruction(instruction),
        }
    }

    fn variable(&mut self, variable: &ast::Variable) -> Result<()> {
        let fail = |message: String| Err(ParseError::new(message, variable.line));
        let symbol = match (variable.space, variable.size) {
            (Some(Space::Shared), None) => {
                self.shared_align = self.shared_align.max(u64::from(variable.align));
                Symbol::DynamicShared
            }
            (Some(Space::Shared), Some(bytes)) => {
                let address = self.allocate_shared(bytes, variable.align);
                Symbol::Variable { space: Space::Shared, address }
            }
            (Some(Space::Local | Space::Param), Some(bytes)) => {
                let address = self.allocate_local(bytes, variable.align);
                Symbol::Variable { space: Space::Local, address }
            }
            _ => return fail(format!("`{}` cannot be declared inside a function", variable.name)),
        };
        if self.shared_bytes > MAX_FRAME || self.local_bytes > MAX_FRAME {
            return fail(format!("`{}` does not fit any GPU's memory", variable.name));
        }
        self.declare(&variable.name, symbol);
        Ok(())
    }

    fn allocate_shared(&mut self, bytes: u64, align: u32) -> u64 {
        self.shared_align = self.shared_align.max(u64::from(align));
        let address = self.shared_bytes.next_multiple_of(u64::from(align));
        self.shared_bytes = address.saturating_add(bytes);
        address
    }

    fn allocate_local(&mut self, bytes: u64, align: u32) -> u64 {
        let address = self.local_bytes.next_multiple_of(u64::from(align));
        self.local_bytes = address.saturating_add(bytes);
        address
    }

    /// Decode one instruction other than a call.
    pub(super) fn instruction(&mut self, ast: &ast::Instruction) -> Result<()> {
        let Some(opcode) = opcodes::find(&ast.opcode) else {
            return Err(self.error(format!("unknown opcode `{}`", ast.opcode), ast.position));
        };
        if self.drafts.len() >= MAX_INSTRUCTIONS {
            return Err(self.error(format!("more than {MAX_INSTRUCTIONS} instructions"), ast.position));
        }
        let spelling = std::iter::once(ast.opcode.as_str()).chain(ast.modifiers.iter().map(String::as_str));
        let spelling = spelling.collect::<Vec<_>>().join(".");
        let mut build = Build::new(self, ast, opcode.class);
        let lowered = (opcode.lower)(&mut build).and_then(|action| build.finish().map(|()| action));
        let (reads, writes, targets) = (build.reads, build.writes, build.targets);
        let (class, exits, spins) = (build.class, build.exits, build.spins);
        let action =
            lowered.map_err(|message| self.error(format!("`{spelling}`: {message}"), ast.position))?;
        let guard = self.guard(ast)?;
        let next = self.spellings.len() as u32;
        let index = *self.spelling_index.entry(spelling.clone()).or_insert(next);
        if index == next {
            self.spellings.push(spelling);
        }
        let instruction = Instruction {
            guard,
            action,
            exits,
            spins,
            targets: Vec::new(),
            join: NO_JOIN,
            reads,
            writes,
            class,
            position: ast.position,
            spelling: index,
        };
        self.drafts.push(Draft { instruction, labels: targets });
        Ok(())
    }

    fn guard(&mut self, ast: &ast::Instruction) -> Result<Option<PredSrc>> {
        let Some(guard) = &ast.guard else { return Ok(None) };
        match self.register(&guard.register) {
            Ok((Slot { bank: Bank::Predicate, index }, _)) => {
                Ok(Some(PredSrc { index, negated: guard.negated }))
            }
            _ => Err(self.error(format!("guard `{}` is no predicate", guard.register), ast.position)),
        }
    }

    // --- calls ---

    /// Inline a call: `call (returns), function, (arguments);`
    fn call(&mut self, ast: &ast::Instruction) -> Result<()> {
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
        if self.calls.iter().any(|(caller, ..)| caller == name) || self.calls.len() >= MAX_CALL_DEPTH {
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
        self.calls.push((name.clone(), end, 0));
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
            spelling: index,
        };
        self.drafts.push(Draft { instruction, labels: Vec::new() });
        Ok(())
    }

    pub(super) fn return_label(&self) -> Option<usize> {
        self.calls.last().map(|(_, label, _)| *label)
    }

    // --- names ---

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
            Some(Symbol::Variable { space, address }) => {
                return Ok((Constant::Bits(address.wrapping_add_signed(addend)), space));
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
                self.shared_align = self.shared_align.max(u64::from(variable.align));
                return Ok((Constant::DynamicShared { addend }, Space::Shared));
            };
            let address = match self.shared.get(name) {
                Some(address) => *address,
                None => {
                    let address = self.allocate_shared(bytes, variable.align);
                    if self.shared_bytes > MAX_FRAME {
                        return Err(format!("`{name}` does not fit any GPU's shared memory"));
                    }
                    self.shared.insert(name.to_owned(), address);
                    address
                }
            };
            return Ok((Constant::Bits(address.wrapping_add_signed(addend)), Space::Shared));
        }
        Err(format!("unknown name `{name}`"))
    }
}
