//! `cugrad train`

use super::board;
use super::lr_find;
use super::output::result;
use super::progress::{Bar, say};
use super::signals::stop_on_signals;
use super::source::SourceArgs;
use super::train_args::{Resolved, TrainArgs, preset_for};
use crate::data::{Images, Splits};
use crate::device::{Device, DeviceChoice};
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::optim::lr_finder::{RangeTest, Suggestion, Sweep};
use crate::report::{Run, write_report};
use crate::train::journal::{self, DataMark, End, Entry, Start};
use crate::train::{Observer, Observers, Outcome, Progress, RunDir, TrainConfig, Trainer, missing_metrics};
use clap::{ArgMatches, Args};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

#[derive(Args)]
#[command(after_help = "Examples:
  cugrad train                           what this machine can do in minutes
  cugrad train --preset full             the assignment exactly
  cugrad train --epochs 5 --width 32 --limit 10000
  cugrad train --resume runs/20261122-181500-quick

Ctrl-C, SIGTERM and SIGHUP end a run after the step in hand, with a checkpoint to resume from; a second one
ends it at once.")]
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
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "run_dir"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    /// Stop on SIGUSR1, too, as on Ctrl-C: for SLURM's warning before a job's time is up (sbatch
    /// --signal=USR1@120)
    #[cfg(unix)]
    #[arg(long)]
    stop_on_usr1: bool,
    /// Leave out the report, plots and pictures at the end; `cugrad report` makes them later
    #[arg(long)]
    no_report: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// A run that is ready to go.
struct Prepared {
    trainer: Trainer,
    run: RunDir,
    config: TrainConfig,
    device: Device,
    splits: Splits,
}

impl Train {
    /// Trains; `matches` are those of the whole command line.
    pub fn run(self, matches: &ArgMatches) -> Result<()> {
        let flag = matches.subcommand_matches("train").and_then(TrainArgs::first_flag);
        if let (Some(_), Some(flag)) = (&self.resume, flag) {
            return Err(Error::Config(format!(
                "--{flag} cannot be used with --resume: a run is continued with its own settings"
            )));
        }
        let json = self.json;
        let stop = stop_on_signals(self.stop_on_usr1())?;
        let with_report = !self.no_report;
        let Prepared { mut trainer, run, config, device, splits } = self.prepare(&stop)?;
        let mut board = match trainer.is_finished() {
            true => None,
            false => board::open(&config, &run, &splits, trainer.progress())?,
        };
        let mut bar = Bar::new(&config, &run, trainer.progress(), trainer.batches());
        let mut observers = Observers(vec![&mut bar]);
        observers.0.extend(board.as_mut().map(|board| board as &mut dyn Observer));
        let outcome = trainer.train(&mut observers, &stop);
        bar.finish();
        // Its memory is the report's now.
        drop(trainer);
        let error = outcome.as_ref().err().map(|e| e.to_string());
        journal::append(&run, &Entry::End(End { at: journal::now(), error }))?;
        run.log(&match &outcome {
            Ok(done) => format!("finished: test accuracy {:.4}{}", done.last.accuracy(), peak_memory()),
            Err(e) => format!("ended: {e}{}", peak_memory()),
        })?;
        let outcome = outcome?;
        let read = Run::read(run.path())?;
        report(&outcome, &read, json)?;
        if !with_report {
            return Ok(());
        }
        let started = Instant::now();
        // The simulator would take minutes for the images of a report.
        let device = if config.device == DeviceChoice::Sim { Device::Cpu } else { device };
        let written = write_report(&read, Ok(&splits), &device)?;
        if let (Some(board), Some(last)) = (&mut board, read.steps.last()) {
            board::add_misclassified(board, &run, last.step)?;
        }
        match json {
            true => Ok(()),
            false => super::report::say(&written, started),
        }
    }

    #[cfg(unix)]
    fn stop_on_usr1(&self) -> bool {
        self.stop_on_usr1
    }

    #[cfg(not(unix))]
    fn stop_on_usr1(&self) -> bool {
        false
    }

    /// The trainer, ready to go from where it is to go.
    fn prepare(self, stop: &AtomicBool) -> Result<Prepared> {
        let mut said = Vec::new();
        let (run, mut resolved, device, device_line) = match &self.resume {
            Some(folder) => {
                let (run, config) = RunDir::open(folder)?;
                let (device, line) = Device::open(config.device)?;
                said.push(line.clone());
                (Some(run), Resolved::of_run(config), device, line)
            }
            None => {
                let file = self.config.as_deref();
                let choice = self.settings.device(file)?;
                let (device, line) = Device::open(choice)?;
                said.push(line.clone());
                let resolved = self.settings.resolve(file, || Ok(preset_for(choice, &device, &mut said)))?;
                (None, resolved, device, line)
            }
        };
        resolved.config.precision.expect_on(&device)?;
        let splits = self.source.load(resolved.config.data, resolved.config.data_dir.clone())?;
        said.push(format!("data: {}", splits.source));
        resolved.fit_peak(splits.train.len());
        let Resolved { mut config, search, scaled, .. } = resolved;
        if !scaled.is_empty() {
            said.push(format!("settings: {}", scaled.join(", ")));
        }
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
        run.log(&format!("cugrad {}, {} threads", env!("CARGO_PKG_VERSION"), rayon::current_num_threads()))?;
        run.log(&format!("settings: {}", serde_json::json!(config)))?;
        for line in said {
            say(&run, &line)?;
        }
        if let Some((sweep, suggestion)) = found {
            lr_find::write_json(&run.lr_find(), &sweep, Some(&suggestion))?;
        }
        let mut trainer = Trainer::new(config.clone(), &device, &splits, run.clone())?;
        if resumed {
            trainer.resume()?;
            let done = trainer.progress();
            say(
                &run,
                &match trainer.is_finished() {
                    true => format!("the run is complete after {} epochs: nothing to train", done.epochs),
                    false => format!("continuing in epoch {} at step {}", done.epochs + 1, done.steps),
                },
            )?;
            warn_of_a_hole(&run, done)?;
        }
        let start = Start {
            at: journal::now(),
            epochs: trainer.progress().epochs,
            device: device_line,
            machine: Machine::of(&device),
            data: DataMark::of(&splits),
        };
        journal::append(&run, &Entry::Start(Box::new(start)))?;
        Ok(Prepared { trainer, run, config, device, splits })
    }
}

/// Says when the metrics do not tell of all that a run has done; it can go on all the same.
fn warn_of_a_hole(run: &RunDir, done: &Progress) -> Result<()> {
    let (steps, epochs) = missing_metrics(run.path(), done.steps, done.epochs)?;
    if steps + epochs == 0 {
        return Ok(());
    }
    say(
        run,
        &format!(
            "warning: metrics.jsonl lacks {steps} of the {} steps and {epochs} of the {} epochs done: the \
             run's curves have a hole there\n  help: if you have the file, stop, put it back and resume",
            done.steps, done.epochs
        ),
    )
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
fn report(outcome: &Outcome, run: &Run, json: bool) -> Result<()> {
    let epochs = &run.epochs;
    let accuracy = outcome.last.accuracy();
    if json {
        let summary = serde_json::json!({
            "run": run.files.path(),
            "epochs": epochs,
            "test_accuracy": accuracy,
            "test_loss": outcome.last.loss,
            "test_images": outcome.last.images(),
            "best_accuracy": outcome.best_accuracy,
            "best_epoch": outcome.best_epoch,
        });
        return result(format_args!("{summary:#}"));
    }
    result("epoch       lr  train loss  train acc  test loss  test acc")?;
    for e in epochs {
        result(format_args!(
            "{:>5}  {:.5}  {:>10.4}  {:>8.2}%  {:>9.4}  {:>7.2}%",
            e.epoch,
            e.lr,
            e.train_loss,
            100.0 * e.train_accuracy,
            e.test_loss,
            100.0 * e.test_accuracy
        ))?;
    }
    result(format_args!(
        "\ntest accuracy {:.2}% ({} of {}); best {:.2}% after epoch {}",
        100.0 * accuracy,
        outcome.last.correct(),
        outcome.last.images(),
        100.0 * outcome.best_accuracy,
        outcome.best_epoch
    ))?;
    result(format_args!("run {}", run.files.path().display()))
}

/// The most memory that this process ever had, for the log; nothing where the system does not say.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or(String::new(), |peak| format!("; peak memory {}", peak.trim()))
}
