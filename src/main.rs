//! The `cugrad` program.

fn main() -> std::process::ExitCode {
    cugrad::cli::main()
}
