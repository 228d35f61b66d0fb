//! Edges of what counts as a fault; one kernel of each kind is in `planted/`.

mod common;

use common::*;
use ptxsim::{Arg, Checks, Error, FaultKind, Launch, Module, Space};

const ONE: [[u32; 4]; 1] = [[3, 4, 5, 6]];

#[test]
fn null_and_wild_pointers_are_out_of_bounds() {
    let kind = fault_kind("mov.u64 %rd1, 0; st.global.u32 [%rd1], 1;", &ONE);
    assert!(matches!(kind, FaultKind::OutOfBounds { space: Space::Global, address: 0, .. }), "{kind}");
    let kind = fault_kind("mov.u64 %rd1, -4; ld.u32 %r1, [%rd1]; st.global.u32 [%out], %r1;", &ONE);
    assert!(matches!(kind, FaultKind::OutOfBounds { .. }), "{kind}");
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
fn constants_cannot_be_written() {
    let ptx = ".version 8.0\n.target sm_80\n.address_size 64
        .const .align 4 .u32 answer = 42;
        .visible .entry test() { .reg .b64 %rd<2>; mov.u64 %rd1, answer; cvta.const.u64 %rd1, %rd1; st.u32 [%rd1], 1; ret; }";
    let module = Module::parse(ptx).unwrap();
    let error = device().launch(&module, "test", &Launch::linear(1, 1), &[]).unwrap_err();
    assert!(matches!(error, Error::Fault(ref f) if matches!(f.kind, FaultKind::ReadOnly { .. })), "{error}");
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
fn a_guard_must_have_been_written() {
    let guard = fault_kind("@%p9 mov.u32 %r7, 1;", &ONE);
    assert_eq!(guard, FaultKind::UninitialisedRegister { register: "%p9".into() });
}
