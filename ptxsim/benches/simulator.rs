//! Speed of the simulator on one core: thread-instructions a second, and operations a second of the
//! tensor cores, with every check and with none.
//!
//! Time is the processor's for this thread, so that a busy machine shows as little as may be.

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use ptxsim::{Arg, Checks, Config, Device, ElementType, Launch, Module, Swizzle, Tensor, TensorMap};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A kernel of the fixtures and how it is launched.
struct Case {
    name: &'static str,
    ptx: &'static str,
    entry: &'static str,
    launch: Launch,
    /// Fills the device's memory; returns the arguments.
    setup: fn(&Device) -> Vec<Arg>,
    /// What the rate counts.
    unit: Unit,
}

enum Unit {
    ThreadInstructions,
    TensorFlop,
}

const CASES: [Case; 6] = [
    // The product's f32 convolution: a tiled implicit GEMM, eight of ten instructions are multiply-adds.
    Case {
        name: "conv3x3_fprop",
        ptx: include_str!("../tests/fixtures/conv3x3_fprop.sm80.ptx"),
        entry: "conv3x3_fprop",
        launch: Launch { grid: [1, 2, 1], block: [128, 1, 1], shared_bytes: 0, cluster: None },
        setup: |device| {
            let (n, h, w, c, k) = (2, 8, 8, 32, 128);
            let buffers = [n * h * w * c, k * 9 * c, k, n * h * w * k].map(|count| floats(device, count));
            let extents = [n, h, w, c, k].map(|extent| Arg::I32(extent as i32));
            buffers.map(Arg::U64).into_iter().chain(extents).collect()
        },
        unit: Unit::ThreadInstructions,
    },
    // A tiled f32 product, compiled without contraction: shared memory, barriers, 16-byte loads.
    Case {
        name: "gemm",
        ptx: include_str!("../tests/fixtures/gemm.sm80.ptx"),
        entry: "gemm",
        launch: Launch { grid: [2, 2, 1], block: [256, 1, 1], shared_bytes: 0, cluster: None },
        setup: |device| {
            let (m, n, k) = (128, 128, 128);
            let buffers = [m * k, k * n, m * n].map(|count| floats(device, count));
            [m, n, k].map(|v| Arg::I32(v as i32)).into_iter().chain(buffers.map(Arg::U64)).collect()
        },
        unit: Unit::ThreadInstructions,
    },
    // Bound by memory: two loads and a store for each multiply-add.
    Case {
        name: "saxpy",
        ptx: include_str!("../tests/fixtures/saxpy.sm80.ptx"),
        entry: "saxpy",
        launch: Launch { grid: [512, 1, 1], block: [256, 1, 1], shared_bytes: 0, cluster: None },
        setup: |device| {
            let n = 512 * 256;
            let buffers = [n, n].map(|count| Arg::U64(floats(device, count)));
            [Arg::I32(n as i32), Arg::F32(1.5)].into_iter().chain(buffers).collect()
        },
        unit: Unit::ThreadInstructions,
    },
    // Integer and float work with branches, divisions and local memory.
    Case {
        name: "libm",
        ptx: include_str!("../tests/fixtures/libm.sm80.ptx"),
        entry: "libm",
        launch: Launch { grid: [8, 1, 1], block: [128, 1, 1], shared_bytes: 0, cluster: None },
        setup: |device| {
            let n = 1024;
            vec![Arg::I32(n as i32), Arg::U64(floats(device, n)), Arg::U64(floats(device, 14 * n))]
        },
        unit: Unit::ThreadInstructions,
    },
    // bf16 by cp.async, ldmatrix and mma.sync.
    Case {
        name: "mma_gemm",
        ptx: include_str!("../tests/fixtures/mma_gemm.sm80.ptx"),
        entry: "mma_gemm",
        launch: Launch { grid: [2, 2, 1], block: [128, 1, 1], shared_bytes: 0, cluster: None },
        setup: |device| {
            let (m, n, k) = (128, 128, 256);
            let buffers = [halves(device, m * k), halves(device, k * n), floats(device, m * n)];
            [m, n, k].map(|v| Arg::I32(v as i32)).into_iter().chain(buffers.map(Arg::U64)).collect()
        },
        unit: Unit::TensorFlop,
    },
    // bf16 by TMA, mbarriers and wgmma: a producer warp and two consumer warpgroups.
    Case {
        name: "wgmma_gemm",
        ptx: include_str!("../tests/fixtures/wgmma_gemm.sm90a.ptx"),
        entry: "gemm",
        launch: Launch { grid: [1, 2, 1], block: [384, 1, 1], shared_bytes: 3 * 256 * 128, cluster: None },
        setup: |device| {
            let (m, n, k) = (256, 128, 512);
            let maps = [
                tensor_map(ElementType::Bf16, halves(device, m * k), [m, k], [64, 128]),
                tensor_map(ElementType::Bf16, halves(device, n * k), [n, k], [64, 128]),
                tensor_map(ElementType::F32, floats(device, m * n), [m, n], [128, 64]),
            ];
            maps.into_iter().chain([Arg::I32(k as i32)]).collect()
        },
        unit: Unit::TensorFlop,
    },
];

/// `count` different floats in 0..1.
fn floats(device: &Device, count: usize) -> u64 {
    upload(device, (0..count).flat_map(|i| ((i % 97) as f32 / 97.0).to_le_bytes()).collect())
}

/// `count` different bf16 in 0..1.
fn halves(device: &Device, count: usize) -> u64 {
    let bf16 = |i: usize| (((i % 97) as f32 / 97.0).to_bits() >> 16) as u16;
    upload(device, (0..count).flat_map(|i| bf16(i).to_le_bytes()).collect())
}

fn upload(device: &Device, bytes: Vec<u8>) -> u64 {
    let address = device.alloc(bytes.len()).expect("memory");
    device.write(address, &bytes).expect("a write");
    address
}

fn tensor_map(ty: ElementType, address: u64, [rows, columns]: [usize; 2], tile: [u32; 2]) -> Arg {
    let swizzle = if ty == ElementType::Bf16 { Swizzle::B128 } else { Swizzle::None };
    let (dims, strides) = (vec![columns as u64, rows as u64], vec![(columns * ty.bytes()) as u64]);
    let tensor = Tensor { ty, address, dims, strides, element_strides: vec![1, 1], swizzle };
    Arg::Bytes(TensorMap::tiled(&tensor, &tile).expect("a tensor map").to_bytes().to_vec())
}

/// Processor time of this thread; with one CPU thread, all of a launch runs on it.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Measure a case on one CPU thread.
fn measure(group: &mut BenchmarkGroup<'_, WallTime>, case: &Case, name: &str, checks: Checks, traffic: bool) {
    let config = Config { threads: 1, checks, traffic, ..Config::default() };
    let device = Device::new(config).expect("a device");
    let module = Module::parse(case.ptx).expect("the fixture loads");
    let args = (case.setup)(&device);
    let run = || device.launch(&module, case.entry, &case.launch, &args).expect("no fault");
    let total = run().total;
    group.throughput(Throughput::Elements(match case.unit {
        Unit::ThreadInstructions => total.thread_instructions,
        Unit::TensorFlop => total.tensor_flop,
    }));
    group.bench_function(name, |b| {
        b.iter_custom(|launches| {
            let start = processor_time();
            (0..launches).for_each(|_| drop(run()));
            processor_time() - start
        })
    });
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(20)
        .configure_from_args();
    for case in &CASES {
        let mut group = criterion.benchmark_group(case.name);
        measure(&mut group, case, "all_checks", Checks::all(), true);
        measure(&mut group, case, "no_checks", Checks::none(), false);
        group.finish();
    }
    criterion.final_summary();
}
