//! Speed of the simulator, in thread-instructions a second on one core.

use criterion::{Criterion, Throughput};
use ptxsim::{Arg, Checks, Config, Device, Launch, Module};

fn upload(device: &Device, count: usize) -> u64 {
    let address = device.alloc(count * 4).expect("memory");
    let data: Vec<u8> = (0..count).flat_map(|i| ((i % 97) as f32 / 97.0).to_le_bytes()).collect();
    device.write(address, &data).expect("a write");
    address
}

/// A device with one CPU thread; without checks it counts no traffic either.
fn device(checks: Checks) -> Device {
    let traffic = checks != Checks::none();
    Device::new(Config { threads: 1, checks, traffic, ..Config::default() }).expect("a device")
}

/// The tiled f32 product: shared memory, barriers, 16-byte loads, mostly multiply-adds.
fn gemm(c: &mut Criterion) {
    let ptx = include_str!("../tests/fixtures/gemm.sm80.ptx");
    let module = Module::parse(ptx).expect("the fixture loads");
    let (m, n, k) = (128, 128, 128);
    let mut group = c.benchmark_group("gemm");
    for (name, checks) in [("all_checks", Checks::all()), ("no_checks", Checks::none())] {
        let device = device(checks);
        let buffers = [upload(&device, m * k), upload(&device, k * n), upload(&device, m * n)];
        let args: Vec<Arg> =
            [m, n, k].map(|v| Arg::I32(v as i32)).into_iter().chain(buffers.map(Arg::U64)).collect();
        let launch = Launch { grid: [2, 2, 1], ..Launch::linear(1, 256) };
        let run = || device.launch(&module, "gemm", &launch, &args).expect("no fault");
        group.throughput(Throughput::Elements(run().total.thread_instructions));
        group.bench_function(name, |b| b.iter(run));
    }
    group.finish();
}

/// Integer and float work with branches, divisions and local memory.
fn libm(c: &mut Criterion) {
    let ptx = include_str!("../tests/fixtures/libm.sm80.ptx");
    let module = Module::parse(ptx).expect("the fixture loads");
    let mut group = c.benchmark_group("libm");
    for (name, checks) in [("all_checks", Checks::all()), ("no_checks", Checks::none())] {
        let device = device(checks);
        let n = 1024;
        let args =
            [Arg::I32(n), Arg::U64(upload(&device, n as usize)), Arg::U64(upload(&device, 14 * n as usize))];
        let run = || device.launch(&module, "libm", &Launch::linear(8, 128), &args).expect("no fault");
        group.throughput(Throughput::Elements(run().total.thread_instructions));
        group.bench_function(name, |b| b.iter(run));
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    gemm(&mut criterion);
    libm(&mut criterion);
    criterion.final_summary();
}
