//! Mbarriers: phases, arrivals, transaction bytes, and bulk copies that they count.

mod common;

use common::*;
use ptxsim::FaultKind;

const ONE: [[u32; 4]; 1] = [[0; 4]];

/// A kernel with 256 bytes of shared memory `buffer` and mbarriers `bar` and `bar2`.
fn body(text: &str) -> String {
    format!(
        ".shared .align 128 .b8 buffer[256]; .shared .align 8 .b64 bar; .shared .align 8 .b64 bar2;\n{text}"
    )
}

fn kind(text: &str, inputs: &[[u32; 4]]) -> FaultKind {
    fault_kind(&body(text), inputs)
}

#[test]
fn phases_complete_by_arrivals() {
    // Parity 1 counts as done before the first phase completes, parity 0 after.
    let text = "mbarrier.init.shared.b64 [bar], 3;
        mbarrier.arrive.shared.b64 %rd1, [bar];
        mbarrier.test_wait.shared.b64 %p1, [bar], %rd1;
        mbarrier.test_wait.parity.shared.b64 %p2, [bar], 1;
        mbarrier.arrive.shared.b64 %rd2, [bar], 2;
        mbarrier.pending_count.b64 %r5, %rd2;
        mbarrier.test_wait.shared.b64 %p3, [bar], %rd1;
        mbarrier.test_wait.parity.shared.b64 %p4, [bar], 1;
        selp.u32 %r1, 1, 0, %p1; selp.u32 %r2, 2, 0, %p2; selp.u32 %r3, 4, 0, %p3; selp.u32 %r4, 8, 0, %p4;
        or.b32 %r1, %r1, %r2; or.b32 %r3, %r3, %r4; or.b32 %r1, %r1, %r3;
        st.global.v2.u32 [%out], {%r1, %r5};";
    let out = run(&body(text), &ONE);
    assert_eq!(out[0][..2], [2 | 4, 2]);
}

#[test]
fn a_drop_lowers_the_next_phase() {
    let text = "mbarrier.init.shared.b64 [bar], 2;
        mbarrier.arrive_drop.shared.b64 %rd1, [bar];
        mbarrier.arrive.shared.b64 %rd2, [bar];
        mbarrier.arrive.shared.b64 %rd3, [bar];
        mbarrier.test_wait.shared.b64 %p1, [bar], %rd3;
        selp.u32 %r1, 1, 0, %p1;
        st.global.u32 [%out], %r1;";
    assert_eq!(run(&body(text), &ONE)[0][0], 1);
}

#[test]
fn every_thread_of_a_warp_arrives_and_waits() {
    let text = "setp.eq.u32 %p1, %t, 0;
        @%p1 mbarrier.init.shared.b64 [bar], 64;
        bar.sync 0;
        mbarrier.arrive.shared.b64 %rd1, [bar];
        L: mbarrier.try_wait.shared.b64 %p2, [bar], %rd1; @!%p2 bra L;
        mov.u32 %r1, 7; st.global.u32 [%out], %r1;";
    assert!(run(&body(text), &[[0; 4]; 64]).iter().all(|out| out[0] == 7));
}

#[test]
fn an_mbarrier_orders_shared_memory_between_warps() {
    let text = "setp.eq.u32 %p1, %t, 0;
        @%p1 mbarrier.init.shared.b64 [bar], 1;
        bar.sync 0;
        setp.ge.u32 %p3, %t, 32; @%p3 bra READ;
        @%p1 st.shared.u32 [buffer], 42;
        @%p1 mbarrier.arrive.shared.b64 %rd1, [bar];
        bra END;
        READ: mbarrier.try_wait.parity.shared.b64 %p2, [bar], 0; @!%p2 bra READ;
        ld.shared.u32 %r1, [buffer]; st.global.u32 [%out], %r1;
        END:";
    let out = run(&body(text), &[[0; 4]; 64]);
    assert!(out[32..].iter().all(|out| out[0] == 42));
}

/// Copies 32 bytes of the input to shared memory and back out, `before` between issue and read.
fn copy(bytes: u32, before: &str) -> String {
    body(&format!(
        "ld.global.u32 %r9, [%in];
        mbarrier.init.shared.b64 [bar], 1; fence.mbarrier_init.release.cluster;
        mbarrier.arrive.expect_tx.shared.b64 _, [bar], {bytes};
        cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [buffer], [%in], 16, [bar];
        {before}
        ld.shared.v4.u32 {{%r1, %r2, %r3, %r4}}, [buffer];
        st.global.v4.u32 [%out], {{%r1, %r2, %r3, %r4}};"
    ))
}

const WAIT: &str = "L: mbarrier.try_wait.parity.shared.b64 %p1, [bar], 0; @!%p1 bra L;";

#[test]
fn a_bulk_copy_lands_with_its_phase() {
    assert_eq!(run(&copy(16, WAIT), &[[1, 2, 3, 4]]), [[1, 2, 3, 4]]);
    let found = fault_kind(&copy(16, ""), &[[1, 2, 3, 4]]);
    assert!(matches!(found, FaultKind::UnfinishedCopy { .. }), "{found}");
}

#[test]
fn bulk_stores_need_a_proxy_fence_and_their_group() {
    let store = |fence: &str, wait: &str| {
        body(&format!(
            "ld.global.v4.u32 {{%r1, %r2, %r3, %r4}}, [%in];
            st.shared.v4.u32 [buffer], {{%r1, %r2, %r3, %r4}};
            {fence}
            cp.async.bulk.global.shared::cta.bulk_group [%out], [buffer], 16;
            cp.async.bulk.commit_group;
            {wait}
            st.shared.u32 [buffer], 0;"
        ))
    };
    let (fence, wait) = ("fence.proxy.async.shared::cta;", "cp.async.bulk.wait_group.read 0;");
    assert_eq!(run(&store(fence, wait), &[[5, 6, 7, 8]]), [[5, 6, 7, 8]]);
    let found = fault_kind(&store("", wait), &ONE);
    assert!(matches!(found, FaultKind::MissingProxyFence { writer: 0, .. }), "{found}");
    let found = fault_kind(&store(fence, ""), &ONE);
    assert!(matches!(found, FaultKind::UnfinishedCopy { .. }), "{found}");
}

#[test]
fn rules_are_faults() {
    let wrong = |text: &str| match kind(text, &ONE) {
        FaultKind::Mbarrier { detail, .. } => detail,
        other => panic!("{other}"),
    };
    assert!(wrong("mbarrier.arrive.shared.b64 %rd1, [bar];").contains("without `mbarrier.init`"));
    assert!(wrong("mbarrier.init.shared.b64 [bar], 0;").contains("arrival count"));
    assert!(
        wrong("mbarrier.init.shared.b64 [bar], 1; mbarrier.arrive.shared.b64 _, [bar], 2;").contains("due")
    );
    let inval = "mbarrier.init.shared.b64 [bar], 1; mbarrier.inval.shared.b64 [bar]; mbarrier.arrive.shared.b64 _, [bar];";
    assert!(wrong(inval).contains("without `mbarrier.init`"));
    let odd = kind("mbarrier.init.shared.b64 [buffer+4], 1;", &ONE);
    assert!(matches!(odd, FaultKind::Misuse { .. }), "{odd}");
}
