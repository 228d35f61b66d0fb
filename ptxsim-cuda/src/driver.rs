//! The process's one driver.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use cudarc::driver::sys::CUresult;
use ptxsim::{Checks, Config, Device};

use crate::error::{Error, Result};
use crate::gpu::Model;
use crate::handle::Id;
use crate::leaks;
use crate::queue::{Queue, Queued, WorkId};
use crate::report;
use crate::settings::Settings;
use crate::state::State;
use crate::watch::{self, Fingerprint};
use crate::work::{Copy, Failure, Side, Work};

/// The driver, once `cuInit` has been called.
pub(crate) struct Driver {
    pub settings: Settings,
    /// The memory of all GPUs, and what runs their kernels. Addresses are unique among them.
    pub simulator: Device,
    state: Mutex<State>,
    /// Held by the thread that does queued work.
    engine: Mutex<()>,
}

static DRIVER: OnceLock<std::result::Result<Driver, String>> = OnceLock::new();

/// Starts the driver, if it has not been.
pub(crate) fn start() -> Result<&'static Driver> {
    match DRIVER.get_or_init(Driver::new) {
        Ok(driver) if driver.settings.visible.is_empty() => Err(Error::new(
            CUresult::CUDA_ERROR_NO_DEVICE,
            "CUDA_VISIBLE_DEVICES or PTXSIM_DEVICES leaves no GPU",
        )),
        Ok(driver) => Ok(driver),
        Err(why) => Err(Error::new(CUresult::CUDA_ERROR_SYSTEM_NOT_READY, why.clone())),
    }
}

/// The driver, if it was started and nobody is at it: for the end of the process.
pub(crate) fn at_rest() -> Option<MutexGuard<'static, State>> {
    DRIVER.get()?.as_ref().ok()?.state.try_lock().ok()
}

/// The driver, which must have been started.
pub(crate) fn started() -> Result<&'static Driver> {
    if DRIVER.get().is_none() {
        return Err(Error::new(CUresult::CUDA_ERROR_NOT_INITIALIZED, "cuInit has not been called"));
    }
    start()
}

impl Driver {
    fn new() -> std::result::Result<Driver, String> {
        let settings = Settings::read()?;
        report::open(&settings)?;
        let config = Config { threads: settings.threads, checks: Checks::all(), ..Config::default() };
        let simulator = Device::new(config).map_err(|error| error.to_string())?;
        let state = State::new(settings.visible.len(), settings.memory_bytes, Queue::new(settings.order));
        leaks::report_at_exit();
        Ok(Driver { settings, simulator, state: Mutex::new(state), engine: Mutex::new(()) })
    }

    /// What the driver knows; nothing is done meanwhile on other threads.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model of GPU, which all of them are.
    pub fn model(&self) -> &'static Model {
        self.settings.model
    }

    /// Queues work in a stream; none if it is recorded instead.
    pub fn submit(&self, stream: Id, call: &'static str, work: Work) -> Result<Option<WorkId>> {
        let id = self.state().enqueue(stream, call, work)?;
        self.work_ahead();
        Ok(id)
    }

    /// Does what the order has done as soon as something is queued.
    pub fn work_ahead(&self) {
        let _engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((id, queued)) = { self.state().queue.start_any() } {
            self.work(id, &queued);
        }
    }

    /// Does `targets`, and all that must come before them.
    pub fn finish(&self, targets: &[WorkId]) {
        let _engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((id, queued)) = { self.state().queue.start_towards(targets) } {
            self.work(id, &queued);
        }
    }

    /// Does a piece of work that has been taken up.
    fn work(&self, id: WorkId, queued: &Queued) {
        let outcome = self.run(queued);
        let mut state = self.state();
        if let Err(mut failure) = outcome {
            self.explain(&state, queued, &mut failure);
            report::fault(queued.call, &failure);
            state.fail_context(queued.context, failure.code);
        }
        match &queued.work {
            Work::Host(_) => state.queue.watch_anew(None),
            Work::Copy(copy) if copy.to.side == Side::Host => state.queue.watch_anew(watch::host_range(copy)),
            _ => {}
        }
        state.queue.finish(id);
    }

    fn run(&self, queued: &Queued) -> std::result::Result<(), Failure> {
        match &queued.work {
            Work::Launch(launch) => {
                let report = launch.run(&self.simulator)?;
                report::launched(queued.call, launch, &report);
                Ok(())
            }
            Work::Copy(copy) => self.run_copy(queued, copy),
            Work::Fill(fill) => fill.run(&self.simulator),
            Work::Free { address } => {
                let freed = self.state().memory.remove(*address, queued.call);
                freed.map_err(|error| Failure::memory(error.why))?;
                // What is known to be live is so to the simulator.
                let _ = self.simulator.free(*address);
                Ok(())
            }
            Work::Record { event } => {
                if let Ok(event) = self.state().events.get_mut(*event) {
                    event.done_at = Some(std::time::Instant::now());
                }
                Ok(())
            }
            Work::Join => Ok(()),
            Work::Host(call) => {
                call.run();
                Ok(())
            }
        }
    }

    fn run_copy(&self, queued: &Queued, copy: &Copy) -> std::result::Result<(), Failure> {
        if let Some(row) = copy.first_unwritten(&self.simulator) {
            let what =
                format!("not all of the {} bytes at {row:#x} that are copied have been written", copy.bytes);
            report::misuse(queued.call, &what);
        }
        if let Some(before) = queued.watch {
            let now = Fingerprint::of(copy).map_err(|why| {
                Failure::memory(format!("{why}: the buffer was freed before the copy was done"))
            })?;
            if now != Some(before) {
                let address = watch::host_range(copy).map_or(0, |(start, _)| start);
                report::misuse(
                    queued.call,
                    &format!(
                        "the program's memory at {address:#x} changed after the call and before the copy was done: it \
                     was written, or freed, too early"
                    ),
                );
                if copy.to.side == Side::Host {
                    // Whose memory it is now is not known.
                    return Ok(());
                }
            }
        }
        copy.run(&self.simulator)
    }

    /// Adds to a failure which function freed the memory that it is about.
    fn explain(&self, state: &State, queued: &Queued, failure: &mut Failure) {
        let addresses: Vec<u64> = match (&queued.work, failure.fault.as_deref().map(|fault| &fault.kind)) {
            (_, Some(ptxsim::FaultKind::UseAfterFree { address, .. })) => vec![*address],
            (Work::Copy(copy), None) => copy.device_addresses().collect(),
            (Work::Fill(fill), None) => vec![fill.to],
            _ => Vec::new(),
        };
        for address in addresses {
            if let Some(call) = state.memory.freed_by(address) {
                let why = format!("; the memory at {address:#x} was freed by {call} while this was queued");
                failure.what.push_str(&why);
            }
        }
    }
}
