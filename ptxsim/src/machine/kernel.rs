//! A decoded kernel: everything about it that can be known before it runs.

use super::context::Context;
use super::registers::{PredSrc, Slot};
use crate::counters::Class;
use crate::fault::Fault;
use crate::memory::layout::{Layout, SharedVariable};
use crate::parse::ast::Position;

/// What becomes of the path of threads that ran an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Go on with the next instruction.
    Next,
    /// The active threads jump to the instruction's only target.
    Branch,
    /// Each active thread jumps to the target whose number is in the context's `branch_index`.
    Indexed,
    /// The active threads end.
    Exit,
    /// The instruction cannot complete yet and is to be run again; the context's `waiting` says why.
    Wait,
}

/// The outcome of one instruction.
pub(crate) type Step = Result<Flow, Box<Fault>>;

/// A decoded instruction's action on a warp.
pub(crate) type Action = Box<dyn Fn(&mut Context<'_>) -> Step + Send + Sync>;

/// No reconvergence point: the paths meet only at their end.
pub(crate) const NO_JOIN: u32 = u32::MAX;

/// One decoded instruction.
pub(crate) struct Instruction {
    pub guard: Option<PredSrc>,
    pub action: Action,
    /// Whether threads that run it end there.
    pub exits: bool,
    /// Whether a thread that waits for another may run it over and over (atomics, volatile loads).
    pub spins: bool,
    /// Instructions it may jump to.
    pub targets: Vec<u32>,
    /// Where its diverging paths meet again.
    pub join: u32,
    /// Registers it reads and writes, constants left out; the guard is among those read.
    pub reads: Vec<Slot>,
    pub writes: Vec<Slot>,
    pub class: Class,
    pub position: Position,
    /// Whether it works through the async proxy.
    pub async_proxy: bool,
    /// Whether it is a wgmma, which may use registers that another is working on.
    pub wgmma: bool,
    /// Index into the kernel's opcode spellings.
    pub spelling: u32,
}

/// A value that a register holds from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Constant {
    Bits(u64),
    Special(Special),
    /// Address of the module variable of that index, plus an addend.
    Global {
        index: u32,
        addend: i64,
    },
    /// Shared address of the kernel's shared variable of that index, plus an addend.
    Shared {
        index: u32,
        addend: i64,
    },
    /// Shared address of the start of dynamic shared memory, plus an addend.
    DynamicShared {
        addend: i64,
    },
}

/// Special registers that do not change while a warp runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Special {
    Tid(u8),
    Ntid(u8),
    Ctaid(u8),
    Nctaid(u8),
    Clusterid(u8),
    Nclusterid(u8),
    ClusterCtaid(u8),
    ClusterNctaid(u8),
    ClusterCtarank,
    ClusterNctarank,
    IsExplicitCluster,
    Laneid,
    Warpid,
    Nwarpid,
    Smid,
    Nsmid,
    Gridid,
    LanemaskEq,
    LanemaskLt,
    LanemaskLe,
    LanemaskGt,
    LanemaskGe,
    DynamicSharedSize,
    TotalSharedSize,
}

/// A kernel parameter's place in the parameter buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name in the PTX.
    pub name: String,
    /// Its type; an array of bytes for a struct.
    pub ty: crate::types::Type,
    /// Byte offset in the parameter buffer.
    pub offset: u32,
    /// Size in bytes.
    pub bytes: u32,
    /// Alignment in bytes.
    pub align: u32,
}

/// A decoded entry.
pub(crate) struct Kernel {
    pub name: String,
    pub instructions: Vec<Instruction>,
    pub constants: Vec<(Slot, Constant)>,
    /// Registers in each bank.
    pub registers: [u32; 3],
    /// Names of registers, for faults.
    pub register_names: Vec<(Slot, String)>,
    /// Its static shared variables, and where they lie: as a compiler packs them, and as they run here.
    pub shared_variables: Vec<SharedVariable>,
    pub packed_shared: Layout,
    pub spread_shared: Layout,
    /// Bytes of local memory of each thread.
    pub local_bytes: u32,
    pub max_threads: Option<[u32; 3]>,
    pub required_threads: Option<[u32; 3]>,
    pub cluster: Option<[u32; 3]>,
    /// Whether blocks may see one another's order (values returned by atomics, float atomics,
    /// volatile loads): such a kernel's blocks run interleaved in one fixed order.
    pub order_sensitive: bool,
    /// Whether any instruction works through the async proxy, or is a wgmma.
    pub uses_async_proxy: bool,
    pub uses_wgmma: bool,
    /// Opcodes with modifiers, as the PTX spells them.
    pub spellings: Vec<String>,
    /// Source file names by number.
    pub files: Vec<(u32, String)>,
}

impl Kernel {
    /// `file:line` of a position, if `.loc` gave one.
    pub fn source(&self, position: Position) -> Option<String> {
        source_name(&self.files, position)
    }
}

/// `file:line` of a position, if `.loc` gave one.
pub(crate) fn source_name(files: &[(u32, String)], position: Position) -> Option<String> {
    let (_, path) = files.iter().find(|(number, _)| *number == position.file)?;
    Some(format!("{}:{}", path.trim_start_matches('/'), position.line))
}
