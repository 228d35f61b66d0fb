//! The command line, called as a user calls it.

mod bad_files;
mod bad_settings;
mod completions;
mod eval;
mod interrupted;
mod op;
mod program;
mod readme;
mod repeatable;
mod settings;
#[cfg(unix)]
mod signals;
mod summary;
mod terminal;
