//! `cugrad bench`

use super::DeviceArgs;
use super::output::{overwrite, result};
use crate::bench::{Effort, Plan, Report};
use crate::device::{Device, DeviceChoice};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use clap::Args;
use std::io::IsTerminal;
use std::path::PathBuf;

#[derive(Args)]
#[command(
    long_about = "Measure every operation at every layer shape of the network, then the training step. \
Times are medians over random inputs that take turns, so that no cache holds them: device events around \
replayed work on a GPU, the clock on a CPU. Rates are held against two ceilings that the command measures \
itself. benches/NOTES.md says how to read the table.",
    after_help = "Examples:
  cugrad bench --device cpu --batch 16
  cugrad bench --filter conv3x3/dgrad --json conv.json"
)]
pub struct Bench {
    #[command(flatten)]
    device: DeviceArgs,
    /// Images [default: 512 on a GPU, 16 on a CPU]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: Option<u32>,
    /// Only benchmarks whose id contains this text, or that stand for such a layer; no training step
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Fewer repeats
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of the table; with a file's name, write it there and print the table
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
}

impl Bench {
    pub fn run(self) -> Result<()> {
        if self.device.device == DeviceChoice::Sim {
            return Err(Error::Config(
                "the simulator counts, it has no time to measure\n  help: use --device cpu or --device cuda"
                    .into(),
            ));
        }
        let device = self.device.open()?;
        let batch = match (self.batch, &device) {
            (Some(batch), _) => batch as usize,
            (None, Device::Gpu(_)) => 512,
            (None, Device::Cpu) => 16,
        };
        let effort = if self.quick { Effort::QUICK } else { Effort::FULL };
        let plan = Plan { batch, filter: self.filter, effort };
        let count = plan.cases(&device)?.len();
        if count == 0 {
            let text = plan.filter.as_deref().unwrap_or_default();
            return Err(Error::Config(format!("no benchmark's id contains `{text}`, expected one at least")));
        }
        let terminal = std::io::stderr().is_terminal();
        let mut done = 0;
        let report = Report::measure(&device, &plan, &mut |case| {
            done += 1;
            if terminal {
                overwrite(format_args!("{done}/{count} {}", case.id()));
            }
        });
        if terminal {
            overwrite("");
        }
        let report = report?;
        let json = serde_json::to_string_pretty(&report).expect("a report is plain values") + "\n";
        match &self.json {
            Some(None) => result(json.trim_end())?,
            Some(Some(path)) => {
                write_atomically(path, json.as_bytes())?;
                result(format_args!("{report}"))?;
            }
            None => result(format_args!("{report}"))?,
        }
        report.checked()
    }
}
