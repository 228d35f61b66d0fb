//! Accesses to memory and registers.

use super::Plant;

pub const PLANTS: &[Plant] = &[
    Plant {
        kind: "OutOfBounds",
        launch: [2, 32, 1],
        kernel: "
ld.global.u32 %r1, [%in+4];
st.global.u32 [%out], %r1;",
        mend: ("+4", ""),
        says: "1: out-of-bounds global access of 4 bytes at 0x7f0000000100: the allocation at 0x7f0000000000 has 256 bytes, this needs bytes 256 to 260 (in `ld.global.u32`, block 1,0,0, thread 31,0,0)",
        result: |i| i + 1,
    },
    Plant {
        kind: "OutOfBounds",
        launch: [1, 32, 1],
        kernel: "
.shared .align 4 .b8 tile[128];
mov.u32 %r1, tile;
mad.lo.u32 %r1, %t, 4, %r1;
st.shared.u32 [%r1+4], %t;
ld.shared.u32 %r2, [%r1];
st.global.u32 [%out], %r2;",
        mend: ("[%r1+4]", "[%r1]"),
        says: "4: out-of-bounds shared access of 4 bytes at 0x84: `tile` at 0x4 has 128 bytes, this needs bytes 128 to 132 (in `st.shared.u32`, block 0,0,0, thread 31,0,0)",
        result: |i| i,
    },
    // Behind one array lies another.
    Plant {
        kind: "OutOfBounds",
        launch: [1, 32, 1],
        kernel: "
.shared .align 4 .b8 first[128]; .shared .align 4 .b8 second[128];
mov.u32 %r1, first; mov.u32 %r2, second;
mad.lo.u32 %r1, %t, 4, %r1; mad.lo.u32 %r2, %t, 4, %r2;
st.shared.u32 [%r2], %t;
st.shared.u32 [%r1+4], 0;
ld.shared.u32 %r3, [%r2];
st.global.u32 [%out], %r3;",
        mend: ("[%r1+4]", "[%r1]"),
        says: "5: out-of-bounds shared access of 4 bytes at 0x84: `first` at 0x4 has 128 bytes, this needs bytes 128 to 132 (in `st.shared.u32`, block 0,0,0, thread 31,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "OutOfBounds",
        launch: [1, 8, 1],
        kernel: "
.local .align 4 .b8 frame[8];
mov.u64 %rd1, frame;
st.local.u32 [%rd1+8], %t;
ld.local.u32 %r1, [%rd1+4];
st.global.u32 [%out], %r1;",
        mend: ("[%rd1+8]", "[%rd1+4]"),
        says: "3: out-of-bounds local access of 4 bytes at 0x8: the thread's local memory has 8 bytes (in `st.local.u32`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "Misaligned",
        launch: [1, 8, 1],
        kernel: "
and.b64 %rd1, %in, -8;
ld.global.v2.u32 {%r1, %r2}, [%rd1+4];
add.u32 %r1, %r1, %r2;
st.global.u32 [%out], %r1;",
        mend: ("+4", ""),
        says: "2: misaligned global access of 8 bytes at 0x7f0000000004 (in `ld.global.v2.u32`, block 0,0,0, thread 0,0,0)",
        result: |i| i / 2 * 4 + 3,
    },
    Plant {
        kind: "Misaligned",
        launch: [1, 8, 1],
        kernel: "
.shared .align 16 .b8 tile[160];
mov.u32 %r1, tile;
mad.lo.u32 %r1, %t, 16, %r1;
st.shared.v4.u32 [%r1+8], {%t, %t, %t, %t};
ld.shared.u32 %r2, [%r1+12];
st.global.u32 [%out], %r2;",
        mend: ("[%r1+8]", "[%r1]"),
        says: "4: misaligned shared access of 16 bytes at 0x18 (in `st.shared.v4.u32`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    // A vector store to an array declared for single words: a compiler may put it anywhere.
    Plant {
        kind: "Misaligned",
        launch: [1, 8, 1],
        kernel: "
.shared .align 4 .b8 tile[128];
mov.u32 %r1, tile;
mad.lo.u32 %r1, %t, 16, %r1;
st.shared.v4.u32 [%r1], {%t, %t, %t, %t};
ld.shared.u32 %r2, [%r1+12];
st.global.u32 [%out], %r2;",
        mend: (".align 4", ".align 16"),
        says: "4: misaligned shared access of 16 bytes at 0x4 (in `st.shared.v4.u32`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    // The same of copies.
    Plant {
        kind: "Misaligned",
        launch: [1, 8, 1],
        kernel: "
.shared .align 8 .b8 sum[8]; .shared .align 8 .b8 tile[128];
mov.u32 %r1, tile;
and.b64 %rd1, %in, -16;
mad.lo.u32 %r1, %t, 16, %r1;
cp.async.cg.shared.global [%r1], [%rd1], 16;
cp.async.wait_all;
ld.shared.u32 %r2, [%r1+12];
st.global.u32 [%out], %r2;",
        mend: (".align 8 .b8 tile", ".align 16 .b8 tile"),
        says: "5: misaligned shared access of 16 bytes at 0x18 (in `cp.async.cg.shared.global`, block 0,0,0, thread 0,0,0)",
        result: |i| i / 4 * 4 + 4,
    },
    Plant {
        kind: "Misaligned",
        launch: [1, 8, 1],
        kernel: "
.local .align 8 .b8 frame[16];
mov.u64 %rd1, frame;
cvt.u64.u32 %rd2, %t;
st.local.u64 [%rd1+4], %rd2;
ld.local.u32 %r1, [%rd1+8];
st.global.u32 [%out], %r1;",
        mend: ("[%rd1+4]", "[%rd1+8]"),
        says: "4: misaligned local access of 8 bytes at 0x4 (in `st.local.u64`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "UseAfterFree",
        launch: [1, 8, 1],
        kernel: "
setp.eq.u32 %p1, %t, 3;
@%p1 mov.b64 %in, %freed;
ld.global.u32 %r1, [%in];
st.global.u32 [%out], %r1;",
        mend: ("@%p1 mov.b64 %in, %freed;", ""),
        says: "3: use after free: access of 4 bytes at 0x7f0000000c00 (in `ld.global.u32`, block 0,0,0, thread 3,0,0)",
        result: |i| i + 1,
    },
    Plant {
        kind: "UninitialisedRead",
        launch: [1, 8, 1],
        kernel: "
setp.eq.u32 %p1, %t, 3;
@%p1 st.global.u16 [%raw], 9;
@%p1 ld.global.u32 %r1, [%raw];
@!%p1 mov.u32 %r1, 9;
st.global.u32 [%out], %r1;",
        mend: ("u16", "u32"),
        says: "3: read of 4 global bytes never written at 0x7f0000000800 (in `ld.global.u32`, block 0,0,0, thread 3,0,0)",
        result: |_| 9,
    },
    Plant {
        kind: "UninitialisedRead",
        launch: [1, 64, 1],
        kernel: "
.shared .align 4 .b8 tile[256];
mov.u32 %r1, tile;
mad.lo.u32 %r1, %t, 4, %r1;
setp.lt.u32 %p1, %t, 40;
@%p1 st.shared.u32 [%r1], %t;
ld.shared.u32 %r2, [%r1];
st.global.u32 [%out], %r2;",
        mend: ("40", "64"),
        says: "6: read of 4 shared bytes never written at 0xa4 (in `ld.shared.u32`, block 0,0,0, thread 40,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "UninitialisedRead",
        launch: [1, 8, 1],
        kernel: "
.local .align 4 .b8 frame[8];
mov.u64 %rd1, frame;
st.local.u32 [%rd1], %t;
ld.local.u32 %r1, [%rd1+4];
st.global.u32 [%out], %r1;",
        mend: ("[%rd1+4]", "[%rd1]"),
        says: "4: read of 4 local bytes never written at 0x4 (in `ld.local.u32`, block 0,0,0, thread 0,0,0)",
        result: |i| i,
    },
    Plant {
        kind: "UninitialisedRegister",
        launch: [1, 8, 1],
        kernel: "
setp.lt.u32 %p1, %t, 5;
@%p1 mov.u32 %r1, %t;
add.u32 %r2, %r1, 1;
st.global.u32 [%out], %r2;",
        mend: ("@%p1 ", ""),
        says: "3: read of register %r1, never written (in `add.u32`, block 0,0,0, thread 5,0,0)",
        result: |i| i + 1,
    },
    Plant {
        kind: "ReadOnly",
        launch: [1, 1, 1],
        kernel: "
add.u64 %rd1, %junk, 8;
st.u32 [%rd1], 7;
st.global.u32 [%out], 7;",
        mend: ("st.u32 [%rd1], 7;", ""),
        says: "2: store to read-only param memory at 0xc8 (in `st.u32`, block 0,0,0, thread 0,0,0)",
        result: |_| 7,
    },
    Plant {
        kind: "DivideByZero",
        launch: [1, 8, 1],
        kernel: "
sub.u32 %r1, %t, 5;
mov.u32 %r2, 100;
div.u32 %r3, %r2, %r1;
st.global.u32 [%out], %r3;",
        mend: ("sub.u32 %r1, %t, 5;", "add.u32 %r1, %t, 5;"),
        says: "3: integer division by zero (in `div.u32`, block 0,0,0, thread 5,0,0)",
        result: |i| 100 / (i + 5),
    },
    Plant {
        kind: "SharedRace",
        launch: [1, 64, 1],
        kernel: "
.shared .align 4 .b8 tile[256];
mov.u32 %r1, tile;
mad.lo.u32 %r2, %t, 4, %r1;
st.shared.u32 [%r2], 0;
bar.sync 0;
st.shared.u32 [%r2], %t;
// A barrier is missing here.
xor.b32 %r3, %t, 32;
mad.lo.u32 %r3, %r3, 4, %r1;
ld.shared.u32 %r4, [%r3];
st.global.u32 [%out], %r4;",
        mend: ("// A barrier is missing here.", "bar.sync 0;"),
        says: "6: shared-memory race at 0x4: write after read of thread 32 at kernels/planted.cu:10 with no barrier between (in `st.shared.u32`, block 0,0,0, thread 0,0,0)",
        result: |i| i ^ 32,
    },
    Plant {
        kind: "SharedRace",
        launch: [1, 64, 1],
        kernel: "
.shared .align 4 .b8 sum[4];
setp.eq.u32 %p1, %t, 0;
@%p1 st.shared.u32 [sum], 0;
bar.sync 0;
ld.shared.u32 %r1, [sum];
add.u32 %r1, %r1, 1;
st.shared.u32 [sum], %r1;
bar.sync 0;
ld.shared.u32 %r2, [sum];
st.global.u32 [%out], %r2;",
        mend: (
            "ld.shared.u32 %r1, [sum];\nadd.u32 %r1, %r1, 1;\nst.shared.u32 [sum], %r1;",
            "red.shared.add.u32 [sum], 1;",
        ),
        says: "5: shared-memory race at 0x4: read after write of thread 32 at kernels/planted.cu:7 with no barrier between (in `ld.shared.u32`, block 0,0,0, thread 0,0,0)",
        result: |_| 64,
    },
    Plant {
        kind: "GlobalRace",
        launch: [4, 32, 1],
        kernel: "
ld.param.u64 %rd1, [out];
mul.wide.u32 %rd2, %t, 4;
add.u64 %rd1, %rd1, %rd2;
ld.global.u32 %r1, [%rd1];
add.u32 %r1, %r1, %t;
st.global.u32 [%rd1], %r1;",
        mend: (
            "ld.global.u32 %r1, [%rd1];\nadd.u32 %r1, %r1, %t;\nst.global.u32 [%rd1], %r1;",
            "red.global.add.u32 [%rd1], %t;",
        ),
        says: "6: global-memory race at 0x7f0000000400: write after write of block 0 at kernels/planted.cu:6 in the same launch (in `st.global.u32`, block 3,0,0, thread 0,0,0)",
        result: |i| if i < 32 { 4 * i } else { 0 },
    },
    Plant {
        kind: "GlobalRace",
        launch: [4, 32, 1],
        kernel: "
st.global.u32 [%out], %g;
setp.eq.u32 %p1, %b, 2;
@%p1 ld.global.u32 %r1, [%out+128];
@%p1 st.global.u32 [%out], %r1;",
        mend: ("+128", ""),
        says: "1: global-memory race at 0x7f0000000580: write after read of block 2 at kernels/planted.cu:3 in the same launch (in `st.global.u32`, block 3,0,0, thread 0,0,0)",
        result: |i| i,
    },
];
