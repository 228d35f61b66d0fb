//! `ptxsim run ... -- PROGRAM`: a program that calls the CUDA driver, with ptxsim-cuda as that driver.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use clap::Args;
use serde_json::Value;

use super::Failure;

/// The file that `cargo build -p ptxsim-cuda` makes.
const LIBRARY: &str = "libptxsim_cuda.so";
/// Names by which programs load the driver.
const NAMES: [&str; 2] = ["libcuda.so.1", "libcuda.so"];
/// The status of a program that succeeded although something is wrong.
const FOUND: u8 = 86;

/// What the driver is told, by the environment.
#[derive(Args)]
#[group(id = "driver", conflicts_with = "file")]
pub(crate) struct Settings {
    /// GPUs that the program sees.
    #[arg(long, value_name = "COUNT", help_heading = "A program")]
    devices: Option<u32>,
    /// Memory of each GPU, in bytes.
    #[arg(long, value_name = "BYTES", help_heading = "A program")]
    memory: Option<u64>,
    /// When queued work is done: late, early, or random:SEED.
    #[arg(long, value_name = "ORDER", help_heading = "A program")]
    order: Option<String>,
    /// A file to whose end a line of JSON is added for each launch and each finding.
    #[arg(long, value_name = "FILE", help_heading = "A program")]
    report: Option<PathBuf>,
    /// The library that is the driver, if it is not beside this program.
    #[arg(long, value_name = "FILE", help_heading = "A program")]
    pub library: Option<PathBuf>,
}

/// A variable of the environment, and what it is set to.
type Variable = (&'static str, OsString);

impl Settings {
    pub fn variables(&self) -> Vec<Variable> {
        let given = [
            ("PTXSIM_DEVICES", self.devices.map(|count| count.to_string().into())),
            ("PTXSIM_MEMORY", self.memory.map(|bytes| bytes.to_string().into())),
            ("PTXSIM_ORDER", self.order.as_ref().map(Into::into)),
            ("PTXSIM_REPORT", self.report.as_deref().map(whole)),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// The path as it is from any folder: programs may go to another.
fn whole(path: &Path) -> OsString {
    std::path::absolute(path).map_or_else(|_| path.into(), Into::into)
}

/// Runs `program`, whose first part is its name, with these variables set.
pub(crate) fn run(
    program: &[OsString],
    variables: &[Variable],
    library: Option<&Path>,
) -> Result<ExitCode, Failure> {
    let [name, arguments @ ..] = program else { return Err(Failure::Usage("name a program".into())) };
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::Usage(format!("no folder for temporary files can be made: {error}")))?;
    link(&find(library)?, folder.path())?;
    let findings = folder.path().join("findings.jsonl");
    let mut command = Command::new(name);
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    command
        .env("LD_LIBRARY_PATH", search_path(folder.path(), std::env::var_os("LD_LIBRARY_PATH").as_deref()));
    command.env("PTXSIM_FINDINGS", &findings);
    let status = signals::wait(&mut command)
        .map_err(|error| Failure::Usage(format!("{} cannot be run: {error}", Path::new(name).display())))?;
    let found = match std::fs::read_to_string(&findings) {
        Ok(lines) => count(&lines),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("ptxsim: the program has not called the CUDA driver: nothing was looked at");
            return Ok(code(status));
        }
        Err(error) => return Err(Failure::Usage(format!("what was found cannot be read: {error}"))),
    };
    if found.iter().any(|&(_, count)| count > 0) {
        let found: Vec<String> = found.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        eprintln!("ptxsim: found: {}", found.join(", "));
    }
    let is_wrong = found.iter().any(|&(kind, count)| kind != "leak" && count > 0);
    Ok(if status.success() && is_wrong { ExitCode::from(FOUND) } else { code(status) })
}

/// The driver: what was named, or what is beside this program or in the `lib` beside its folder.
fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe().ok();
    let folder = beside.as_deref().and_then(Path::parent);
    let mut places = match (named, folder) {
        (Some(named), _) => vec![named.to_path_buf()],
        (None, Some(folder)) => vec![folder.join(LIBRARY), folder.join("../lib").join(LIBRARY)],
        (None, None) => Vec::new(),
    };
    places.retain(|place| place.is_file());
    match (places.into_iter().next(), named) {
        (Some(place), _) => Ok(whole(&place).into()),
        (None, Some(named)) => Err(Failure::Usage(format!("--library: {} is no file", named.display()))),
        (None, None) => Err(Failure::Usage(format!(
            "{LIBRARY} is not beside this program: build it with `cargo build --release -p ptxsim-cuda`, or name \
             it by --library"
        ))),
    }
}

/// Puts links to the driver into `folder`, of the names by which programs load it.
fn link(library: &Path, folder: &Path) -> Result<(), Failure> {
    for name in NAMES {
        #[cfg(unix)]
        let made = std::os::unix::fs::symlink(library, folder.join(name));
        #[cfg(not(unix))]
        let made = std::fs::copy(library, folder.join(name)).map(|_| ());
        made.map_err(|error| Failure::Usage(format!("{} cannot be linked to: {error}", library.display())))?;
    }
    Ok(())
}

/// `folder`, and after it what is searched already.
fn search_path(folder: &Path, others: Option<&OsStr>) -> OsString {
    let mut path = folder.as_os_str().to_owned();
    if let Some(others) = others.filter(|others| !others.is_empty()) {
        path.push(":");
        path.push(others);
    }
    path
}

/// How many of each kind of finding there are.
fn count(lines: &str) -> [(&'static str, usize); 3] {
    let lines: Vec<Value> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    ["fault", "misuse", "leak"]
        .map(|kind| (kind, lines.iter().filter(|line| line.get(kind).is_some()).count()))
}

/// The status of a program as a shell gives it: 128 and the signal's number for one that a signal ended.
fn code(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status.code().or(signal.map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

#[cfg(unix)]
mod signals {
    use std::io;
    use std::process::{Command, ExitStatus};

    use rustix::process::{Pid, Signal, kill_process};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

    /// Runs a program to its end. Signals are the program's to answer: Ctrl-C and Ctrl-\ come to it from the
    /// terminal, the others are passed on.
    pub fn wait(command: &mut Command) -> io::Result<ExitStatus> {
        let mut signals =
            signal_hook::iterator::Signals::new([SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2])?;
        let handle = signals.handle();
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let passing = std::thread::spawn(move || {
            for signal in signals.forever() {
                let passed = match signal {
                    SIGTERM => Signal::TERM,
                    SIGHUP => Signal::HUP,
                    SIGUSR1 => Signal::USR1,
                    SIGUSR2 => Signal::USR2,
                    _ => continue,
                };
                // The program may have ended just now.
                let _ = kill_process(pid, passed);
            }
        });
        let status = child.wait();
        handle.close();
        // It ends with the handle, and has nothing that could fail.
        let _ = passing.join();
        status
    }
}

#[cfg(not(unix))]
mod signals {
    use std::io;
    use std::process::{Command, ExitStatus};

    /// Runs a program to its end.
    pub fn wait(command: &mut Command) -> io::Result<ExitStatus> {
        command.status()
    }
}
