//! `--device cuda` on a driver whose GPU is ptxsim: the code of src/device/cuda.rs, and cudarc's, run to
//! their ends without a GPU.

#[path = "../cli/program.rs"]
#[allow(dead_code)]
mod program;
mod training;

use program::cugrad;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A folder in which programs find ptxsim-cuda as libcuda. It was built with this test, which depends on it.
pub fn libcuda() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let library: PathBuf = std::env::current_exe().unwrap().with_file_name("libptxsim_cuda.so");
    assert!(library.is_file(), "{} is not there", library.display());
    for name in ["libcuda.so", "libcuda.so.1"] {
        std::os::unix::fs::symlink(&library, folder.path().join(name)).unwrap();
    }
    folder
}

/// `cugrad` with the driver in `libcuda`, on a simulated H100, with PTX for it.
pub fn cugrad_on(libcuda: &TempDir, arguments: &str) -> Command {
    let mut command = cugrad(arguments.split(' '));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PTXSIM_")) {
        command.env_remove(name);
    }
    command.env_remove("CUDA_VISIBLE_DEVICES");
    command.env("LD_LIBRARY_PATH", libcuda.path()).env("CUGRAD_IMAGES", "ptx");
    command
}
