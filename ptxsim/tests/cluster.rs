//! Clusters: their barrier, addresses of one another's shared memory, loads, stores and atomics there,
//! and arrivals at one another's mbarriers.

mod common;

use common::*;
use ptxsim::{Arg, Device, Error, FaultKind, Launch, Module};

/// Run a body over four clusters of `size` blocks of 32 threads. `%rank` is the block's in its cluster,
/// `%out` points to the thread's word; `tile` are 128 bytes of shared memory, `bar` is an mbarrier.
fn try_run(device: &Device, size: u32, body: &str) -> Result<Vec<u32>, Error> {
    let ptx = format!(
        ".version 8.8\n.target sm_90a\n.address_size 64
        .visible .entry test(.param .u64 out) {{
        .reg .b32 %r<12>, %t, %rank, %own; .reg .b64 %rd<9>, %out; .reg .pred %p<4>;
        .shared .align 128 .b8 tile[128]; .shared .align 8 .b64 bar;
        ld.param.u64 %out, [out]; mov.u32 %t, %tid.x; mov.u32 %rank, %cluster_ctarank;
        mov.u32 %r0, %ctaid.x; mad.lo.u32 %r0, %r0, 32, %t; mul.wide.u32 %rd0, %r0, 4; add.s64 %out, %out, %rd0;
        mov.u32 %own, tile; mad.lo.u32 %own, %t, 4, %own;
        {body}
        ret; }}"
    );
    let count = 4 * size * 32;
    let out = upload(device, &vec![0; count as usize]);
    let launch = Launch { cluster: Some([size, 1, 1]), ..Launch::linear(4 * size, 32) };
    device.launch(&Module::parse(&ptx)?, "test", &launch, &[Arg::U64(out)])?;
    Ok(download(device, out, count as usize))
}

fn run(size: u32, body: &str) -> Vec<u32> {
    [1, 4].map(|cpus| {
        let device = device_with(cpus, ptxsim::Checks::all());
        try_run(&device, size, body).unwrap_or_else(|e| panic!("{e}\nin{body}"))
    })[0]
        .clone()
}

fn kind(size: u32, body: &str) -> FaultKind {
    match try_run(&device(), size, body) {
        Err(Error::Fault(fault)) => fault.kind,
        other => panic!("{other:?}"),
    }
}

const SYNC: &str = "barrier.cluster.arrive; barrier.cluster.wait;";

/// Every thread puts 1000 * block + thread in its block's shared memory.
const FILL: &str = "mov.u32 %r1, %ctaid.x; mad.lo.u32 %r1, %r1, 1000, %t; st.shared.u32 [%own], %r1;
    barrier.cluster.arrive; barrier.cluster.wait;";

#[test]
fn loads_from_every_block_of_the_cluster() {
    for size in [1, 2, 4, 8] {
        // From the next block, the last's being the first.
        let by_word = format!(
            "{FILL} add.u32 %r2, %rank, 1; rem.u32 %r2, %r2, {size};
            mapa.shared::cluster.u32 %r3, %own, %r2; ld.shared::cluster.u32 %r4, [%r3];
            st.global.u32 [%out], %r4; {SYNC}"
        );
        let generic = format!(
            "{FILL} add.u32 %r2, %rank, 1; rem.u32 %r2, %r2, {size};
            cvt.u64.u32 %rd1, %own; cvta.shared.u64 %rd1, %rd1; mapa.u64 %rd2, %rd1, %r2; ld.u32 %r4, [%rd2];
            st.global.u32 [%out], %r4; {SYNC}"
        );
        let wanted: Vec<u32> = (0..4 * size * 32)
            .map(|i| {
                let (block, thread) = (i / 32, i % 32);
                (block / size * size + (block % size + 1) % size) * 1000 + thread
            })
            .collect();
        assert_eq!(run(size, &by_word), wanted, "{size}");
        assert_eq!(run(size, &generic), wanted, "{size}, generic");
    }
}

#[test]
fn stores_and_atomics_in_other_blocks() {
    // Each block stores into the word of the block before, then all add to block 0's.
    let body = format!(
        "{FILL} add.u32 %r2, %rank, 3; rem.u32 %r2, %r2, 4; mapa.shared::cluster.u32 %r3, %own, %r2;
        mad.lo.u32 %r4, %rank, 100, %t; st.shared::cluster.u32 [%r3], %r4; {SYNC}
        mapa.shared::cluster.u32 %r3, %own, 0; atom.shared::cluster.add.u32 %r5, [%r3], 1; {SYNC}
        ld.shared.u32 %r6, [%own]; st.global.u32 [%out], %r6;"
    );
    let wanted = |i: u32| {
        let (rank, thread) = (i / 32 % 4, i % 32);
        (rank + 1) % 4 * 100 + thread + if rank == 0 { 4 } else { 0 }
    };
    assert_eq!(run(4, &body), (0..512).map(wanted).collect::<Vec<_>>());
}

#[test]
fn arrivals_at_the_mbarriers_of_other_blocks() {
    // Every thread of the cluster arrives at the mbarrier of every block, whose threads wait for all 128.
    let body = format!(
        "setp.eq.u32 %p1, %t, 0; @%p1 mbarrier.init.shared.b64 [bar], 128; fence.mbarrier_init.release.cluster;
        mad.lo.u32 %r1, %rank, 7, 1; st.shared.u32 [%own], %r1; {SYNC}
        mov.u32 %r2, bar; mov.u32 %r3, 0;
        NEXT: mapa.shared::cluster.u32 %r4, %r2, %r3;
        mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r4];
        add.u32 %r3, %r3, 1; setp.lt.u32 %p2, %r3, 4; @%p2 bra NEXT;
        WAIT: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p3, [bar], 0; @!%p3 bra WAIT;
        xor.b32 %r5, %rank, 1; mapa.shared::cluster.u32 %r6, %own, %r5; ld.shared::cluster.u32 %r7, [%r6];
        st.global.u32 [%out], %r7; {SYNC}"
    );
    assert_eq!(run(4, &body), (0..512).map(|i| ((i / 32 % 4) ^ 1) * 7 + 1).collect::<Vec<_>>());
}

#[test]
fn special_registers_tell_the_place_in_the_cluster() {
    let body = "mov.u32 %r1, %clusterid.x; mov.u32 %r2, %cluster_ctaid.x; mov.u32 %r3, %cluster_nctarank;
        mad.lo.u32 %r1, %r1, 100, %r2; mad.lo.u32 %r1, %r3, 10000, %r1; st.global.u32 [%out], %r1;";
    assert_eq!(run(2, body), (0..256).map(|i| 20000 + i / 64 * 100 + i / 32 % 2).collect::<Vec<_>>());
}

#[test]
fn blocks_that_are_not_there_or_have_ended_have_no_memory() {
    let to = |rank: u32| {
        format!(
            "{FILL} mapa.shared::cluster.u32 %r3, %own, {rank}; ld.shared::cluster.u32 %r4, [%r3]; {SYNC}"
        )
    };
    run(2, &to(1));
    let found = kind(2, &to(2));
    assert!(matches!(found, FaultKind::OutOfBounds { .. }), "{found}");
    // Rank 1 ends without waiting for those that read its memory.
    let early = "st.shared.u32 [%own], 5; barrier.cluster.arrive; setp.eq.u32 %p1, %rank, 1; @%p1 exit;
        barrier.cluster.wait; mapa.shared::cluster.u32 %r3, %own, 1; ld.shared::cluster.u32 %r4, [%r3];";
    let found = kind(2, early);
    assert!(matches!(&found, FaultKind::Misuse { detail } if detail.contains("has ended")), "{found}");
    let late = early.replace("@%p1 exit;", "").replace("u32 %r4, [%r3];", &format!("u32 %r4, [%r3]; {SYNC}"));
    run(2, &late);
}

#[test]
fn a_read_before_the_cluster_barrier_finds_nothing_written() {
    let body = "mapa.shared::cluster.u32 %r3, %own, 1; ld.shared::cluster.u32 %r4, [%r3];
        st.shared.u32 [%own], 5; barrier.cluster.arrive; barrier.cluster.wait;";
    let found = kind(2, body);
    assert!(matches!(found, FaultKind::UninitialisedRead { .. }), "{found}");
}
