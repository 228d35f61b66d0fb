//! Where `fence.proxy.async` may stand between ordinary stores and a bulk copy that reads them.

mod common;

use common::*;
use ptxsim::{Arg, Error, FaultKind, Launch};

/// 64 threads store their number, `between` comes, and thread 0 copies all of it out; gives the output.
fn run(between: &str) -> Result<Vec<u32>, FaultKind> {
    let device = device();
    let module = module(&format!(
        ".shared .align 128 .b8 tile[256];
        mov.u32 %r1, tile;
        mad.lo.u32 %r1, %t, 4, %r1;
        st.shared.u32 [%r1], %t;
        {between}
        setp.ne.u32 %p1, %t, 0;
        @%p1 bra END;
        cp.async.bulk.global.shared::cta.bulk_group [%out], [tile], 256;
        cp.async.bulk.commit_group;
        cp.async.bulk.wait_group 0;
        END:"
    ));
    let output = upload(&device, &[0; 64]);
    match device.launch(&module.unwrap(), "test", &Launch::linear(1, 64), &[Arg::U64(output), Arg::U64(0)]) {
        Ok(_) => Ok(download(&device, output, 64)),
        Err(Error::Fault(fault)) => Err(fault.kind),
        Err(other) => panic!("{other}"),
    }
}

const FENCE: &str = "fence.proxy.async.shared::cta;";

#[test]
fn either_side_of_the_barrier_is_right() {
    let barriers = "bar.sync 0;\n bar.sync 1;";
    for between in [
        format!("{FENCE} bar.sync 0;"),
        format!("bar.sync 0; {FENCE}"),
        format!("bar.sync 0; setp.eq.u32 %p2, %t, 0; @%p2 {FENCE}"),
        // In a third place on the way: a warp that knows of the stores fences, and the reader waits for it.
        format!("bar.sync 0; setp.eq.u32 %p2, %t, 40; @%p2 {FENCE} bar.sync 1;"),
        format!("{barriers} fence.proxy.async;"),
    ] {
        assert_eq!(run(&between).unwrap_or_else(|e| panic!("{between}: {e}")), Vec::from_iter(0..64));
    }
}

#[test]
fn no_fence_on_the_way_is_a_fault() {
    for (between, writer) in [
        ("bar.sync 0;".to_owned(), 0),
        // The fence of a warp that does not know of the other's stores yet.
        (format!("setp.lt.u32 %p2, %t, 32; @%p2 {FENCE} bar.sync 0;"), 32),
        // A fence that nobody lets the reader know of.
        (format!("bar.sync 0; setp.ge.u32 %p2, %t, 32; @%p2 {FENCE}"), 0),
        // A fence for global memory.
        ("bar.sync 0; fence.proxy.async.global;".to_owned(), 0),
        // A store after the fence.
        (format!("{FENCE} st.shared.u32 [%r1], %t; bar.sync 0;"), 0),
    ] {
        match run(&between) {
            Err(FaultKind::MissingProxyFence { writer: found, .. }) => assert_eq!(found, writer, "{between}"),
            other => panic!("{between}: {other:?}"),
        }
    }
}

#[test]
fn lanes_of_a_warp_may_meet_instead_of_the_block() {
    let own = |meet: &str| {
        format!(
            "bar.sync 0; {FENCE} bar.sync 0; setp.lt.u32 %p2, %t, 32; @%p2 st.shared.u32 [%r1], %t; {meet} setp.eq.u32 %p2, %t, 0; @%p2 {FENCE}"
        )
    };
    assert_eq!(run(&own("bar.warp.sync -1;")), Ok(Vec::from_iter(0..64)));
    assert!(matches!(run(&own("")), Err(FaultKind::MissingProxyFence { writer: 1, .. })));
}
