//! What the library says: on stderr, and as a line of JSON each in the file that `PTXSIM_REPORT` names.
//!
//! What was found goes to that of `PTXSIM_FINDINGS`, too, by which the program `ptxsim` learns of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};

use ptxsim::LaunchReport;
use serde_json::{Value, json};

use crate::settings::Settings;
use crate::work::{Failure, Launch};

/// A file that takes lines of JSON, once it is open.
type Lines = OnceLock<Mutex<File>>;

static REPORT: Lines = OnceLock::new();
static FINDINGS: Lines = OnceLock::new();

/// Opens the files that the settings name.
///
/// # Errors
/// A sentence that says which cannot be written, and why.
pub(crate) fn open(settings: &Settings) -> Result<(), String> {
    let files = [
        ("PTXSIM_REPORT", &REPORT, settings.report.as_deref()),
        ("PTXSIM_FINDINGS", &FINDINGS, settings.findings.as_deref()),
    ];
    for (name, lines, path) in files {
        let Some(path) = path else { continue };
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(|error| format!("{name}: {} cannot be written: {error}", path.display()))?;
        // The driver starts once.
        let _ = lines.set(Mutex::new(file));
    }
    Ok(())
}

/// Says `text` on stderr, each line behind the library's name. A reader that has gone away is no error.
pub(crate) fn say(text: &str) {
    let lines: String = text.lines().map(|line| format!("ptxsim-cuda: {line}\n")).collect();
    let _ = std::io::stderr().write_all(lines.as_bytes());
}

/// Says `text` unless it has been said before.
pub(crate) fn say_once(text: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.insert(text.to_owned()) {
        say(text);
    }
}

/// What a launch did, queued by the function `call`.
pub(crate) fn launched(call: &str, launch: &Launch, report: &LaunchReport) {
    write(&REPORT, || {
        let mut line = json!({"call": call, "grid": launch.shape.grid, "block": launch.shape.block});
        if let (Value::Object(line), Value::Object(counts)) = (&mut line, ptxsim::json::report(report, None))
        {
            line.extend(counts.into_iter().filter(|(name, _)| name != "floors"));
        }
        json!({"launch": line})
    });
}

/// A piece of work that failed, queued by the function `call`.
pub(crate) fn fault(call: &str, failure: &Failure) {
    say(&format!("{call}: {:?}: {}", failure.code, failure.what));
    found(|| {
        let fault = failure.fault.as_deref().map(ptxsim::json::fault);
        json!({"fault": {
            "call": call, "error": format!("{:?}", failure.code), "what": failure.what, "kernel_fault": fault
        }})
    });
}

/// A mistake in the use of the driver, of which a GPU's driver says nothing.
pub(crate) fn misuse(call: &str, what: &str) {
    say(&format!("{call}: misuse: {what}"));
    found(|| json!({"misuse": {"call": call, "what": what}}));
}

/// What is left when the process or its context ends: `count` things that the function `call` gave.
pub(crate) fn leak(call: &str, what: &str, count: usize) {
    say(&format!("leak: {count} {what} by {call}"));
    found(|| json!({"leak": {"call": call, "what": what, "count": count}}));
}

/// Writes what was found.
fn found(line: impl Fn() -> Value) {
    write(&REPORT, &line);
    write(&FINDINGS, &line);
}

/// Adds a line to a file, if it is open. One that cannot be written is lost.
fn write(lines: &Lines, line: impl FnOnce() -> Value) {
    if let Some(file) = lines.get() {
        let line = format!("{}\n", line());
        let _ = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
}
