//! `cugrad lr-find`

use super::output::{message, result};
use super::policy::bounds;
use super::signals::stop_on_signals;
use super::source::SourceArgs;
use super::train_args::{TrainArgs, preset_for};
use crate::data::Images;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::nn::ResNet;
use crate::optim::Optimizer;
use crate::optim::lr_finder::{RangeTest, Rise, Suggestion, Sweep};
use crate::picture::Theme;
use crate::report::plot;
use crate::train::{TrainConfig, range_test};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Args)]
#[command(after_help = "The network is as `train` would begin with it, and so are the batches. The rates
--lr-min, --lr-max and --lr-end, and --epochs, have no effect here.

Examples:
  cugrad lr-find                         what a run on this machine would use
  cugrad lr-find --preset full --out rates.png --theme dark
  cugrad train --lr-max find             find the rates, then train with them")]
pub struct LrFind {
    #[command(flatten)]
    range: RangeArgs,
    /// The plot to write; what was found goes beside it, as JSON
    #[arg(long, value_name = "FILE", default_value = "lr-find.png")]
    out: PathBuf,
    /// For a light page or a dark one
    #[arg(long, value_enum, default_value = "light")]
    theme: Theme,
    #[command(flatten)]
    settings: TrainArgs,
    /// Settings from a TOML file; flags and environment go before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// The range test's own settings.
#[derive(Args)]
struct RangeArgs {
    /// The learning rate of the first step [default: 0.0001, or --to / 10000 where that is less]
    #[arg(long, value_name = "LR", help_heading = "Range test")]
    from: Option<f64>,
    /// The learning rate of the last step [default: 1, or 10000 × --from where that is more]
    #[arg(long, value_name = "LR", help_heading = "Range test")]
    to: Option<f64>,
    /// Steps, if the loss does not diverge before
    #[arg(long, default_value_t = RangeTest::default().steps, help_heading = "Range test")]
    steps: usize,
    /// How the rate rises: by a factor or by an amount each step
    #[arg(long, value_enum, default_value = "exponential", help_heading = "Range test")]
    rise: Rise,
    /// The share of the past in a smoothed value, 0 for none
    #[arg(long, value_name = "SHARE", default_value_t = RangeTest::default().smoothing,
          help_heading = "Range test")]
    smoothing: f64,
    /// Stop when the smoothed loss is above so many times its lowest
    #[arg(long, value_name = "TIMES", default_value_t = RangeTest::default().diverged,
          help_heading = "Range test")]
    diverged: f64,
}

impl RangeArgs {
    fn test(&self) -> Result<RangeTest> {
        let &RangeArgs { from, to, steps, rise, smoothing, diverged } = self;
        let defaults = RangeTest::default();
        let (from, to) = bounds((from, to), (defaults.from, defaults.to));
        RangeTest { from, to, steps, rise, smoothing, diverged }.checked()
    }
}

impl LrFind {
    pub fn run(self) -> Result<()> {
        let test = self.range.test()?;
        let stop = stop_on_signals(false)?;
        let file = self.config.as_deref();
        let choice = self.settings.device(file)?;
        let (device, line) = Device::open(choice)?;
        message(line);
        let mut said = Vec::new();
        let config = self.settings.resolve(file, || Ok(preset_for(choice, &device, &mut said)))?.config;
        said.iter().for_each(message);
        config.precision.expect_on(&device)?;
        let splits = self.source.load(config.data, config.data_dir.clone())?;
        message(format_args!("data: {}", splits.source));
        let train = Images::new(&device, &splits.train, config.limit)?;

        let sweep = search(&test, &config, &device, &train, &stop)?;
        let suggestion = sweep.suggest();
        // The curve helps most when it suggests nothing.
        let figure = plot::range_test(&sweep, suggestion.as_ref().ok());
        figure.save(&self.out, self.theme)?;
        let json = self.out.with_extension("json");
        write_json(&json, &sweep, suggestion.as_ref().ok())?;
        let suggestion = suggestion?;
        match self.json {
            true => result(format_args!("{:#}", to_json(&sweep, Some(&suggestion))))?,
            false => {
                print(&suggestion)?;
                result(format_args!("\nplot {}\njson {}", self.out.display(), json.display()))?;
            }
        }
        Ok(())
    }
}

/// Runs `test` with a bar on a terminal.
///
/// # Errors
/// What the operations report, [`Error::Stopped`] after `stop`.
pub fn search(
    test: &RangeTest,
    config: &TrainConfig,
    device: &Device,
    train: &Images,
    stop: &AtomicBool,
) -> Result<Sweep> {
    let net = ResNet::new(device, config.precision.dtype(), config.width, config.seed)?;
    let mut net = net.with_math(config.precision.math());
    let mut optimizer = Optimizer::new(config.sgd(), &mut net)?;
    // Off a terminal a bar of indicatif's draws nothing.
    let bar = ProgressBar::new(test.steps as u64);
    let template = "range test {bar:30.cyan/dim} {pos}/{len} {msg} {eta} left";
    bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
    let swept = range_test(test, config, train, &mut net, &mut optimizer, &mut |step, lr| {
        bar.set_position(step as u64);
        bar.set_message(format!("lr {lr:.5}"));
        match stop.load(Ordering::Relaxed) {
            true => Err(Error::Stopped),
            false => Ok(()),
        }
    });
    bar.finish_and_clear();
    swept
}

/// Writes what was found as JSON; the suggestion is null if there is none.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn write_json(path: &Path, sweep: &Sweep, suggestion: Option<&Suggestion>) -> Result<()> {
    write_atomically(path, format!("{:#}\n", to_json(sweep, suggestion)).as_bytes())
}

fn to_json(sweep: &Sweep, suggestion: Option<&Suggestion>) -> serde_json::Value {
    serde_json::json!({
        "suggestion": suggestion,
        "test": sweep.test,
        "diverged": sweep.diverged,
        "samples": sweep.samples,
    })
}

fn print(s: &Suggestion) -> Result<()> {
    let rate = plot::axis::rate;
    result(format_args!("LRMAX  {:<8}  half way, by factors, from", rate(s.lr_max)))?;
    result(format_args!("       {:<8}  where the loss falls fastest, to", rate(s.steepest_descent)))?;
    result(format_args!("       {:<8}  where the accuracy stops rising", rate(s.plateau)))?;
    result(format_args!(
        "LRMIN  {:<8}  a tenth of {}, where the loss is lowest",
        rate(s.lr_min),
        rate(s.minimum)
    ))
}
