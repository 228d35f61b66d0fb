//! Installs NVRTC from PyPI into a folder under target/, pinned by version and hash.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to install, with the hashes of the files accepted.
const REQUIREMENTS: &str = include_str!("nvrtc-requirements.txt");

/// The folder with NVRTC's libraries, which is filled first if it is not there yet.
///
/// # Errors
/// Why nothing was installed.
pub fn nvrtc(shared: &Path) -> Result<PathBuf, String> {
    let version = REQUIREMENTS.split("==").nth(1).and_then(|rest| rest.split_whitespace().next());
    let folder = shared.join(version.unwrap_or("unpinned"));
    let libraries = folder.join("nvidia/cuda_nvrtc/lib");
    if libraries.is_dir() {
        return Ok(libraries);
    }
    if is_forbidden() {
        return Err("CUGRAD_NO_FETCH is set".into());
    }
    if is_set("CARGO_NET_OFFLINE") || cargo_has_offline_flag() {
        return Err("cargo is offline".into());
    }
    if !cfg!(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))) {
        return Err("no package of NVRTC is pinned for this platform".into());
    }
    fs::create_dir_all(shared).map_err(|error| failed("create", shared, &error))?;
    // Two builds at once (an editor's, a shell's) would each download 90 MB: the second waits for
    // the first. The lock goes when the file is closed.
    let lock = shared.join("lock");
    let lock_file = File::create(&lock).map_err(|error| failed("create", &lock, &error))?;
    lock_file.lock().map_err(|error| failed("lock", &lock, &error))?;
    if !libraries.is_dir() {
        install(&folder)?;
    }
    Ok(libraries)
}

/// Installs beside `folder` and renames, so that `folder` is either whole or absent.
fn install(folder: &Path) -> Result<(), String> {
    let partial = folder.with_extension("partial");
    let remove = || match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", &partial, &error)),
        _ => Ok(()),
    };
    remove()?;
    pip_install(&partial).inspect_err(|_| drop(remove()))?;
    remove_alternatives(&partial.join("nvidia/cuda_nvrtc/lib"));
    fs::rename(&partial, folder).map_err(|error| failed("rename", &partial, &error))
}

fn pip_install(target: &Path) -> Result<(), String> {
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
        .args(["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile", "--retries", "2"])
        .args(["--requirement", "build/nvrtc-requirements.txt", "--target"])
        .arg(target)
        // Settings for installing into an environment, which this does not do.
        .env("PIP_USER", "0")
        .env("PIP_REQUIRE_VIRTUALENV", "0")
        .output()
        .map_err(|error| format!("python3 does not run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let messages = String::from_utf8_lossy(&output.stderr);
    let mut lines = messages.lines().rev().filter(|line| !line.trim().is_empty());
    // Warnings may follow the error.
    let last = lines.clone().find(|line| line.contains("ERROR")).or(lines.next()).unwrap_or("no message");
    Err(format!("pip install of NVRTC failed: {}", last.trim()))
}

/// Removes the second build of each library that the package carries (100 MB, not used). Leaving
/// them does no harm.
fn remove_alternatives(libraries: &Path) {
    for file in fs::read_dir(libraries).into_iter().flatten().flatten() {
        if file.file_name().to_string_lossy().contains(".alt.") {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// Whether the user said not to use the network.
pub fn is_forbidden() -> bool {
    is_set("CUGRAD_NO_FETCH")
}

fn is_set(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| !["", "0", "false"].contains(&value.as_str()))
}

/// Whether cargo was started with `--offline` or `--frozen`. It does not tell build scripts, so its
/// own command line is asked.
fn cargo_has_offline_flag() -> bool {
    #[cfg(target_os = "linux")]
    {
        let path = format!("/proc/{}/cmdline", std::os::unix::process::parent_id());
        let arguments = fs::read_to_string(path).unwrap_or_default();
        arguments.split('\0').any(|argument| ["--offline", "--frozen"].contains(&argument))
    }
    #[cfg(not(target_os = "linux"))]
    false
}

fn failed(action: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {action} {}: {error}", path.display())
}
