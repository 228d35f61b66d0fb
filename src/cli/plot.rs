//! `cugrad plot`

use super::output::result;
use super::policy::{GivenPolicy, bounds};
use crate::error::{Error, Result};
use crate::optim::schedule::{OneCycle, Triangular};
use crate::picture::Theme;
use crate::report::plot::{one_cycle, triangle};
use crate::report::write_run_plots;
use crate::train::{Preset, TrainConfig};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "Examples:
  cugrad plot triangle --out triangle.png --min-lr 0.001 --max-lr 0.006 --step-size 2000
  cugrad plot one-cycle --out one-cycle.png --lr-max 0.05 --theme dark
  cugrad plot run runs/20261122-181500-quick")]
pub struct Plot {
    #[command(subcommand)]
    figure: Figure,
}

#[derive(Subcommand)]
enum Figure {
    /// The triangular cyclic learning rate of Smith's paper
    Triangle(Triangle),
    /// The learning rate that a run would use
    OneCycle(Policy),
    /// The learning rate, loss and accuracy of a run
    Run(Run),
}

/// Where a plot goes.
#[derive(Args)]
struct Output {
    /// The PNG file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// For a light page or a dark one
    #[arg(long, value_enum, default_value = "light")]
    theme: Theme,
}

#[derive(Args)]
struct Triangle {
    #[command(flatten)]
    output: Output,
    /// The lower bound, base_lr [default: 0.001, or --max-lr / 6 where that is less]
    #[arg(long, value_name = "LR")]
    min_lr: Option<f64>,
    /// The upper bound, max_lr [default: 0.006, or 6 × --min-lr where that is more]
    #[arg(long, value_name = "LR")]
    max_lr: Option<f64>,
    /// Iterations in half a cycle
    #[arg(long, value_name = "ITERATIONS", default_value = "2000",
          value_parser = clap::value_parser!(u32).range(1..))]
    step_size: u32,
    /// How many cycles to draw
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(1..=50))]
    cycles: u32,
}

#[derive(Args)]
struct Policy {
    #[command(flatten)]
    output: Output,
    /// The preset that gives what is not said here
    #[arg(long, value_enum, default_value = "full")]
    preset: Preset,
    /// The learning rate of the first step
    #[arg(long, value_name = "LR")]
    lr_min: Option<f64>,
    /// The learning rate at the peak
    #[arg(long, value_name = "LR")]
    lr_max: Option<f64>,
    /// The learning rate that the run falls to [default: --lr-min]
    #[arg(long, value_name = "LR")]
    lr_end: Option<f64>,
    /// Epochs until the peak; a fraction counts [default: the preset's; 5/24 of --epochs where those are
    /// given]
    #[arg(long, value_name = "EPOCHS")]
    peak_epoch: Option<f64>,
    /// Epochs of the run
    #[arg(long)]
    epochs: Option<usize>,
}

#[derive(Args)]
struct Run {
    /// The run's folder
    run: PathBuf,
    /// The folder to write the plots into [default: RUN/plots]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Plot {
    pub fn run(self) -> Result<()> {
        match self.figure {
            Figure::Triangle(plot) => {
                let (base, max) = bounds((plot.min_lr, plot.max_lr), (0.001, 0.006));
                let policy = Triangular { base, max, step_size: plot.step_size.into() };
                plot.output.write(&triangle(&policy.checked()?, plot.cycles))
            }
            Figure::OneCycle(plot) => plot.output.write(&one_cycle(&plot.policy()?)),
            Figure::Run(plot) => {
                let run = crate::report::Run::read(&plot.run)?;
                let folder = plot.out.unwrap_or_else(|| run.files.plots());
                for file in write_run_plots(&run, &folder)? {
                    result(format_args!("{}", file.display()))?;
                }
                Ok(())
            }
        }
    }
}

impl Output {
    fn write(&self, figure: &crate::report::plot::Figure) -> Result<()> {
        figure.save(&self.out, self.theme)?;
        result(format_args!("{}", self.out.display()))?;
        Ok(())
    }
}

impl Policy {
    fn policy(&self) -> Result<OneCycle> {
        let &Policy { lr_min, lr_max, lr_end, peak_epoch, epochs, .. } = self;
        if epochs == Some(0) {
            return Err(Error::Config("--epochs is 0, expected at least 1".into()));
        }
        let given = GivenPolicy { lr_min, lr_max, lr_end, peak_epoch, epochs };
        given.complete(&TrainConfig::defaults(self.preset)).0.checked()
    }
}
