//! The process's one driver.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use cudarc::driver::sys::CUresult;
use ptxsim::{Checks, Config, Device};

use crate::error::{Error, Result};
use crate::gpu::Model;
use crate::handle::Id;
use crate::queue::{Queue, Queued, WorkId};
use crate::report;
use crate::settings::Settings;
use crate::state::State;
use crate::work::{Failure, Work};

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
        let config = Config { threads: settings.threads, checks: Checks::all(), ..Config::default() };
        let simulator = Device::new(config).map_err(|error| error.to_string())?;
        let state = State::new(settings.visible.len(), settings.memory_bytes, Queue::new(settings.order));
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
        if let Err(failure) = outcome {
            report::say(&format!("{}: {:?}: {}", queued.call, failure.code, failure.what));
            state.fail_context(queued.context, failure.code);
        }
        state.queue.finish(id);
    }

    fn run(&self, queued: &Queued) -> std::result::Result<(), Failure> {
        match &queued.work {
            Work::Launch(launch) => launch.run(&self.simulator).map(drop),
            Work::Copy(copy) => copy.run(&self.simulator),
            Work::Fill(fill) => fill.run(&self.simulator),
            Work::Free { address } => {
                let freed = self.state().memory.remove(*address, queued.call);
                // What is known to be live is so to the simulator.
                freed
                    .map(|_| drop(self.simulator.free(*address)))
                    .map_err(|error| Failure { code: error.code, what: error.why.into_owned() })
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
}
