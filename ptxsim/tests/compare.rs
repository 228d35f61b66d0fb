//! Comparisons and selections, unordered ones and combined ones too.

mod common;

use common::{check32, inputs_f32, run};

#[test]
fn integer_comparisons_follow_the_type() {
    let check = |name: &str, holds: fn(u32, u32) -> bool| {
        check32(&format!("setp.{name} %p1, %r1, %r2; selp.u32 %r5, 1, 0, %p1;"), |[a, b, ..]| {
            u32::from(holds(a, b))
        });
    };
    check("eq.s32", |a, b| a == b);
    check("ne.b32", |a, b| a != b);
    check("lt.s32", |a, b| (a as i32) < b as i32);
    check("lt.u32", |a, b| a < b);
    check("hs.u32", |a, b| a >= b);
    check("lo.u32", |a, b| a < b);
    check("ge.s32", |a, b| a as i32 >= b as i32);
}

#[test]
fn comparisons_combine_with_a_predicate_and_give_both_answers() {
    check32(
        "setp.gt.u32 %p3, %r3, %r4; setp.lt.and.s32 %p1|%p2, %r1, %r2, %p3; setp.lt.xor.s32 %p4, %r1, %r2, !%p3;
         selp.u32 %r5, 1, 0, %p1; @%p2 or.b32 %r5, %r5, 2; @%p4 or.b32 %r5, %r5, 4;",
        |[a, b, c, d]| {
            let (holds, with) = ((a as i32) < b as i32, c > d);
            u32::from(holds && with) | u32::from(!holds && with) << 1 | u32::from(holds == with) << 2
        },
    );
}

#[test]
fn float_comparisons_know_nan() {
    type Holds = fn(f32, f32) -> bool;
    let table: [(&str, Holds); 14] = [
        ("eq", |a, b| a == b),
        ("ne", |a, b| a != b && !a.is_nan() && !b.is_nan()),
        ("lt", |a, b| a < b),
        ("le", |a, b| a <= b),
        ("gt", |a, b| a > b),
        ("ge", |a, b| a >= b),
        ("equ", |a, b| a == b || a.is_nan() || b.is_nan()),
        ("neu", |a, b| a != b),
        ("ltu", |a, b| a < b || a.is_nan() || b.is_nan()),
        ("leu", |a, b| a <= b || a.is_nan() || b.is_nan()),
        ("gtu", |a, b| a > b || a.is_nan() || b.is_nan()),
        ("geu", |a, b| a >= b || a.is_nan() || b.is_nan()),
        ("num", |a, b| !a.is_nan() && !b.is_nan()),
        ("nan", |a, b| a.is_nan() || b.is_nan()),
    ];
    let inputs = &inputs_f32()[..500];
    for (name, holds) in table {
        let body = format!(
            "ld.global.v2.f32 {{%f1, %f2}}, [%in];
             setp.{name}.f32 %p1, %f1, %f2; set.{name}.u32.f32 %r1, %f1, %f2; set.{name}.f32.f32 %f3, %f1, %f2;
             cvt.f64.f32 %d1, %f1; cvt.f64.f32 %d2, %f2; setp.{name}.f64 %p2, %d1, %d2;
             selp.u32 %r2, 1, 0, %p1; selp.u32 %r3, 1, 0, %p2; mov.b32 %r4, %f3;
             st.global.v4.u32 [%out], {{%r2, %r1, %r4, %r3}};"
        );
        for (input, found) in inputs.iter().zip(run(&body, inputs)) {
            let (a, b) = (f32::from_bits(input[0]), f32::from_bits(input[1]));
            let wanted = if holds(a, b) { [1, u32::MAX, 0x3f80_0000, 1] } else { [0; 4] };
            assert_eq!(found, wanted, "{name} of {a} and {b}");
        }
    }
}

#[test]
fn ftz_compares_subnormals_as_zeros() {
    let out = run(
        "ld.global.v2.f32 {%f1, %f2}, [%in]; setp.eq.ftz.f32 %p1, %f1, %f2; setp.eq.f32 %p2, %f1, %f2;
         selp.u32 %r1, 1, 0, %p1; selp.u32 %r2, 1, 0, %p2; st.global.v2.u32 [%out], {%r1, %r2};",
        &[[1, 0x8000_0002, 0, 0]],
    );
    assert_eq!(out[0][..2], [1, 0]);
}

#[test]
fn select_by_sign() {
    check32("slct.u32.s32 %r5, %r1, %r2, %r3;", |[a, b, c, _]| if (c as i32) >= 0 { a } else { b });
    check32("mov.b32 %f1, %r3; slct.b32.f32 %r5, %r1, %r2, %f1;", |[a, b, c, _]| {
        if f32::from_bits(c) >= 0.0 { a } else { b }
    });
}

#[test]
fn properties_of_floats() {
    type Holds = fn(f32) -> bool;
    let table: [(&str, Holds); 6] = [
        ("finite", |x| x.is_finite()),
        ("infinite", |x| x.is_infinite()),
        ("number", |x| !x.is_nan()),
        ("notanumber", |x| x.is_nan()),
        ("normal", |x| x.is_normal()),
        ("subnormal", |x| x.is_subnormal()),
    ];
    let inputs = &inputs_f32()[..400];
    for (name, holds) in table {
        let body = format!(
            "ld.global.f32 %f1, [%in]; testp.{name}.f32 %p1, %f1; selp.u32 %r1, 1, 0, %p1; st.global.u32 [%out], %r1;"
        );
        for (input, found) in inputs.iter().zip(run(&body, inputs)) {
            assert_eq!(found[0], u32::from(holds(f32::from_bits(input[0]))), "{name} of {:#x}", input[0]);
        }
    }
}
