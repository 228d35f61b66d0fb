//! `cugrad kernels`: the embedded kernels, and what each does when the simulator runs it.

mod annotate;
mod json;
mod list;
mod table;

use super::output::result;
use crate::device::SimArch;
use crate::error::{Error, Result};
use crate::profile::{Shape, profile};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use ptxsim::Gpu;

#[derive(Args)]
pub struct Kernels {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the kernels: entry point, file, equation, registers, shared memory, spills
    List(list::List),
    /// Run a kernel on the simulator and show what it does; needs no GPU
    Profile(Profile),
}

impl Kernels {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::List(list) => list.run(),
            Command::Profile(profile) => profile.run(),
        }
    }
}

#[derive(Args)]
#[command(
    long_about = "Run the operation that launches a kernel on the simulator, on random inputs, and show \
what the kernel does: its instructions by kind, the memory it moves against what it asks for, bank \
conflicts, the lines of its source that cost most, and the least time that each part of a GPU needs for \
it. It needs no GPU.

The counts are of PTX instructions, exact and the same on every machine. The times are floors: a real \
launch takes longer.",
    after_help = "Examples:
  cugrad kernels profile conv3x3_fprop
  cugrad kernels profile conv3x3_fprop --shape n=2,h=8,w=8,c=16,k=32 --annotate
  cugrad kernels profile maxpool_dgrad --shape h=16,w=16,window=4 --json"
)]
struct Profile {
    /// The kernel's entry point; `cugrad kernels list` names them
    kernel: String,
    /// Extents and attributes of the operation that launches it; those left out have defaults
    #[arg(long, value_name = "NAME=NUMBER,...", default_value = "")]
    shape: Shape,
    /// The architecture to simulate
    #[arg(long, value_enum, default_value = "90a")]
    arch: SimArch,
    /// The GPU to compute the floors of the time for
    #[arg(long, default_value = "h200", value_parser = gpu())]
    gpu: String,
    /// Show the source with the counts of each line
    #[arg(long)]
    annotate: bool,
    /// Print everything as JSON
    #[arg(long, conflicts_with = "annotate")]
    json: bool,
}

impl Profile {
    fn run(self) -> Result<()> {
        let gpu =
            Gpu::find(&self.gpu).ok_or_else(|| Error::Config(format!("no GPU is called `{}`", self.gpu)))?;
        let profile = profile(&self.kernel, &self.shape, self.arch)?;
        if self.json {
            return result(format_args!("{:#}", json::profile(&profile, gpu)));
        }
        result(table::profile(&profile, gpu).trim_end())?;
        if self.annotate {
            result(format_args!("\n{}", annotate::sources(&profile).trim_end()))?;
        } else {
            result(format_args!("\n{}", annotate::hottest(&profile).trim_end()))?;
        }
        Ok(())
    }
}

/// The names of the GPUs whose limits are known.
fn gpu() -> PossibleValuesParser {
    PossibleValuesParser::new(Gpu::ALL.iter().map(|gpu| gpu.name))
}
