//! Kernels that never end are reported, and slow ones are not.

mod common;

use std::time::{Duration, Instant};

use common::{download, module, upload};
use ptxsim::{Arg, Config, Device, Error, FaultKind, Launch, Limits};

/// Run a body of [`module`] on `blocks` blocks of `threads` threads; gives the first words of `in`, which
/// are zero to begin with.
fn run(body: &str, [blocks, threads]: [u32; 2], limits: Limits, cpus: usize) -> Result<Vec<u32>, Error> {
    let device = Device::new(Config { threads: cpus, limits, ..Config::default() })?;
    let (input, output) = (upload(&device, &[0; 64]), upload(&device, &[0; 4096]));
    let launch = Launch { cluster: None, ..Launch::linear(blocks, threads) };
    device.launch(&module(body)?, "test", &launch, &[Arg::U64(output), Arg::U64(input)])?;
    Ok(download(&device, input, 64))
}

/// What the report of a hang says, whatever the number of CPU threads.
fn hang(body: &str, shape: [u32; 2], limits: Limits) -> String {
    let found = [1, 4].map(|cpus| match run(body, shape, limits, cpus) {
        Err(Error::Fault(fault)) if matches!(fault.kind, FaultKind::Hang { .. }) => fault.to_string(),
        other => panic!("no hang: {other:?}\nin{body}"),
    });
    assert_eq!(found[0], found[1]);
    found[0].clone()
}

const PATIENCE: Limits = Limits { patience: 20_000, max_steps: None, deadline: None };

/// Loops without end that change nothing: alone, with loads, stores, atomics, barriers.
const ENDLESS: [(&str, &str); 9] = [
    ("nothing", "L: bra L;"),
    ("counting", "mov.u32 %r1, 0; L: add.u32 %r1, %r1, 2; setp.ne.u32 %p1, %r1, 7; @%p1 bra L;"),
    ("a flag", "ld.param.u64 %in, [in]; L: ld.volatile.global.u32 %r1, [%in]; setp.eq.u32 %p1, %r1, 0; @%p1 bra L;"),
    (
        "a lock",
        "ld.param.u64 %in, [in]; setp.eq.u32 %p2, %t, 0; @%p2 atom.global.exch.b32 %r2, [%in], 1;
         L: atom.global.cas.b32 %r1, [%in], 0, 1; setp.ne.u32 %p1, %r1, 0; @%p1 bra L;",
    ),
    ("reading by adding 0", "ld.param.u64 %in, [in]; L: atom.global.add.u32 %r1, [%in], 0; setp.eq.u32 %p1, %r1, 0; @%p1 bra L;"),
    ("storing what is there", "L: st.global.u32 [%out], 9; st.global.u16 [%out+4], 9; bra L;"),
    (
        "a flag in shared memory",
        ".shared .align 4 .b32 flag; setp.eq.u32 %p1, %t, 0; @%p1 st.shared.u32 [flag], 0; bar.sync 0;
         L: ld.volatile.shared.u32 %r1, [flag]; setp.eq.u32 %p1, %r1, 0; @%p1 bra L;",
    ),
    ("barriers", "L: bar.sync 0; bra L;"),
    (
        "phases of an mbarrier",
        ".shared .align 8 .b64 bar; setp.eq.u32 %p1, %t, 0; @%p1 mbarrier.init.shared.b64 [bar], 64; bar.sync 0;
         L: mbarrier.arrive.shared.b64 %rd1, [bar];
         W: mbarrier.try_wait.shared.b64 %p2, [bar], %rd1; @!%p2 bra W; bra L;",
    ),
];

#[test]
fn endless_loops_that_change_nothing_are_found() {
    for (what, body) in ENDLESS {
        for shape in [[1, 64], [3, 64]] {
            let found = hang(body, shape, PATIENCE);
            assert!(found.contains("no progress in 2"), "{what}: {found}");
        }
    }
}

#[test]
fn an_endless_loop_is_found_within_ten_seconds_by_default() {
    let start = Instant::now();
    let found = run(ENDLESS[0].1, [1, 64], Limits::default(), 1).unwrap_err().to_string();
    assert!(found.contains("no progress in 50000"), "{found}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_lane_that_never_joins_the_others_is_found() {
    let body = "setp.eq.u32 %p1, %t, 5; L: @%p1 bra L; st.global.u32 [%out], 1;";
    assert!(hang(body, [1, 32], PATIENCE).contains("thread 5,0,0"));
}

#[test]
fn slow_work_that_shows_now_and_then_is_no_hang() {
    // 40 rounds of 8000 instructions, each ending in a store, 16 times the patience in all.
    for (store, wanted) in [
        ("st.global.u32 [%in], %r1;", 40),
        ("red.global.add.u32 [%in], 1;", 40),
        (
            ".shared .align 4 .b32 s; st.shared.u32 [s], %r1; ld.shared.u32 %r3, [s]; setp.eq.u32 %p2, %r3, 40; @%p2 st.global.u32 [%in], %r3;",
            40,
        ),
    ] {
        let body = format!(
            "mov.u32 %r1, 0;
             ROUND: add.u32 %r1, %r1, 1; mov.u32 %r2, 4000;
             WORK: sub.u32 %r2, %r2, 1; setp.ne.u32 %p1, %r2, 0; @%p1 bra WORK;
             {store}
             setp.lt.u32 %p1, %r1, 40; @%p1 bra ROUND;"
        );
        assert_eq!(run(&body, [1, 1], PATIENCE, 1).unwrap()[0], wanted, "{store}");
        assert!(hang(&body.replace("4000", "7000"), [1, 1], PATIENCE).contains("no progress in 2"));
    }
}

#[test]
fn others_may_wait_as_long_as_one_gets_on() {
    // Block 1 spins on a flag that block 0 sets after twice the patience, with a store now and then.
    let body = "ld.param.u64 %in, [in]; mov.u32 %r9, %ctaid.x; setp.ne.u32 %p1, %r9, 0; @%p1 bra SPIN;
        mov.u32 %r1, 0;
        ROUND: add.u32 %r1, %r1, 1; st.volatile.global.u32 [%in+4], %r1; mov.u32 %r2, 1000;
        WORK: sub.u32 %r2, %r2, 1; setp.ne.u32 %p1, %r2, 0; @%p1 bra WORK;
        setp.lt.u32 %p1, %r1, 20; @%p1 bra ROUND;
        st.volatile.global.u32 [%in], 1; bra END;
        SPIN: ld.volatile.global.u32 %r3, [%in]; setp.eq.u32 %p2, %r3, 0; @%p2 bra SPIN;
        ld.volatile.global.u32 %r4, [%in+4]; st.volatile.global.u32 [%in+8], %r4;
        END:";
    assert_eq!(run(body, [2, 1], PATIENCE, 2).unwrap()[..3], [1, 20, 20]);
}

#[test]
fn an_endless_loop_that_changes_memory_needs_a_limit() {
    let body = "ld.param.u64 %in, [in]; L: red.global.add.u32 [%in], 1; bra L;";
    let found = hang(body, [1, 1], Limits { max_steps: Some(90_000), ..PATIENCE });
    assert!(found.contains("more than 90000 warp instructions"), "{found}");
    let limits = Limits { deadline: Some(Duration::from_millis(50)), ..PATIENCE };
    let found = run(body, [1, 1], limits, 1).unwrap_err().to_string();
    assert!(found.contains("has not ended after 50ms"), "{found}");
}
