//! The settings of `train`: flags over environment over config file over the preset's defaults.

use super::policy::GivenPolicy;
use crate::data::Wanted;
use crate::device::{Device, DeviceChoice};
use crate::error::{Error, Result};
use crate::optim::lr_finder::Suggestion;
use crate::optim::schedule::OneCycle;
use crate::report::plot::axis::rate;
use crate::train::{NormalizationChoice, Precision, Preset, TrainConfig};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Every setting, as far as it is given. The flags and the keys of a config file are the same.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainArgs {
    /// A set of defaults: full is the assignment exactly, quick takes minutes on a CPU, auto is full
    /// on a GPU and quick on a CPU [default: auto]
    #[arg(long, value_enum, env = "CUGRAD_PRESET")]
    preset: Option<Preset>,
    /// What the run's folder is called after the time [default: the preset]
    #[arg(long)]
    name: Option<String>,
    /// The device: a GPU if there is one, else the CPU; or one by name [default: auto]
    #[arg(long, value_enum, env = "CUGRAD_DEVICE")]
    device: Option<DeviceChoice>,
    /// The type that activations are computed in [default: f32]
    #[arg(long, value_enum)]
    precision: Option<Precision>,
    /// The seed of everything random [default: 0]
    #[arg(long, env = "CUGRAD_SEED")]
    seed: Option<u64>,

    /// The data set: CIFAR-10 if it can be had, else the embedded one [default: auto]
    #[arg(long, value_enum, help_heading = "Data")]
    data: Option<Wanted>,
    /// The folder with cifar-10-batches-bin/ [default: $CUGRAD_DATA, data/, the user's cache]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data_dir: Option<PathBuf>,
    /// Train on the first images only [default: all; quick 5000]
    #[arg(long, value_name = "IMAGES", help_heading = "Data")]
    limit: Option<usize>,
    /// Test on the first images only [default: all; quick 1000]
    #[arg(long, value_name = "IMAGES", help_heading = "Data")]
    test_limit: Option<usize>,
    /// Leave out random crop, flip and cutout
    #[arg(long, help_heading = "Data")]
    #[serde(skip)]
    no_augment: bool,
    /// Random crop, flip and cutout; the key of a config file.
    #[arg(skip)]
    augment: Option<bool>,
    /// Normalise pixels by CIFAR-10's means and deviations, or by 0.5 [default: cifar10]
    #[arg(long, value_enum, help_heading = "Data")]
    normalization: Option<NormalizationChoice>,

    /// Channels after the first convolution; the others are multiples of it [default: 64; quick 16]
    #[arg(long, help_heading = "Network and optimizer")]
    width: Option<usize>,
    /// Passes over the training images [default: 24; quick 10]
    #[arg(long, help_heading = "Network and optimizer")]
    epochs: Option<usize>,
    /// Images a step [default: 512; quick 64]
    #[arg(long, help_heading = "Network and optimizer")]
    batch: Option<usize>,
    /// The learning rate of the first step
    #[arg(long, value_name = "LR", help_heading = "Network and optimizer")]
    lr_min: Option<f64>,
    /// The learning rate at the peak; `find` runs the range test (see lr-find) and uses what it
    /// suggests, also for --lr-min unless that is given
    #[arg(long, value_name = "LR|find", help_heading = "Network and optimizer")]
    lr_max: Option<LrMax>,
    /// The learning rate that the run falls to [default: --lr-min]
    #[arg(long, value_name = "LR", help_heading = "Network and optimizer")]
    lr_end: Option<f64>,
    /// Epochs until the peak; a fraction counts [default: 5; quick 2; 5/24 of
    /// --epochs where those are given]
    #[arg(long, value_name = "EPOCHS", help_heading = "Network and optimizer")]
    peak_epoch: Option<f64>,
    /// SGD's momentum [default: 0.9]
    #[arg(long, help_heading = "Network and optimizer")]
    momentum: Option<f64>,
    /// Nesterov's form of the momentum [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true,
          help_heading = "Network and optimizer")]
    nesterov: Option<bool>,
    /// L2 decay of every parameter [default: 0.002; quick 0.0005]
    #[arg(long, help_heading = "Network and optimizer")]
    weight_decay: Option<f64>,
    /// L1 decay of every parameter [default: 0]
    #[arg(long, help_heading = "Network and optimizer")]
    l1: Option<f64>,
    /// The share of the target that is spread over all classes [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Network and optimizer")]
    label_smoothing: Option<f64>,

    /// Steps between checkpoints within an epoch; 0 for none [default: 100]
    #[arg(long, value_name = "STEPS")]
    checkpoint_every: Option<usize>,
    /// Leave out the TensorBoard event files
    #[arg(long)]
    #[serde(skip)]
    no_tensorboard: bool,
    /// TensorBoard event files; the key of a config file.
    #[arg(skip)]
    tensorboard: Option<bool>,
}

/// The learning rate at the peak, or how to get it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum LrMax {
    Rate(f64),
    Find(Find),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Find {
    Find,
}

impl FromStr for LrMax {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<LrMax, String> {
        match text {
            "find" => Ok(LrMax::Find(Find::Find)),
            _ => text.parse().map(LrMax::Rate).map_err(|_| "expected a number, or find".into()),
        }
    }
}

/// Settings with nothing left open, but for the rates that a range test is yet to find.
pub struct Resolved {
    /// The settings.
    pub config: TrainConfig,
    /// Which of their learning rates a range test is to replace.
    pub search: Option<Search>,
    /// A note on each default that was scaled to fit what was given.
    pub scaled: Vec<String>,
    /// Whether the peak follows from the number of epochs.
    scales_peak: bool,
}

impl Resolved {
    /// The settings of an earlier run.
    pub fn of_run(config: TrainConfig) -> Resolved {
        Resolved { config, search: None, scaled: Vec::new(), scales_peak: false }
    }

    /// Moves a scaled peak to the end of the first step, where it would be before that with so many `images`.
    pub fn fit_peak(&mut self, images: usize) {
        let config = &mut self.config;
        let images = config.limit.map_or(images, |limit| limit.min(images));
        let step = 1.0 / images.div_ceil(config.batch).max(1) as f64;
        if self.scales_peak && config.peak_epoch < step {
            config.peak_epoch = step;
            self.scaled.retain(|note| !note.starts_with("--peak-epoch"));
            self.scaled.push(format!("--peak-epoch {} (one step, the least)", rate(step)));
        }
    }
}

/// The learning rates, besides LRMAX, that were not given and so are the range test's to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    lr_min: bool,
    lr_end: bool,
}

impl Search {
    /// `config` with the rates that the range test found.
    ///
    /// # Errors
    /// [`Error::Config`] when they do not go with those that were given.
    pub fn fill(self, mut config: TrainConfig, found: &Suggestion) -> Result<TrainConfig> {
        config.lr_max = found.lr_max;
        if self.lr_min {
            config.lr_min = found.lr_min;
        }
        // The cycle ends where it began, unless told otherwise.
        if self.lr_end {
            config.lr_end = config.lr_min;
        }
        config.checked()
    }
}

impl TrainArgs {
    /// The first setting that was given as a flag; what the environment gives does not count.
    pub fn first_flag(matches: &ArgMatches) -> Option<String> {
        let settings = TrainArgs::augment_args(clap::Command::new("settings"));
        let flag = settings.get_arguments().find(|argument| {
            matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine)
        });
        flag.and_then(|argument| argument.get_long()).map(str::to_string)
    }

    /// The settings, resolved: these over those of `file` over the defaults of the preset, which is
    /// `auto_preset` where none is named.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`] for the file, [`Error::Config`] for settings that make no
    /// sense.
    pub fn resolve(
        self,
        file: Option<&Path>,
        auto_preset: impl FnOnce() -> Result<Preset>,
    ) -> Result<Resolved> {
        let flags = TrainArgs {
            augment: self.no_augment.then_some(false),
            tensorboard: self.no_tensorboard.then_some(false),
            ..self
        };
        let mut given = match file {
            Some(path) => table(&read(path)?)?,
            None => toml::Table::new(),
        };
        given.extend(table(&flags)?);
        let given: TrainArgs = given.try_into().map_err(|e: toml::de::Error| Error::Config(e.to_string()))?;
        let preset = match given.preset {
            None | Some(Preset::Auto) => auto_preset()?,
            Some(preset) => preset,
        };
        let mut config = TrainConfig::defaults(preset);
        let find = given.lr_max == Some(LrMax::Find(Find::Find));
        let search = find.then(|| {
            // The default is to be found anew, so it must not stand against an --lr-min.
            config.lr_max = f64::MAX;
            Search { lr_min: given.lr_min.is_none(), lr_end: given.lr_end.is_none() }
        });
        let policy = given.policy();
        let (OneCycle { min, max, end, peak_epoch, .. }, scaled) = policy.complete(&config);
        let mut settings = table(&config)?;
        settings.extend(table(&TrainArgs { preset: None, lr_max: None, ..given })?);
        let mut config: TrainConfig =
            settings.try_into().map_err(|e: toml::de::Error| Error::Config(e.to_string()))?;
        (config.lr_min, config.lr_max, config.lr_end) = (min, max, end);
        config.peak_epoch = peak_epoch;
        Ok(Resolved { config: config.checked()?, search, scaled, scales_peak: policy.scales_peak() })
    }

    /// The learning-rate policy, as far as it is given.
    fn policy(&self) -> GivenPolicy {
        let lr_max = match self.lr_max {
            Some(LrMax::Rate(rate)) => Some(rate),
            Some(LrMax::Find(_)) | None => None,
        };
        let &TrainArgs { lr_min, lr_end, peak_epoch, epochs, .. } = self;
        GivenPolicy { lr_min, lr_max, lr_end, peak_epoch, epochs }
    }

    /// The device that is asked for, in the flags or in `file`.
    ///
    /// # Errors
    /// As [`TrainArgs::resolve`].
    pub fn device(&self, file: Option<&Path>) -> Result<DeviceChoice> {
        let in_file = file.map(read).transpose()?.and_then(|settings| settings.device);
        Ok(self.device.or(in_file).unwrap_or(DeviceChoice::Auto))
    }
}

/// The preset that `auto` means on `device`.
pub fn preset_for(choice: DeviceChoice, device: &Device, said: &mut Vec<String>) -> Preset {
    let (preset, why) = match device {
        Device::Gpu(_) if choice == DeviceChoice::Sim => (
            Preset::Quick,
            "quick; the simulator runs a few images a second, so lower --width, --limit, --test-limit and --epochs",
        ),
        Device::Gpu(_) => (Preset::Full, "full, the assignment exactly, since there is a GPU"),
        Device::Cpu => (
            Preset::Quick,
            "quick, a narrow network for minutes on a CPU; --preset full is the assignment exactly",
        ),
    };
    said.push(format!("preset: {why}"));
    preset
}

fn read(path: &Path) -> Result<TrainArgs> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    toml::from_str(&text).map_err(|e| Error::format(path, e.to_string()))
}

/// The settings that are given, by key.
fn table(settings: &impl Serialize) -> Result<toml::Table> {
    toml::Table::try_from(settings).map_err(|e| Error::Config(no_place_in_toml(settings, &e.to_string())))
}

/// Which of the settings is an integer beyond TOML's 63 bits; else it is a path that is no text.
fn no_place_in_toml(settings: &impl Serialize, why: &str) -> String {
    let settings = serde_json::to_value(settings).unwrap_or_default();
    let mut integers =
        settings.as_object().into_iter().flatten().filter_map(|(key, v)| Some((key, v.as_u64()?)));
    match integers.find(|(_, value)| i64::try_from(*value).is_err()) {
        Some((key, value)) => {
            format!("--{key} is {value}, which is too large: expected at most {}", i64::MAX)
        }
        None => format!("a setting cannot be kept: {why}"),
    }
}
