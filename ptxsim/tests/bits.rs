//! Logic, shifts and bit fields against Rust's own or a bit-by-bit reading of the PTX manual.

mod common;

use common::{check32, check64, run};

#[test]
fn logic_is_bitwise() {
    check32("and.b32 %r5, %r1, %r2;", |[a, b, ..]| a & b);
    check32("or.b32 %r5, %r1, %r2;", |[a, b, ..]| a | b);
    check32("xor.b32 %r5, %r1, %r2;", |[a, b, ..]| a ^ b);
    check32("not.b32 %r5, %r1;", |[a, ..]| !a);
    check32("cnot.b32 %r5, %r1;", |[a, ..]| u32::from(a == 0));
    check64("xor.b64 %rd3, %rd1, %rd2;", |a, b| a ^ b);
}

#[test]
fn predicates_have_logic_too() {
    check32(
        "setp.lt.u32 %p1, %r1, %r2; setp.gt.s32 %p2, %r3, %r4;
         and.pred %p3, %p1, %p2; or.pred %p4, %p1, !%p2; xor.pred %p5, %p1, %p2; not.pred %p6, %p1;
         selp.u32 %r5, 1, 0, %p3; selp.u32 %r6, 2, 0, %p4; selp.u32 %r7, 4, 0, %p5; selp.u32 %r8, 8, 0, %p6;
         or.b32 %r5, %r5, %r6; or.b32 %r5, %r5, %r7; or.b32 %r5, %r5, %r8;",
        |[a, b, c, d]| {
            let (p, q) = (a < b, c as i32 > d as i32);
            u32::from(p && q) | u32::from(p || !q) << 1 | u32::from(p != q) << 2 | u32::from(!p) << 3
        },
    );
}

#[test]
fn shifts_beyond_the_width_clamp() {
    check32("shl.b32 %r5, %r1, %r2;", |[a, n, ..]| if n > 31 { 0 } else { a << n });
    check32("shr.u32 %r5, %r1, %r2;", |[a, n, ..]| if n > 31 { 0 } else { a >> n });
    check32("shr.s32 %r5, %r1, %r2;", |[a, n, ..]| (a as i32 >> n.min(31)) as u32);
    check64("and.b32 %r2, %r2, 127; shl.b64 %rd3, %rd1, %r2;", |a, b| {
        a.checked_shl(b as u32 & 127).unwrap_or(0)
    });
    check64("and.b32 %r2, %r2, 127; shr.s64 %rd3, %rd1, %r2;", |a, b| {
        (a as i64 >> (b as u32 & 127).min(63)) as u64
    });
}

#[test]
fn funnel_shifts_join_two_words() {
    let both = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    check32("shf.l.wrap.b32 %r5, %r1, %r2, %r3;", |[a, b, n, _]| ((both(a, b) << (n & 31)) >> 32) as u32);
    check32("shf.r.wrap.b32 %r5, %r1, %r2, %r3;", |[a, b, n, _]| (both(a, b) >> (n & 31)) as u32);
    check32("shf.l.clamp.b32 %r5, %r1, %r2, %r3;", |[a, b, n, _]| ((both(a, b) << n.min(32)) >> 32) as u32);
    check32("shf.r.clamp.b32 %r5, %r1, %r2, %r3;", |[a, b, n, _]| (both(a, b) >> n.min(32)) as u32);
}

#[test]
fn counting_and_reversing() {
    check32("popc.b32 %r5, %r1;", |[a, ..]| a.count_ones());
    check32("clz.b32 %r5, %r1;", |[a, ..]| a.leading_zeros());
    check32("brev.b32 %r5, %r1;", |[a, ..]| a.reverse_bits());
    check64("brev.b64 %rd3, %rd1;", |a, _| a.reverse_bits());
    check64(
        "popc.b64 %r1, %rd1; clz.b64 %r2, %rd2; add.u32 %r1, %r1, %r2; cvt.u64.u32 %rd3, %r1;",
        |a, b| u64::from(a.count_ones() + b.leading_zeros()),
    );
}

#[test]
fn bfind_finds_the_highest_bit_that_is_not_sign() {
    let highest = |a: u32| (0..32).rev().find(|i| a >> i & 1 == 1);
    check32("bfind.u32 %r5, %r1;", |[a, ..]| highest(a).unwrap_or(u32::MAX));
    check32("bfind.shiftamt.u32 %r5, %r1;", |[a, ..]| highest(a).map_or(u32::MAX, |i| 31 - i));
    check32("bfind.s32 %r5, %r1;", |[a, ..]| {
        highest(if (a as i32) < 0 { !a } else { a }).unwrap_or(u32::MAX)
    });
}

#[test]
fn bit_fields() {
    // The manual's own loop.
    let extract = |a: u32, start: u32, length: u32, signed: bool| {
        let (start, length) = (start & 255, length & 255);
        let sign = if !signed || length == 0 { 0 } else { a >> (start + length - 1).min(31) & 1 };
        (0..32u32).fold(0, |out, i| {
            let bit = if i < length && start + i <= 31 { a >> (start + i) & 1 } else { sign };
            out | bit << i
        })
    };
    for narrow in ["", "and.b32 %r2, %r2, 31; and.b32 %r3, %r3, 15;"] {
        let fields = |b: u32, c: u32| if narrow.is_empty() { (b, c) } else { (b & 31, c & 15) };
        check32(&format!("{narrow} bfe.u32 %r5, %r1, %r2, %r3;"), |[a, b, c, _]| {
            let (start, length) = fields(b, c);
            extract(a, start, length, false)
        });
        check32(&format!("{narrow} bfe.s32 %r5, %r1, %r2, %r3;"), |[a, b, c, _]| {
            let (start, length) = fields(b, c);
            extract(a, start, length, true)
        });
        check32(&format!("{narrow} bfi.b32 %r5, %r1, %r4, %r2, %r3;"), |[a, b, c, d]| {
            let (start, length) = fields(b, c);
            let (start, length) = (start & 255, length & 255);
            (0..32u32).fold(d, |out, i| {
                if i < length && start + i < 32 {
                    out & !(1 << (start + i)) | (a >> i & 1) << (start + i)
                } else {
                    out
                }
            })
        });
    }
}

#[test]
fn permute_picks_bytes() {
    check32("prmt.b32 %r5, %r1, %r2, %r3;", |[a, b, s, _]| {
        let bytes = [a.to_le_bytes(), b.to_le_bytes()].concat();
        (0..4).fold(0, |out, i| {
            let n = s >> (4 * i) & 15;
            let byte = bytes[n as usize & 7];
            let byte = if n & 8 != 0 { if byte & 0x80 != 0 { 0xff } else { 0 } } else { byte };
            out | u32::from(byte) << (8 * i)
        })
    });
    check32("prmt.b32.f4e %r5, %r1, %r2, %r3;", |[a, b, s, _]| {
        ((u64::from(b) << 32 | u64::from(a)) >> (8 * (s & 3))) as u32
    });
}

#[test]
fn lop3_follows_its_table() {
    check32("lop3.b32 %r5, %r1, %r2, %r3, 0x96;", |[a, b, c, _]| a ^ b ^ c);
    check32("lop3.b32 %r5, %r1, %r2, %r3, 0xe8;", |[a, b, c, _]| a & b | a & c | b & c);
    check32("lop3.b32 %r5, %r1, %r2, %r3, 0xca;", |[a, b, c, _]| a & b | !a & c);
}

#[test]
fn nth_set_bit_and_masks() {
    let out = run(
        "mov.u32 %r1, 0x8421; fns.b32 %r2, %r1, 0, 2; fns.b32 %r3, %r1, 31, -1; fns.b32 %r4, %r1, 1, 0;
         bmsk.clamp.b32 %r5, 4, 8; st.global.v4.u32 [%out], {%r2, %r3, %r4, %r5};",
        &[[0; 4]],
    );
    assert_eq!(out[0], [5, 15, u32::MAX, 0xff0]);
    check32("and.b32 %r2, %r2, 31; szext.wrap.s32 %r5, %r1, %r2;", |[a, n, ..]| {
        let n = n & 31;
        if n == 0 { 0 } else { ((a << (32 - n)) as i32 >> (32 - n)) as u32 }
    });
}
