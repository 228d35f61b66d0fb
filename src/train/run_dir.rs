//! A run's folder: `runs/<time>-<name>/`.
//!
//! ```text
//! config.toml             every setting, resolved
//! metrics.jsonl, .csv     every step, every epoch
//! log                     what was printed
//! ckpt/best.safetensors   the weights with the best test accuracy
//! ckpt/last.safetensors   the weights after the last epoch
//! ckpt/resume.safetensors everything --resume needs
//! lr-find.json            what the range test found, if --lr-max find asked for one
//! plots/                  the learning rate, loss and accuracy, and the range test, as PNG files; each
//!                         also for dark pages, as *-dark.png
//! ```

use super::TrainConfig;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// A new folder for a run of `config`: `path`, or one under `runs/` named by the time.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Config`] when `path` already holds a run.
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
        let run = RunDir { path };
        let text = toml::to_string(config).expect("a configuration is plain values");
        write_atomically(&run.config(), text.as_bytes())?;
        Ok(run)
    }

    /// The folder of an earlier run, and its settings.
    ///
    /// # Errors
    /// [`Error::Io`] when it is not there, [`Error::Format`] when its config.toml is not ours.
    pub fn open(path: &Path) -> Result<(RunDir, TrainConfig)> {
        let run = RunDir { path: path.to_path_buf() };
        let config = run.config();
        let text = std::fs::read_to_string(&config).map_err(Error::io("read", &config))?;
        let settings = toml::from_str(&text).map_err(|e| Error::format(&config, e.to_string()))?;
        Ok((run, settings))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// config.toml
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The weights with the best test accuracy.
    pub fn best(&self) -> PathBuf {
        self.path.join("ckpt/best.safetensors")
    }

    /// The weights after the last epoch.
    pub fn last(&self) -> PathBuf {
        self.path.join("ckpt/last.safetensors")
    }

    /// What `--resume` goes on from.
    pub fn resume(&self) -> PathBuf {
        self.path.join("ckpt/resume.safetensors")
    }

    /// What the range test found.
    pub fn lr_find(&self) -> PathBuf {
        self.path.join("lr-find.json")
    }

    /// The folder of the plots.
    pub fn plots(&self) -> PathBuf {
        self.path.join("plots")
    }

    /// Appends a line to the log, with the time before it.
    ///
    /// # Errors
    /// [`Error::Io`] naming the log.
    pub fn log(&self, line: &str) -> Result<()> {
        let path = self.path.join("log");
        let mut file =
            OpenOptions::new().create(true).append(true).open(&path).map_err(Error::io("open", &path))?;
        writeln!(file, "{} {line}", timestamp()).map_err(Error::io("write", &path))
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
