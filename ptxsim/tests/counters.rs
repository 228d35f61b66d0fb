//! What a launch did is counted: requests, sectors, wavefronts, unique bytes, by line and by class.

mod common;

use common::*;
use ptxsim::{Arg, Checks, Class, Config, Count, Device, Gpu, Launch, LaunchReport, Limit, Module, Roofline};

/// Run a body of [`module`] with one block of `threads`, reading and writing 64 KiB buffers.
fn report(body: &str, threads: u32) -> LaunchReport {
    let device = device();
    let (input, output) = (upload(&device, &vec![7; 1 << 14]), upload(&device, &vec![0; 1 << 14]));
    let args = [Arg::U64(output), Arg::U64(input)];
    device.launch(&module(body).unwrap(), "test", &Launch::linear(1, threads), &args).unwrap()
}

fn load_global(body: &str) -> Count {
    report(body, 32).by_class[&Class::LoadGlobal]
}

#[test]
fn strided_loads_move_more_sectors_than_they_ask_for() {
    let close =
        "mul.lo.u32 %r1, %t, 12; cvt.u64.u32 %rd1, %r1; sub.s64 %rd2, %in, %rd1; ld.global.u32 %r2, [%rd2];";
    let count = load_global(close);
    assert_eq!((count.global_requests, count.global_bytes, count.global_sectors), (1, 128, 4));
    assert_eq!(count.sector_overhead(), 1.0);
    // 16 bytes apart, 4 of them used.
    let count = load_global("ld.global.u32 %r2, [%in];");
    assert_eq!((count.global_requests, count.global_bytes, count.global_sectors), (1, 128, 16));
    assert_eq!(count.sector_overhead(), 4.0);
    let count = load_global("ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%in];");
    assert_eq!((count.global_bytes, count.global_sectors), (512, 16));
}

#[test]
fn shared_columns_conflict_until_padded() {
    let column = |pitch: u32| {
        let body = format!(
            ".shared .align 16 .b8 tile[4352]; mov.u32 %r1, tile; mad.lo.u32 %r1, %t, {pitch}, %r1; st.shared.u32 [%r1], %t;"
        );
        report(&body, 32).by_class[&Class::StoreShared]
    };
    let (bad, good) = (column(128), column(132));
    assert_eq!((bad.shared_requests, bad.shared_wavefronts, bad.shared_ideal), (1, 32, 1));
    assert_eq!((good.shared_wavefronts, good.shared_ideal, good.bank_conflicts()), (1, 1, 1.0));
}

#[test]
fn unique_bytes_count_each_byte_once() {
    let body = "ld.global.u32 %r1, [%in]; ld.global.u32 %r2, [%in]; st.global.u16 [%out], 5; st.global.u8 [%out], 6;";
    let found = report(body, 64);
    assert_eq!((found.unique_bytes_read, found.unique_bytes_written), (256, 128));
    // An atomic reads and writes.
    let found = report("red.global.add.u32 [%out], 1;", 64);
    assert_eq!((found.unique_bytes_read, found.unique_bytes_written), (256, 256));
    assert_eq!(found.by_class[&Class::Atomic].thread_instructions, 64);
}

#[test]
fn masked_lanes_do_not_count() {
    let found = report("setp.lt.u32 %p1, %t, 8; @%p1 ld.global.u32 %r1, [%in];", 32);
    let count = found.by_class[&Class::LoadGlobal];
    assert_eq!((count.warp_instructions, count.average_lanes(), count.global_sectors), (1, 8.0, 4));
}

fn gemm(threads: usize, traffic: bool) -> LaunchReport {
    let config = Config { threads, traffic, checks: Checks::all(), ..Config::default() };
    let device = Device::new(config).unwrap();
    let size = 128;
    let [a, b, c] = [1, 2, 3].map(|seed| upload_f32(&device, &random_floats(seed, size * size)));
    let args: Vec<Arg> = [128; 3].map(Arg::I32).into_iter().chain([a, b, c].map(Arg::U64)).collect();
    let launch = Launch { grid: [2, 2, 1], ..Launch::linear(1, 256) };
    launch_fixture(&device, "gemm.sm80", "gemm", &launch, &args)
}

#[test]
fn counts_do_not_depend_on_the_threads_of_the_cpu() {
    let one = gemm(1, true);
    assert_eq!(one, gemm(3, true));
    assert_eq!(one.by_class[&Class::F32].thread_instructions, 128 * 128 * 128);
    assert_eq!(one.unique_bytes_read, 2 * 128 * 128 * 4);
    assert_eq!(one.unique_bytes_written, 128 * 128 * 4);
    assert_eq!((one.threads_per_block, one.blocks), (256, 4));
}

#[test]
fn lines_add_up_to_the_whole() {
    let found = gemm(1, true);
    let sum = |pick: fn(&Count) -> u64| found.by_class.values().map(pick).sum::<u64>();
    assert_eq!(sum(|c| c.global_sectors), found.total.global_sectors);
    assert_eq!(sum(|c| c.shared_wavefronts), found.total.shared_wavefronts);
    assert!(found.total.shared_wavefronts >= found.total.shared_ideal && found.total.shared_ideal > 0);
}

#[test]
fn traffic_is_not_counted_when_switched_off() {
    let found = gemm(1, false);
    assert_eq!((found.total.global_sectors, found.total.shared_wavefronts), (0, 0));
    assert_eq!((found.unique_bytes_read, found.unique_bytes_written), (0, 0));
    assert_eq!(found.total.warp_instructions, gemm(1, true).total.warp_instructions);
}

#[test]
fn a_copy_is_bound_by_memory() {
    let ptx = ".version 8.0\n.target sm_80\n.address_size 64
        .visible .entry copy(.param .u64 to, .param .u64 from) {
            .reg .b64 %rd<5>; .reg .b32 %r<8>;
            ld.param.u64 %rd1, [to]; ld.param.u64 %rd2, [from];
            mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.u32 %r1, %r1, %r2, %r3;
            mul.wide.u32 %rd3, %r1, 16; add.s64 %rd1, %rd1, %rd3; add.s64 %rd2, %rd2, %rd3;
            ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%rd2]; st.global.v4.u32 [%rd1], {%r4, %r5, %r6, %r7}; ret; }";
    let device = device();
    let bytes = 512 * 256 * 16;
    let (from, to) = (device.alloc(bytes).unwrap(), device.alloc(bytes).unwrap());
    device.fill(from, 3, bytes).unwrap();
    let args = [Arg::U64(to), Arg::U64(from)];
    let module = Module::parse(ptx).unwrap();
    let report = device.launch(&module, "copy", &Launch::linear(512, 256), &args).unwrap();
    for gpu in Gpu::ALL {
        let floors = Roofline::estimate(&report, &gpu, Some(8));
        let (limit, seconds) = floors.binding();
        assert_eq!(limit, Limit::Memory, "{floors}");
        assert!((seconds - 2.0 * bytes as f64 / gpu.memory_bandwidth).abs() < 1e-12);
        assert_eq!(floors.occupancy.unwrap().fraction, 1.0);
    }
}
