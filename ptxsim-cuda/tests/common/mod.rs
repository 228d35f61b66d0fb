//! Programs that use the library as a program would: loaded as `libcuda.so.1`, in a process of their own.
//!
//! The programs are tests that are ignored, and run by those that say what must come of them.

pub mod kernels;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder that holds the library under the names by which programs load it.
pub fn library() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["libcuda.so", "libcuda.so.1"] {
        std::os::unix::fs::symlink(built(), folder.path().join(name)).unwrap();
    }
    folder
}

/// The library that was built with this test.
fn built() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let library = test.with_file_name("libptxsim_cuda.so");
    assert!(library.is_file(), "{} is not there", library.display());
    library
}

/// What came of a program.
pub struct Outcome {
    output: Output,
}

/// Runs the ignored test `program` of this binary, with these variables set.
pub fn run(program: &str, variables: &[(&str, &str)]) -> Outcome {
    run_in(library().path(), program, variables)
}

/// The same, with the library in `folder`.
pub fn run_in(folder: &Path, program: &str, variables: &[(&str, &str)]) -> Outcome {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", program, "--ignored", "--nocapture", "--test-threads=1"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PTXSIM_")) {
        command.env_remove(name);
    }
    command.env_remove("CUDA_VISIBLE_DEVICES").env("LD_LIBRARY_PATH", folder);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let ran = String::from_utf8_lossy(&output.stdout).contains("running 1 test");
    assert!(ran, "there is no program {program}");
    Outcome { output }
}

impl Outcome {
    /// What it wrote on stderr.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Fails unless the program ran to its end and these words are on stderr.
    #[track_caller]
    pub fn passed(self, words: &[&str]) -> Self {
        let stdout = String::from_utf8_lossy(&self.output.stdout);
        assert!(self.output.status.success(), "{stdout}{}", self.said());
        self.says(words)
    }

    /// Fails unless these words are on stderr.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let said = self.said();
        for word in words {
            assert!(said.contains(word), "`{word}` is missing in:\n{said}");
        }
        self
    }
}
