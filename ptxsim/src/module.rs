//! A loaded PTX module.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ParseError};
use crate::launch::{Launch, check_shape};
use crate::lower::{self, ModuleSymbols, ModuleVariable};
use crate::machine::kernel::{Kernel, Param};
use crate::parse::{self, ast};
use crate::types::Space;

/// Bytes that the `.global` and `.const` variables of a module may have together.
const MAX_VARIABLES: u64 = 1 << 30;

/// A PTX module, parsed and decoded.
///
/// An entry that uses what this simulator does not know is refused by itself, when it is launched: see
/// [`Entry::refusal`].
#[derive(Clone)]
pub struct Module {
    pub(crate) inner: Arc<Loaded>,
}

/// What the clones of a module share.
pub(crate) struct Loaded {
    /// Tells modules apart, so that a device knows whose variables it holds.
    pub id: u64,
    pub target: String,
    pub entries: Vec<LoadedEntry>,
    pub variables: Vec<ModuleVariable>,
    pub index: std::collections::HashMap<String, u32>,
}

/// An entry: what a caller must know to launch it, and what runs, or why it cannot.
pub(crate) struct LoadedEntry {
    pub name: String,
    pub params: Vec<Param>,
    pub param_bytes: u32,
    pub kernel: Result<Kernel, ParseError>,
}

/// An entry of a module, with what a caller must know to launch it.
#[derive(Clone, Copy)]
pub struct Entry<'m> {
    pub(crate) loaded: &'m LoadedEntry,
}

impl Module {
    /// Parse and decode PTX text.
    ///
    /// # Errors
    /// [`ParseError`] names the line where the text is no PTX module. What is wrong inside an entry or a
    /// function is [`Entry::refusal`] of the entries that reach it.
    pub fn parse(ptx: &str) -> Result<Self, ParseError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let tree = parse::parse(ptx)?;
        let mut symbols = ModuleSymbols::default();
        let mut total = 0;
        for variable in &tree.variables {
            match variable.space {
                Some(Space::Shared) => {
                    symbols.shared.insert(variable.name.clone(), variable.clone());
                }
                Some(space @ (Space::Global | Space::Const)) => {
                    total += check_size(variable)?;
                    if total > MAX_VARIABLES {
                        let message =
                            format!("`{}` makes more than {MAX_VARIABLES} bytes of variables", variable.name);
                        return Err(ParseError::new(message, variable.line));
                    }
                    symbols.global_index.insert(variable.name.clone(), symbols.globals.len() as u32);
                    symbols.globals.push(ModuleVariable { variable: variable.clone(), space });
                }
                _ => {
                    return Err(ParseError::new(
                        "a variable here must be global, const or shared",
                        variable.line,
                    ));
                }
            }
        }
        let entries = tree.functions.iter().filter(|f| f.is_entry && f.body.is_some());
        let entries = entries.map(|f| load(&tree, &symbols, f)).collect::<Result<_, _>>()?;
        let ModuleSymbols { globals, global_index, .. } = symbols;
        let inner = Loaded {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            target: tree.target,
            entries,
            variables: globals,
            index: global_index,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What the module was compiled for, such as `sm_80`.
    pub fn target(&self) -> &str {
        &self.inner.target
    }

    /// The module's entries, in the order of the PTX.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.inner.entries.iter().map(|loaded| Entry { loaded })
    }

    /// The size of a `.global` or `.const` variable, in bytes.
    pub fn variable_bytes(&self, name: &str) -> Option<u64> {
        let index = *self.inner.index.get(name)?;
        self.inner.variables.get(index as usize)?.variable.size
    }

    /// The entry of that name.
    ///
    /// # Errors
    /// [`Error::NoEntry`] lists the names there are.
    pub fn entry(&self, name: &str) -> Result<Entry<'_>, Error> {
        self.entries().find(|e| e.name() == name).ok_or_else(|| Error::NoEntry {
            entry: name.to_owned(),
            known: self.entries().map(|e| e.name().to_owned()).collect(),
        })
    }
}

impl<'m> Entry<'m> {
    /// Its name.
    pub fn name(&self) -> &'m str {
        &self.loaded.name
    }

    /// Its parameters, with their types and places in the parameter buffer.
    pub fn params(&self) -> &'m [Param] {
        &self.loaded.params
    }

    /// Size of the parameter buffer.
    pub fn param_bytes(&self) -> u32 {
        self.loaded.param_bytes
    }

    /// Static shared memory of a block, in bytes; 0 for an entry that is refused.
    pub fn static_shared_bytes(&self) -> u32 {
        self.loaded.kernel.as_ref().map_or(0, |kernel| kernel.packed_shared.total(0) as u32)
    }

    /// Local memory of a thread, in bytes.
    pub fn local_bytes(&self) -> u32 {
        self.loaded.kernel.as_ref().map_or(0, |kernel| kernel.local_bytes)
    }

    /// The block that it is compiled for at most, by `.maxntid`.
    pub fn max_threads(&self) -> Option<[u32; 3]> {
        self.loaded.kernel.as_ref().ok().and_then(|kernel| kernel.max_threads)
    }

    /// The block that it requires, by `.reqntid`.
    pub fn required_threads(&self) -> Option<[u32; 3]> {
        self.loaded.kernel.as_ref().ok().and_then(|kernel| kernel.required_threads)
    }

    /// The cluster that it requires, by `.reqnctapercluster`.
    pub fn required_cluster(&self) -> Option<[u32; 3]> {
        self.loaded.kernel.as_ref().ok().and_then(|kernel| kernel.cluster)
    }

    /// Check a launch against what a GPU takes and the kernel asks for.
    ///
    /// # Errors
    /// [`Error::Launch`] says what does not fit.
    pub fn check(&self, launch: &Launch) -> Result<(), Error> {
        check_shape(self.kernel()?, launch).map(drop)
    }

    /// Why it cannot be launched, if it cannot: the opcode, modifier, type or name that is not known, in
    /// the entry itself or in a function that it calls.
    pub fn refusal(&self) -> Option<&'m ParseError> {
        self.loaded.kernel.as_ref().err()
    }

    pub(crate) fn kernel(&self) -> Result<&'m Kernel, ParseError> {
        self.loaded.kernel.as_ref().map_err(ParseError::clone)
    }
}

fn load(
    tree: &ast::Module,
    symbols: &ModuleSymbols,
    function: &ast::Function,
) -> Result<LoadedEntry, ParseError> {
    let (params, param_bytes) = lower::params(function)?;
    let kernel = lower::kernel(tree, symbols, function, &params);
    Ok(LoadedEntry { name: function.name.clone(), params, param_bytes, kernel })
}

/// The size of a variable, which its initialiser must fit.
fn check_size(variable: &ast::Variable) -> Result<u64, ParseError> {
    let fail = |message: String| Err(ParseError::new(message, variable.line));
    let Some(bytes) = variable.size else {
        return fail(format!("`{}` has no size", variable.name));
    };
    if variable.init.len() as u64 * u64::from(variable.ty.bytes()) > bytes {
        return fail(format!("the initialiser of `{}` does not fit its {bytes} bytes", variable.name));
    }
    Ok(bytes)
}
