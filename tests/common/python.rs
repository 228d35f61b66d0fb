//! Programs of others that tests hold ours to: onnxruntime, tensorboard, safetensors, as pinned in
//! `python-requirements.txt`. They are installed from PyPI on first use, into the build's folder, and
//! need Python 3.11 or newer.
//!
//! A test that cannot have them says so on stderr and passes; with `CUGRAD_REQUIRE_PEERS=1`, as in
//! CI, it fails.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to install; all that is needed, since pip is told to add nothing.
const REQUIREMENTS: &str = include_str!("python-requirements.txt");

/// Python with the packages.
pub struct Python {
    packages: PathBuf,
}

/// Python with the packages; None, and why is said, when they cannot be had.
///
/// # Panics
/// When they cannot be had and `CUGRAD_REQUIRE_PEERS` is 1.
pub fn peers() -> Option<Python> {
    match installed() {
        Ok(packages) => Some(Python { packages }),
        Err(why) => {
            let required = std::env::var_os("CUGRAD_REQUIRE_PEERS").is_some_and(|value| value == "1");
            assert!(!required, "CUGRAD_REQUIRE_PEERS is 1, but the Python packages are not to be had: {why}");
            say_skipped(&format!("the Python packages that it needs are not to be had: {why}"));
            None
        }
    }
}

/// Says that the running test did not test, and why. cargo keeps what a passing test prints, but not
/// what it writes.
pub fn say_skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    writeln!(std::io::stderr(), "SKIPPED {test}: {why}").expect("stderr can be written");
}

impl Python {
    /// Runs `tests/python/SCRIPT` and returns what it prints.
    ///
    /// # Panics
    /// When it fails, with what it said.
    pub fn run<A: AsRef<OsStr>>(&self, script: &str, arguments: impl IntoIterator<Item = A>) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
        let mut command = Command::new("python3");
        command.arg("-B").arg(&script).args(arguments).env("PYTHONPATH", &self.packages);
        output(&mut command).unwrap_or_else(|why| panic!("{}: {why}", script.display()))
    }
}

/// The folder with the packages, which is filled first if it is not there yet.
fn installed() -> Result<PathBuf, String> {
    let version = output(Command::new("python3").args(["-c", "import sys; print(*sys.version_info[:2])"]))?;
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let failed = |e: std::io::Error| format!("{}: {e}", shared.display());
    fs::create_dir_all(&shared).map_err(failed)?;
    // Test programs run at once: the others wait for the first. The lock goes when the file is closed.
    let lock = File::create(shared.join("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    // A change of the pins, or of Python, is another folder.
    let folder = shared.join(format!("{:016x}", hash(&format!("{version}{REQUIREMENTS}"))));
    if !folder.is_dir() {
        if std::env::var_os("CUGRAD_NO_FETCH").is_some() {
            return Err("CUGRAD_NO_FETCH is set".into());
        }
        let partial = folder.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(failed)?;
        }
        pip_install(&partial)?;
        fs::rename(&partial, &folder).map_err(failed)?;
    }
    Ok(folder)
}

fn pip_install(target: &Path) -> Result<(), String> {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/python-requirements.txt");
    let mut command = Command::new("python3");
    command
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
        .args(["--no-deps", "--only-binary=:all:", "--no-compile", "--retries", "2", "--requirement"])
        .arg(requirements)
        .arg("--target")
        .arg(target)
        // Settings for installing into an environment, which this does not do.
        .env("PIP_USER", "0")
        .env("PIP_REQUIRE_VIRTUALENV", "0");
    output(&mut command).map(drop)
}

/// What a command prints; or that it does not run, or what it says when it fails.
pub fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{program} does not run: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// FNV-1a: the same in every build.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
