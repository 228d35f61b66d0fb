//! Where words go: results to stdout, messages to stderr.
//!
//! `println!` panics when it cannot write. A result that is lost is an error here; a message that is
//! lost is not worth a run.

use crate::error::{Error, Result};
use std::fmt::Display;
use std::io::{ErrorKind, Write, stderr, stdout};

/// Prints a line of the result.
///
/// # Errors
/// [`Error::Io`] naming standard output.
pub fn result(line: impl Display) -> Result<()> {
    writeln!(stdout(), "{line}").map_err(Error::io("write", "standard output"))
}

/// Prints a message.
pub fn message(line: impl Display) {
    // There is no one left to tell.
    let _ = writeln!(stderr(), "{line}");
}

/// Writes over the terminal's line: what goes on just now.
pub fn overwrite(line: impl Display) {
    let _ = write!(stderr(), "\r\x1b[K{line}");
}

/// Whether `e` says only that the reader of a pipe has seen enough, as `head` does.
pub fn reader_left(e: &Error) -> bool {
    matches!(e, Error::Io { source, .. } if source.kind() == ErrorKind::BrokenPipe)
}
