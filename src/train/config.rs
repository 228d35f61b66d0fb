//! The settings of a run, with nothing left open. A run's config.toml is exactly this.

use crate::data::{Wanted, transforms};
use crate::device::{Device, DeviceChoice};
use crate::error::{Error, Result};
use crate::ops::augment::Normalization;
use crate::ops::math::MathMode;
use crate::ops::sgd::Sgd;
use crate::optim::schedule::OneCycle;
use crate::tensor::DType;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The widest network; it has 1.7 billion parameters.
pub const MAX_WIDTH: usize = 1024;
/// The longest run; steps are counted in 64 bits, epochs in 32.
const MAX_EPOCHS: usize = 1_000_000;

/// Every setting of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainConfig {
    /// The preset that the defaults came from.
    pub preset: Preset,
    /// What the run's folder is called after the time.
    pub name: String,
    /// Where the tensors live.
    pub device: DeviceChoice,
    /// The type that activations are computed in.
    pub precision: Precision,
    /// The seed of everything random.
    pub seed: u64,

    /// Which data set.
    pub data: Wanted,
    /// The folder of the CIFAR-10 files, if it was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Train on the first images only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Test on the first images only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<usize>,
    /// Random crop, flip and cutout.
    pub augment: bool,
    /// The mean and deviation that pixels are normalised by.
    pub normalization: NormalizationChoice,

    /// Channels after the first convolution.
    pub width: usize,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images a step.
    pub batch: usize,

    /// The learning rate of the first step.
    pub lr_min: f64,
    /// The learning rate at the peak.
    pub lr_max: f64,
    /// The learning rate that the run falls to.
    pub lr_end: f64,
    /// Epochs until the peak.
    pub peak_epoch: f64,
    /// SGD's momentum.
    pub momentum: f64,
    /// Nesterov's form of the momentum.
    pub nesterov: bool,
    /// L2 decay of every parameter.
    pub weight_decay: f64,
    /// L1 decay of every parameter.
    pub l1: f64,
    /// The share of the target that is spread over all classes.
    pub label_smoothing: f64,

    /// Steps between checkpoints within an epoch; 0 for one at the end of each epoch only.
    pub checkpoint_every: usize,
    /// TensorBoard event files. Runs that were begun before there were any get them when continued.
    #[serde(default = "yes")]
    pub tensorboard: bool,
}

fn yes() -> bool {
    true
}

/// A set of defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// `full` on a GPU, `quick` on a CPU.
    Auto,
    /// The assignment exactly: width 64, 24 epochs, batch 512, all images.
    Full,
    /// Minutes on two CPU cores: a narrow network, fewer images and epochs.
    Quick,
}

/// A mean and deviation for pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum NormalizationChoice {
    /// CIFAR-10's own channel means and deviations.
    Cifar10,
    /// 0.5 and 0.5, as in the class.
    Half,
}

/// The type that activations are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floats throughout.
    F32,
    /// 32-bit floats, whose convolutions multiply on tensor cores: rounded to 10 bits of mantissa. GPU only.
    Tf32,
    /// Activations and filters as 16-bit floats (bfloat16); parameters, statistics and sums 32-bit. CPU
    /// only so far.
    Bf16,
    /// 64-bit floats throughout; CPU only.
    F64,
}

impl From<NormalizationChoice> for Normalization {
    fn from(choice: NormalizationChoice) -> Normalization {
        match choice {
            NormalizationChoice::Cifar10 => transforms::CIFAR10,
            NormalizationChoice::Half => transforms::HALF,
        }
    }
}

impl Precision {
    /// The element type.
    pub fn dtype(self) -> DType {
        match self {
            Precision::F32 | Precision::Tf32 => DType::F32,
            Precision::Bf16 => DType::BF16,
            Precision::F64 => DType::F64,
        }
    }

    /// Whether `device` computes in it.
    ///
    /// # Errors
    /// [`Error::Config`] that says what to take instead.
    pub fn expect_on(self, device: &Device) -> Result<()> {
        let (what, instead) = match (self, device) {
            (Precision::Tf32, Device::Cpu) => {
                ("tf32 is what a GPU's tensor cores multiply in", "cuda or sim")
            }
            (Precision::Bf16, Device::Gpu(_)) => {
                ("bf16 trains on the CPU so far; the kernels are f32", "cpu")
            }
            (Precision::F64, Device::Gpu(_)) => ("f64 is for the CPU; the kernels are f32", "cpu"),
            _ => return Ok(()),
        };
        Err(Error::Config(format!("{what}\n  help: take --device {instead}, or the precision f32")))
    }

    /// How the convolutions multiply.
    pub fn math(self) -> MathMode {
        match self {
            Precision::F32 | Precision::Bf16 | Precision::F64 => MathMode::F32,
            Precision::Tf32 => MathMode::Tf32,
        }
    }
}

impl TrainConfig {
    /// The defaults of `preset`, which is not [`Preset::Auto`].
    pub fn defaults(preset: Preset) -> TrainConfig {
        let full = TrainConfig {
            preset,
            name: "full".into(),
            device: DeviceChoice::Auto,
            precision: Precision::F32,
            seed: 0,
            data: Wanted::Auto,
            data_dir: None,
            limit: None,
            test_limit: None,
            augment: true,
            normalization: NormalizationChoice::Cifar10,
            width: 64,
            epochs: 24,
            batch: 512,
            lr_min: 0.002,
            lr_max: 0.1,
            lr_end: 0.002,
            peak_epoch: 5.0,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 2e-3,
            l1: 0.0,
            label_smoothing: 0.0,
            checkpoint_every: 100,
            tensorboard: true,
        };
        match preset {
            Preset::Auto | Preset::Full => full,
            Preset::Quick => TrainConfig {
                name: "quick".into(),
                limit: Some(5_000),
                test_limit: Some(1_000),
                width: 16,
                epochs: 10,
                batch: 64,
                lr_min: 0.001,
                lr_max: 0.01,
                lr_end: 0.001,
                peak_epoch: 2.0,
                weight_decay: 5e-4,
                ..full
            },
        }
    }

    /// The settings, if they make sense together.
    ///
    /// # Errors
    /// [`Error::Config`] naming the flag, what it is and what was expected.
    pub fn checked(self) -> Result<TrainConfig> {
        let at_least_one = |flag: &str, value: usize| match value {
            0 => Err(Error::Config(format!("{flag} is 0, expected at least 1"))),
            _ => Ok(()),
        };
        let at_most = |flag: &str, value: usize, most: usize| match value > most {
            true => Err(Error::Config(format!("{flag} is {value}, expected at most {most}"))),
            false => Ok(()),
        };
        at_least_one("--width", self.width)?;
        at_most("--width", self.width, MAX_WIDTH)?;
        at_least_one("--epochs", self.epochs)?;
        at_most("--epochs", self.epochs, MAX_EPOCHS)?;
        at_least_one("--batch", self.batch)?;
        at_least_one("--limit", self.limit.unwrap_or(1))?;
        at_least_one("--test-limit", self.test_limit.unwrap_or(1))?;
        if self.name.is_empty() || self.name.contains(std::path::is_separator) {
            return Err(Error::Config(format!("--name is `{}`, expected the name of one folder", self.name)));
        }
        let within = |flag: &str, value: f64, low: f64, high: f64| {
            if (low..high).contains(&value) {
                return Ok(());
            }
            Err(Error::Config(format!("{flag} is {value}, expected at least {low} and less than {high}")))
        };
        within("--momentum", self.momentum, 0.0, 1.0)?;
        within("--weight-decay", self.weight_decay, 0.0, 1.0)?;
        within("--l1", self.l1, 0.0, 1.0)?;
        within("--label-smoothing", self.label_smoothing, 0.0, 1.0)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::Config("--nesterov needs a --momentum above 0".into()));
        }
        self.schedule().checked()?;
        Ok(self)
    }

    /// The learning-rate policy.
    pub fn schedule(&self) -> OneCycle {
        OneCycle {
            min: self.lr_min,
            max: self.lr_max,
            end: self.lr_end,
            peak_epoch: self.peak_epoch,
            epochs: self.epochs as f64,
        }
    }

    /// The optimizer's settings.
    pub fn sgd(&self) -> Sgd {
        Sgd { momentum: self.momentum, weight_decay: self.weight_decay, l1: self.l1, nesterov: self.nesterov }
    }
}
