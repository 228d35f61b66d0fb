//! Barriers, waiting, and where control goes.

use super::Plant;

pub const PLANTS: &[Plant] = &[
    Plant {
        kind: "BarrierDivergence",
        launch: [1, 64, 1],
        kernel: "
and.b32 %r1, %t, 1;
setp.eq.u32 %p1, %r1, 0;
@%p1 bra EVEN;
bar.sync 0;
EVEN:
st.global.u32 [%out], %t;",
        mend: ("bar.sync 0;\nEVEN:", "EVEN:\nbar.sync 0;"),
        says: "4: barrier 0 is not reached by all: lanes 0x55555555 of the warp are elsewhere (in `bar.sync`, block 0,0,0, thread 1,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "BarrierDivergence",
        launch: [1, 96, 1],
        kernel: "
st.global.u32 [%out], %t;
setp.lt.u32 %p1, %t, 64;
@!%p1 exit;
bar.sync 0;
exit;",
        mend: ("@!%p1 exit;\nbar.sync 0;", "bar.sync 0;\n@!%p1 exit;"),
        says: "4: barrier 0 is not reached by all: 32 threads of the block have exited, 64 have arrived (in `bar.sync`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "Deadlock",
        launch: [1, 96, 1],
        kernel: "
st.global.u32 [%out], %t;
setp.lt.u32 %p1, %t, 64;
@!%p1 exit;
bar.sync 1, 96;",
        mend: ("1, 96", "1, 64"),
        says: "4: deadlock, every warp waits: block 0,0,0 warp 0 lanes 0xffffffff at kernels/planted.cu:4 for barrier 1 (64 threads have come); block 0,0,0 warp 1 lanes 0xffffffff at kernels/planted.cu:4 for barrier 1 (64 threads have come) (in `bar.sync`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "Deadlock",
        launch: [1, 64, 1],
        kernel: "
setp.lt.u32 %p1, %t, 32;
@%p1 bra FIRST;
bar.sync 1;
bra END;
FIRST:
bar.sync 2;
END:
st.global.u32 [%out], %t;",
        mend: ("bar.sync 2;", "bar.sync 1;"),
        says: "6: deadlock, every warp waits: block 0,0,0 warp 0 lanes 0xffffffff at kernels/planted.cu:6 for barrier 2 (32 threads have come); block 0,0,0 warp 1 lanes 0xffffffff at kernels/planted.cu:3 for barrier 1 (32 threads have come) (in `bar.sync`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "Deadlock",
        launch: [1, 32, 1],
        kernel: "
.shared .align 8 .b64 bar;
setp.eq.u32 %p1, %t, 0;
@%p1 mbarrier.init.shared.b64 [bar], 33;
bar.warp.sync -1;
mbarrier.arrive.shared.b64 %rd1, [bar];
WAIT:
mbarrier.try_wait.shared.b64 %p2, [bar], %rd1;
@!%p2 bra WAIT;
st.global.u32 [%out], %t;",
        mend: ("33", "32"),
        says: "7: deadlock, every warp waits: block 0,0,0 warp 0 lanes 0xffffffff at kernels/planted.cu:7 for the mbarrier at shared 0x8 of rank 0 (phase 0: 1 of 33 arrivals due, 0 of 0 bytes arrived) (in `mbarrier.try_wait.shared.b64`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "Deadlock",
        launch: [2, 32, 2],
        kernel: "
.shared .align 8 .b64 bar;
setp.eq.u32 %p1, %t, 0;
@%p1 mbarrier.init.shared.b64 [bar], 64;
barrier.cluster.arrive; barrier.cluster.wait;
mov.u32 %r1, bar;
xor.b32 %r2, %b, 1;
mapa.shared::cluster.u32 %r3, %r1, %r2;
mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r3];
WAIT:
mbarrier.try_wait.parity.shared.b64 %p2, [bar], 0;
@!%p2 bra WAIT;
st.global.u32 [%out], %g;
barrier.cluster.arrive; barrier.cluster.wait;",
        mend: ("[bar], 64", "[bar], 32"),
        says: "10: deadlock, every warp waits: block 0,0,0 warp 0 lanes 0xffffffff at kernels/planted.cu:10 for the mbarrier at shared 0x8 of rank 0 (phase 0: 32 of 64 arrivals due, 0 of 0 bytes arrived); block 1,0,0 warp 0 lanes 0xffffffff at kernels/planted.cu:10 for the mbarrier at shared 0x8 of rank 1 (phase 0: 32 of 64 arrivals due, 0 of 0 bytes arrived) (in `mbarrier.try_wait.parity.shared.b64`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "Hang",
        launch: [1, 1, 1],
        kernel: "
mov.u32 %r1, 10;
LOOP:
sub.u32 %r1, %r1, 3;
setp.ne.u32 %p1, %r1, 0;
@%p1 bra LOOP;
st.global.u32 [%out], %r1;",
        mend: ("sub.u32 %r1, %r1, 3;", "sub.u32 %r1, %r1, 5;"),
        says: "3: no progress in 100096 warp instructions: no memory has changed and no thread has ended (in `sub.u32`, block 0,0,0, thread 0,0,0)",
        result: |_| 0,
    },
    Plant {
        kind: "BadTarget",
        launch: [1, 4, 1],
        kernel: "
table: .branchtargets A, B, C;
brx.idx %t, table;
A: mov.u32 %r1, 10;
bra END;
B: mov.u32 %r1, 20;
bra END;
C: mov.u32 %r1, 30;
END:
st.global.u32 [%out], %r1;",
        mend: ("brx.idx %t", "rem.u32 %r2, %t, 3; brx.idx %r2"),
        says: "2: indirect call or branch to 0x3, which is no possible target (in `brx.idx`, block 0,0,0, thread 3,0,0)",
        result: |i| i % 3 * 10 + 10,
    },
    Plant {
        kind: "Trap",
        launch: [20, 32, 1],
        kernel: "
setp.gt.u32 %p1, %g, 420;
@%p1 trap;
st.global.u32 [%out], %g;",
        mend: ("420", "640"),
        says: "2: trap (in `trap`, block 13,0,0, thread 5,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "AssertionFailed",
        launch: [2, 32, 1],
        kernel: "
.param .b64 a; .param .b64 b; .param .b32 c; .param .b64 d; .param .b64 e;
mov.u64 %rd1, text; st.param.b64 [a], %rd1; st.param.b64 [b], 0; st.param.b32 [c], 31; st.param.b64 [d], %rd1;
st.param.b64 [e], 1; setp.lt.u32 %p1, %g, 40; @%p1 bra HOLDS;
call.uni __assertfail, (a, b, c, d, e);
HOLDS: st.global.u32 [%out], %g;",
        mend: ("40", "64"),
        says: "4: ?:31: f > 0: assertion `f > 0` failed (in `call __assertfail`, block 1,0,0, thread 8,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "UndefinedFunction",
        launch: [1, 32, 1],
        kernel: "
.param .b32 x; .param .b32 y; st.param.b32 [x], %t; setp.eq.u32 %p1, %t, 3;
@%p1 call.uni (y), __nv_missing, (x);
st.global.u32 [%out], %t;",
        mend: ("%t, 3", "%t, 33"),
        says: "2: call of `__nv_missing`, which is declared and not defined (in `call __nv_missing`, block 0,0,0, thread 3,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "Misuse",
        launch: [1, 32, 1],
        kernel: "
shfl.sync.bfly.b32 %r1, %t, 1, 31, 0xffff;
st.global.u32 [%out], %r1;",
        mend: ("0xffff", "-1"),
        says: "1: lane 16 is not in its own member mask 0x0000ffff (in `shfl.sync.bfly.b32`, block 0,0,0, thread 16,0,0)",
        result: |i| i ^ 1,
    },
];
