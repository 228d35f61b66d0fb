//! Copies under way, mbarriers, proxies, wgmma, descriptors and tensor maps.

use super::Plant;

/// A warpgroup's product of a 64 by 16 matrix of ones with 8 of its own rows, added to each thread's
/// number; one step of it may be another.
macro_rules! product {
    (fill: $fill:literal) => {
        product!($fill, "fence.proxy.async.shared::cta;\nbar.sync 0;", "0x1000080000", "wgmma.fence.sync.aligned;", "0")
    };
    (ready: $ready:literal) => {
        product!(ones, $ready, "0x1000080000", "wgmma.fence.sync.aligned;", "0")
    };
    (descriptor: $descriptor:literal) => {
        product!(ones, "fence.proxy.async.shared::cta;\nbar.sync 0;", $descriptor, "wgmma.fence.sync.aligned;", "0")
    };
    (fence: $fence:literal) => {
        product!(ones, "fence.proxy.async.shared::cta;\nbar.sync 0;", "0x1000080000", $fence, "0")
    };
    (wait: $wait:literal) => {
        product!(ones, "fence.proxy.async.shared::cta;\nbar.sync 0;", "0x1000080000", "wgmma.fence.sync.aligned;", $wait)
    };
    (ones, $($rest:literal),+) => {
        product!("st.shared.v4.b32 [%r2], {%r3, %r3, %r3, %r3};", $($rest),+)
    };
    ($fill:literal, $ready:literal, $descriptor:literal, $fence:literal, $wait:literal) => {
        concat!(
            "
.shared .align 128 .b8 tile[2048];
mov.u32 %r1, tile;
mad.lo.u32 %r2, %t, 16, %r1;
mov.b32 %r3, 0x3f803f80;
", $fill, "
", $ready, "
shr.u32 %r4, %r1, 4;
cvt.u64.u32 %rd1, %r4;
or.b64 %rd1, %rd1, ", $descriptor, ";
cvt.rn.f32.u32 %f1, %t; mov.f32 %f2, %f1; mov.f32 %f3, %f1; mov.f32 %f4, %f1;
", $fence, "
wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f1, %f2, %f3, %f4}, %rd1, %rd1, 1, 1, 1, 0, 0;
wgmma.commit_group.sync.aligned;
wgmma.wait_group.sync.aligned ", $wait, ";
cvt.rzi.u32.f32 %r5, %f1;
st.global.u32 [%out], %r5;"
        )
    };
}

pub const PLANTS: &[Plant] = &[
    Plant {
        kind: "CopyInFlight",
        launch: [1, 64, 1],
        kernel: "
.shared .align 16 .b8 tile[256];
mov.u32 %r1, tile;
mad.lo.u32 %r2, %t, 4, %r1;
cp.async.ca.shared.global [%r2], [%in], 4;
cp.async.commit_group;
cp.async.wait_group 1;
ld.shared.u32 %r3, [%r2];
st.global.u32 [%out], %r3;",
        mend: ("wait_group 1", "wait_group 0"),
        says: "7: shared 0x10 is still being filled by thread 0's cp.async at kernels/planted.cu:4; that thread must wait with `cp.async.wait_group` first (in `ld.shared.u32`, block 0,0,0, thread 0,0,0)",
        result: |i| i + 1,
    },
    // Too few bytes arrive, and the phase never completes.
    Plant {
        kind: "Deadlock",
        launch: [1, 32, 1],
        kernel: "
.shared .align 128 .b8 tile[128]; .shared .align 8 .b64 bar;
setp.eq.u32 %p1, %t, 0;
@!%p1 bra COPIED;
mbarrier.init.shared.b64 [bar], 1;
mbarrier.arrive.expect_tx.shared.b64 _, [bar], 256;
cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [tile], [%in], 128, [bar];
COPIED:
bar.sync 0;
WAIT:
mbarrier.try_wait.parity.shared.b64 %p2, [bar], 0;
@!%p2 bra WAIT;
mov.u32 %r1, tile;
mad.lo.u32 %r1, %t, 4, %r1;
ld.shared.u32 %r2, [%r1];
st.global.u32 [%out], %r2;",
        mend: ("256", "128"),
        says: "10: deadlock, every warp waits: block 0,0,0 warp 0 lanes 0xffffffff at kernels/planted.cu:10 for the mbarrier at shared 0x108 of rank 0 (phase 0: 0 of 1 arrivals due, 128 of 256 bytes arrived) (in `mbarrier.try_wait.parity.shared.b64`, block 0,0,0, thread 0,0,0)",
        result: |i| i + 1,
    },
    // Too many arrive.
    Plant {
        kind: "Mbarrier",
        launch: [1, 32, 1],
        kernel: "
.shared .align 128 .b8 tile[128]; .shared .align 8 .b64 bar;
setp.eq.u32 %p1, %t, 0;
@!%p1 bra COPIED;
mbarrier.init.shared.b64 [bar], 1;
mbarrier.arrive.expect_tx.shared.b64 _, [bar], 64;
cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [tile], [%map, {0}], [bar];
COPIED:
bar.sync 0;
WAIT:
mbarrier.try_wait.parity.shared.b64 %p2, [bar], 0;
@!%p2 bra WAIT;
mov.u32 %r1, tile;
mad.lo.u32 %r1, %t, 4, %r1;
ld.shared.u32 %r2, [%r1];
st.global.u32 [%out], %r2;",
        mend: ("64;", "128;"),
        says: "10: mbarrier at shared 0x108: phase 0: 128 bytes arrived where 64 were expected (in `mbarrier.try_wait.parity.shared.b64`, block 0,0,0, thread 0,0,0)",
        result: |i| i + 1,
    },
    Plant {
        kind: "UnfinishedCopy",
        launch: [1, 32, 1],
        kernel: "
.shared .align 128 .b8 tile[128]; .shared .align 8 .b64 bar;
setp.eq.u32 %p1, %t, 0;
@!%p1 bra COPIED;
mbarrier.init.shared.b64 [bar], 1;
mbarrier.arrive.expect_tx.shared.b64 _, [bar], 128;
cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [tile], [%map, {0}], [bar];
COPIED:
bar.sync 0;
mov.u32 %r1, tile;
mad.lo.u32 %r1, %t, 4, %r1;
// Nobody waits for the mbarrier.
ld.shared.u32 %r2, [%r1];
st.global.u32 [%out], %r2;",
        mend: (
            "// Nobody waits for the mbarrier.",
            "WAIT: mbarrier.try_wait.parity.shared.b64 %p2, [bar], 0;\n@!%p2 bra WAIT;",
        ),
        says: "12: shared 0x80 is still to be filled by an asynchronous operation; wait for its mbarrier phase or group first (in `ld.shared.u32`, block 0,0,0, thread 0,0,0)",
        result: |i| i + 1,
    },
    // A block ends while a copy into its shared memory is under way.
    Plant {
        kind: "UnfinishedCopy",
        launch: [1, 32, 1],
        kernel: "
.shared .align 128 .b8 tile[128]; .shared .align 8 .b64 bar;
st.global.u32 [%out], %t;
setp.ne.u32 %p1, %t, 0;
@%p1 exit;
mbarrier.init.shared.b64 [bar], 1;
mbarrier.arrive.expect_tx.shared.b64 _, [bar], 128;
cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [tile], [%map, {0}], [bar];
exit;",
        mend: ("exit;\nmbarrier", "exit;\nret;\nmbarrier"),
        says: "8: shared 0x80 is still to be filled by an asynchronous operation; wait for its mbarrier phase or group first (in `exit`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    // A thread ends while its bulk store still reads shared memory.
    Plant {
        kind: "UnfinishedCopy",
        launch: [1, 32, 1],
        kernel: "
.shared .align 128 .b8 tile[128];
mov.u32 %r1, tile;
mad.lo.u32 %r1, %t, 4, %r1;
st.shared.u32 [%r1], %t;
fence.proxy.async.shared::cta;
bar.sync 0;
setp.ne.u32 %p1, %t, 0;
@%p1 exit;
cp.async.bulk.global.shared::cta.bulk_group [%out], [tile], 128;
cp.async.bulk.commit_group;
exit;",
        mend: ("commit_group;", "commit_group;\ncp.async.bulk.wait_group.read 0;"),
        says: "11: shared 0x80 is still being read by an asynchronous operation; wait for its mbarrier phase or group first (in `exit`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "MissingProxyFence",
        launch: [1, 32, 1],
        kernel: "
.shared .align 128 .b8 tile[128];
mov.u32 %r1, tile;
mad.lo.u32 %r1, %t, 4, %r1;
st.shared.u32 [%r1], %t;
// The async proxy does not see that yet.
bar.sync 0;
setp.ne.u32 %p1, %t, 0;
@%p1 exit;
cp.async.bulk.global.shared::cta.bulk_group [%out], [tile], 128;
cp.async.bulk.commit_group;
cp.async.bulk.wait_group.read 0;",
        mend: ("// The async proxy does not see that yet.", "fence.proxy.async.shared::cta;"),
        says: "9: shared 0x80, stored by thread 0, is read through the async proxy with no `fence.proxy.async` between (in `cp.async.bulk.global.shared::cta.bulk_group`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    // A bulk store of what a cp.async has not delivered.
    Plant {
        kind: "CopyInFlight",
        launch: [1, 32, 1],
        kernel: "
.shared .align 128 .b8 tile[128];
mov.u32 %r1, tile;
mad.lo.u32 %r1, %t, 4, %r1;
cp.async.ca.shared.global [%r1], [%in], 4;
cp.async.commit_group;
// Nobody waits for the group.
fence.proxy.async.shared::cta;
bar.sync 0;
setp.ne.u32 %p1, %t, 0;
@%p1 exit;
cp.async.bulk.global.shared::cta.bulk_group [%out], [tile], 128;
cp.async.bulk.commit_group;
cp.async.bulk.wait_group.read 0;",
        mend: ("// Nobody waits for the group.", "cp.async.wait_group 0;"),
        says: "11: shared 0x80 is still being filled by thread 0's cp.async at kernels/planted.cu:4; that thread must wait with `cp.async.wait_group` first (in `cp.async.bulk.global.shared::cta.bulk_group`, block 0,0,0, thread 0,0,0)",
        result: |i| i + 1,
    },
    // The barrier that lets the bulk store read what other warps stored is missing.
    Plant {
        kind: "SharedRace",
        launch: [1, 64, 1],
        kernel: "
.shared .align 128 .b8 tile[256];
mov.u32 %r1, tile;
mad.lo.u32 %r1, %t, 4, %r1;
st.shared.u32 [%r1], 0; fence.proxy.async.shared::cta; bar.sync 0;
st.shared.u32 [%r1], %t; fence.proxy.async.shared::cta; // no barrier
setp.ne.u32 %p1, %t, 0;
@%p1 exit;
cp.async.bulk.global.shared::cta.bulk_group [%out], [tile], 256;
cp.async.bulk.commit_group;
cp.async.bulk.wait_group.read 0;",
        mend: ("// no barrier", "bar.sync 0;"),
        says: "8: shared-memory race at 0x100: read after write of thread 32 at kernels/planted.cu:5 with no barrier between (in `cp.async.bulk.global.shared::cta.bulk_group`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    // A bulk copy overwrites what another warp still reads: no mbarrier says that it is done.
    Plant {
        kind: "SharedRace",
        launch: [1, 64, 1],
        kernel: "
.shared .align 128 .b8 tile[128]; .shared .align 8 .b64 full; .shared .align 8 .b64 empty;
and.b32 %r1, %t, 31; mov.u32 %r2, tile; mad.lo.u32 %r2, %r1, 4, %r2; setp.eq.u32 %p1, %t, 32; setp.lt.u32 %p2, %t, 32;
@%p1 mbarrier.init.shared.b64 [full], 1; @%p1 mbarrier.init.shared.b64 [empty], 32;
@%p2 st.shared.u32 [%r2], 5; fence.proxy.async.shared::cta;
bar.sync 0;
@%p2 bra CONSUME;
@!%p1 bra END;
// nobody waits
mbarrier.arrive.expect_tx.shared.b64 _, [full], 128;
cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [tile], [%map, {32}], [full];
WAIT:
mbarrier.try_wait.parity.shared.b64 %p3, [full], 0; @!%p3 bra WAIT;
bra END;
CONSUME:
ld.shared.u32 %r3, [%r2]; mbarrier.arrive.shared.b64 _, [empty];
FULL:
mbarrier.try_wait.parity.shared.b64 %p3, [full], 0; @!%p3 bra FULL;
ld.shared.u32 %r4, [%r2]; add.u32 %r3, %r3, %r4; st.global.u32 [%out], %r3;
END:",
        mend: ("// nobody waits", "EMPTY: mbarrier.try_wait.parity.shared.b64 %p3, [empty], 0; @!%p3 bra EMPTY;"),
        says: "15: shared-memory race at 0x80: read after write of thread 32 at kernels/planted.cu:10 with no barrier between (in `ld.shared.u32`, block 0,0,0, thread 0,0,0)",
        result: |i| if i < 32 { i + 38 } else { 0 },
    },
    Plant {
        kind: "BadTensorMap",
        launch: [1, 32, 1],
        kernel: "
.shared .align 128 .b8 tile[128]; .shared .align 8 .b64 bar;
setp.eq.u32 %p1, %t, 0;
@!%p1 bra COPIED;
mbarrier.init.shared.b64 [bar], 1;
mbarrier.arrive.expect_tx.shared.b64 _, [bar], 128;
cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [tile], [%junk, {0}], [bar];
COPIED:
bar.sync 0;
WAIT:
mbarrier.try_wait.parity.shared.b64 %p2, [bar], 0;
@!%p2 bra WAIT;
mov.u32 %r1, tile;
mad.lo.u32 %r1, %t, 4, %r1;
ld.shared.u32 %r2, [%r1];
st.global.u32 [%out], %r2;",
        mend: ("%junk", "%map"),
        says: "6: bad tensor map: its 128 bytes are none that this simulator encoded (in `cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes`, block 0,0,0, thread 0,0,0)",
        result: |i| i + 1,
    },
    Plant {
        kind: "MissingProxyFence",
        launch: [1, 128, 1],
        kernel: product!(ready: "// The async proxy does not see that yet.\nbar.sync 0;"),
        mend: ("// The async proxy does not see that yet.", "fence.proxy.async.shared::cta;"),
        says: "13: shared 0x680, stored by thread 96, is read through the async proxy with no `fence.proxy.async` between (in `wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16`, block 0,0,0, thread 96,0,0)",
        result: |i| i + 16,
    },
    Plant {
        kind: "CopyInFlight",
        launch: [1, 128, 1],
        kernel: product!(fill: "cp.async.ca.shared.global [%r2], [%in], 16, 0;"),
        mend: ("16, 0;", "16, 0; cp.async.wait_all;"),
        says: "13: shared 0x680 is still being filled by thread 96's cp.async at kernels/planted.cu:5; that copy is in no group yet: `cp.async.commit_group` and `cp.async.wait_group` must come first (in `wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16`, block 0,0,0, thread 96,0,0)",
        result: |i| i,
    },
    // The barrier that lets wgmma read what other warps stored is missing; the delay lets them store.
    Plant {
        kind: "SharedRace",
        launch: [1, 128, 1],
        kernel: product!(
            "st.shared.v4.b32 [%r2], {%t, %t, %t, %t}; bar.sync 0; st.shared.v4.b32 [%r2], {%r3, %r3, %r3, %r3};",
            "fence.proxy.async.shared::cta;\nmov.u32 %r6, 99; DELAY: sub.u32 %r6, %r6, 1; setp.ne.u32 %p1, %r6, 0; @%p1 bra DELAY;\n// no barrier",
            "0x1000080000",
            "wgmma.fence.sync.aligned;",
            "0"
        ),
        mend: ("// no barrier", "bar.sync 0;"),
        says: "14: shared-memory race at 0x80: read after write of thread 0 at kernels/planted.cu:5 with no barrier between (in `wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16`, block 0,0,0, thread 96,0,0)",
        result: |i| i + 16,
    },
    Plant {
        kind: "MissingWgmmaFence",
        launch: [1, 128, 1],
        kernel: product!(fence: "// no fence"),
        mend: ("// no fence", "wgmma.fence.sync.aligned;"),
        says: "13: wgmma without a `wgmma.fence` before the first (in `wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16`, block 0,0,0, thread 96,0,0)",
        result: |i| i + 16,
    },
    Plant {
        kind: "MissingWgmmaFence",
        launch: [1, 128, 1],
        kernel: product!(fence: "wgmma.fence.sync.aligned; add.f32 %f3, %f3, %f3;"),
        mend: (
            "wgmma.fence.sync.aligned; add.f32 %f3, %f3, %f3;",
            "add.f32 %f3, %f3, %f3; wgmma.fence.sync.aligned;",
        ),
        says: "13: register %f3 was written after the last `wgmma.fence`; wgmma needs one between (in `wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16`, block 0,0,0, thread 96,0,0)",
        result: |i| i + 16,
    },
    Plant {
        kind: "WgmmaRegister",
        launch: [1, 128, 1],
        kernel: product!(wait: "1"),
        mend: ("wait_group.sync.aligned 1", "wait_group.sync.aligned 0"),
        says: "16: register %f1 is used while wgmma works on it; `wgmma.wait_group` must come first (in `cvt.rzi.u32.f32`, block 0,0,0, thread 96,0,0)",
        result: |i| i + 16,
    },
    Plant {
        kind: "BadDescriptor",
        launch: [1, 128, 1],
        kernel: product!(descriptor: "0x0002001000080000"),
        mend: ("0x0002001000080000", "0x1000080000"),
        says: "13: bad matrix descriptor 0x0002001000080008: base offset 1; only patterns that start aligned, at 0, are simulated (in `wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16`, block 0,0,0, thread 96,0,0)",
        result: |i| i + 16,
    },
    Plant {
        kind: "BadDescriptor",
        launch: [1, 128, 1],
        kernel: product!(descriptor: "0x2000080000"),
        mend: ("0x2000080000", "0x1000080000"),
        says: "13: bad matrix descriptor 0x0000002000080008: it reads shared 0xc80: `tile` at 0x80 has 2048 bytes, this needs bytes 3072 to 3088 (in `wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16`, block 0,0,0, thread 96,0,0)",
        result: |i| i + 16,
    },
];
