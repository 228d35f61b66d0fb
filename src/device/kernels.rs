//! The embedded kernels. `build.rs` compiles kernels/**/*.cu and writes, for every kernel, a
//! structure with the kernel's own parameters by name, so that a call site cannot swap two of them.
//!
//! `kernels/conv3x3/fprop.cu` with `extern "C" __global__ void conv3x3_fprop(const float* x, ...)`
//! becomes `conv3x3::fprop::Conv3x3Fprop { x, .. }`; a file named like its folder is the folder's own
//! module, and a number in front (`ladder/1_naive.cu`) is left out. What a kernel file may say to the
//! build:
//!
//! | line | meaning |
//! |---|---|
//! | `// conv3x3_fprop: ...` | the kernel's summary, and below it, indented, its equation |
//! | `constexpr int TILE = 64;  // host` | a constant of the module, too; `// host: ...` documents it |
//! | `// Arch      sm_90a` | the file is compiled for this architecture alone (or several, with commas) |
//! | `#include "common/reduce.cuh"` | a header, by its path under kernels/ |

use super::driver::Arg;
use std::cmp::Reverse;
use std::io::Read as _;

/// A compiled kernel file.
#[derive(Debug)]
pub struct Module {
    /// The file under kernels/: `conv3x3/fprop.cu`.
    pub file: &'static str,
    /// Its source.
    pub source: &'static str,
    /// The headers it includes, directly or not: their paths under kernels/, and their sources.
    pub headers: &'static [(&'static str, &'static str)],
    /// What it was compiled to; empty in a build that found no NVRTC.
    pub images: &'static [Image],
}

impl Module {
    /// The image that serves a GPU of this compute capability best: machine code before PTX, and
    /// the closest architecture.
    pub fn image_for(&self, compute_capability: (u32, u32)) -> Option<&'static Image> {
        let fitting = self.images.iter().filter(|image| image.fits(compute_capability));
        fitting.min_by_key(|image| (image.kind == ImageKind::Ptx, Reverse(image.arch)))
    }

    /// The PTX that serves a GPU of this compute capability best: that for the simulator, which is for the
    /// closest architecture and has line numbers, before that which any newer GPU loads.
    pub fn ptx_for(&self, compute_capability: (u32, u32)) -> Option<&'static Image> {
        let (major, minor) = compute_capability;
        let gpu = major * 10 + minor;
        let is_exact = |arch| self.images.iter().any(|i| i.kind == ImageKind::CubinExact && i.arch == arch);
        let fits = |image: &&Image| image.arch == gpu || (image.arch < gpu && !is_exact(image.arch));
        let general = || self.images.iter().find(|image| image.kind == ImageKind::Ptx);
        self.simulator_ptx().filter(fits).or_else(|| general().filter(|image| image.fits(compute_capability)))
    }

    /// The PTX for the simulator; none in a build that found no NVRTC.
    pub fn simulator_ptx(&self) -> Option<&'static Image> {
        self.images.iter().find(|image| image.kind == ImageKind::SimulatorPtx)
    }
}

/// A module compiled for one target.
#[derive(Debug)]
pub struct Image {
    /// Machine code or PTX, and for which GPUs.
    pub kind: ImageKind,
    /// The architecture number: 80, 90, 100, 120.
    pub arch: u32,
    /// The image, gzip-compressed.
    pub gz: &'static [u8],
}

impl Image {
    /// Whether a GPU of this compute capability can load it.
    fn fits(&self, (major, minor): (u32, u32)) -> bool {
        let gpu = major * 10 + minor;
        match self.kind {
            ImageKind::Cubin => self.arch / 10 == major && self.arch <= gpu,
            ImageKind::CubinExact => self.arch == gpu,
            ImageKind::Ptx => self.arch <= gpu,
            ImageKind::SimulatorPtx => false,
        }
    }

    /// The image itself, decompressed.
    pub fn unpack(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(self.gz).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            ImageKind::Cubin => write!(f, "sm_{}", self.arch),
            ImageKind::CubinExact => write!(f, "sm_{}a", self.arch),
            ImageKind::Ptx => write!(f, "PTX for sm_{} and newer", self.arch),
            ImageKind::SimulatorPtx => write!(f, "PTX for the simulator"),
        }
    }
}

/// What an [`Image`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// Machine code for this architecture's major version, at or above its minor one.
    Cubin,
    /// Machine code for exactly this architecture (`sm_90a`).
    CubinExact,
    /// PTX that a driver can compile for this architecture or a newer one.
    Ptx,
    /// PTX with line numbers and without contraction to fused multiply-add, for the simulator.
    SimulatorPtx,
}

/// A kernel's entry point.
#[derive(Debug)]
pub struct Entry {
    /// Its name: `conv3x3_fprop`.
    pub name: &'static str,
    /// What it computes, from the first line of its header.
    pub summary: &'static str,
    /// What it computes, as its header writes it, line by line.
    pub equation: &'static [&'static str],
    /// The module that holds it.
    pub module: &'static Module,
    /// Its parameters, in order.
    pub params: &'static [Param],
    /// What the compiler said it uses, for each architecture it was compiled for.
    pub resources: &'static [Resources],
}

/// A kernel's parameter, as its source declares it.
#[derive(Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its type in the kernel: `const float*`.
    pub c_type: &'static str,
}

/// A kernel's use of a multiprocessor's resources, from the compiler's report.
#[derive(Debug)]
pub struct Resources {
    /// The architecture number.
    pub arch: u32,
    /// Registers a thread.
    pub registers: u32,
    /// Bytes of static shared memory a block.
    pub shared_bytes: u32,
    /// Bytes of registers spilled to memory (stores and loads).
    pub spill_bytes: u32,
    /// Bytes of local memory a thread's frame takes.
    pub stack_bytes: u32,
    /// Where the assembler could not do what the source asks for, in its words: wgmma serialised,
    /// setmaxnreg ignored.
    pub remarks: &'static [&'static str],
}

/// A kernel with its arguments, ready to launch; implemented by the generated structures.
pub trait Launch {
    /// The kernel.
    const ENTRY: &'static Entry;
    /// The arguments, in the kernel's order.
    fn args(&self) -> Vec<Arg>;
}

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
