//! A run's folder: `runs/<time>-<name>/`.
//!
//! ```text
//! config.toml             every setting, resolved
//! metrics.jsonl, .csv     every step, every epoch
//! log                     what was printed
//! ckpt/best.safetensors   the weights with the best test accuracy
//! ckpt/last.safetensors   the weights after the last epoch
//! ckpt/resume.safetensors everything --resume needs
//! tb/                     TensorBoard event files, one for each time the run was started
//! lr-find.json            what the range test found, if --lr-max find asked for one
//! journal.jsonl           which machine, which images, how long each epoch took
//! report.html             what the run came to, in one file
//! plots/                  the learning rate, loss and accuracy, and the range test, as PNG files; each
//!                         also for dark pages, as *-dark.png
//! pictures/               misclassified images, where the network looked, what it was shown
//! ```

use super::TrainConfig;
use crate::error::{Error, Result};
use crate::files::{remove_leftovers, write_atomically};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of a run, by what they are.
#[derive(Clone, Debug)]
pub struct RunFiles(PathBuf);

/// A run's folder. While one is open, no other process can open it.
#[derive(Clone, Debug)]
pub struct RunDir {
    files: RunFiles,
    /// The log, locked.
    log: Arc<File>,
}

impl std::ops::Deref for RunDir {
    type Target = RunFiles;

    fn deref(&self) -> &RunFiles {
        &self.files
    }
}

impl RunDir {
    /// A new folder for a run of `config`: `path`, or one under `runs/` named by the time.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Config`] when `path` already holds a run, or another process has it open.
    pub fn create(path: Option<&Path>, config: &TrainConfig) -> Result<RunDir> {
        let path = match path {
            Some(path) => path.to_path_buf(),
            None => unused(&Path::new("runs").join(format!("{}-{}", timestamp(), config.name))),
        };
        if path.join("config.toml").exists() {
            return Err(Error::Config(format!(
                "{} already holds a run; continue it with --resume {0}, or name another folder",
                path.display()
            )));
        }
        let ckpt = path.join("ckpt");
        std::fs::create_dir_all(&ckpt).map_err(Error::io("create", &ckpt))?;
        let run = RunDir { log: open_log(&path)?, files: RunFiles(path) };
        let text = toml::to_string(config)
            .map_err(|e| Error::Config(format!("the settings cannot be written as TOML: {e}")))?;
        write_atomically(&run.config(), text.as_bytes())?;
        Ok(run)
    }

    /// The folder of an earlier run, and its settings.
    ///
    /// # Errors
    /// [`Error::Format`] when it is no run's folder or its config.toml is not ours, [`Error::Config`]
    /// when another process has it open, [`Error::Io`].
    pub fn open(path: &Path) -> Result<(RunDir, TrainConfig)> {
        let settings = read_config(path)?;
        let run = RunDir { log: open_log(path)?, files: RunFiles(path.to_path_buf()) };
        let ckpt = path.join("ckpt");
        std::fs::create_dir_all(&ckpt).map_err(Error::io("create", &ckpt))?;
        remove_leftovers(path)?;
        remove_leftovers(&ckpt)?;
        Ok((run, settings))
    }

    /// Appends a line to the log, with the time before it.
    ///
    /// # Errors
    /// [`Error::Io`] naming the log.
    pub fn log(&self, line: &str) -> Result<()> {
        writeln!(&*self.log, "{} {line}", timestamp()).map_err(Error::io("write", self.path().join(LOG)))
    }
}

impl RunFiles {
    /// The files of the run in `folder`.
    pub fn new(folder: &Path) -> RunFiles {
        RunFiles(folder.to_path_buf())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The numbers of its steps and epochs.
    pub fn metrics(&self) -> PathBuf {
        self.0.join("metrics.jsonl")
    }

    /// config.toml
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The weights with the best test accuracy.
    pub fn best(&self) -> PathBuf {
        self.0.join("ckpt/best.safetensors")
    }

    /// The weights after the last epoch.
    pub fn last(&self) -> PathBuf {
        self.0.join("ckpt/last.safetensors")
    }

    /// What `--resume` goes on from.
    pub fn resume(&self) -> PathBuf {
        self.0.join("ckpt/resume.safetensors")
    }

    /// What the range test found.
    pub fn lr_find(&self) -> PathBuf {
        self.0.join("lr-find.json")
    }

    /// What happened when, on which machine.
    pub fn journal(&self) -> PathBuf {
        self.0.join("journal.jsonl")
    }

    /// What the run came to, as a page.
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }

    /// The folder of the TensorBoard event files.
    pub fn tensorboard(&self) -> PathBuf {
        self.0.join("tb")
    }

    /// The folder of the plots.
    pub fn plots(&self) -> PathBuf {
        self.0.join("plots")
    }

    /// The folder of the pictures of images.
    pub fn pictures(&self) -> PathBuf {
        self.0.join("pictures")
    }
}

/// The settings of the run in `folder`, which may be open elsewhere.
///
/// # Errors
/// [`Error::Format`] when it is no run's folder or its config.toml is not ours, [`Error::Io`].
pub fn read_config(folder: &Path) -> Result<TrainConfig> {
    let config = folder.join("config.toml");
    if folder.is_dir() && !config.exists() {
        return Err(Error::format(folder, "is no run's folder: it has no config.toml"));
    }
    let text = std::fs::read_to_string(&config).map_err(Error::io("read", &config))?;
    let settings: TrainConfig = toml::from_str(&text).map_err(|e| Error::format(&config, e.to_string()))?;
    settings.checked().map_err(|e| e.about_file(&config))
}

const LOG: &str = "log";

/// The log of the run in `folder`, locked as long as it is open.
fn open_log(folder: &Path) -> Result<Arc<File>> {
    let path = folder.join(LOG);
    let log = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::io("open", &path))?;
    match log.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(Error::Config(format!("{}: another cugrad is at work on this run", folder.display())))
        }
        // Some network file systems have no locks; a run there does without.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Arc::new(log)),
    }
}

/// `path`, or `path-2`, `path-3` … if it is taken.
fn unused(path: &Path) -> PathBuf {
    let numbered = (2..).map(|i| PathBuf::from(format!("{}-{i}", path.display())));
    std::iter::once(path.to_path_buf())
        .chain(numbered)
        .find(|p| !p.exists())
        .expect("there is always a free number")
}

/// The local time, as a file name: 20261122-181500.
fn timestamp() -> String {
    jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string()
}
