//! The command line.
//!
//! Exit status: 0 if the kernel ran, 1 if it has a fault, 2 if the call was wrong.

mod args;
mod output;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use ptxsim::{Checks, Config, Device, Error, Gpu, Launch, Limits, Module, Roofline};
use serde_json::json;

use args::{Argument, Dimensions};

/// Run PTX kernels without a GPU, find their faults, count what they do.
#[derive(Parser)]
#[command(name = "ptxsim", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a kernel and print its counters, or its first fault.
    Run(Run),
    /// List the entries of a PTX file and their parameters.
    List {
        /// The PTX file.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct Run {
    /// The PTX file.
    file: PathBuf,
    /// The entry to run; may be left out if there is only one.
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Blocks in the grid.
    #[arg(long, value_name = "X,Y,Z", default_value = "1")]
    grid: Dimensions,
    /// Threads in a block.
    #[arg(long, value_name = "X,Y,Z", default_value = "1")]
    block: Dimensions,
    /// Dynamic shared memory of a block, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    shared: u32,
    /// A parameter, in order: `u32:5`, `i32:-5`, `u64:5`, `i64:-5`, `f32:1.5`, `f64:1.5`, or a buffer of
    /// raw little-endian values: `in:TYPE:FILE`, `out:TYPE:COUNT:FILE`, `inout:TYPE:FILE` (written back
    /// to the file), `zero:TYPE:COUNT` (scratch).
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    arguments: Vec<Argument>,
    /// CPU threads; results do not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Warp instructions without a change of memory or a thread's end before the kernel counts as hung.
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().patience)]
    patience: u64,
    /// Warp instructions that a block may run in all; without limit if left out.
    #[arg(long, value_name = "COUNT")]
    max_steps: Option<u64>,
    /// Seconds that the kernel may take; without limit if left out.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    deadline: Option<Duration>,
    /// Look for no faults but accesses outside memory.
    #[arg(long)]
    no_checks: bool,
    /// Estimate floors for this GPU: h200, a100 or rtx4090.
    #[arg(long, value_name = "NAME", value_parser = gpu)]
    gpu: Option<&'static Gpu>,
    /// Registers a thread, from the compiler's report, for the occupancy on that GPU.
    #[arg(long, value_name = "COUNT", requires = "gpu")]
    registers: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn gpu(name: &str) -> Result<&'static Gpu, String> {
    Gpu::find(name).ok_or_else(|| format!("known are {}", Gpu::ALL.map(|gpu| gpu.name).join(", ")))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|e| format!("{e}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())
}

/// Why a command ended early.
enum Failure {
    /// The call was wrong: a file, an argument, a launch.
    Usage(String),
    /// The kernel did something wrong.
    Fault(Box<ptxsim::Fault>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Fault(fault) => Failure::Fault(fault),
            other => Failure::Usage(other.to_string()),
        }
    }
}

pub(crate) fn main() -> ExitCode {
    let (json, outcome) = match Cli::parse().command {
        Command::List { file, json } => (json, list(&file, json)),
        Command::Run(run) => (run.json, run.run()),
    };
    match outcome {
        Ok(text) => {
            output::print(&text);
            ExitCode::SUCCESS
        }
        Err(Failure::Fault(fault)) => {
            if json {
                output::print(&json!({"fault": ptxsim::json::fault(&fault)}).to_string());
            } else if !fault.printed.is_empty() {
                output::print(fault.printed.trim_end_matches('\n'));
            }
            eprintln!("fault: {fault}");
            ExitCode::from(1)
        }
        Err(Failure::Usage(message)) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

fn load(file: &Path) -> Result<Module, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| Failure::Usage(format!("{} cannot be read: {e}", file.display())))?;
    Module::parse(&text).map_err(|e| Failure::Usage(format!("{}: {e}", file.display())))
}

fn list(file: &Path, json: bool) -> Result<String, Failure> {
    let module = load(file)?;
    Ok(if json { output::list_json(&module) } else { output::list(&module) })
}

impl Run {
    fn run(self) -> Result<String, Failure> {
        let module = load(&self.file)?;
        let kernel = self.entry(&module)?;
        let checks = if self.no_checks { Checks::none() } else { Checks::all() };
        let limits = Limits { patience: self.patience, max_steps: self.max_steps, deadline: self.deadline };
        let device = Device::new(Config { threads: self.threads, checks, limits, ..Config::default() })?;
        let mut args = Vec::new();
        for argument in &self.arguments {
            args.push(argument.place(&device)?);
        }
        let launch =
            Launch { grid: self.grid.0, block: self.block.0, shared_bytes: self.shared, cluster: None };
        let report = device.launch(&module, &kernel, &launch, &args)?;
        for (argument, arg) in self.arguments.iter().zip(&args) {
            argument.save(&device, arg)?;
        }
        let floors = self.gpu.map(|gpu| Roofline::estimate(&report, gpu, self.registers));
        Ok(if self.json {
            ptxsim::json::report(&report, floors.as_ref()).to_string()
        } else {
            format!("{}{}", report.printed, output::report(&report, floors.as_ref()))
        })
    }

    fn entry(&self, module: &Module) -> Result<String, Failure> {
        if let Some(name) = &self.kernel {
            return Ok(name.clone());
        }
        let names: Vec<&str> = module.entries().map(|entry| entry.name()).collect();
        match names[..] {
            [only] => Ok(only.to_owned()),
            [] => Err(Failure::Usage(format!("{} has no entries", self.file.display()))),
            _ => Err(Failure::Usage(format!("name one with --kernel: {}", names.join(", ")))),
        }
    }
}
