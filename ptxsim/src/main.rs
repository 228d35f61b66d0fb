//! `ptxsim`: run a kernel of a PTX file and see what it did.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
