//! A case with its inputs on the device, ready to be run and timed.

use super::Case;
use crate::device::{Device, Gpu, Recording};
use crate::error::Result;
use crate::ops::spec::Arguments;
use crate::tape::Tape;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of inputs that a case takes turns on, so that no cache holds those of the next call: more
/// than twice the largest L2 of a GPU (H200: 60 MB, B200: 126 MB), or any CPU's last level.
const ROTATED_BYTES: usize = 256 << 20;

/// Input sets at most: those of a small case are reused before they have left the cache.
const MOST_SETS: usize = 64;

/// What a timed region should last at least, so that the events around it cost nothing.
const LEAST_BURST: Duration = Duration::from_micros(500);

/// Calls in a timed region at most.
const MOST_CALLS: usize = 512;

/// A case, ready to run.
pub struct Prepared {
    case: Case,
    device: Device,
    sets: Vec<Arguments>,
    next: usize,
    calls: usize,
    recording: Option<Recording>,
}

impl Prepared {
    /// Puts the inputs of `case` on `device`, and runs it until nothing is first time any more.
    ///
    /// On a GPU the calls are recorded as one and replayed, so that the time is the kernels' own
    /// and not the host's; if the driver refuses that, [`Prepared::replayed`] says so.
    ///
    /// # Errors
    /// What the operation or the device reports.
    pub fn new(case: &Case, device: &Device) -> Result<Prepared> {
        let inputs = |set| case.operation.random_inputs(&case.shape, device, set);
        let first = inputs(0)?;
        let bytes: usize = first.tensors.values().map(|t| t.len() * t.dtype().size()).sum();
        let count = ROTATED_BYTES.div_ceil(bytes.max(1)).clamp(2, MOST_SETS);
        let others = (1..count).map(inputs);
        let sets = [Ok(first)].into_iter().chain(others).collect::<Result<Vec<_>>>()?;
        let mut prepared =
            Prepared { case: case.clone(), device: device.clone(), sets, next: 0, calls: 1, recording: None };
        prepared.time(2)?;
        let one = prepared.time(2)? / 2;
        let calls = LEAST_BURST.as_nanos().div_ceil(one.as_nanos().max(1)) as usize;
        prepared.calls = calls.clamp(1, MOST_CALLS);
        if let Device::Gpu(gpu) = device {
            // Every input is read at least once in a replay.
            prepared.calls = prepared.calls.max(prepared.sets.len());
            prepared.recording = prepared.record(&Arc::clone(gpu)).ok();
        }
        Ok(prepared)
    }

    /// Calls of the operation in a [`Prepared::burst`].
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Whether the calls are one recorded graph, and not queued one by one.
    pub fn replayed(&self) -> bool {
        self.recording.is_some()
    }

    /// The time of [`Prepared::calls`] calls in a row: the device's own on a GPU.
    ///
    /// # Errors
    /// What the operation or the device reports.
    pub fn burst(&mut self) -> Result<Duration> {
        match (&self.recording, &self.device) {
            (Some(recording), Device::Gpu(gpu)) => time_on_gpu(gpu, || recording.replay()),
            _ => self.time(self.calls),
        }
    }

    fn time(&mut self, calls: usize) -> Result<Duration> {
        match self.device.clone() {
            Device::Cpu => {
                let started = Instant::now();
                self.run(calls)?;
                Ok(started.elapsed())
            }
            Device::Gpu(gpu) => time_on_gpu(&gpu, || self.run(calls)),
        }
    }

    /// The calls as one piece of work, replayed once.
    fn record(&mut self, gpu: &Arc<Gpu>) -> Result<Recording> {
        let (recording, ()) = gpu.record(|| self.run(self.calls))?;
        recording.replay()?;
        gpu.driver().synchronize()?;
        Ok(recording)
    }

    fn run(&mut self, calls: usize) -> Result<()> {
        let count = self.sets.len();
        for _ in 0..calls {
            let set = &mut self.sets[self.next];
            self.next = (self.next + 1) % count;
            run(&self.case, set)?;
        }
        Ok(())
    }
}

fn time_on_gpu(gpu: &Gpu, queue: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = gpu.driver().record_event()?;
    queue()?;
    let end = gpu.driver().record_event()?;
    Ok(Duration::from_secs_f64(end.ms_since(&*start)? / 1e3))
}

/// Runs the case; what it updates goes back into `arguments`.
fn run(case: &Case, arguments: &mut Arguments) -> Result<()> {
    let operation = case.operation;
    match case.variant {
        Some(variant) => drop(operation.run_variant(variant, arguments)?),
        None => {
            let outputs = operation.run_in_place(&mut Tape::no_grad(), arguments)?;
            let updated = outputs
                .into_iter()
                .filter(|(name, _)| operation.inputs.iter().any(|operand| operand.name == *name));
            arguments.tensors.extend(updated.map(|(name, tensor)| (name.to_string(), tensor)));
        }
    }
    Ok(())
}
