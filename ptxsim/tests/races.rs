//! Races are caught and named; with the missing barrier or atomic they are gone.

mod common;

use common::*;
use ptxsim::{Arg, Checks, Error, Fault, FaultKind, Launch};

/// Threads write their word and read that of the thread 32 before them.
const EXCHANGE: &str = ".shared .align 4 .b8 tile[512]; mov.u32 %r1, tile;
    shl.b32 %r2, %t, 2; add.u32 %r2, %r1, %r2; st.shared.u32 [%r2], %t;
    bar.sync 0;
    xor.b32 %r3, %t, 32; shl.b32 %r3, %r3, 2; add.u32 %r3, %r1, %r3; ld.shared.u32 %r4, [%r3];
    bar.sync 0;
    st.shared.u32 [%r2], %r4; st.global.u32 [%out], %r4;";

fn shared_race(body: &str) -> (Fault, u64, u32, &'static str) {
    let fault = fault(body, &[[0; 4]; 64]);
    let FaultKind::SharedRace { address, other_thread, ref other_source, hazard } = fault.kind else {
        panic!("{fault}")
    };
    assert!(other_source.starts_with("PTX line "), "{other_source}");
    (fault, address, other_thread, hazard)
}

#[test]
fn a_missing_barrier_after_a_read_is_a_race() {
    let at = EXCHANGE.rfind("bar.sync 0;").unwrap();
    let body = format!("{}{}", &EXCHANGE[..at], &EXCHANGE[at + 11..]);
    let (fault, address, other, hazard) = shared_race(&body);
    assert_eq!((fault.thread, other, address, hazard), ([0, 0, 0], 32, 4 + 128, "read after write"));
}

#[test]
fn two_warps_that_store_to_one_word_race() {
    let body = ".shared .align 4 .b8 cell[4]; mov.u32 %r1, cell; st.shared.u32 [%r1], %t;";
    assert_eq!(shared_race(body).3, "write after write");
    run(
        &body.replace("st.shared.u32 [%r1], %t;", "setp.eq.u32 %p1, %t, 0; @%p1 st.shared.u32 [%r1], %t;"),
        &[[0; 4]; 64],
    );
    // Atomics do not race with one another, but with a plain load.
    let body = ".shared .align 4 .b8 cell[4]; mov.u32 %r1, cell; setp.eq.u32 %p1, %t, 0;
        @%p1 st.shared.u32 [%r1], 0; bar.sync 0; red.shared.add.u32 [%r1], 1;
        bar.sync 0; ld.shared.u32 %r2, [%r1]; st.global.u32 [%out], %r2;";
    assert!(run(body, &[[0; 4]; 64]).iter().all(|found| found[0] == 64));
    let at = body.rfind("bar.sync 0;").unwrap();
    let (fault, ..) = shared_race(&format!("{}{}", &body[..at], &body[at + 11..]));
    assert_eq!(fault.instruction, "red.shared.add.u32");
}

#[test]
fn neighbouring_bytes_and_halves_do_not_race() {
    for (width, kind) in [(1, "u8"), (2, "b16")] {
        let body = format!(
            ".shared .align 4 .b8 tile[128]; mov.u32 %r1, tile; mov.b16 %h1, 3;
            and.b32 %r2, %t, 31; shl.b32 %r2, %r2, 1; shr.u32 %r3, %t, 5; add.u32 %r2, %r2, %r3;
            mad.lo.u32 %r1, %r2, {width}, %r1; st.shared.{kind} [%r1], %h1;"
        );
        run(&body, &[[0; 4]; 64]);
        let overlapping = body.replace("add.u32 %r2, %r2, %r3;", "");
        assert_eq!(shared_race(&overlapping).3, "write after write");
    }
}

#[test]
fn a_word_races_with_a_byte_of_it() {
    let body = ".shared .align 4 .b8 cell[4]; mov.u32 %r1, cell; setp.lt.u32 %p1, %t, 32;
        @%p1 st.shared.u32 [%r1], 0; @!%p1 st.shared.u8 [%r1+2], 1;";
    assert_eq!(shared_race(body).3, "write after write");
    run(&body.replace("@!%p1", "bar.sync 0; @!%p1"), &[[0; 4]; 64]);
}

#[test]
fn arrive_and_sync_order_a_producer_and_a_consumer() {
    let body = ".shared .align 4 .b8 tile[128]; mov.u32 %r1, tile; and.b32 %r2, %t, 31;
        shl.b32 %r2, %r2, 2; add.u32 %r1, %r1, %r2; setp.lt.u32 %p1, %t, 32; @%p1 bra PRODUCE;
        bar.sync 1, 64; ld.shared.u32 %r3, [%r1]; st.global.u32 [%out], %r3; ret;
    PRODUCE: st.shared.u32 [%r1], 5; bar.arrive 1, 64;";
    assert!(run(body, &[[0; 4]; 64])[32..].iter().all(|found| found[0] == 5));
    // A store after the arrival is not covered by it.
    let late = body.replace("bar.arrive 1, 64;", "bar.arrive 1, 64; st.shared.u32 [%r1], 6;");
    assert_eq!(shared_race(&late).3, "read after write");
}

/// Launch six blocks of 32 threads of a body of [`module`].
fn blocks(body: &str, threads: usize) -> Result<Vec<u32>, Error> {
    let device = device_with(threads, Checks::all());
    let module = module(body).unwrap();
    let (input, output) = (upload(&device, &[7; 1024]), upload(&device, &[0; 1024]));
    let args = [Arg::U64(output), Arg::U64(input)];
    device.launch(&module, "test", &Launch::linear(6, 32), &args)?;
    Ok(download(&device, output, 1024))
}

fn global_race(body: &str) -> (Fault, u64, &'static str) {
    let faults = [1, 2, 4].map(|threads| match blocks(body, threads) {
        Err(Error::Fault(fault)) => *fault,
        other => panic!("expected a race, found {other:?}"),
    });
    assert!(faults.iter().all(|fault| *fault == faults[0]), "{faults:?}");
    let [fault, ..] = faults;
    let FaultKind::GlobalRace { other_block, hazard, .. } = fault.kind else { panic!("{fault}") };
    (fault, other_block, hazard)
}

/// Puts this block's number in `%r1` and moves `%out` to this block's 512 bytes.
const OWN: &str = "mov.u32 %r1, %ctaid.x; mul.wide.u32 %rd1, %r1, 512; add.s64 %out, %out, %rd1;";

#[test]
fn blocks_that_store_to_one_place_race() {
    let body = format!("{OWN} st.global.u32 [%out], %r1;");
    blocks(&body, 2).unwrap();
    let (fault, other, hazard) = global_race("mov.u32 %r1, %ctaid.x; st.global.u32 [%out], %r1;");
    assert_eq!((fault.block, fault.thread, other, hazard), ([5, 0, 0], [0, 0, 0], 0, "write after write"));
    blocks("mov.u32 %r1, %ctaid.x; red.global.add.u32 [%out], %r1;", 4).unwrap();
}

#[test]
fn a_block_that_reads_what_another_stores_races() {
    let body = format!(
        "{OWN} setp.eq.u32 %p1, %r1, 3; setp.eq.u32 %p2, %r1, 2; mov.u32 %r2, %t;
        @%p1 st.global.u32 [%out], %r1; @%p2 ld.global.u32 %r2, [%out+512];"
    );
    let (fault, other, hazard) = global_race(&body);
    assert_eq!((fault.block, other, hazard), ([3, 0, 0], 2, "write after read"));
    blocks(&body.replace("+512", ""), 2).unwrap();
    let atomic = body.replace("st.global.u32 [%out], %r1", "red.global.add.u32 [%out], %r1");
    assert_eq!(global_race(&atomic).2, "write after read");
}

#[test]
fn halves_of_a_word_may_belong_to_two_blocks() {
    let body = "mov.u32 %r1, %ctaid.x; mul.wide.u32 %rd1, %r1, 2; add.s64 %out, %out, %rd1;
        setp.eq.u32 %p1, %t, 0; mov.b16 %h1, 9; @%p1 st.global.b16 [%out], %h1;";
    blocks(body, 2).unwrap();
    let word =
        body.replace("%r1, 2;", "%r1, 4;").replace("st.global.b16 [%out], %h1", "st.global.u32 [%out], %r1");
    blocks(&word, 2).unwrap();
    global_race(&body.replace("%r1, 2;", "%r1, 1;").replace(
        "b16 [%out], %h1",
        "u8 [%out], %h1; ld.global.u16 %h2, [%in]; and.b64 %out, %out, -2; @%p1 st.global.b16 [%out], %h1",
    ));
}
