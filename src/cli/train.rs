//! `cugrad train`

use super::lr_find;
use super::progress::{Bar, say};
use super::source::SourceArgs;
use super::train_args::{Resolved, TrainArgs};
use crate::data::{Images, Splits};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::optim::lr_finder::{RangeTest, Suggestion, Sweep};
use crate::report::{plot, write_both, write_run_plots};
use crate::train::{Outcome, Preset, RunDir, TrainConfig, Trainer, read_epochs};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Args)]
#[command(after_help = "Examples:
  cugrad train                           what this machine can do in minutes
  cugrad train --preset full             the assignment exactly
  cugrad train --epochs 5 --width 32 --limit 10000
  cugrad train --resume runs/20261122-181500-quick")]
pub struct Train {
    #[command(flatten)]
    settings: TrainArgs,
    /// Settings from a TOML file; flags and environment go before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The run's folder [default: runs/<time>-<name>]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Continue the run of this folder, with its own settings
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "run_dir", "TrainArgs"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

impl Train {
    pub fn run(self) -> Result<()> {
        let stop = stop_on_ctrl_c()?;
        let json = self.json;
        let (mut trainer, run, config) = self.prepare(&stop)?;
        let mut bar = Bar::new(&config, &run, trainer.progress(), trainer.batches());
        let outcome = trainer.train(&mut bar, &stop);
        bar.finish();
        if let Err(e) = &outcome {
            run.log(&format!("ended: {e}"))?;
        }
        let outcome = outcome?;
        write_run_plots(&run, &config, &run.plots())?;
        report(&outcome, &run, json)
    }

    /// The trainer, ready to go from where it is to go.
    fn prepare(self, stop: &AtomicBool) -> Result<(Trainer, RunDir, TrainConfig)> {
        let mut said = Vec::new();
        let (run, Resolved { mut config, search }, device) = match &self.resume {
            Some(folder) => {
                let (run, config) = RunDir::open(folder)?;
                let (device, line) = Device::open(config.device)?;
                said.push(line);
                (Some(run), Resolved { config, search: None }, device)
            }
            None => {
                let file = self.config.as_deref();
                let choice = self.settings.device(file)?;
                let (device, line) = Device::open(choice)?;
                said.push(line);
                let config = self.settings.resolve(file, || Ok(preset_for(&device, &mut said)))?;
                (None, config, device)
            }
        };
        let splits = self.source.load(config.data, config.data_dir.clone())?;
        said.push(format!("data: {}", splits.source));
        let found = match search {
            Some(search) => {
                let found = find_rates(&config, &device, &splits, stop)?;
                config = search.fill(config, &found.1)?;
                said.push(format!("range test: LRMIN {}, LRMAX {}", config.lr_min, config.lr_max));
                Some(found)
            }
            None => None,
        };
        let resumed = run.is_some();
        let run = match run {
            Some(run) => run,
            None => RunDir::create(self.run_dir.as_deref(), &config)?,
        };
        for line in said {
            say(&run, &line)?;
        }
        if let Some((sweep, suggestion)) = found {
            lr_find::write_json(&run.lr_find(), &sweep, &suggestion)?;
            write_both(&plot::range_test(&sweep, Some(&suggestion)), &run.plots(), "lr-find")?;
        }
        let mut trainer = Trainer::new(config.clone(), device, &splits, run.clone())?;
        if resumed {
            trainer.resume()?;
        }
        Ok((trainer, run, config))
    }
}

/// The range test before a run, and what it suggests.
fn find_rates(
    config: &TrainConfig,
    device: &Device,
    splits: &Splits,
    stop: &AtomicBool,
) -> Result<(Sweep, Suggestion)> {
    let train = Images::new(device, &splits.train, config.limit)?;
    let sweep = lr_find::search(&RangeTest::default(), config, device, &train, stop)?;
    let suggestion = sweep.suggest()?;
    Ok((sweep, suggestion))
}

/// Prints how the run went: the table of its epochs, its accuracy and where it is.
fn report(outcome: &Outcome, run: &RunDir, json: bool) -> Result<()> {
    let epochs = read_epochs(run.path())?;
    let accuracy = outcome.last.accuracy();
    if json {
        let summary = serde_json::json!({
            "run": run.path(),
            "epochs": epochs,
            "test_accuracy": accuracy,
            "test_loss": outcome.last.loss,
            "test_images": outcome.last.images(),
            "best_accuracy": outcome.best_accuracy,
            "best_epoch": outcome.best_epoch,
        });
        println!("{summary:#}");
        return Ok(());
    }
    println!("epoch       lr  train loss  train acc  test loss  test acc");
    for e in &epochs {
        println!(
            "{:>5}  {:.5}  {:>10.4}  {:>8.2}%  {:>9.4}  {:>7.2}%",
            e.epoch,
            e.lr,
            e.train_loss,
            100.0 * e.train_accuracy,
            e.test_loss,
            100.0 * e.test_accuracy
        );
    }
    println!(
        "\ntest accuracy {:.2}% ({} of {}); best {:.2}% after epoch {}",
        100.0 * accuracy,
        outcome.last.correct(),
        outcome.last.images(),
        100.0 * outcome.best_accuracy,
        outcome.best_epoch
    );
    println!("run {}", run.path().display());
    Ok(())
}

/// The preset that `auto` means on `device`.
pub fn preset_for(device: &Device, said: &mut Vec<String>) -> Preset {
    let (preset, why) = match device {
        Device::Gpu(_) => (Preset::Full, "full, the assignment exactly, since there is a GPU"),
        Device::Cpu => (
            Preset::Quick,
            "quick, a narrow network for minutes on a CPU; --preset full is the assignment exactly",
        ),
    };
    said.push(format!("preset: {why}"));
    preset
}

/// A flag that the first Ctrl-C sets; the second ends the program at once.
pub fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\nstopping after this step; press Ctrl-C again to stop at once");
    })
    .map_err(|e| Error::Config(format!("cannot watch for Ctrl-C: {e}")))?;
    Ok(stop)
}
