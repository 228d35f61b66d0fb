//! Functions that a toolkit provides: `vprintf`, `malloc`, `free`.

mod common;

use common::*;
use ptxsim::{Arg, Error, Fault, FaultKind, Launch, LaunchReport, Module};

const HEADER: &str = ".version 8.4\n.target sm_80\n.address_size 64
.extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);
.extern .func (.param .b64 r) malloc(.param .b64 n);
.extern .func free(.param .b64 q);
.global .align 1 .b8 text[] = {98, 37, 100, 32, 37, 46, 49, 102, 10, 0};
.visible .entry test(.param .u64 out) {
    .reg .b32 %r<9>; .reg .b64 %a, %b, %rd<9>; .reg .pred %p<9>;
    .param .b64 n; .param .b64 x; .param .b32 y; .param .b64 z;
    ld.param.u64 %a, [out];
";

fn run(body: &str, blocks: u32, threads: u32) -> Result<(Vec<u32>, LaunchReport), Box<Fault>> {
    let device = device();
    let out = upload(&device, &[0; 64]);
    let module = Module::parse(&format!("{HEADER}{body}\nret; }}")).unwrap();
    match device.launch(&module, "test", &Launch::linear(blocks, threads), &[Arg::U64(out)]) {
        Ok(report) => Ok((download(&device, out, 64), report)),
        Err(Error::Fault(fault)) => Err(fault),
        Err(other) => panic!("{other}"),
    }
}

/// Prints the block and half of the thread.
const PRINT: &str = ".local .align 8 .b8 list[16]; mov.u64 %rd1, list; cvta.local.u64 %rd2, %rd1;
    mov.u32 %r1, %ctaid.x; st.local.u32 [%rd1], %r1;
    .reg .f64 %d; mov.u32 %r2, %tid.x; cvt.rn.f64.u32 %d, %r2; mul.f64 %d, %d, 0d3fe0000000000000; st.local.f64 [%rd1+8], %d;
    mov.u64 %rd3, text; cvta.global.u64 %rd3, %rd3; st.param.b64 [n], %rd3; st.param.b64 [x], %rd2;
    call.uni (y), vprintf, (n, x); ld.param.b32 %r3, [y]; mad.wide.u32 %a, %r1, 4, %a; st.global.u32 [%a], %r3;";

#[test]
fn printf_prints_in_the_order_of_the_blocks() {
    let (out, report) = run(PRINT, 3, 2).unwrap();
    assert_eq!(report.printed, "b0 0.0\nb0 0.5\nb1 0.0\nb1 0.5\nb2 0.0\nb2 0.5\n");
    assert_eq!(out[..4], [7, 7, 7, 0]);
    let fault = run(&format!("{PRINT} setp.eq.u32 %p1, %r1, 1; @%p1 trap;"), 3, 1).unwrap_err();
    assert_eq!((fault.kind.clone(), fault.printed.as_str()), (FaultKind::Trap, "b0 0.0\nb1 0.0\n"));
}

const MALLOC: &str = "st.param.b64 [n], 16; call.uni (z), malloc, (n); ld.param.b64 %b, [z];";
const FREE: &str = "st.param.b64 [x], %b; call.uni free, (x);";

#[test]
fn the_heap_has_bounds() {
    let store = "mov.u32 %r1, %tid.x; st.u32 [%b+12], %r1; ld.u32 %r2, [%b+12]; mad.wide.u32 %a, %r1, 4, %a; st.global.u32 [%a], %r2;";
    let (out, _) = run(&format!("{MALLOC} {store} {FREE}"), 2, 40).unwrap();
    assert_eq!(out[..40], Vec::from_iter(0..40));
    let beyond = run(&format!("{MALLOC} {} {FREE}", store.replace("+12", "+16")), 1, 1).unwrap_err();
    assert!(matches!(beyond.kind, FaultKind::OutOfBounds { .. }), "{beyond}");
    assert!(beyond.to_string().contains("has 16 bytes, this needs bytes 16 to 20"), "{beyond}");
    let after = run(&format!("{MALLOC} {FREE} {store}"), 1, 1).unwrap_err();
    assert!(matches!(after.kind, FaultKind::UseAfterFree { .. }), "{after}");
    for (body, part) in [
        (format!("{MALLOC} {FREE} {FREE}"), "freed before"),
        (format!("{MALLOC} add.u64 %b, %b, 8; {FREE}"), "has not returned"),
    ] {
        assert!(run(&body, 1, 1).unwrap_err().to_string().contains(part), "{body}");
    }
    // More than the heap has is a null pointer, and freeing that is nothing.
    let large = MALLOC.replace("16", "9000000");
    let (out, _) = run(&format!("{large} {FREE} st.global.u64 [%a], %b;"), 1, 1).unwrap();
    assert_eq!(out[0], 0);
}

#[test]
fn allocations_outlive_their_launch() {
    let device = device();
    let out = upload(&device, &[0; 2]);
    let module = |body: &str| Module::parse(&format!("{HEADER}{body}\nret; }}")).unwrap();
    let launch = |body: &str| device.launch(&module(body), "test", &Launch::linear(1, 1), &[Arg::U64(out)]);
    launch(&format!("{MALLOC} st.u32 [%b], 77; st.global.u64 [%a], %b;")).unwrap();
    launch("ld.global.u64 %b, [%a]; ld.u32 %r1, [%b]; st.global.u64 [%a], 0; st.global.u32 [%a], %r1;")
        .unwrap();
    assert_eq!(download(&device, out, 2), [77, 0]);
}
