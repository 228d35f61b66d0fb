//! Profiling a kernel with no GPU: the operation that launches it runs on the simulator, on random
//! inputs, and what the kernel did is kept.
//!
//! What is counted is the simulator's PTX: the source's own instructions, before the assembler
//! allocates registers and reorders them.

mod inputs;

pub use crate::ops::spec::Shape;

use crate::device::kernels::{self, Entry};
use crate::device::{Device, LaunchLog, SimArch, SimLaunch};
use crate::error::{Error, Result};
use crate::ops::registry;
use crate::ops::spec::{Operation, Target};
use crate::tape::Tape;

/// What a kernel did.
#[derive(Debug)]
pub struct Profile {
    /// The kernel.
    pub entry: &'static Entry,
    /// The operation that was run.
    pub operation: &'static str,
    /// Its extents and attributes.
    pub shape: Shape,
    /// The simulated architecture.
    pub arch: SimArch,
    /// The kernel's launches, in order; at least one.
    pub launches: Vec<SimLaunch>,
    /// What else the operation launched, in order.
    pub others: Vec<SimLaunch>,
}

impl Profile {
    /// The kernel's largest launch, the first of equals.
    pub fn largest(&self) -> &SimLaunch {
        let work = |launch: &SimLaunch| launch.report.total.warp_instructions;
        let first = &self.launches[0];
        self.launches.iter().fold(first, |most, launch| if work(launch) > work(most) { launch } else { most })
    }
}

/// The kernel called `name`.
///
/// # Errors
/// [`Error::Config`] with the names there are.
pub fn find(name: &str) -> Result<&'static Entry> {
    kernels::ALL.iter().copied().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = kernels::ALL.iter().map(|entry| entry.name).collect();
        Error::Config(format!("no kernel is called `{name}`\n  help: one of {}", names.join(", ")))
    })
}

/// The kernels that can be profiled, each with the operation that launches it.
pub fn targets() -> impl Iterator<Item = (&'static Operation, &'static Target)> {
    registry::operations()
        .flat_map(|operation| operation.kernels.iter().map(move |target| (operation, target)))
}

/// Runs the operation that launches `kernel` at the shape `given`, where the target's own numbers stand
/// for those that are missing, on a simulated GPU of `arch`.
///
/// # Errors
/// [`Error::Config`] when the kernel, an extent or an attribute is unknown, or the kernel is not
/// launched at these extents; [`Error::Launch`] with the fault, if there is one.
pub fn profile(kernel: &str, given: &Shape, arch: SimArch) -> Result<Profile> {
    let entry = find(kernel)?;
    let found = targets().find(|(_, target)| target.kernel == entry.name);
    let (operation, target) = found.ok_or_else(|| {
        Error::Config(format!("{kernel} is no profile target of any operation's spec.rs in src/ops/"))
    })?;
    let shape = inputs::complete(operation, target, given)?;
    let log = LaunchLog::default();
    let (device, _) = Device::sim(arch, Some(log.clone()))?;
    let mut arguments = operation.random_inputs(&shape, &device, 0)?;
    match target.variant {
        None => drop(operation.run(&mut Tape::no_grad(), &arguments)?),
        Some(name) => drop(operation.run_variant(operation.variant(name)?, &mut arguments)?),
    }
    let (launches, others): (Vec<_>, Vec<_>) =
        log.take().into_iter().partition(|launch| launch.entry.name == entry.name);
    if launches.is_empty() {
        return Err(Error::Config(format!(
            "{} does not launch {kernel} at {shape}\n  help: without --shape it does, at {}",
            operation.name, target.shape
        )));
    }
    Ok(Profile { entry, operation: operation.name, shape, arch, launches, others })
}
