//! The simulated GPU: ptxsim behind the [`Driver`] trait.
//!
//! Work is done as it is queued, so a fault is reported by the launch that made it. Memory is never
//! reused: every tensor is an allocation of its own, whose bounds, life and unwritten bytes ptxsim
//! watches.

use super::driver::{Arg, DeviceInfo, Driver, Event, Graph, Grid};
use super::kernels::{self, Entry};
use super::tensor_map::{Swizzle, TensorCopy, TensorElement, TensorLayout, TensorMap};
use crate::error::{Error, Result};
use ptxsim::{Config, LaunchReport};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Device memory of the simulated GPU. The host's memory holds it, with a mark for each byte, as it
/// is used.
const MEMORY_BYTES: usize = 16 << 30;

/// The architecture that is simulated: which kernels it can run, and which the host code chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SimArch {
    /// sm_80: what every supported GPU runs.
    #[value(name = "80")]
    Sm80,
    /// sm_90a: that, and the kernels for Hopper's tensor cores and TMA.
    #[default]
    #[value(name = "90a")]
    Sm90a,
}

impl SimArch {
    fn compute_capability(self) -> (u32, u32) {
        match self {
            SimArch::Sm80 => (8, 0),
            SimArch::Sm90a => (9, 0),
        }
    }
}

impl fmt::Display for SimArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SimArch::Sm80 => "sm_80",
            SimArch::Sm90a => "sm_90a",
        })
    }
}

/// A launch that the simulator has run.
#[derive(Clone, Debug)]
pub struct SimLaunch {
    /// The kernel.
    pub entry: &'static Entry,
    /// How it was launched.
    pub grid: Grid,
    /// What it did.
    pub report: LaunchReport,
}

/// What a simulated device has run, in order, for those who study it. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct LaunchLog(Arc<Mutex<Vec<SimLaunch>>>);

impl LaunchLog {
    /// Takes out the launches since the last call.
    pub fn take(&self) -> Vec<SimLaunch> {
        std::mem::take(&mut lock(&self.0))
    }
}

/// A simulated GPU.
pub struct SimDriver(Arc<Simulator>);

/// What the driver and the graphs that it recorded share.
struct Simulator {
    info: DeviceInfo,
    arch: SimArch,
    device: ptxsim::Device,
    /// By file, parsed at their first launch.
    modules: Mutex<HashMap<&'static str, ptxsim::Module>>,
    /// Sizes of the live allocations by address.
    live: Mutex<HashMap<u64, usize>>,
    /// What is recorded between [`Driver::begin_capture`] and [`Driver::end_capture`].
    recording: Mutex<Option<Vec<Work>>>,
    log: Option<LaunchLog>,
}

/// One piece of a stream's work.
enum Work {
    Launch { entry: &'static Entry, grid: Grid, args: Vec<Arg> },
    Copy { to: u64, from: u64, bytes: usize },
    Fill { to: u64, value: u8, bytes: usize },
    FillWords { to: u64, word: u32, words: usize },
}

impl SimDriver {
    /// A simulated GPU of `arch`, which writes its launches to `log` if there is one.
    ///
    /// # Errors
    /// [`Error::NoDevice`] when this build has no kernels, or the machine no threads to run them.
    pub fn open(arch: SimArch, log: Option<LaunchLog>) -> Result<SimDriver> {
        if let Some(remedy) = kernels::NVRTC_MISSING {
            return Err(no_device("this build has no kernels to simulate", remedy));
        }
        let device = ptxsim::Device::new(Config::default())
            .map_err(|error| no_device(error.to_string(), "use --device cpu"))?;
        let info = DeviceInfo {
            name: "ptxsim".into(),
            compute_capability: arch.compute_capability(),
            multiprocessors: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
            memory_bytes: MEMORY_BYTES,
            driver_version: env!("CARGO_PKG_VERSION").into(),
        };
        Ok(SimDriver(Arc::new(Simulator {
            info,
            arch,
            device,
            modules: Mutex::default(),
            live: Mutex::default(),
            recording: Mutex::default(),
            log,
        })))
    }

    /// Does `work`, or records it while a recording is on.
    fn queue(&self, work: Work) -> Result<()> {
        if let Some(recording) = &mut *lock(&self.0.recording) {
            recording.push(work);
            return Ok(());
        }
        self.0.run(&work)
    }

    /// Fails while work is recorded: the recording would keep the host's address, not its bytes.
    fn expect_no_capture(&self, call: &'static str) -> Result<()> {
        match *lock(&self.0.recording) {
            Some(_) => Err(Error::Driver { call, why: "it is not possible while work is recorded".into() }),
            None => Ok(()),
        }
    }
}

impl Simulator {
    fn run(&self, work: &Work) -> Result<()> {
        match work {
            Work::Launch { entry, grid, args } => self.launch(entry, *grid, args),
            &Work::Copy { to, from, bytes } => {
                self.device.copy(to, from, bytes).map_err(driver("copying on the simulated GPU"))
            }
            &Work::Fill { to, value, bytes } => {
                self.device.fill(to, value, bytes).map_err(driver("filling the simulated GPU's memory"))
            }
            &Work::FillWords { to, word, words } => {
                let bytes = word.to_ne_bytes().repeat(words);
                self.device.write(to, &bytes).map_err(driver("filling the simulated GPU's memory"))
            }
        }
    }

    fn launch(&self, entry: &'static Entry, grid: Grid, args: &[Arg]) -> Result<()> {
        let module = self.module(entry)?;
        let shape = ptxsim::Launch {
            grid: grid.blocks,
            block: grid.threads,
            shared_bytes: grid.shared_bytes,
            // A cluster of one is what a kernel has that asks for none.
            cluster: (grid.cluster != [1; 3]).then_some(grid.cluster),
        };
        // The generated structures give a kernel's arguments in its own order and types.
        let args: Vec<ptxsim::Arg> =
            args.iter().map(|arg| ptxsim::Arg::Bytes(arg.bytes().to_vec())).collect();
        let report = self.device.launch(&module, entry.name, &shape, &args).map_err(|error| {
            let said = error.to_string();
            // A fault's text begins with the kernel's name, and so does this error's.
            let why = said.strip_prefix(&format!("{}: ", entry.name)).unwrap_or(&said);
            let (blocks, threads) = (grid.blocks, grid.threads);
            Error::Launch { kernel: entry.name, why: format!("{why} (grid {blocks:?}, block {threads:?})") }
        })?;
        if let Some(log) = &self.log {
            lock(&log.0).push(SimLaunch { entry, grid, report });
        }
        Ok(())
    }

    /// The module of a kernel, parsed at its first use.
    fn module(&self, entry: &'static Entry) -> Result<ptxsim::Module> {
        let mut modules = lock(&self.modules);
        if let Some(module) = modules.get(entry.module.file) {
            return Ok(module.clone());
        }
        let fail = |why: String| Error::Launch { kernel: entry.name, why };
        let (major, minor) = self.info.compute_capability;
        let image = entry.module.simulator_ptx().ok_or_else(|| {
            fail(format!("kernels/{} has no PTX for the simulator in this build", entry.module.file))
        })?;
        if image.arch > major * 10 + minor {
            return Err(fail(format!(
                "kernels/{} is written for sm_{}a, and the simulated GPU is {}",
                entry.module.file, image.arch, self.arch
            )));
        }
        let bytes = image.unpack().map_err(|error| fail(format!("its image: {error}")))?;
        let module = ptxsim::Module::parse(&String::from_utf8_lossy(&bytes))
            .map_err(|error| fail(format!("its PTX cannot be simulated: {error}")))?;
        modules.insert(entry.module.file, module.clone());
        Ok(module)
    }
}

impl Driver for SimDriver {
    fn info(&self) -> &DeviceInfo {
        &self.0.info
    }

    fn alloc(&self, bytes: usize) -> Result<u64> {
        let mut live = lock(&self.0.live);
        let free = MEMORY_BYTES - live.values().sum::<usize>();
        if bytes > free {
            return Err(Error::OutOfMemory { bytes, free, total: MEMORY_BYTES });
        }
        let address = self.0.device.alloc(bytes).map_err(driver("allocating simulated memory"))?;
        live.insert(address, bytes);
        Ok(address)
    }

    fn free(&self, address: u64) {
        if lock(&self.0.live).remove(&address).is_some() {
            // What is in `live` is there to be freed.
            let _ = self.0.device.free(address);
        }
    }

    fn reuses_memory(&self) -> bool {
        false
    }

    fn write(&self, to: u64, from: &[u8]) -> Result<()> {
        const CALL: &str = "copying to the simulated GPU";
        self.expect_no_capture(CALL)?;
        self.0.device.write(to, from).map_err(driver(CALL))
    }

    fn read(&self, from: u64, to: &mut [u8]) -> Result<()> {
        const CALL: &str = "copying from the simulated GPU";
        self.expect_no_capture(CALL)?;
        if !self.0.device.is_written(from, to.len()).map_err(driver(CALL))? {
            let why = format!("not all of the {} bytes at {from:#x} have been written", to.len());
            return Err(Error::Driver { call: CALL, why });
        }
        self.0.device.read(from, to).map_err(driver(CALL))
    }

    fn copy(&self, to: u64, from: u64, bytes: usize) -> Result<()> {
        self.queue(Work::Copy { to, from, bytes })
    }

    fn fill(&self, to: u64, value: u8, bytes: usize) -> Result<()> {
        self.queue(Work::Fill { to, value, bytes })
    }

    fn fill_words(&self, to: u64, word: u32, words: usize) -> Result<()> {
        self.queue(Work::FillWords { to, word, words })
    }

    fn tensor_map(&self, layout: &TensorLayout) -> Result<TensorMap> {
        const CALL: &str = "encoding a tensor map";
        if self.0.arch == SimArch::Sm80 {
            return Err(Error::Driver { call: CALL, why: format!("{} has no TMA", self.0.arch) });
        }
        let tensor = ptxsim::Tensor {
            ty: match layout.element {
                TensorElement::Bf16 => ptxsim::ElementType::Bf16,
                TensorElement::F32 => ptxsim::ElementType::F32,
            },
            address: layout.address,
            dims: layout.extents.clone(),
            strides: layout.strides.clone(),
            element_strides: vec![1; layout.extents.len()],
            swizzle: match layout.swizzle {
                Swizzle::None => ptxsim::Swizzle::None,
                Swizzle::Bytes32 => ptxsim::Swizzle::B32,
                Swizzle::Bytes64 => ptxsim::Swizzle::B64,
                Swizzle::Bytes128 => ptxsim::Swizzle::B128,
            },
        };
        let map = match &layout.copy {
            TensorCopy::Tiled(extents) => ptxsim::TensorMap::tiled(&tensor, extents),
            TensorCopy::Im2col { lower, upper, channels, pixels } => {
                ptxsim::TensorMap::im2col(&tensor, lower, upper, *channels, *pixels)
            }
        };
        let bytes = map.map_err(driver(CALL))?.to_bytes();
        Ok(TensorMap::new(bytemuck::pod_read_unaligned(&bytes), layout.address))
    }

    fn launch(&self, entry: &'static Entry, grid: Grid, args: &[Arg]) -> Result<()> {
        self.queue(Work::Launch { entry, grid, args: args.to_vec() })
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn begin_capture(&self) -> Result<()> {
        let mut recording = lock(&self.0.recording);
        if recording.is_some() {
            let why = "work is recorded already".into();
            return Err(Error::Driver { call: "starting to record work", why });
        }
        *recording = Some(Vec::new());
        Ok(())
    }

    fn end_capture(&self) -> Result<Box<dyn Graph>> {
        let work = lock(&self.0.recording).take();
        let work =
            work.ok_or(Error::Driver { call: "recording work", why: "no recording was started".into() })?;
        Ok(Box::new(RecordedGraph { simulator: Arc::clone(&self.0), work }))
    }

    fn record_event(&self) -> Result<Box<dyn Event>> {
        Err(Error::Driver {
            call: "recording an event",
            why: "the simulator counts what kernels do and keeps no time\n  help: measure on --device cuda, \
                  or see the floor that `cugrad kernels profile` computes"
                .into(),
        })
    }
}

struct RecordedGraph {
    simulator: Arc<Simulator>,
    work: Vec<Work>,
}

impl Graph for RecordedGraph {
    fn launch(&self) -> Result<()> {
        self.work.iter().try_for_each(|work| self.simulator.run(work))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_device(why: impl Into<String>, help: &str) -> Error {
    Error::NoDevice { device: "sim", why: why.into(), help: help.into() }
}

fn driver(call: &'static str) -> impl FnOnce(ptxsim::Error) -> Error {
    move |error| Error::Driver { call, why: error.to_string() }
}
