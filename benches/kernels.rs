//! Every operation at every layer shape, by criterion: `cargo bench`, `cargo bench -- conv3x3/dgrad`.
//!
//! On a GPU, times are the device's own, between events; without one the CPU is measured, and the
//! first line says so. `CUGRAD_DEVICE` chooses (cuda, cpu), `CUGRAD_BENCH_BATCH` sets the images
//! (512 on a GPU, 16 on a CPU). Repeats are few, for a first look: criterion's own flags
//! (`--sample-size`, `--measurement-time`) ask for more. benches/NOTES.md says how to read it.

use criterion::{Criterion, SamplingMode, Throughput};
use cugrad::Device;
use cugrad::bench::{Case, Prepared, cases};
use cugrad::device::DeviceChoice;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let choice = match setting("CUGRAD_DEVICE")?.as_deref() {
        None | Some("auto") => DeviceChoice::Auto,
        Some("cuda") => DeviceChoice::Cuda,
        Some("cpu") => DeviceChoice::Cpu,
        Some(other) => return Err(format!("CUGRAD_DEVICE is {other}, expected auto, cuda or cpu")),
    };
    let (device, said) = Device::open(choice).map_err(|error| error.to_string())?;
    let batch = match (setting("CUGRAD_BENCH_BATCH")?, &device) {
        (Some(text), _) => text.parse().ok().filter(|&n| n > 0).ok_or_else(|| {
            format!("CUGRAD_BENCH_BATCH is {text}, expected a number of images, at least 1")
        })?,
        (None, Device::Gpu(_)) => 512,
        (None, Device::Cpu) => 16,
    };
    eprintln!("{said}; {batch} images");

    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(200))
        .nresamples(2000)
        .configure_from_args();
    let is_gpu = matches!(device, Device::Gpu(_));
    let cases = cases(batch).map_err(|error| error.to_string())?;
    for case in cases.iter().filter(|case| is_gpu || case.runs_on_cpu()) {
        bench(&mut criterion, case, &device);
    }
    criterion.final_summary();
    Ok(())
}

fn setting(name: &str) -> Result<Option<String>, String> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

fn bench(criterion: &mut Criterion, case: &Case, device: &Device) {
    let id = case.id();
    let (name, extents) = id.rsplit_once('/').unwrap_or((&id, ""));
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(match case.flop > 0.0 {
        true => Throughput::Elements(case.flop as u64),
        false => Throughput::Bytes(case.bytes as u64),
    });
    // Criterion calls the closure once to warm up and once to measure; the inputs stay.
    let mut prepared = None;
    group.bench_function(extents, |bencher| {
        let prepared = prepared.get_or_insert_with(|| {
            Prepared::new(case, device).unwrap_or_else(|error| panic!("{id}: {error}"))
        });
        bencher.iter_custom(|calls| {
            let bursts = calls.div_ceil(prepared.calls() as u64);
            let burst = |_| prepared.burst().unwrap_or_else(|error| panic!("{id}: {error}"));
            let total: Duration = (0..bursts).map(burst).sum();
            total.mul_f64(calls as f64 / (bursts as f64 * prepared.calls() as f64))
        });
    });
    group.finish();
}
