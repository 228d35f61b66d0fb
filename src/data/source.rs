//! Where a run's images come from: the first of several places that has them.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::download::{Download, Progress};
use super::{Dataset, cifar10, embedded};
use crate::error::{Error, Result};

/// Which data set is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// CIFAR-10 where it is found or can be downloaded, else the embedded set.
    #[default]
    Auto,
    /// CIFAR-10, or an error.
    Cifar10,
    /// The embedded set.
    Embedded,
}

/// The training and the test images, and where they are from.
#[derive(Clone, Debug)]
pub struct Splits {
    /// The images to train on.
    pub train: Dataset,
    /// The images to test on.
    pub test: Dataset,
    /// Where they are from.
    pub source: Source,
}

/// Where a data set is from. Displayed, it is a line for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// CIFAR-10 from files.
    Cifar10 {
        /// The folder of the files.
        folder: PathBuf,
        /// How the folder was found.
        found: Found,
    },
    /// The embedded set.
    Embedded {
        /// Why there is no CIFAR-10 and what to do about it, unless this set was asked for.
        instead: Option<String>,
    },
}

/// How the files of CIFAR-10 were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// By `--data-dir`.
    Flag,
    /// By the variable `CUGRAD_DATA`.
    Variable,
    /// In `data/`, below the working folder.
    WorkingFolder,
    /// In the user's cache.
    Cache,
    /// By downloading them just now.
    Download,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Cifar10 { folder, found } => {
                let found = match found {
                    Found::Flag => "named by --data-dir",
                    Found::Variable => "named by CUGRAD_DATA",
                    Found::WorkingFolder => "found in ./data",
                    Found::Cache => "found in the cache",
                    Found::Download => "downloaded",
                };
                write!(f, "CIFAR-10 in {} ({found})", folder.display())
            }
            Source::Embedded { instead: None } => write!(f, "the embedded set of drawn images"),
            Source::Embedded { instead: Some(why) } => {
                write!(f, "the embedded set of drawn images, because {why}")
            }
        }
    }
}

/// The places to look in, in this order, and what may be downloaded.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// What `--data-dir` names. It must have the data.
    pub flag: Option<PathBuf>,
    /// What `CUGRAD_DATA` names. It must have the data, too.
    pub variable: Option<PathBuf>,
    /// `data/`.
    pub working_folder: Option<PathBuf>,
    /// The user's cache. A download goes there.
    pub cache: Option<PathBuf>,
    /// How to download the data; `None` if that is not allowed.
    pub download: Option<Download>,
}

impl Places {
    /// The places of this process: `data_dir` is the flag, the rest is from the environment.
    ///
    /// `CUGRAD_NO_FETCH=1` forbids the download. An empty variable counts as unset.
    pub fn from_environment(data_dir: Option<PathBuf>, mirrors: &[String]) -> Places {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        let cache = variable("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| env::home_dir().map(|home| home.join(".cache")));
        let offline = variable("CUGRAD_NO_FETCH").is_some_and(|value| value != "0");
        Places {
            flag: data_dir,
            variable: variable("CUGRAD_DATA").map(PathBuf::from),
            working_folder: Some(PathBuf::from("data")),
            cache: cache.map(|cache| cache.join("cugrad")),
            download: (!offline).then(|| Download::cifar10(mirrors)),
        }
    }

    /// The folder of CIFAR-10's files, if it is in one of the places.
    ///
    /// # Errors
    /// [`Error::Config`] when a place that the user named has no data; [`Error::Io`] when a place
    /// cannot be looked into.
    pub fn find(&self) -> Result<Option<(PathBuf, Found)>> {
        let named =
            [(&self.flag, Found::Flag, "--data-dir"), (&self.variable, Found::Variable, "CUGRAD_DATA")];
        // The first that is named decides: nothing else is meant then.
        for (place, found, name) in named {
            let Some(place) = place else { continue };
            return match cifar10::find(place)? {
                Some(folder) => Ok(Some((folder, found))),
                None => Err(nothing_in(place, name)),
            };
        }
        let usual = [(&self.working_folder, Found::WorkingFolder), (&self.cache, Found::Cache)];
        for (place, found) in usual {
            let Some(place) = place else { continue };
            if let Some(folder) = cifar10::find(place)? {
                return Ok(Some((folder, found)));
            }
        }
        Ok(None)
    }

    /// Downloads CIFAR-10 into the cache and returns its folder.
    ///
    /// # Errors
    /// [`Error::Download`] when it is not allowed or no address gives it; [`Error::Io`] when it
    /// cannot be written.
    pub fn fetch(&self, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
        let refused = |why: &str| Error::Download {
            url: super::download::OFFICIAL_URL.into(),
            why: why.into(),
            help: super::download::HELP.into(),
        };
        let download = self.download.as_ref().ok_or_else(|| refused("CUGRAD_NO_FETCH forbids downloads"))?;
        let cache = self.cache.as_ref().ok_or_else(|| {
            refused("there is no folder to put it in: neither HOME nor XDG_CACHE_HOME is set")
        })?;
        download.run(cache, progress)
    }
}

/// An error about a named place without data.
fn nothing_in(place: &Path, name: &str) -> Error {
    let found = if place.is_dir() {
        "that folder has none of its files"
    } else if place.exists() {
        "that is not a folder"
    } else {
        "there is no such folder"
    };
    Error::Config(format!(
        "no CIFAR-10 in {} ({name}): {found}\n  help: it should have {}, {} and so on, or a folder {} \
         with them",
        place.display(),
        cifar10::TRAIN_FILES[0],
        cifar10::TRAIN_FILES[1],
        cifar10::FOLDER,
    ))
}

/// Loads the data set that is `wanted` from the first of `places` that has it.
///
/// `progress` hears of a download, if there is one.
///
/// # Errors
/// Those of [`Places::find`] and [`cifar10::load`]; for [`Wanted::Cifar10`] those of
/// [`Places::fetch`], too.
pub fn load(wanted: Wanted, places: &Places, progress: &mut dyn FnMut(Progress)) -> Result<Splits> {
    if wanted == Wanted::Embedded {
        return Ok(load_embedded(None));
    }
    let (folder, found) = match places.find()? {
        Some(place) => place,
        None => match places.fetch(progress) {
            Ok(folder) => (folder, Found::Download),
            Err(error) if wanted == Wanted::Auto => {
                return Ok(load_embedded(Some(one_line(&error))));
            }
            Err(error) => return Err(error),
        },
    };
    let (train, test) = cifar10::load(&folder)?;
    Ok(Splits { train, test, source: Source::Cifar10 { folder, found } })
}

fn load_embedded(instead: Option<String>) -> Splits {
    let (train, test) = embedded::load();
    Splits { train, test, source: Source::Embedded { instead } }
}

/// Why there is no CIFAR-10, and what to do, in one line.
fn one_line(error: &Error) -> String {
    let why = match error {
        Error::Download { url, why, .. } => format!("{url} cannot be downloaded ({why})"),
        other => other.to_string().replace('\n', " "),
    };
    format!("no CIFAR-10 was found and {why}; {}", super::download::HELP)
}
