//! Compiles kernels/**/*.cu with NVRTC and writes the typed constants through which the crate
//! reaches them (`src/device/kernels.rs` includes them). The steps, one module each in build/:
//!
//! 1. `kernel_file`: reads the kernel files, with `signature` their entry points and constants;
//! 2. `find` (and `fetch`): finds NVRTC, or installs it under target/;
//! 3. `compile`: each file for each `target`, in parallel, only what changed; `nvrtc` is the
//!    library's interface, `report` reads what its assembler says of registers and spills;
//! 4. `generate`: writes the images and the Rust code.
//!
//! Environment: `CUGRAD_NVRTC` names the library's file; `CUGRAD_NO_FETCH=1` forbids installing it.

#[path = "build/compile.rs"]
mod compile;
#[path = "build/fetch.rs"]
mod fetch;
#[path = "build/find.rs"]
mod find;
#[path = "build/generate.rs"]
mod generate;
#[path = "build/kernel_file.rs"]
mod kernel_file;
#[path = "build/nvrtc.rs"]
mod nvrtc;
#[path = "build/report.rs"]
mod report;
#[path = "build/signature.rs"]
mod signature;
#[path = "build/target.rs"]
mod target;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    for path in ["build.rs", "build", "kernels"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run this through cargo")?);
    let shared = shared_folder(&out);

    let files = kernel_file::read_all(Path::new("kernels"))?;
    let (compiled, missing) = match find::nvrtc(&shared)? {
        find::Search::Found(nvrtc) => (compile::all(&nvrtc, &files, &shared.join("kernels"))?, None),
        find::Search::Missing { remedy } => {
            warn(&format!("built without CUDA kernels: {remedy}"));
            (files.iter().map(|_| compile::Compiled::default()).collect(), Some(remedy))
        }
    };
    generate::write(&out, &files, &compiled, missing.as_deref())
}

/// The folder that all profiles and targets of this checkout share: `nvrtc` under cargo's target
/// folder, which cargo marks with a CACHEDIR.TAG.
fn shared_folder(out: &Path) -> PathBuf {
    let tagged = out.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").is_file()).last();
    tagged.unwrap_or(out).join("nvrtc")
}

/// Shows `message` as a warning of cargo.
fn warn(message: &str) {
    println!("cargo::warning={}", message.replace('\n', " "));
}
