//! Decodes one entry, its called functions inlined.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::build::Build;
use super::flow::set_joins;
use super::symbols::{ModuleSymbols, Scope, Symbol, bank};
use crate::error::ParseError;
use crate::machine::kernel::{Constant, Instruction, Kernel, NO_JOIN, Param, source_name};
use crate::machine::registers::{Bank, PredSrc, Slot};
use crate::memory::layout::{Layout, SharedVariable};
use crate::opcodes;
use crate::parse::ast::{self, Position, Statement};
use crate::types::Space;

pub(super) type Result<T> = std::result::Result<T, ParseError>;

/// An entry with more instructions than this, its calls inlined, is refused.
const MAX_INSTRUCTIONS: usize = 1 << 20;
/// Most local memory of a thread, and more shared memory than any block has, which a launch checks.
pub(super) const MAX_FRAME: u64 = 512 << 10;

/// An instruction whose jumps still name labels.
pub(super) struct Draft {
    pub instruction: Instruction,
    pub labels: Vec<usize>,
}

/// An entry being decoded.
pub(crate) struct Builder<'m> {
    pub(super) module: &'m ast::Module,
    pub(super) symbols: &'m ModuleSymbols,
    pub(super) functions: HashMap<&'m str, &'m Rc<ast::Function>>,
    pub(super) counts: [u32; 3],
    pub(super) constants: Vec<(Slot, Constant)>,
    pub(super) constant_slots: HashMap<(Bank, Constant), Slot>,
    pub(super) register_names: Vec<(Slot, String)>,
    pub(super) drafts: Vec<Draft>,
    /// Instruction of each label, once it is placed.
    pub(super) labels: Vec<Option<u32>>,
    pub(super) scopes: Vec<Scope>,
    /// Functions being inlined, innermost last: name and the label of the end.
    pub(super) calls: Vec<(String, usize)>,
    /// The kernel's static shared variables, and the index of those that the module declares.
    pub(super) shared_variables: Vec<SharedVariable>,
    pub(super) module_shared: HashMap<String, u32>,
    pub(super) dynamic_align: u64,
    pub(super) local_bytes: u64,
    pub(super) carry: Option<u32>,
    pub(super) spellings: Vec<String>,
    pub(super) spelling_index: HashMap<String, u32>,
    pub(super) order_sensitive: bool,
    pub(super) order_sensitive_if_read: Vec<Slot>,
}

/// Decode `entry`.
pub(crate) fn kernel(
    module: &ast::Module,
    symbols: &ModuleSymbols,
    entry: &ast::Function,
    params: &[Param],
) -> Result<Kernel> {
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
        shared_variables: Vec::new(),
        module_shared: HashMap::new(),
        dynamic_align: 1,
        local_bytes: 0,
        carry: None,
        spellings: Vec::new(),
        spelling_index: HashMap::new(),
        order_sensitive: false,
        order_sensitive_if_read: Vec::new(),
    };
    for param in params {
        let (address, bytes) = (param.offset.into(), param.bytes.into());
        let symbol = Symbol::Variable { space: Space::Param, address, bytes };
        builder.scopes[0].insert(param.name.clone(), symbol);
    }
    builder.scope(body(entry)?)?;
    builder.finish(entry)
}

/// The statements of a function; an error if they are no PTX.
pub(super) fn body(function: &ast::Function) -> Result<&[Statement]> {
    match &function.body {
        Some(Ok(statements)) => Ok(statements),
        Some(Err(error)) => Err(error.clone()),
        None => Ok(&[]),
    }
}

/// The parameters of an entry, laid out, and the size of their buffer.
pub(crate) fn params(entry: &ast::Function) -> Result<(Vec<Param>, u32)> {
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

impl<'m> Builder<'m> {
    fn finish(mut self, entry: &ast::Function) -> Result<Kernel> {
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
        let reads: HashSet<Slot> = instructions.iter().flat_map(|i| i.reads.iter().copied()).collect();
        let is_read = |slot| reads.contains(slot);
        let order_sensitive = self.order_sensitive || self.order_sensitive_if_read.iter().any(is_read);
        let uses_async_proxy = instructions.iter().any(|i| i.async_proxy);
        let uses_wgmma = instructions.iter().any(|i| i.wgmma);
        Ok(Kernel {
            name: entry.name.clone(),
            instructions,
            constants: self.constants,
            registers: self.counts,
            register_names: self.register_names,
            packed_shared: Layout::packed(&self.shared_variables, self.dynamic_align),
            spread_shared: Layout::spread(&self.shared_variables, self.dynamic_align),
            shared_variables: self.shared_variables,
            local_bytes: self.local_bytes as u32,
            max_threads: entry.max_threads,
            required_threads: entry.required_threads,
            cluster: entry.cluster,
            order_sensitive,
            uses_async_proxy,
            uses_wgmma,
            spellings: self.spellings,
            files: self.module.files.clone(),
        })
    }

    pub(super) fn error(&self, message: impl Into<String>, position: Position) -> ParseError {
        ParseError {
            message: message.into(),
            ptx_line: position.ptx_line,
            source: source_name(&self.module.files, position),
        }
    }

    // --- statements ---

    pub(super) fn scope(&mut self, statements: &[Statement]) -> Result<()> {
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
                self.dynamic_align = self.dynamic_align.max(u64::from(variable.align));
                Symbol::DynamicShared
            }
            (Some(Space::Shared), Some(bytes)) => Symbol::SharedVariable(self.add_shared(variable, bytes)),
            (Some(Space::Local | Space::Param), Some(bytes)) => {
                let address = self.allocate_local(bytes, variable.align);
                Symbol::Variable { space: Space::Local, address, bytes }
            }
            _ => return fail(format!("`{}` cannot be declared inside a function", variable.name)),
        };
        if self.static_shared() > MAX_FRAME || self.local_bytes > MAX_FRAME {
            return fail(format!("`{}` does not fit any GPU's memory", variable.name));
        }
        self.declare(&variable.name, symbol);
        Ok(())
    }

    /// A new static shared variable; returns its index.
    pub(super) fn add_shared(&mut self, variable: &ast::Variable, bytes: u64) -> u32 {
        let (name, align) = (variable.name.clone(), variable.align.into());
        self.shared_variables.push(SharedVariable { name, bytes, align });
        self.shared_variables.len() as u32 - 1
    }

    /// Bytes of the static shared variables, gaps left out.
    pub(super) fn static_shared(&self) -> u64 {
        self.shared_variables.iter().fold(0, |sum: u64, variable| sum.saturating_add(variable.bytes))
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
        let (async_proxy, wgmma) = (build.async_proxy, build.wgmma);
        let action =
            lowered.map_err(|message| self.error(format!("`{spelling}`: {message}"), ast.position))?;
        let guard = self.guard(ast)?;
        let spelling = self.spelling(spelling);
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
            async_proxy,
            wgmma,
            spelling,
        };
        self.drafts.push(Draft { instruction, labels: targets });
        Ok(())
    }

    /// The number of a spelling.
    pub(super) fn spelling(&mut self, spelling: String) -> u32 {
        let next = self.spellings.len() as u32;
        let index = *self.spelling_index.entry(spelling.clone()).or_insert(next);
        if index == next {
            self.spellings.push(spelling);
        }
        index
    }

    pub(super) fn guard(&mut self, ast: &ast::Instruction) -> Result<Option<PredSrc>> {
        let Some(guard) = &ast.guard else { return Ok(None) };
        match self.register(&guard.register) {
            Ok((Slot { bank: Bank::Predicate, index }, _)) => {
                Ok(Some(PredSrc { index, negated: guard.negated }))
            }
            _ => Err(self.error(format!("guard `{}` is no predicate", guard.register), ast.position)),
        }
    }
}
