//! Finds NVRTC on this machine, or has it installed.

use super::fetch;
use super::nvrtc::Nvrtc;
use super::{target, warn};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The names of the library, the preferred first: code from 12 runs on older drivers, too.
const NAMES: [&str; 3] = ["libnvrtc.so.12", "libnvrtc.so.13", "libnvrtc.so"];

/// Environment variables that decide what is found.
const VARIABLES: [&str; 5] =
    ["CUGRAD_NVRTC", "CUDA_HOME", "CUDA_PATH", "CUGRAD_NO_FETCH", "CARGO_NET_OFFLINE"];

/// What the search came to.
pub enum Search {
    /// The library.
    Found(Nvrtc),
    /// There is none; the reason and what to do about it, in one line.
    Missing { remedy: String },
}

/// Searches `CUGRAD_NVRTC`, CUDA's folders, the loader's, Python's, and last installs it in `shared`.
///
/// # Errors
/// `CUGRAD_NVRTC` names a file that does not serve.
pub fn nvrtc(shared: &Path) -> Result<Search, String> {
    for variable in VARIABLES {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    if let Some(file) = env::var_os("CUGRAD_NVRTC").filter(|file| !file.is_empty()) {
        let file = PathBuf::from(file);
        return match open(&file) {
            Ok(nvrtc) => Ok(Search::Found(nvrtc)),
            Err(why) => Err(format!(
                "CUGRAD_NVRTC={}: {why}\n  help: name a libnvrtc.so.12, or unset it for a search",
                file.display()
            )),
        };
    }
    let local = cuda_folders().find_map(|folder| open_in(&folder));
    let by_name = || NAMES.iter().find_map(|name| open(Path::new(name)).ok());
    let in_python = || python_folders().iter().find_map(|folder| open_in(folder));
    if let Some(nvrtc) = local.or_else(by_name).or_else(in_python) {
        return Ok(Search::Found(nvrtc));
    }
    let why = match fetch::nvrtc(shared) {
        Ok(folder) => match open_in(&folder) {
            Some(nvrtc) => return Ok(Search::Found(nvrtc)),
            None => format!("the NVRTC installed in {} does not serve", folder.display()),
        },
        Err(why) => format!("NVRTC not found, and not installed: {why}"),
    };
    if !fetch::is_forbidden() {
        // A file that does not exist makes cargo run this again at the next build, to try anew.
        println!("cargo::rerun-if-changed={}", shared.join("absent").display());
    }
    Ok(Search::Missing {
        remedy: format!(
            "{why}; set CUGRAD_NVRTC=/path/to/libnvrtc.so.12 (the PyPI package nvidia-cuda-nvrtc-cu12 has \
             it), or build with python3, pip and a network, without CUGRAD_NO_FETCH"
        ),
    })
}

/// Loads `path` and checks that it can compile for the oldest architecture.
fn open(path: &Path) -> Result<Nvrtc, String> {
    let nvrtc = Nvrtc::open(path)?;
    let (major, minor) = nvrtc.version;
    if !nvrtc.archs.contains(&target::DEFAULT[0].number) {
        return Err(format!("NVRTC {major}.{minor} cannot compile for {}", target::DEFAULT[0]));
    }
    if path.is_absolute() {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    Ok(nvrtc)
}

/// The library in `folder`, if there is one that serves. One that does not is worth a warning.
fn open_in(folder: &Path) -> Option<Nvrtc> {
    let path = NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())?;
    open(&path).inspect_err(|why| warn(&format!("passing over {}: {why}", path.display()))).ok()
}

/// The library folders of CUDA toolkits: where the environment says, then /usr/local/cuda*, the
/// plain name first, then the newest.
fn cuda_folders() -> impl Iterator<Item = PathBuf> {
    let named = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os);
    let mut local: Vec<PathBuf> =
        fs::read_dir("/usr/local").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    local.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("cuda")));
    local.sort_by_key(|path| std::cmp::Reverse(version(path)));
    named.filter(|folder| !folder.is_empty()).map(PathBuf::from).chain(local).flat_map(|toolkit| {
        ["lib64", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"].map(|lib| toolkit.join(lib))
    })
}

/// The version in a name like cuda-12.9, for sorting; a plain `cuda` is above all.
fn version(path: &Path) -> Vec<u32> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match name.strip_prefix("cuda-") {
        Some(version) => version.split('.').map(|part| part.parse().unwrap_or(0)).collect(),
        None => vec![u32::MAX],
    }
}

/// The library folders of NVIDIA's packages in the site-packages of `python3`.
fn python_folders() -> Vec<PathBuf> {
    let output = Command::new("python3").args(["-c", "import sys; print('\\n'.join(sys.path))"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let packages = text.lines().filter(|path| path.ends_with("-packages"));
    packages
        .flat_map(|path| ["nvidia/cuda_nvrtc/lib", "nvidia/cu13/lib"].map(|lib| Path::new(path).join(lib)))
        .collect()
}
