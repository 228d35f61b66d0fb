//! Integer arithmetic against Rust's own.

mod common;

use common::{check32, check32_on, check64, inputs32, run};

#[test]
fn add_sub_and_multiply_wrap() {
    check32("add.s32 %r5, %r1, %r2;", |[a, b, ..]| a.wrapping_add(b));
    check32("add.u32 %r5, %r1, -7;", |[a, ..]| a.wrapping_sub(7));
    check32("sub.u32 %r5, %r1, %r2;", |[a, b, ..]| a.wrapping_sub(b));
    check32("mul.lo.s32 %r5, %r1, %r2;", |[a, b, ..]| a.wrapping_mul(b));
    check32("mad.lo.u32 %r5, %r1, %r2, %r3;", |[a, b, c, _]| a.wrapping_mul(b).wrapping_add(c));
    check64("add.s64 %rd3, %rd1, %rd2;", u64::wrapping_add);
    check64("sub.s64 %rd3, %rd1, %rd2;", u64::wrapping_sub);
    check64("mul.lo.s64 %rd3, %rd1, %rd2;", u64::wrapping_mul);
    check64("mad.lo.s64 %rd3, %rd1, %rd2, %rd1;", |a, b| a.wrapping_mul(b).wrapping_add(a));
}

#[test]
fn saturating_forms_clamp() {
    check32("add.sat.s32 %r5, %r1, %r2;", |[a, b, ..]| (a as i32).saturating_add(b as i32) as u32);
    check32("sub.sat.s32 %r5, %r1, %r2;", |[a, b, ..]| (a as i32).saturating_sub(b as i32) as u32);
}

#[test]
fn high_and_wide_products_are_whole() {
    check32("mul.hi.u32 %r5, %r1, %r2;", |[a, b, ..]| ((u64::from(a) * u64::from(b)) >> 32) as u32);
    check32("mul.hi.s32 %r5, %r1, %r2;", |[a, b, ..]| ((a as i32 as i64 * b as i32 as i64) >> 32) as u32);
    check64("mul.hi.u64 %rd3, %rd1, %rd2;", |a, b| ((u128::from(a) * u128::from(b)) >> 64) as u64);
    check64("mul.hi.s64 %rd3, %rd1, %rd2;", |a, b| ((a as i64 as i128 * b as i64 as i128) >> 64) as u64);
    check64("cvt.u32.u64 %r1, %rd1; mul.wide.u32 %rd3, %r1, %r2;", |a, b| {
        u64::from(a as u32) * u64::from(b as u32)
    });
    check64("cvt.u32.u64 %r1, %rd1; mul.wide.s32 %rd3, %r1, %r2;", |a, b| {
        (a as i32 as i64 * b as i32 as i64) as u64
    });
    check64("cvt.u32.u64 %r1, %rd1; mad.wide.s32 %rd3, %r1, %r2, %rd2;", |a, b| {
        ((a as i32 as i64 * b as i32 as i64) as u64).wrapping_add(b)
    });
    check32("mad.hi.s32 %r5, %r1, %r2, %r3;", |[a, b, c, _]| {
        (((a as i32 as i64 * b as i32 as i64) >> 32) as u32).wrapping_add(c)
    });
}

#[test]
fn sixteen_bit_arithmetic_ignores_what_is_above() {
    let split = "mov.b32 {%h1, %h2}, %r1; mov.b32 {%h3, %h4}, %r2;";
    check32(&format!("{split} add.s16 %h5, %h1, %h3; cvt.u32.u16 %r5, %h5;"), |[a, b, ..]| {
        u32::from((a as u16).wrapping_add(b as u16))
    });
    check32(&format!("{split} mul.wide.s16 %r5, %h2, %h4;"), |[a, b, ..]| {
        ((a as i32 >> 16) * (b as i32 >> 16)) as u32
    });
    check32(&format!("{split} min.s16 %h5, %h1, %h4; cvt.s32.s16 %r5, %h5;"), |[a, b, ..]| {
        i32::from((a as i16).min((b >> 16) as i16)) as u32
    });
    check32("add.u16x2 %r5, %r1, %r2;", |[a, b, ..]| {
        u32::from((a as u16).wrapping_add(b as u16))
            | u32::from(((a >> 16) as u16).wrapping_add((b >> 16) as u16)) << 16
    });
}

#[test]
fn division_truncates() {
    let inputs: Vec<[u32; 4]> = inputs32().into_iter().map(|[a, b, c, d]| [a, b.max(1), c, d]).collect();
    check32_on("div.u32 %r5, %r1, %r2;", &inputs, |[a, b, ..]| a / b);
    check32_on("rem.u32 %r5, %r1, %r2;", &inputs, |[a, b, ..]| a % b);
    check32_on("div.s32 %r5, %r1, %r2;", &inputs, |[a, b, ..]| (a as i32).wrapping_div(b as i32) as u32);
    check32_on("rem.s32 %r5, %r1, %r2;", &inputs, |[a, b, ..]| (a as i32).wrapping_rem(b as i32) as u32);
    check64("or.b64 %rd2, %rd2, 1; div.s64 %rd3, %rd1, %rd2;", |a, b| {
        (a as i64).wrapping_div((b | 1) as i64) as u64
    });
    check64("or.b64 %rd2, %rd2, 1; rem.u64 %rd3, %rd1, %rd2;", |a, b| a % (b | 1));
}

#[test]
fn absolute_negated_least_and_greatest() {
    check32("abs.s32 %r5, %r1;", |[a, ..]| (a as i32).wrapping_abs() as u32);
    check32("neg.s32 %r5, %r1;", |[a, ..]| a.wrapping_neg());
    check32("min.s32 %r5, %r1, %r2;", |[a, b, ..]| (a as i32).min(b as i32) as u32);
    check32("max.u32 %r5, %r1, %r2;", |[a, b, ..]| a.max(b));
    check32("sad.s32 %r5, %r1, %r2, %r3;", |[a, b, c, _]| c.wrapping_add((a as i32).abs_diff(b as i32)));
    check64("max.s64 %rd3, %rd1, %rd2;", |a, b| (a as i64).max(b as i64) as u64);
    check64("neg.s64 %rd3, %rd1;", |a, _| a.wrapping_neg());
}

#[test]
fn carries_chain() {
    // 128-bit sum and difference out of 32-bit steps, as compilers write them.
    let sum = "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%in];
        add.cc.u32 %r5, %r1, %r3; addc.cc.u32 %r6, %r2, %r4; addc.u32 %r7, 0, 0;
        sub.cc.u32 %r8, %r1, %r3; subc.u32 %r9, %r2, %r4;
        st.global.v4.u32 [%out], {%r5, %r6, %r7, %r9};";
    let inputs = inputs32();
    for (input, found) in inputs.iter().zip(run(sum, &inputs)) {
        let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let (a, b) = (join(input[0], input[1]), join(input[2], input[3]));
        let (wrapped, carry) = a.overflowing_add(b);
        assert_eq!((join(found[0], found[1]), found[2]), (wrapped, u32::from(carry)));
        assert_eq!(found[3], (a.wrapping_sub(b) >> 32) as u32);
    }
}

#[test]
fn carries_chain_through_multiply_add() {
    // The 64-bit product of two words by mad.lo.cc and madc.hi.
    let product = "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%in];
        mad.lo.cc.u32 %r5, %r1, %r2, %r3; madc.hi.u32 %r6, %r1, %r2, %r4;
        st.global.v2.u32 [%out], {%r5, %r6};";
    let inputs = inputs32();
    for (input, found) in inputs.iter().zip(run(product, &inputs)) {
        let [a, b, c, d] = input.map(u64::from);
        let wanted = (a * b).wrapping_add(d << 32 | c);
        assert_eq!(u64::from(found[1]) << 32 | u64::from(found[0]), wanted);
    }
}

#[test]
fn small_dot_products() {
    let dot = |a: u32, b: u32, sa: bool, sb: bool| -> i64 {
        let byte = |v: u8, s: bool| if s { i64::from(v as i8) } else { i64::from(v) };
        a.to_le_bytes().iter().zip(b.to_le_bytes()).map(|(x, y)| byte(*x, sa) * byte(y, sb)).sum()
    };
    check32("dp4a.u32.u32 %r5, %r1, %r2, %r3;", |[a, b, c, _]| {
        c.wrapping_add(dot(a, b, false, false) as u32)
    });
    check32("dp4a.s32.s32 %r5, %r1, %r2, %r3;", |[a, b, c, _]| c.wrapping_add(dot(a, b, true, true) as u32));
    check32("dp4a.s32.u32 %r5, %r1, %r2, %r3;", |[a, b, c, _]| c.wrapping_add(dot(a, b, true, false) as u32));
    check32("dp2a.lo.s32.s32 %r5, %r1, %r2, %r3;", |[a, b, c, _]| {
        let low = (a as i16 as i64) * (b as i8 as i64) + (a as i32 >> 16) as i64 * ((b >> 8) as i8 as i64);
        c.wrapping_add(low as u32)
    });
}

#[test]
fn twenty_four_bit_products() {
    check32("mul24.lo.u32 %r5, %r1, %r2;", |[a, b, ..]| {
        (u64::from(a & 0xff_ffff) * u64::from(b & 0xff_ffff)) as u32
    });
    check32("mul24.hi.s32 %r5, %r1, %r2;", |[a, b, ..]| {
        let s = |v: u32| i64::from((v << 8) as i32 >> 8);
        ((s(a) * s(b)) >> 16) as u32
    });
}
