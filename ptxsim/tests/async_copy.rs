//! `cp.async`: what it copies, when it lands, and what happens to those who do not wait.

mod common;

use common::{device, fault, fault_kind, module, random_words, run, try_run, upload};
use ptxsim::{Arg, Error, FaultKind, Launch, Space};

/// Declares `tile`, 16 bytes a thread; `%r9` is the thread's part.
const TILE: &str =
    ".shared .align 16 .b8 tile[4096]; mov.u32 %r9, tile; shl.b32 %r10, %t, 4; add.u32 %r9, %r9, %r10;";
/// Where `tile` lies: at a multiple of 16, as declared, and of no more.
const TILE_AT: u64 = 16;
/// Writes the thread's part out.
const OUT: &str =
    "ld.shared.v4.u32 {%r1, %r2, %r3, %r4}, [%r9]; st.global.v4.u32 [%out], {%r1, %r2, %r3, %r4};";

fn inputs(threads: usize) -> Vec<[u32; 4]> {
    random_words(41, threads * 4).chunks(4).map(|c| [c[0], c[1], c[2], c[3]]).collect()
}

#[test]
fn copies_every_size_with_both_ways_to_wait() {
    for wait in ["cp.async.commit_group; cp.async.wait_group 0;", "cp.async.wait_all;"] {
        for copy in [
            "cp.async.ca.shared.global [%r9], [%in], 16;",
            "cp.async.cg.shared::cta.global.L2::128B [%r9], [%in], 16;",
            "cp.async.ca.shared.global [%r9], [%in], 8; cp.async.ca.shared.global [%r9+8], [%in+8], 8;",
            "cp.async.ca.shared.global [%r9], [%in], 4; cp.async.ca.shared.global [%r9+4], [%in+4], 4, 4;
             mov.u64 %rd1, 0; cp.async.ca.shared.global.L2::cache_hint [%r9+8], [%in+8], 8, %rd1;",
        ] {
            let body = format!("{TILE} {copy} {wait} {OUT}");
            assert_eq!(run(&body, &inputs(96)), inputs(96), "{copy}");
        }
    }
}

#[test]
fn bytes_beyond_the_source_size_are_zero_and_not_read() {
    // Each thread reads as many bytes as its number says, from just before the end of its row.
    let body = format!(
        "{TILE} rem.u32 %r11, %t, 17; cp.async.cg.shared.global [%r9], [%in], 16, %r11; cp.async.wait_all; {OUT}"
    );
    for (thread, (found, input)) in run(&body, &inputs(34)).iter().zip(inputs(34)).enumerate() {
        let mut wanted = [0u8; 16];
        let bytes: Vec<u8> = input.iter().flat_map(|w| w.to_le_bytes()).collect();
        wanted[..thread % 17].copy_from_slice(&bytes[..thread % 17]);
        let found: Vec<u8> = found.iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(found, wanted, "thread {thread}");
    }
    // Nothing is read where the size is 0 or the source is ignored: the address may be anything.
    let nothing = format!(
        "{TILE} setp.lt.u32 %p1, %t, 5; mov.u32 %r11, 16; @%p1 mov.u32 %r11, 0; @%p1 mov.u64 %in, 0;
         cp.async.ca.shared.global [%r9], [%in], 16, %r11; cp.async.wait_all; {OUT}"
    );
    let wanted: Vec<[u32; 4]> =
        inputs(32).into_iter().enumerate().map(|(t, row)| if t < 5 { [0; 4] } else { row }).collect();
    assert_eq!(run(&nothing, &inputs(32)), wanted);
    assert_eq!(run(&nothing.replace("16, %r11;", "16, %p1;"), &inputs(32)), wanted);
    let kind = fault_kind(&nothing.replace("%r11, 0;", "%r11, 1;"), &inputs(32));
    assert!(matches!(kind, FaultKind::OutOfBounds { space: Space::Global, address: 0, .. }), "{kind}");
    let kind = fault_kind(&nothing.replace("%r11, 16;", "%r11, 17;"), &inputs(32));
    assert!(matches!(&kind, FaultKind::Misuse { detail } if detail.contains("17 bytes")), "{kind}");
}

/// Two groups, then a wait that leaves `kept` of them, then a read of the first or the second.
fn two_groups(wait: &str, read: u32) -> String {
    format!(
        "{TILE} cp.async.cg.shared.global [%r9], [%in], 16; cp.async.commit_group;
         cp.async.cg.shared.global [%r9+1024], [%in], 16; cp.async.commit_group;
         {wait} ld.shared.v4.u32 {{%r1, %r2, %r3, %r4}}, [%r9+{read}];
         st.global.v4.u32 [%out], {{%r1, %r2, %r3, %r4}};"
    )
}

#[test]
fn a_wait_lands_all_groups_but_the_newest() {
    assert_eq!(run(&two_groups("cp.async.wait_group 1;", 0), &inputs(64)), inputs(64));
    assert_eq!(run(&two_groups("cp.async.wait_group 0;", 1024), &inputs(64)), inputs(64));
    assert_eq!(run(&two_groups("cp.async.wait_all;", 1024), &inputs(64)), inputs(64));
    // Empty groups count.
    let body = two_groups("cp.async.commit_group; cp.async.wait_group 1;", 1024);
    assert_eq!(run(&body, &inputs(64)), inputs(64));
    for (wait, read) in [("cp.async.wait_group 2;", 0), ("cp.async.wait_group 1;", 1024), ("", 0)] {
        let kind = fault_kind(&two_groups(wait, read), &inputs(64));
        let FaultKind::CopyInFlight { address, thread: 0, committed: true, .. } = kind else {
            panic!("{kind}")
        };
        assert_eq!(address, TILE_AT + u64::from(read));
    }
}

#[test]
fn a_copy_in_no_group_never_lands() {
    let body = format!(
        "{TILE} cp.async.cg.shared.global [%r9], [%in], 16; cp.async.commit_group; cp.async.wait_group 0; {OUT}"
    );
    assert_eq!(run(&body, &inputs(40)), inputs(40));
    let found = fault(&body.replace("cp.async.commit_group;", ""), &inputs(40));
    assert!(matches!(found.kind, FaultKind::CopyInFlight { committed: false, .. }), "{found}");
    let text = found.to_string();
    assert!(text.contains("PTX line") && text.contains("commit_group"), "{text}");
}

#[test]
fn other_threads_and_stores_must_wait_too() {
    // Thread 40 reads what thread 3 copies: a barrier alone does not help, thread 3 must wait.
    let body = |wait: &str| {
        format!(
            "{TILE} setp.eq.u32 %p1, %t, 3; @%p1 cp.async.cg.shared.global [%r9], [%in], 16;
             {wait} bar.sync 0; mov.u32 %r9, tile; setp.eq.u32 %p2, %t, 40;
             @%p2 ld.shared.v4.u32 {{%r1, %r2, %r3, %r4}}, [%r9+48];
             @%p2 st.global.v4.u32 [%out], {{%r1, %r2, %r3, %r4}};"
        )
    };
    assert_eq!(run(&body("cp.async.wait_all;"), &inputs(64))[40], inputs(64)[3]);
    // The others wait for nothing of thread 3's.
    for wait in ["", "setp.ne.u32 %p3, %t, 3; @%p3 cp.async.wait_all;"] {
        let found = fault(&body(wait), &inputs(64));
        let FaultKind::CopyInFlight { address, thread: 3, .. } = found.kind else { panic!("{found}") };
        assert_eq!(address, TILE_AT + 48);
        assert_eq!(found.thread, [40, 0, 0]);
    }
    for write in [
        "st.shared.u32 [%r9+12], 5;",
        "atom.shared.add.u32 %r1, [%r9], 1;",
        "cp.async.ca.shared.global [%r9+4], [%in], 4;",
    ] {
        let body = |order: &str| {
            format!("{TILE} cp.async.cg.shared.global [%r9], [%in], 16; {order} cp.async.wait_all;")
        };
        let kind = fault_kind(&body(write), &inputs(32));
        assert!(matches!(kind, FaultKind::CopyInFlight { .. }), "{write}: {kind}");
        run(&body(&format!("cp.async.wait_all; {write}")), &inputs(32));
    }
}

#[test]
fn copies_race_with_other_warps() {
    // Warp 0 copies over what warp 1 has read, which is the first to pass the barrier.
    let before = |sync: &str| {
        format!(
            "{TILE} st.shared.v4.u32 [%r9], {{1, 2, 3, 4}}; bar.sync 0; setp.ge.u32 %p1, %t, 32;
             @%p1 ld.shared.u32 %r1, [%r9]; {sync} add.u32 %r11, %r9, 512;
             @!%p1 cp.async.cg.shared.global [%r11], [%in], 16; bar.sync 1; cp.async.wait_all;"
        )
    };
    // Warp 1 reads what warp 0 copied and waited for.
    let after = |sync: &str| {
        format!(
            "{TILE} setp.lt.u32 %p1, %t, 32; @%p1 cp.async.cg.shared.global [%r9], [%in], 16;
             cp.async.wait_all; {sync} sub.u32 %r11, %r9, 512; @!%p1 ld.shared.u32 %r1, [%r11];"
        )
    };
    for (body, wanted) in
        [(&before as &dyn Fn(&str) -> String, "write after read"), (&after, "read after write")]
    {
        let kind = fault_kind(&body(""), &inputs(64));
        let FaultKind::SharedRace { hazard, .. } = kind else { panic!("{kind}") };
        assert_eq!(hazard, wanted);
        run(&body("bar.sync 0;"), &inputs(64));
    }
}

#[test]
fn faults_of_the_addresses_come_when_the_copy_is_issued() {
    let body = |change: &str| format!("{TILE} {change} cp.async.cg.shared.global [%r9], [%in], 16; trap;");
    let kind = |change: &str| fault_kind(&body(change), &inputs(32));
    assert_eq!(kind(""), FaultKind::Trap);
    assert!(matches!(kind("add.u32 %r9, %r9, 8;"), FaultKind::Misaligned { space: Space::Shared, .. }));
    assert!(matches!(kind("add.u64 %in, %in, 8;"), FaultKind::Misaligned { space: Space::Global, .. }));
    assert!(matches!(kind("add.u32 %r9, %r9, 4096;"), FaultKind::OutOfBounds { space: Space::Shared, .. }));
    assert!(matches!(kind("add.u64 %in, %in, 512;"), FaultKind::OutOfBounds { space: Space::Global, .. }));
    // The source must have been written.
    let device = device();
    let module = module(&body("")).unwrap();
    let (input, output) = (device.alloc(512).unwrap(), upload(&device, &[0; 128]));
    let error = device.launch(&module, "test", &Launch::linear(1, 32), &[Arg::U64(output), Arg::U64(input)]);
    let Err(Error::Fault(found)) = error else { panic!("{error:?}") };
    assert!(matches!(found.kind, FaultKind::UninitialisedRead { space: Space::Global, .. }), "{found}");
}

#[test]
fn wrong_forms_are_refused_at_load_time() {
    for (form, wanted) in [
        ("cp.async.cg.shared.global [%r9], [%in], 8;", "16 with `.cg`"),
        ("cp.async.ca.shared.global [%r9], [%in], 12;", "4, 8 or 16"),
        ("cp.async.ca.shared.global [%r9], [%in], 4, 4, 4;", "too many"),
        ("cp.async.wait_group %r9;", "constant"),
        ("cp.async.shared.global [%r9], [%in], 4;", "cache operator"),
    ] {
        let error = match try_run(form, &inputs(1)) {
            Err(Error::Parse(error)) => error.to_string(),
            other => panic!("{form}: {other:?}"),
        };
        assert!(error.contains(wanted), "{form}: {error}");
    }
}

#[test]
fn an_mbarrier_may_wait_for_copies() {
    // The copies of each thread of the first warp arrive, and the second warp waits for that alone.
    let body = |init: u32, arrive: &str| {
        format!(
            "{TILE} .shared .align 8 .b64 bar; setp.eq.u32 %p1, %t, 0;
            @%p1 mbarrier.init.shared.b64 [bar], {init}; bar.sync 0;
            setp.ge.u32 %p2, %t, 32; @%p2 bra WAIT;
            cp.async.cg.shared.global [%r9], [%in], 16;
            {arrive} bra END;
            WAIT: mbarrier.try_wait.parity.shared.b64 %p3, [bar], 0; @!%p3 bra WAIT;
            sub.u32 %r9, %r9, 512; ld.shared.v4.u32 {{%r1, %r2, %r3, %r4}}, [%r9];
            st.global.v4.u32 [%out], {{%r1, %r2, %r3, %r4}};
            END:"
        )
    };
    let data = inputs(64);
    let counted = "cp.async.mbarrier.arrive.noinc.shared::cta.b64 [bar];";
    assert_eq!(run(&body(32, counted), &data)[32..], data[..32]);
    // Without `.noinc` the arrival is one more than the phase expects, so an ordinary one must come too.
    let extra = "cp.async.mbarrier.arrive.shared.b64 [bar]; mbarrier.arrive.shared.b64 _, [bar];";
    assert_eq!(run(&body(32, extra), &data)[32..], data[..32]);
    let alone = fault_kind(&body(32, "cp.async.mbarrier.arrive.shared.b64 [bar];"), &data);
    assert!(matches!(alone, FaultKind::Deadlock { .. }), "{alone}");
    // An arrival that says nothing of the copies leaves them in flight.
    let early = fault_kind(&body(32, "mbarrier.arrive.shared.b64 _, [bar];"), &data);
    assert!(matches!(early, FaultKind::CopyInFlight { .. }), "{early}");
}
