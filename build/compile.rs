//! Compiles the kernel files, in parallel, and keeps what was compiled for the next build.

use super::kernel_file::KernelFile;
use super::nvrtc::{self, Nvrtc};
use super::report::{self, Resources};
use super::target::{self, Arch, Product, Target};
use super::warn;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// A kernel file, compiled for all its targets.
#[derive(Default)]
pub struct Compiled {
    pub images: Vec<Image>,
    /// What each entry point uses on each architecture it has machine code for.
    pub resources: BTreeMap<String, Vec<(Arch, Resources)>>,
}

/// Code for one target.
pub struct Image {
    pub kind: ImageKind,
    pub arch: Arch,
    pub gz: Vec<u8>,
}

/// The kinds of code; `src/device/kernels.rs` says what each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    Cubin,
    CubinExact,
    Ptx,
    SimulatorPtx,
}

/// What one compilation gives, and what is kept of it: compressed code and the compiler's log.
struct Output {
    cubin_gz: Vec<u8>,
    ptx_gz: Vec<u8>,
    log: String,
}

/// Compiles every file for every target that `nvrtc` knows, taking from `cache` what has not changed.
///
/// # Errors
/// The compiler's log for each file that does not compile.
pub fn all(nvrtc: &Nvrtc, files: &[KernelFile], cache: &Path) -> Result<Vec<Compiled>, String> {
    let wanted = |file: &KernelFile| match file.signature.archs.as_slice() {
        [] => target::targets(&target::DEFAULT),
        archs => target::targets(archs),
    };
    let (jobs, unknown): (Vec<_>, Vec<_>) = (0..files.len())
        .flat_map(|i| wanted(&files[i]).into_iter().map(move |target| (i, target)))
        .partition(|(_, target)| nvrtc.archs.contains(&target.arch.number));
    warn_of_unknown(nvrtc, unknown.iter().map(|(_, target)| target.arch).collect());

    let outputs = in_parallel(&jobs, |(i, target)| compile(nvrtc, &files[*i], *target, cache));
    let mut compiled: Vec<Compiled> = files.iter().map(|_| Compiled::default()).collect();
    let mut failures = BTreeMap::new();
    for (&(i, target), output) in jobs.iter().zip(outputs) {
        match output {
            Ok(output) => compiled[i].add(target, output),
            Err(log) => drop(failures.entry(i).or_insert((target, log))),
        }
    }
    for (file, compiled) in files.iter().zip(&compiled) {
        warn_of_costs(file, compiled);
    }
    if failures.is_empty() {
        return Ok(compiled);
    }
    let (major, minor) = nvrtc.version;
    let failures = failures.into_iter().map(|(i, (target, log))| {
        format!(
            "kernels/{} does not compile for {} with NVRTC {major}.{minor}:\n{log}",
            files[i].name, target.arch
        )
    });
    Err(failures.collect::<Vec<_>>().join("\n\nerror: "))
}

/// Runs `work` on all `jobs` on as many threads as there are processors; results in the jobs' order.
fn in_parallel<J: Sync, R: Send>(jobs: &[J], work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(jobs.len()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((i, job)) = {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    jobs.get(i).map(|job| (i, job))
                } {
                    let result = work(job);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((i, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(i, _)| *i);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Compiles `file` for `target`, or takes it from `cache`.
fn compile(nvrtc: &Nvrtc, file: &KernelFile, target: Target, cache: &Path) -> Result<Output, String> {
    // The simulator shows places in the source by this name; the compiler's messages are for an
    // editor that is in the checkout.
    let root = if target.product == Product::SimulatorPtx { "/kernels" } else { "kernels" };
    let options = target.options();
    let headers: Vec<(&str, &str)> =
        file.headers.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let source = nvrtc::Source {
        name: &format!("{root}/{}", file.name),
        text: &file.text,
        headers: &headers,
        options: &options,
    };
    let folder = cache.join(key(nvrtc, &source));
    if let Some(output) = Output::load(&folder) {
        return Ok(output);
    }
    let product = nvrtc.compile(&source)?;
    let ptx = String::from_utf8_lossy(&product.ptx);
    let ptx = match target.product {
        Product::Cubin => String::new(),
        Product::CubinAndPtx => lower_version(&ptx, target.arch),
        Product::SimulatorPtx => with_virtual_headers(&ptx),
    };
    let output = Output { cubin_gz: gzip(&product.cubin), ptx_gz: gzip(ptx.as_bytes()), log: product.log };
    output.store(&folder);
    Ok(output)
}

/// A name for what `nvrtc` makes of `source`: all that it depends on, hashed.
fn key(nvrtc: &Nvrtc, source: &nvrtc::Source<'_>) -> String {
    let version = format!("cugrad kernels 1, NVRTC {}.{}", nvrtc.version.0, nvrtc.version.1);
    let headers = source.headers.iter().flat_map(|(name, text)| [*name, *text]);
    let parts = [version.as_str(), source.name, source.text].into_iter().chain(headers);
    let mut hash = Sha256::new();
    for part in parts.chain(source.options.iter().map(String::as_str)) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl Output {
    fn load(folder: &Path) -> Option<Output> {
        let read = |name| fs::read(folder.join(name)).ok();
        let log = String::from_utf8(read("log")?).ok()?;
        Some(Output { cubin_gz: read("cubin.gz")?, ptx_gz: read("ptx.gz")?, log })
    }

    /// Keeps the output, whole or not at all. A failure costs only a compilation at the next build.
    fn store(&self, folder: &Path) {
        let partial = folder.with_extension(format!("{}", std::process::id()));
        let write = |name: &str, bytes: &[u8]| fs::write(partial.join(name), bytes);
        let stored = fs::create_dir_all(&partial)
            .and_then(|()| write("cubin.gz", &self.cubin_gz))
            .and_then(|()| write("ptx.gz", &self.ptx_gz))
            .and_then(|()| write("log", self.log.as_bytes()))
            .and_then(|()| fs::rename(&partial, folder));
        if stored.is_err() {
            let _ = fs::remove_dir_all(&partial);
        }
    }
}

impl Compiled {
    fn add(&mut self, Target { arch, product }: Target, output: Output) {
        let mut push = |kind, gz| self.images.push(Image { kind, arch, gz });
        match product {
            Product::Cubin if arch.exact => push(ImageKind::CubinExact, output.cubin_gz),
            Product::Cubin => push(ImageKind::Cubin, output.cubin_gz),
            Product::CubinAndPtx => {
                push(ImageKind::Cubin, output.cubin_gz);
                push(ImageKind::Ptx, output.ptx_gz);
            }
            Product::SimulatorPtx => {
                push(ImageKind::SimulatorPtx, output.ptx_gz);
                // Without the assembler's noise, and once for all targets.
                report::warnings(&output.log).for_each(|line| warn(line.trim_start_matches("/")));
            }
        }
        for (entry, used) in report::parse(&output.log) {
            self.resources.entry(entry).or_default().push((arch, used));
        }
    }
}

fn warn_of_costs(file: &KernelFile, compiled: &Compiled) {
    for (entry, resources) in &compiled.resources {
        for (arch, used) in resources {
            let at = format!("kernels/{}: {entry} on {arch}", file.name);
            if used.spill_bytes > 0 {
                warn(&format!("{at} spills {} bytes of registers", used.spill_bytes));
            }
            used.remarks.iter().for_each(|remark| warn(&format!("{at}: {remark}")));
        }
    }
}

fn warn_of_unknown(nvrtc: &Nvrtc, unknown: BTreeSet<Arch>) {
    if unknown.is_empty() {
        return;
    }
    let names: Vec<String> = unknown.iter().map(Arch::to_string).collect();
    warn(&format!(
        "NVRTC {}.{} ({}) is too old for {}: no machine code for these; CUGRAD_NVRTC can name a newer one",
        nvrtc.version.0,
        nvrtc.version.1,
        nvrtc.path.display(),
        names.join(", ")
    ));
}

/// PTX states the language version of the compiler that wrote it, and a driver older than that
/// compiler refuses it. What is compiled for sm_80 needs no more than 7.4.
fn lower_version(ptx: &str, arch: Arch) -> String {
    if arch.number > 80 {
        return ptx.into();
    }
    let lower =
        |line: &str| if line.starts_with(".version ") { ".version 7.4".into() } else { line.to_string() };
    ptx.lines().map(|line| lower(line) + "\n").collect()
}

/// The line tables name headers under the folder of the build; this names them as the kernel files.
fn with_virtual_headers(ptx: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    ptx.replace(&format!("\"{}/", here.display()), "\"/kernels/")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
