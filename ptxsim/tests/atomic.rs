//! Atomics on global and shared memory.

mod common;

use common::*;
use ptxsim::{Arg, Checks, Launch};

/// Run an atomic of all of 64 threads on one shared and one global cell of `bits` bits; returns the
/// cells' values and the sorted old values from shared memory.
fn contend(operation: &str, operand: &str, start: u32) -> (u32, u32, Vec<u32>) {
    let body = format!(
        ".shared .align 8 .b8 cell[8];
         ld.global.v4.u32 {{%r1, %r2, %r3, %r4}}, [%in];
         mov.b32 %f1, %r1;
         setp.eq.u32 %p1, %t, 0; ld.param.u64 %rd1, [out]; mov.u64 %rd2, cell;
         @%p1 st.shared.u32 [%rd2], {start}; @%p1 st.global.u32 [%rd1+4], {start};
         bar.sync 0;
         atom.shared.{operation} %r5, [%rd2], {operand};
         red.global.{operation} [%rd1+4], {operand};
         st.global.u32 [%out], %r5;
         bar.sync 0;
         @%p1 ld.shared.u32 %r6, [%rd2]; @%p1 st.global.u32 [%rd1+8], %r6;"
    );
    let inputs: Vec<[u32; 4]> = (0..64u32).map(|i| [i + 1, i * 37 % 64, 0, 0]).collect();
    let out = run(&body, &inputs);
    let mut old: Vec<u32> = out.iter().map(|o| o[0]).collect();
    old.sort_unstable();
    (out[0][2], out[0][1], old)
}

#[test]
fn integer_atomics_lose_nothing() {
    let (shared, global, old) = contend("add.u32", "1", 10);
    assert_eq!((shared, global), (74, 74));
    assert_eq!(old, (10..74).collect::<Vec<_>>());
    assert_eq!(contend("min.u32", "%r1", 50).0, 1);
    assert_eq!(contend("max.s32", "%r1", 50).1, 64);
    assert_eq!(contend("or.b32", "%r1", 256).0, 256 | 127);
    assert_eq!(contend("and.b32", "%r1", 0xffff).1, 0);
    assert_eq!(contend("xor.b32", "%r1", 0).0, (1..=64).fold(0, |a, b| a ^ b));
    // inc wraps to zero past its bound, dec back to it.
    assert_eq!(contend("inc.u32", "4", 0).0, 64 % 5);
    assert_eq!(contend("dec.u32", "4", 0).1, 5 - 64 % 5);
}

#[test]
fn exchange_and_compare_and_swap() {
    let body = ".shared .align 16 .b8 cell[16];
        setp.eq.u32 %p1, %t, 0; mov.u64 %rd1, cell;
        @%p1 st.shared.v2.u64 [%rd1], {77, 77};
        bar.sync 0;
        atom.shared.cas.b32 %r1, [%rd1], 77, %t;
        cvt.u64.u32 %rd2, %t;
        atom.shared.exch.b64 %rd3, [%rd1+8], %rd2; cvt.u32.u64 %r2, %rd3;
        st.global.v2.u32 [%out], {%r1, %r2};";
    let out = run(body, &[[0; 4]; 40]);
    assert_eq!(out.iter().filter(|o| o[0] == 77).count(), 1);
    let mut chain: Vec<u32> = out.iter().map(|o| o[1]).collect();
    chain.sort_unstable();
    chain.dedup();
    assert_eq!(chain.len(), 40);
}

#[test]
fn float_atomics_add_in_one_order_whatever_the_threads() {
    let body = "ld.param.u64 %rd1, [in]; mov.u32 %r1, %ctaid.x; mad.lo.u32 %r1, %r1, 64, %t;
        add.u32 %r1, %r1, 1; cvt.rn.f32.u32 %f1, %r1; rcp.rn.f32 %f1, %f1;
        red.global.add.f32 [%rd1], %f1; cvt.f64.f32 %d1, %f1; red.global.add.f64 [%rd1+8], %d1;";
    let module = module(body).unwrap();
    let sums: Vec<Vec<u32>> = [1, 2, 7]
        .into_iter()
        .map(|threads| {
            let device = device_with(threads, Checks::all());
            let cells = upload(&device, &[0; 4]);
            let args = [Arg::U64(cells), Arg::U64(cells)];
            device.launch(&module, "test", &Launch::linear(50, 64), &args).unwrap();
            download(&device, cells, 4)
        })
        .collect();
    assert!(sums.windows(2).all(|w| w[0] == w[1]));
    let wanted = (1..=3200u32).fold(0.0, |s, i| s + 1.0 / i as f32);
    assert_eq!(f32::from_bits(sums[0][0]), wanted);
}

#[test]
fn packed_halves_add_each_half() {
    // 1.0 and 2.0 in f16 below, in bf16 above.
    let body = "ld.param.u64 %rd1, [out]; setp.eq.u32 %p1, %t, 0;
        @%p1 st.global.v2.u32 [%rd1], {0, 0}; bar.sync 0;
        mov.u32 %r1, 0x40003c00; mov.u32 %r2, 0x40003f80;
        red.global.add.noftz.f16x2 [%rd1], %r1; red.global.add.noftz.bf16x2 [%rd1+4], %r2;";
    let out = run(body, &[[0; 4]; 8]);
    assert_eq!(out[0][..2], [0x4c00_4800, 0x4180_4100]);
}

#[test]
fn f32_atomics_flush_in_global_memory_only() {
    let body =
        ".shared .align 4 .b8 cell[4]; mov.u64 %rd1, cell; st.shared.u32 [%rd1], 0; st.global.u32 [%out], 0;
        mov.b32 %f1, 5; red.shared.add.f32 [%rd1], %f1; red.global.add.f32 [%out], %f1;
        ld.shared.u32 %r1, [%rd1]; st.global.u32 [%out+4], %r1;";
    assert_eq!(run(body, &[[0; 4]])[0][..2], [0, 5]);
}
