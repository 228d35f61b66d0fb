//! What a kernel can do wrong while it runs, and where it did.

use std::fmt;

use crate::types::Space;

/// The first fault of a launch.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// Entry that was launched.
    pub kernel: String,
    /// `file:line` from the PTX's `.loc`, when it has one.
    pub source: Option<String>,
    /// Line of the PTX text.
    pub ptx_line: u32,
    /// The instruction as the PTX spells its opcode.
    pub instruction: String,
    /// Block index in the grid.
    pub block: [u32; 3],
    /// Thread index in the block.
    pub thread: [u32; 3],
    /// What this block and those before it had printed with `printf`.
    pub printed: String,
}

/// The kinds of fault.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FaultKind {
    /// An access beyond an allocation, a shared array or a local frame.
    OutOfBounds {
        /// State space of the access.
        space: Space,
        /// First address of the access.
        address: u64,
        /// Its size.
        bytes: u32,
        /// The nearest allocation or the limit, in words.
        detail: String,
    },
    /// An address that is no multiple of the access size.
    Misaligned {
        /// State space of the access.
        space: Space,
        /// First address of the access.
        address: u64,
        /// Its size.
        bytes: u32,
    },
    /// An access to memory that was freed.
    UseAfterFree {
        /// First address of the access.
        address: u64,
        /// Its size.
        bytes: u32,
    },
    /// A store to constant or parameter memory.
    ReadOnly {
        /// State space of the access.
        space: Space,
        /// First address of the access.
        address: u64,
    },
    /// A read of memory that nothing has written.
    UninitialisedRead {
        /// State space of the access.
        space: Space,
        /// First address of the access.
        address: u64,
        /// Its size.
        bytes: u32,
    },
    /// A read of a register that nothing has written.
    UninitialisedRegister {
        /// The register's name in the PTX.
        register: String,
    },
    /// Two threads of a block touched the same shared bytes with no barrier between, one of them writing.
    SharedRace {
        /// Shared address.
        address: u64,
        /// Thread of the earlier access, linear in the block.
        other_thread: u32,
        /// Source or PTX line of the earlier access.
        other_source: String,
        /// `write after read`, `read after write` or `write after write`.
        hazard: &'static str,
    },
    /// Two blocks touched the same global bytes within a launch, one of them writing.
    GlobalRace {
        /// Global address.
        address: u64,
        /// Linear index of the other block.
        other_block: u64,
        /// Source or PTX line of its access.
        other_source: String,
        /// `write after read`, `read after write` or `write after write`.
        hazard: &'static str,
    },
    /// A barrier that part of a warp or block does not reach.
    BarrierDivergence {
        /// Barrier number.
        barrier: u32,
        /// Who is missing, in words.
        detail: String,
    },
    /// Every warp waits; who waits on what.
    Deadlock {
        /// One line for each waiting group of threads.
        waiting: Vec<String>,
    },
    /// The launch does not end: see [`Limits`](crate::Limits).
    Hang {
        /// Which limit was reached, in words.
        detail: String,
    },
    /// An integer division or remainder by zero.
    DivideByZero,
    /// An indirect call or branch whose target is none of the possible ones.
    BadTarget {
        /// The value used.
        value: u64,
    },
    /// `trap` or `brkpt` was reached.
    Trap,
    /// An `assert` that does not hold.
    AssertionFailed {
        /// What was asserted.
        message: String,
        /// Source file of the `assert`.
        file: String,
        /// Its line.
        line: u32,
        /// The function it stands in.
        function: String,
    },
    /// A call of a function that the module declares and does not define, and that no toolkit provides.
    UndefinedFunction {
        /// The function.
        name: String,
    },
    /// Shared memory that a `cp.async` is still filling is read or written.
    CopyInFlight {
        /// Shared address of the access.
        address: u64,
        /// Thread that began the copy, linear in the block.
        thread: u32,
        /// Source or PTX line of the copy.
        copied_at: String,
        /// Whether the copy is in a committed group, which nobody has waited for yet.
        committed: bool,
    },
    /// An mbarrier that is used wrongly or whose arrivals or transaction bytes do not add up.
    Mbarrier {
        /// Shared offset of the mbarrier.
        address: u64,
        /// What is wrong, in words.
        detail: String,
    },
    /// A tensor map that was not made for this device, or does not fit the instruction.
    BadTensorMap {
        /// What is wrong, in words.
        detail: String,
    },
    /// A wgmma matrix descriptor that no hardware takes.
    BadDescriptor {
        /// The descriptor.
        descriptor: u64,
        /// What is wrong, in words.
        detail: String,
    },
    /// Shared memory that an ordinary store wrote is read by wgmma or a bulk copy with no
    /// `fence.proxy.async` between: neither of the writing thread nor, past a barrier, of the reader's side.
    MissingProxyFence {
        /// Shared offset.
        address: u64,
        /// Thread that stored, linear in the block.
        writer: u32,
    },
    /// Shared memory that a bulk copy or wgmma is still working on.
    UnfinishedCopy {
        /// Shared offset.
        address: u64,
        /// `is still to be filled` or `is still being read`.
        state: &'static str,
    },
    /// A register that a wgmma is working on is used before `wgmma.wait_group`.
    WgmmaRegister {
        /// The register's name in the PTX.
        register: String,
    },
    /// Registers of a wgmma were written, and no `wgmma.fence` came between.
    MissingWgmmaFence {
        /// The register's name in the PTX; empty where the warp has run no `wgmma.fence` at all.
        register: String,
    },
    /// An instruction used against its rules, in words.
    Misuse {
        /// What rule was broken.
        detail: String,
    },
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use FaultKind::*;
        match self {
            OutOfBounds { space, address, bytes, detail } => {
                write!(f, "out-of-bounds {} access of {bytes} bytes at {address:#x}: {detail}", space.name())
            }
            Misaligned { space, address, bytes } => {
                write!(f, "misaligned {} access of {bytes} bytes at {address:#x}", space.name())
            }
            UseAfterFree { address, bytes } => {
                write!(f, "use after free: access of {bytes} bytes at {address:#x}")
            }
            ReadOnly { space, address } => {
                write!(f, "store to read-only {} memory at {address:#x}", space.name())
            }
            UninitialisedRead { space, address, bytes } => {
                write!(f, "read of {bytes} {} bytes never written at {address:#x}", space.name())
            }
            UninitialisedRegister { register } => write!(f, "read of register {register}, never written"),
            SharedRace { address, other_thread, other_source, hazard } => write!(
                f,
                "shared-memory race at {address:#x}: {hazard} of thread {other_thread} at {other_source} with no barrier between"
            ),
            GlobalRace { address, other_block, other_source, hazard } => write!(
                f,
                "global-memory race at {address:#x}: {hazard} of block {other_block} at {other_source} in the same launch"
            ),
            BarrierDivergence { barrier, detail } => {
                write!(f, "barrier {barrier} is not reached by all: {detail}")
            }
            Deadlock { waiting } => write!(f, "deadlock, every warp waits: {}", waiting.join("; ")),
            DivideByZero => f.write_str("integer division by zero"),
            BadTarget { value } => {
                write!(f, "indirect call or branch to {value:#x}, which is no possible target")
            }
            Trap => f.write_str("trap"),
            AssertionFailed { message, file, line, function } => {
                write!(f, "{file}:{line}: {function}: assertion `{message}` failed")
            }
            UndefinedFunction { name } => {
                write!(f, "call of `{name}`, which is declared and not defined")
            }
            CopyInFlight { address, thread, copied_at, committed } => {
                let missing = if *committed {
                    "that thread must wait with `cp.async.wait_group` first"
                } else {
                    "that copy is in no group yet: `cp.async.commit_group` and `cp.async.wait_group` must come first"
                };
                write!(
                    f,
                    "shared {address:#x} is still being filled by thread {thread}'s cp.async at {copied_at}; {missing}"
                )
            }
            Mbarrier { address, detail } => write!(f, "mbarrier at shared {address:#x}: {detail}"),
            BadTensorMap { detail } => write!(f, "bad tensor map: {detail}"),
            BadDescriptor { descriptor, detail } => {
                write!(f, "bad matrix descriptor {descriptor:#018x}: {detail}")
            }
            MissingProxyFence { address, writer } => write!(
                f,
                "shared {address:#x}, stored by thread {writer}, is read through the async proxy with no `fence.proxy.async` between"
            ),
            UnfinishedCopy { address, state } => write!(
                f,
                "shared {address:#x} {state} by an asynchronous operation; wait for its mbarrier phase or group first"
            ),
            WgmmaRegister { register } => {
                write!(
                    f,
                    "register {register} is used while wgmma works on it; `wgmma.wait_group` must come first"
                )
            }
            MissingWgmmaFence { register } if register.is_empty() => {
                f.write_str("wgmma without a `wgmma.fence` before the first")
            }
            MissingWgmmaFence { register } => write!(
                f,
                "register {register} was written after the last `wgmma.fence`; wgmma needs one between"
            ),
            Hang { detail } | Misuse { detail } => f.write_str(detail),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [bx, by, bz] = self.block;
        let [tx, ty, tz] = self.thread;
        write!(f, "{}: ", self.kernel)?;
        match &self.source {
            Some(source) => write!(f, "{source}: ")?,
            None => write!(f, "PTX line {}: ", self.ptx_line)?,
        }
        write!(f, "{} (in `{}`, block {bx},{by},{bz}, thread {tx},{ty},{tz})", self.kind, self.instruction)
    }
}

impl std::error::Error for Fault {}
