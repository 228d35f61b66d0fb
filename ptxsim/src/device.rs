//! The simulated device: its memory, and launches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::counters::LaunchReport;
use crate::error::Error;
use crate::launch::{Arg, Launch, check_shape, pack};
use crate::machine::context::Launch as MachineLaunch;
use crate::machine::print::Printed;
use crate::machine::progress::Limits;
use crate::machine::schedule;
use crate::memory::block_races::BlockRaces;
use crate::memory::global::GlobalMemory;
use crate::module::{Loaded, Module};
use crate::parse::ast::Init;
use crate::types::Space;

/// Which faults are looked for. Accesses beyond any allocation are always faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// Reads of memory that nothing has written.
    pub uninitialised: bool,
    /// Reads of registers that nothing has written.
    pub registers: bool,
    /// Barriers that part of a warp or block does not reach.
    pub barriers: bool,
    /// Integer division by zero.
    pub divide_by_zero: bool,
    /// Races between the warps of a block in shared memory, and between blocks in global memory.
    pub races: bool,
    /// Shared memory and registers that bulk copies or wgmma are working on, and proxy fences.
    pub async_proxy: bool,
}

impl Checks {
    /// Every check.
    pub const fn all() -> Self {
        Self {
            uninitialised: true,
            registers: true,
            barriers: true,
            divide_by_zero: true,
            races: true,
            async_proxy: true,
        }
    }

    /// None, for speed. Accesses out of bounds, misaligned or after free, deadlocks and broken rules of an
    /// instruction stay faults.
    pub const fn none() -> Self {
        Self {
            uninitialised: false,
            registers: false,
            barriers: false,
            divide_by_zero: false,
            races: false,
            async_proxy: false,
        }
    }
}

/// How a device is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// CPU threads that run blocks; 0 for one a core. Results do not depend on it.
    pub threads: usize,
    /// Faults to look for.
    pub checks: Checks,
    /// Count the traffic of memory: requests, bytes, sectors, wavefronts; else these are 0. Instructions
    /// and tensor-core operations are always counted.
    pub traffic: bool,
    /// When a launch counts as hung.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self { threads: 0, checks: Checks::all(), traffic: true, limits: Limits::default() }
    }
}

/// A simulated GPU.
///
/// ```
/// use ptxsim::{Arg, Config, Device, Launch, Module};
///
/// let module = Module::parse(
///     ".version 7.0
///      .target sm_80
///      .address_size 64
///      .visible .entry double(.param .u64 data) {
///          .reg .b32 %r<4>;
///          .reg .b64 %rd<4>;
///          ld.param.u64 %rd1, [data];
///          cvta.to.global.u64 %rd1, %rd1;
///          mov.u32 %r1, %tid.x;
///          mul.wide.u32 %rd2, %r1, 4;
///          add.s64 %rd3, %rd1, %rd2;
///          ld.global.u32 %r2, [%rd3];
///          add.s32 %r3, %r2, %r2;
///          st.global.u32 [%rd3], %r3;
///          ret;
///      }",
/// )?;
/// let device = Device::new(Config::default())?;
/// let data = device.alloc(8)?;
/// device.write(data, &[1, 0, 0, 0, 21, 0, 0, 0])?;
/// let report = device.launch(&module, "double", &Launch::linear(1, 2), &[Arg::U64(data)])?;
/// let mut out = [0; 8];
/// device.read(data, &mut out)?;
/// assert_eq!(out, [2, 0, 0, 0, 42, 0, 0, 0]);
/// assert_eq!(report.total.warp_instructions, 9);
/// # Ok::<(), ptxsim::Error>(())
/// ```
pub struct Device {
    config: Config,
    pool: rayon::ThreadPool,
    memory: RwLock<Memory>,
    /// Held while a kernel runs: launches follow one another, as on a stream.
    stream: Mutex<()>,
}

#[derive(Default)]
struct Memory {
    global: GlobalMemory,
    /// Addresses of the variables of each module that has been launched, by the module's number.
    variables: HashMap<u64, Arc<Vec<u64>>>,
}

impl Device {
    /// A device with no memory in use.
    ///
    /// # Errors
    /// [`Error::Launch`] if the CPU threads cannot be started.
    pub fn new(config: Config) -> Result<Self, Error> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads)
            .thread_name(|i| format!("ptxsim-{i}"))
            .build()
            .map_err(|e| Error::Launch(format!("CPU threads cannot be started: {e}")))?;
        Ok(Self { config, pool, memory: RwLock::default(), stream: Mutex::default() })
    }

    /// How it was set up.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn read_memory(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(|e| e.into_inner())
    }

    fn write_memory(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(|e| e.into_inner())
    }

    /// Allocate `bytes` bytes of global memory; returns the address. Reading them before writing is a fault.
    ///
    /// # Errors
    /// [`Error::Memory`] if it is more than any GPU has.
    pub fn alloc(&self, bytes: usize) -> Result<u64, Error> {
        self.write_memory().global.allocate(bytes as u64)
    }

    /// Free an allocation.
    ///
    /// # Errors
    /// [`Error::Memory`] if `address` is not the start of a live one.
    pub fn free(&self, address: u64) -> Result<(), Error> {
        self.write_memory().global.free(address)
    }

    /// Copy `data` to device memory.
    ///
    /// # Errors
    /// [`Error::Memory`] if it does not lie inside one live allocation.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Error> {
        self.read_memory().global.write(address, data)
    }

    /// Copy device memory to `out`.
    ///
    /// # Errors
    /// [`Error::Memory`] if it does not lie inside one live allocation.
    pub fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Error> {
        self.read_memory().global.read(address, out)
    }

    /// Whether all of `bytes` bytes of device memory have been written, by the host or a kernel.
    ///
    /// # Errors
    /// [`Error::Memory`] if they do not lie inside one live allocation.
    pub fn is_written(&self, address: u64, bytes: usize) -> Result<bool, Error> {
        self.read_memory().global.is_written(address, bytes)
    }

    /// Set `bytes` bytes of device memory to `value`.
    ///
    /// # Errors
    /// [`Error::Memory`] if they do not lie inside one live allocation.
    pub fn fill(&self, address: u64, value: u8, bytes: usize) -> Result<(), Error> {
        self.read_memory().global.write(address, &vec![value; bytes])
    }

    /// Copy `bytes` bytes inside device memory.
    ///
    /// # Errors
    /// [`Error::Memory`] if source or destination do not lie inside one live allocation.
    pub fn copy(&self, to: u64, from: u64, bytes: usize) -> Result<(), Error> {
        let mut buffer = vec![0; bytes];
        let memory = self.read_memory();
        memory.global.read(from, &mut buffer)?;
        memory.global.write(to, &buffer)
    }

    /// The address of a module's `.global` or `.const` variable on this device.
    ///
    /// # Errors
    /// [`Error::Memory`] if the module has no such variable.
    pub fn symbol(&self, module: &Module, name: &str) -> Result<u64, Error> {
        let addresses = self.load(&module.inner)?;
        let index = module.inner.index.get(name).copied();
        index
            .and_then(|i| addresses.get(i as usize).copied())
            .ok_or_else(|| Error::Memory(format!("the module has no variable `{name}`")))
    }

    /// Run a kernel to its end with one argument for each parameter.
    ///
    /// # Errors
    /// [`Error::NoEntry`], [`Error::Params`] or [`Error::Launch`] for a wrong call, [`Error::Parse`] for an
    /// entry that is refused,
    /// [`Error::Fault`] for the first fault of the kernel.
    pub fn launch(
        &self,
        module: &Module,
        entry: &str,
        launch: &Launch,
        args: &[Arg],
    ) -> Result<LaunchReport, Error> {
        let params = pack(module.entry(entry)?.loaded, args)?;
        self.launch_packed(module, entry, launch, &params)
    }

    /// As [`Self::launch`], with the parameter buffer laid out by the caller.
    ///
    /// # Errors
    /// As [`Self::launch`].
    pub fn launch_packed(
        &self,
        module: &Module,
        entry: &str,
        launch: &Launch,
        params: &[u8],
    ) -> Result<LaunchReport, Error> {
        let found = module.entry(entry)?;
        let kernel = found.kernel()?;
        if params.len() != found.param_bytes() as usize {
            return Err(Error::Params(format!(
                "`{entry}` takes {} bytes of parameters, not {}",
                found.param_bytes(),
                params.len()
            )));
        }
        let cluster = check_shape(kernel, launch)?;
        let variables = self.load(&module.inner)?;
        let _turn = self.stream.lock().unwrap_or_else(|e| e.into_inner());
        self.write_memory().global.collect_heap();
        let memory = self.read_memory();
        let Config { checks, traffic, limits, .. } = self.config;
        let blocks = launch.grid.iter().map(|&n| u64::from(n)).product();
        // Blocks that see one another's order may as well order their accesses by it.
        let races = checks.races && blocks > 1 && !kernel.order_sensitive;
        memory.global.begin_launch();
        let machine = MachineLaunch {
            kernel,
            grid: launch.grid,
            block: launch.block,
            cluster,
            shared_layout: &kernel.spread_shared,
            dynamic_shared: launch.shared_bytes,
            params,
            global: memory.global.view(),
            variables: &variables,
            checks,
            limits,
            traffic,
            races: races.then(BlockRaces::new),
            printed: Printed::default(),
        };
        let counters = schedule::run(&machine, &self.pool).map_err(|mut fault| {
            // Blocks behind the faulty one may or may not have run.
            fault.printed = machine.printed.until(machine.linear_block(fault.block));
            fault
        })?;
        let (read, written) = memory.global.touched_bytes();
        Ok(LaunchReport {
            blocks,
            threads_per_block: machine.threads(),
            shared_bytes_per_block: machine.packed_shared_bytes(),
            unique_bytes_read: read,
            unique_bytes_written: written,
            printed: machine.printed.until(u64::MAX),
            ..LaunchReport::new(kernel, &counters)
        })
    }

    /// Put a module's variables in memory, once.
    fn load(&self, module: &Loaded) -> Result<Arc<Vec<u64>>, Error> {
        if let Some(addresses) = self.read_memory().variables.get(&module.id) {
            return Ok(Arc::clone(addresses));
        }
        let mut memory = self.write_memory();
        let mut addresses = Vec::with_capacity(module.variables.len());
        for item in &module.variables {
            addresses.push(memory.global.allocate(item.variable.size.unwrap_or(0))?);
        }
        for (item, &address) in module.variables.iter().zip(&addresses) {
            // What has no initialiser is zero, as CUDA has it.
            memory.global.zero(address);
            let width = item.variable.ty.bytes() as usize;
            let mut data = vec![0; item.variable.init.len() * width];
            for (slot, init) in data.chunks_mut(width).zip(&item.variable.init) {
                let bits = match init {
                    Init::Bits(bits) => *bits,
                    Init::F32(bits) => u64::from(*bits),
                    Init::F64(bits) if width == 4 => u64::from((f64::from_bits(*bits) as f32).to_bits()),
                    Init::F64(bits) => *bits,
                    Init::Symbol { name, addend } => {
                        let index = module.index.get(name).ok_or_else(|| {
                            Error::Memory(format!(
                                "the initialiser of `{}` names `{name}`, which is no global variable",
                                item.variable.name
                            ))
                        })?;
                        addresses[*index as usize].wrapping_add_signed(*addend)
                    }
                };
                let length = slot.len();
                slot.copy_from_slice(&bits.to_le_bytes()[..length]);
            }
            memory.global.write(address, &data)?;
            if item.space == Space::Const {
                memory.global.make_read_only(address);
            }
        }
        let addresses = Arc::new(addresses);
        memory.variables.insert(module.id, Arc::clone(&addresses));
        Ok(addresses)
    }
}
