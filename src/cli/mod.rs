//! The command line: one file a subcommand. Results go to stdout, messages to stderr.

mod bench;
mod board;
mod compare;
mod completions;
mod data;
mod eval;
mod explain;
mod export;
mod kernels;
mod lr_find;
mod op;
mod output;
mod plot;
mod policy;
mod predict;
mod progress;
mod report;
mod samples;
mod signals;
mod source;
mod step;
mod summary;
mod train;
mod train_args;

use crate::device::{Device, DeviceChoice};
use crate::error::{Error, Result};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use output::{message, reader_left};
use std::process::ExitCode;

/// Train, test and study a CIFAR-10 ResNet on hand-written CUDA kernels.
#[derive(Parser)]
#[command(
    name = "cugrad",
    version,
    propagate_version = true,
    max_term_width = 100,
    args_override_self = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The commands. One that explains itself at length has its words on its own structure: clap lets a
/// variant's comment replace them.
#[derive(Subcommand)]
enum Command {
    /// Train the network and leave a run's folder under runs/
    Train(Box<train::Train>),
    /// Test weights: loss, accuracy, accuracy of each class, confusion matrix
    Eval(eval::Eval),
    Explain(explain::Explain),
    Predict(predict::Predict),
    Samples(samples::Samples),
    Export(export::Export),
    /// Find the learning rates to train with: Smith's range test, plotted
    LrFind(Box<lr_find::LrFind>),
    /// Plot a learning-rate policy, or the curves of a run
    Plot(plot::Plot),
    /// Write what a run came to as one page: curves, classes, what it got wrong, where it looked
    Report(report::Report),
    /// Set runs side by side in one page
    Compare(compare::Compare),
    /// Show the network layer by layer: output shapes, parameters, MACs
    Summary(summary::Summary),
    /// Run plain SGD steps on tensors from a file, to compare with another framework
    Step(step::Step),
    /// Run one operation, or one gradient, on tensors from a file
    Op(op::Op),
    /// List the kernels, and profile one without a GPU
    Kernels(kernels::Kernels),
    /// Measure every operation at every layer shape, and the training step
    Bench(bench::Bench),
    /// Say which data set is found where, download it, verify it
    Data(data::Data),
    /// Print a script that completes this command line in a shell
    Completions(completions::Completions),
    /// Write the man pages
    Man(completions::Man),
}

/// Where to run.
#[derive(Args, Clone, Copy)]
struct DeviceArgs {
    /// The device: a GPU if there is one, else the CPU; or one by name
    #[arg(long, value_enum, default_value = "auto", env = "CUGRAD_DEVICE")]
    device: DeviceChoice,
}

impl DeviceArgs {
    fn open(self) -> Result<Device> {
        let (device, said) = Device::open(self.device)?;
        if self.device == DeviceChoice::Auto {
            message(said);
        }
        Ok(device)
    }
}

/// Runs the command line, and returns the status to exit with: 0, 1 for a failure, 2 for wrong
/// usage, 128 and its number when a signal stopped it.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    let done = match cli.command {
        Command::Train(command) => command.run(&matches),
        Command::Eval(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Predict(command) => command.run(),
        Command::Samples(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::LrFind(command) => command.run(),
        Command::Plot(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Compare(command) => command.run(),
        Command::Summary(command) => command.run(),
        Command::Step(command) => command.run(),
        Command::Op(command) => command.run(),
        Command::Kernels(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Data(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) if reader_left(&e) => ExitCode::SUCCESS,
        Err(e) => {
            message(format_args!("error: {e}"));
            let stopped = matches!(e, Error::Interrupted { .. } | Error::Stopped);
            ExitCode::from(signals::status().filter(|_| stopped).unwrap_or(e.exit_status()))
        }
    }
}
