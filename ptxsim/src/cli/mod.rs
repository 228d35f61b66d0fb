//! The command line.
//!
//! Exit status: 0 if the kernel ran, 1 if it has a fault, 2 if the call was wrong; `run -- PROGRAM` has the
//! program's.

mod args;
mod output;
mod program;

use std::ffi::OsString;
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
    /// Run a kernel of a PTX file and print its counters, or its first fault; or run a CUDA program
    ///
    /// `ptxsim run FILE ...` runs a kernel of a PTX file and prints its counters, or its first fault.
    ///
    /// `ptxsim run ... -- PROGRAM ARGS...` runs a program that calls the CUDA driver on a simulated GPU. The
    /// status is the program's, or 86 if the program succeeded and something was found that is wrong.
    Run(Box<Run>),
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
    #[command(flatten)]
    kernel: Kernel,
    #[command(flatten)]
    driver: program::Settings,
    /// CPU threads; results do not depend on it.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    threads: usize,
    /// With a kernel: estimate floors for this GPU, h200, a100 or rtx4090. With a program: the GPU that it
    /// sees, one of these or h100.
    #[arg(long, value_name = "NAME")]
    gpu: Option<String>,
    /// A program to run on a simulated GPU, and its arguments.
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

#[derive(Args)]
#[group(conflicts_with = "program")]
struct Kernel {
    /// The PTX file.
    #[arg(required_unless_present = "program", help_heading = "A kernel")]
    file: Option<PathBuf>,
    /// The entry to run; may be left out if there is only one.
    #[arg(long, value_name = "NAME", help_heading = "A kernel")]
    kernel: Option<String>,
    /// Blocks in the grid.
    #[arg(long, value_name = "X,Y,Z", default_value = "1", help_heading = "A kernel")]
    grid: Dimensions,
    /// Threads in a block.
    #[arg(long, value_name = "X,Y,Z", default_value = "1", help_heading = "A kernel")]
    block: Dimensions,
    /// Dynamic shared memory of a block, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 0, help_heading = "A kernel")]
    shared: u32,
    /// A parameter, in order: `u32:5`, `i32:-5`, `u64:5`, `i64:-5`, `f32:1.5`, `f64:1.5`, or a buffer of
    /// raw little-endian values: `in:TYPE:FILE`, `out:TYPE:COUNT:FILE`, `inout:TYPE:FILE` (written back
    /// to the file), `zero:TYPE:COUNT` (scratch).
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true, help_heading = "A kernel")]
    arguments: Vec<Argument>,
    /// Warp instructions without a change of memory or a thread's end before the kernel counts as hung.
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().patience, help_heading = "A kernel")]
    patience: u64,
    /// Warp instructions that a block may run in all; without limit if left out.
    #[arg(long, value_name = "COUNT", help_heading = "A kernel")]
    max_steps: Option<u64>,
    /// Seconds that the kernel may take; without limit if left out.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "A kernel")]
    deadline: Option<Duration>,
    /// Look for no faults but accesses outside memory.
    #[arg(long, help_heading = "A kernel")]
    no_checks: bool,
    /// Registers a thread, from the compiler's report, for the occupancy on that GPU.
    #[arg(long, value_name = "COUNT", requires = "gpu", help_heading = "A kernel")]
    registers: Option<u32>,
    /// Print JSON.
    #[arg(long, help_heading = "A kernel")]
    json: bool,
}

fn gpu(name: &str) -> Result<&'static Gpu, Failure> {
    Gpu::find(name).ok_or_else(|| {
        let known = Gpu::ALL.map(|gpu| gpu.name).join(", ");
        Failure::Usage(format!("--gpu is `{name}`; known are {known}"))
    })
}

/// What came of a command.
enum Done {
    /// This is to be printed.
    Text(String),
    /// A program ran, and ended with this.
    Status(ExitCode),
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
        Command::Run(run) if !run.program.is_empty() => (false, run.run_program()),
        Command::Run(run) => (run.kernel.json, run.run_kernel()),
    };
    match outcome {
        Ok(Done::Text(text)) => {
            output::print(&text);
            ExitCode::SUCCESS
        }
        Ok(Done::Status(status)) => status,
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

fn list(file: &Path, json: bool) -> Result<Done, Failure> {
    let module = load(file)?;
    Ok(Done::Text(if json { output::list_json(&module) } else { output::list(&module) }))
}

impl Run {
    fn run_program(self) -> Result<Done, Failure> {
        let mut variables = self.driver.variables();
        variables.extend(self.gpu.map(|gpu| ("PTXSIM_GPU", gpu.into())));
        variables.extend((self.threads != 0).then(|| ("PTXSIM_THREADS", self.threads.to_string().into())));
        program::run(&self.program, &variables, self.driver.library.as_deref()).map(Done::Status)
    }

    fn run_kernel(self) -> Result<Done, Failure> {
        let Kernel { file, kernel, arguments, .. } = self.kernel;
        let file = file.ok_or_else(|| Failure::Usage("name a PTX file".into()))?;
        let gpu = self.gpu.as_deref().map(gpu).transpose()?;
        let module = load(&file)?;
        let kernel = entry(&module, kernel, &file)?;
        let checks = if self.kernel.no_checks { Checks::none() } else { Checks::all() };
        let Kernel { patience, max_steps, deadline, .. } = self.kernel;
        let limits = Limits { patience, max_steps, deadline };
        let device = Device::new(Config { threads: self.threads, checks, limits, ..Config::default() })?;
        let mut args = Vec::new();
        for argument in &arguments {
            args.push(argument.place(&device)?);
        }
        let launch = Launch {
            grid: self.kernel.grid.0,
            block: self.kernel.block.0,
            shared_bytes: self.kernel.shared,
            cluster: None,
        };
        let report = device.launch(&module, &kernel, &launch, &args)?;
        for (argument, arg) in arguments.iter().zip(&args) {
            argument.save(&device, arg)?;
        }
        let floors = gpu.map(|gpu| Roofline::estimate(&report, gpu, self.kernel.registers));
        Ok(Done::Text(if self.kernel.json {
            ptxsim::json::report(&report, floors.as_ref()).to_string()
        } else {
            format!("{}{}", report.printed, output::report(&report, floors.as_ref()))
        }))
    }
}

/// The entry that was named, or the only one.
fn entry(module: &Module, named: Option<String>, file: &Path) -> Result<String, Failure> {
    if let Some(name) = named {
        return Ok(name);
    }
    let names: Vec<&str> = module.entries().map(|entry| entry.name()).collect();
    match names[..] {
        [only] => Ok(only.to_owned()),
        [] => Err(Failure::Usage(format!("{} has no entries", file.display()))),
        _ => Err(Failure::Usage(format!("name one with --kernel: {}", names.join(", ")))),
    }
}
