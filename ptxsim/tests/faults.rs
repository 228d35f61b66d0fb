//! Planted faults: each is caught, named and placed; the same kernel mended runs clean.

mod common;

use common::*;
use ptxsim::{Arg, Checks, Config, Device, Error, FaultKind, Launch, Module, Space};

const ONE: [[u32; 4]; 1] = [[3, 4, 5, 6]];

#[test]
fn out_of_bounds_global_access_names_allocation_and_thread() {
    // 40 threads of 16 bytes; thread 33 reaches past the end.
    let body = "setp.eq.u32 %p1, %t, 33; @%p1 add.s64 %in, %in, 112; ld.global.u32 %r1, [%in]; st.global.u32 [%out], %r1;";
    let fault = fault(body, &[[0; 4]; 40]);
    assert_eq!((fault.thread, fault.block), ([33, 0, 0], [0, 0, 0]));
    assert_eq!(fault.instruction, "ld.global.u32");
    let FaultKind::OutOfBounds { space: Space::Global, bytes: 4, detail, .. } = &fault.kind else {
        panic!("{fault}")
    };
    assert!(detail.contains("640 bytes") && detail.contains("640 to 644"), "{detail}");
    run(&body.replace("112", "96"), &[[0; 4]; 40]);
}

#[test]
fn null_and_wild_pointers_are_out_of_bounds() {
    let kind = fault_kind("mov.u64 %rd1, 0; st.global.u32 [%rd1], 1;", &ONE);
    assert!(matches!(kind, FaultKind::OutOfBounds { space: Space::Global, address: 0, .. }), "{kind}");
    let kind = fault_kind("mov.u64 %rd1, -4; ld.u32 %r1, [%rd1]; st.global.u32 [%out], %r1;", &ONE);
    assert!(matches!(kind, FaultKind::OutOfBounds { .. }), "{kind}");
}

#[test]
fn shared_and_local_arrays_have_bounds() {
    let body = ".shared .align 4 .b8 tile[64]; mov.u32 %r1, tile; st.shared.u32 [%r1+64], 1;";
    assert!(matches!(
        fault_kind(body, &ONE),
        FaultKind::OutOfBounds { space: Space::Shared, address: 64, .. }
    ));
    run(&body.replace("+64", "+60"), &ONE);
    let body = ".local .align 4 .b8 frame[8]; mov.u64 %rd1, frame; st.local.u32 [%rd1+8], 1;";
    assert!(matches!(fault_kind(body, &ONE), FaultKind::OutOfBounds { space: Space::Local, address: 8, .. }));
    run(&body.replace("+8]", "+4]"), &ONE);
}

#[test]
fn misaligned_accesses_are_caught_in_every_space() {
    let body = "ld.global.u64 %rd1, [%in+4]; st.global.u64 [%out], %rd1;";
    assert!(matches!(fault_kind(body, &ONE), FaultKind::Misaligned { space: Space::Global, bytes: 8, .. }));
    run(&body.replace("+4", "+8"), &ONE);
    let body = ".shared .align 16 .b8 tile[64]; mov.u32 %r1, tile; st.shared.v4.u32 [%r1+8], {1, 2, 3, 4};";
    assert!(matches!(
        fault_kind(body, &ONE),
        FaultKind::Misaligned { space: Space::Shared, address: 8, bytes: 16 }
    ));
    run(&body.replace("+8", "+16"), &ONE);
}

#[test]
fn use_after_free_is_told_from_out_of_bounds() {
    let device = device();
    let module = module("ld.global.u32 %r1, [%in]; st.global.u32 [%out], %r1;").unwrap();
    let (input, output) = (upload(&device, &[1; 4]), upload(&device, &[0; 4]));
    let args = [Arg::U64(output), Arg::U64(input)];
    device.launch(&module, "test", &Launch::linear(1, 1), &args).unwrap();
    device.free(input).unwrap();
    let error = device.launch(&module, "test", &Launch::linear(1, 1), &args).unwrap_err();
    let Error::Fault(fault) = error else { panic!("{error}") };
    assert_eq!(fault.kind, FaultKind::UseAfterFree { address: input, bytes: 4 });
}

#[test]
fn memory_never_written_is_not_read() {
    let device = device();
    let module = module("ld.global.u32 %r1, [%in]; st.global.u32 [%out], %r1;").unwrap();
    let (input, output) = (device.alloc(64).unwrap(), upload(&device, &[0; 16]));
    device.write(input, &[1; 35]).unwrap();
    let args = [Arg::U64(output), Arg::U64(input)];
    device.launch(&module, "test", &Launch::linear(1, 2), &args).unwrap();
    let error = device.launch(&module, "test", &Launch::linear(1, 3), &args).unwrap_err();
    let Error::Fault(fault) = error else { panic!("{error}") };
    // Three of the third thread's four bytes were written.
    assert_eq!(
        fault.kind,
        FaultKind::UninitialisedRead { space: Space::Global, address: input + 32, bytes: 4 }
    );
    assert_eq!(fault.thread, [2, 0, 0]);
    let loose = device_with(1, Checks::none());
    let (input, output) = (loose.alloc(64).unwrap(), loose.alloc(64).unwrap());
    loose.launch(&module, "test", &Launch::linear(1, 3), &[Arg::U64(output), Arg::U64(input)]).unwrap();
}

#[test]
fn shared_and_local_memory_and_registers_start_unwritten() {
    let body = ".shared .align 4 .b8 tile[64]; mov.u32 %r1, tile; st.shared.u8 [%r1+4], 1; ld.shared.u32 %r2, [%r1+4]; st.global.u32 [%out], %r2;";
    let kind = fault_kind(body, &ONE);
    assert_eq!(kind, FaultKind::UninitialisedRead { space: Space::Shared, address: 4, bytes: 4 });
    run(&body.replace("st.shared.u8", "st.shared.u32"), &ONE);
    let body = ".local .align 4 .b8 frame[8]; mov.u64 %rd1, frame; ld.local.u32 %r2, [%rd1]; st.global.u32 [%out], %r2;";
    assert!(matches!(fault_kind(body, &ONE), FaultKind::UninitialisedRead { space: Space::Local, .. }));
    let body = "setp.lt.u32 %p1, %t, 5; @%p1 mov.u32 %r7, 1; add.u32 %r8, %r7, 1; st.global.u32 [%out], %r8;";
    let found = fault(body, &[[0; 4]; 8]);
    assert_eq!(found.kind, FaultKind::UninitialisedRegister { register: "%r7".into() });
    assert_eq!(found.thread, [5, 0, 0]);
    run(&body.replace("@%p1 mov", "mov"), &[[0; 4]; 8]);
    let guard = fault_kind("@%p9 mov.u32 %r7, 1;", &ONE);
    assert_eq!(guard, FaultKind::UninitialisedRegister { register: "%p9".into() });
}

#[test]
fn constants_cannot_be_written() {
    let ptx = ".version 8.0\n.target sm_80\n.address_size 64
        .const .align 4 .u32 answer = 42;
        .visible .entry test() { .reg .b64 %rd<2>; mov.u64 %rd1, answer; cvta.const.u64 %rd1, %rd1; st.u32 [%rd1], 1; ret; }";
    let module = Module::parse(ptx).unwrap();
    let error = device().launch(&module, "test", &Launch::linear(1, 1), &[]).unwrap_err();
    assert!(matches!(error, Error::Fault(ref f) if matches!(f.kind, FaultKind::ReadOnly { .. })), "{error}");
}

#[test]
fn a_barrier_part_of_a_warp_does_not_reach() {
    let body = "setp.lt.u32 %p1, %t, 16; @!%p1 bra SKIP; bar.sync 0; SKIP: ret;";
    let found = fault(body, &[[0; 4]; 64]);
    assert!(matches!(found.kind, FaultKind::BarrierDivergence { barrier: 0, .. }), "{found}");
    run(&body.replace("@!%p1", "@!%p1 bra SKIP; bra SKIP; @!%p1"), &[[0; 4]; 64]);
}

#[test]
fn a_barrier_part_of_a_block_does_not_reach() {
    let body = "setp.lt.u32 %p1, %t, 32; @!%p1 bra SKIP; bar.sync 0; SKIP: ret;";
    let found = fault(body, &[[0; 4]; 64]);
    let FaultKind::BarrierDivergence { barrier: 0, detail } = &found.kind else { panic!("{found}") };
    assert!(detail.contains("32 threads of the block have exited"), "{detail}");
    run(&body.replace("%t, 32", "%t, 64"), &[[0; 4]; 64]);
}

#[test]
fn two_warps_at_different_barriers_deadlock() {
    let body = "setp.lt.u32 %p1, %t, 32; @%p1 bra A; bar.sync 1; bra END; A: bar.sync 2; END: ret;";
    let found = fault(body, &[[0; 4]; 64]);
    let FaultKind::Deadlock { waiting } = &found.kind else { panic!("{found}") };
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    assert!(waiting[0].contains("warp 0") && waiting[0].contains("barrier 2"), "{waiting:?}");
    assert!(waiting[1].contains("warp 1") && waiting[1].contains("barrier 1"), "{waiting:?}");
    run(&body.replace("bar.sync 2", "bar.sync 1"), &[[0; 4]; 64]);
}

#[test]
fn a_shuffle_that_waits_for_lanes_elsewhere_deadlocks() {
    let body = "mov.u32 %r1, %t; setp.lt.u32 %p1, %t, 16; @%p1 bra A;
        bar.warp.sync 0xffff0000; bar.sync 3, 64; bra END;
    A: shfl.sync.down.b32 %r2, %r1, 1, 31, -1; END: ret;";
    let found = fault(body, &[[0; 4]; 32]);
    assert!(
        matches!(found.kind, FaultKind::Deadlock { .. } | FaultKind::BarrierDivergence { .. }),
        "{found}"
    );
}

#[test]
fn a_lane_must_be_in_its_own_member_mask() {
    let body = "mov.u32 %r1, %t; shfl.sync.down.b32 %r2, %r1, 1, 31, 0xffff;";
    assert!(matches!(fault_kind(body, &[[0; 4]; 32]), FaultKind::Misuse { .. }));
    run(&body.replace("0xffff", "-1"), &[[0; 4]; 32]);
}

#[test]
fn an_endless_loop_is_a_hang() {
    let device = Device::new(Config { watchdog: 100_000, ..Config::default() }).unwrap();
    let module = module("L: bra L;").unwrap();
    let data = upload(&device, &[0; 4]);
    let error =
        device.launch(&module, "test", &Launch::linear(1, 1), &[Arg::U64(data), Arg::U64(data)]).unwrap_err();
    assert!(matches!(error, Error::Fault(ref f) if matches!(f.kind, FaultKind::Hang { .. })), "{error}");
}

#[test]
fn integer_division_by_zero_and_trap() {
    let body = "ld.global.v2.u32 {%r1, %r2}, [%in]; div.s32 %r3, %r1, %r2; st.global.u32 [%out], %r3;";
    assert_eq!(fault_kind(body, &[[1, 0, 0, 0]]), FaultKind::DivideByZero);
    run(body, &ONE);
    assert_eq!(fault_kind("trap;", &ONE), FaultKind::Trap);
    let kind = fault_kind("mov.u32 %r1, 2; t: .branchtargets A, B; brx.idx %r1, t; A: B: ret;", &ONE);
    assert_eq!(kind, FaultKind::BadTarget { value: 2 });
}

#[test]
fn a_fault_names_the_source_line() {
    let ptx = ".version 8.0\n.target sm_80\n.address_size 64
        .visible .entry test() { .reg .b64 %rd<2>;
            .loc 1 12 3
            mov.u64 %rd1, 8;
            .loc 1 17 5, function_name $L__info_string0, inlined_at 1 12 3
            st.global.u32 [%rd1], 1;
            ret; }
        .file 1 \"/kernels/x.cu\"";
    let error =
        device().launch(&Module::parse(ptx).unwrap(), "test", &Launch::linear(1, 1), &[]).unwrap_err();
    assert!(error.to_string().starts_with("test: kernels/x.cu:17: out-of-bounds global access"), "{error}");
}

#[test]
fn the_fault_of_the_lowest_block_is_reported_whatever_the_threads() {
    let body = "mov.u32 %r1, %ctaid.x; setp.ge.u32 %p1, %r1, 13; @%p1 trap;";
    for threads in [1, 2, 8] {
        let device = device_with(threads, Checks::all());
        let data = upload(&device, &[0; 4]);
        let args = [Arg::U64(data), Arg::U64(data)];
        let error = device.launch(&module(body).unwrap(), "test", &Launch::linear(64, 1), &args).unwrap_err();
        let Error::Fault(fault) = error else { panic!("{error}") };
        assert_eq!(fault.block, [13, 0, 0]);
    }
}
