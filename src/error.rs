//! The one error type. Each variant says what was expected, what was found and what to do.

use std::path::{Path, PathBuf};

/// The result of anything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor has another shape than the operation needs.
    #[error("{op}: expected {expected}, found {found}")]
    Shape {
        /// The operation, as in `ops/`.
        op: &'static str,
        /// The shape it needs, in words and letters (`x [N,H,W,C] with C = 64`).
        expected: String,
        /// The shape it was given.
        found: String,
    },
    /// A tensor's element type or device is not one that the operation can use.
    #[error("{op}: expected {expected}, found {found}")]
    Operand {
        /// The operation, as in `ops/`.
        op: &'static str,
        /// What it needs.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// The device that was asked for is not to be had.
    #[error("no {device} device: {why}\n  help: {help}")]
    NoDevice {
        /// `cuda` or `sim`.
        device: &'static str,
        /// What is missing.
        why: String,
        /// What the user can do.
        help: String,
    },
    /// A call of the GPU's driver failed.
    #[error("{call} failed: {why}")]
    Driver {
        /// The driver call, or what it was for.
        call: &'static str,
        /// The driver's own words.
        why: String,
    },
    /// A kernel could not be launched, or a fault was found in it.
    #[error("kernel {kernel}: {why}")]
    Launch {
        /// The kernel's entry point.
        kernel: &'static str,
        /// The driver's or the simulator's words.
        why: String,
    },
    /// The system gives no more memory to a tensor on the CPU.
    #[error("out of memory: asked for {bytes} bytes\n  help: use a smaller --batch or --width")]
    OutOfHostMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The device has too little free memory.
    #[error(
        "out of device memory: asked for {bytes} bytes, {free} free of {total}\n  help: use a smaller --batch or --width"
    )]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
        /// Bytes free on the device.
        free: usize,
        /// Bytes the device has.
        total: usize,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The verb: read, write, create, rename.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file was read, but what it holds is not what it should hold.
    #[error("{}: {why}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected, what was found, what to do.
        why: String,
    },
    /// The data set could not be fetched.
    #[error("cannot download {url}: {why}\n  help: {help}")]
    Download {
        /// The address.
        url: String,
        /// What went wrong.
        why: String,
        /// What the user can do.
        help: String,
    },
    /// The data set is readable, but not as it was published.
    #[error("{0}")]
    Data(String),
    /// A setting, or two settings together, make no sense.
    #[error("{0}")]
    Config(String),
    /// The loss became NaN or infinite.
    #[error(
        "the loss is {loss} at step {step} (epoch {epoch}), learning rate {lr}\n  help: lower --lr-max (this network diverges above about 0.01 without a warm-up), or raise --peak-epoch"
    )]
    NotFinite {
        /// The step, counted from 0 over the whole run.
        step: usize,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The learning rate of that step.
        lr: f64,
        /// The loss itself.
        loss: f64,
    },
    /// The run was asked to stop (Ctrl-C or another signal); what was trained is saved.
    #[error("interrupted; continue with: cugrad train --resume {}", run.display())]
    Interrupted {
        /// The run's folder.
        run: PathBuf,
    },
    /// A command that keeps nothing was asked to stop (Ctrl-C or another signal).
    #[error("interrupted; nothing was written")]
    Stopped,
}

impl Error {
    /// An [`Error::Io`] maker for `map_err`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// An [`Error::Format`] about `path`.
    pub fn format(path: impl AsRef<Path>, why: impl Into<String>) -> Error {
        Error::Format { path: path.as_ref().to_path_buf(), why: why.into() }
    }

    /// An [`Error::Config`] as an [`Error::Format`] about `path`, from where the setting came; any
    /// other error as it is.
    pub fn about_file(self, path: impl AsRef<Path>) -> Error {
        match self {
            Error::Config(why) => Error::format(path, why),
            other => other,
        }
    }

    /// The exit status a command ends with: 2 for wrong usage, 130 when interrupted by Ctrl-C, else 1.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Config(_) => 2,
            Error::Interrupted { .. } | Error::Stopped => 130,
            _ => 1,
        }
    }
}
