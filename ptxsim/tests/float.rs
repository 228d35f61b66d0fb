//! Floating-point arithmetic: rounding, flushing, clamping.
//!
//! Directed roundings are checked against exact comparisons in a wider type, never against the
//! simulator's own software arithmetic.

mod common;

use common::{check_f32, check_f64, run};

/// The f32 nearest `exact` on the side that `up` says, given that `exact` holds the result exactly.
fn directed(exact: f64, up: bool) -> f32 {
    let near = exact as f32;
    if exact.is_nan() || f64::from(near) == exact {
        return near;
    }
    match (f64::from(near) < exact, up) {
        (true, true) => near.next_up(),
        (false, false) => near.next_down(),
        _ => near,
    }
}

fn toward_zero(exact: f64) -> f32 {
    directed(exact, exact < 0.0)
}

#[test]
fn nearest_is_the_cpus() {
    check_f32("add.f32 %f4, %f1, %f2;", |a, b, _| a + b);
    check_f32("sub.rn.f32 %f4, %f1, %f2;", |a, b, _| a - b);
    check_f32("mul.f32 %f4, %f1, %f2;", |a, b, _| a * b);
    check_f32("fma.rn.f32 %f4, %f1, %f2, %f3;", f32::mul_add);
    check_f32("mad.rn.f32 %f4, %f1, %f2, %f3;", f32::mul_add);
    check_f32("div.rn.f32 %f4, %f1, %f2;", |a, b, _| a / b);
    // Inlined, the compiler takes the root of a negative number for a number.
    check_f32("sqrt.rn.f32 %f4, %f1;", |a, _, _| std::hint::black_box(a.sqrt()));
    check_f32("rcp.rn.f32 %f4, %f1;", |a, _, _| 1.0 / a);
}

#[test]
fn f64_nearest_is_the_cpus() {
    check_f64("add.f64 %d4, %d1, %d2;", |a, b, _| a + b);
    check_f64("fma.rn.f64 %d4, %d1, %d2, %d3;", f64::mul_add);
    check_f64("div.rn.f64 %d4, %d1, %d2;", |a, b, _| a / b);
    check_f64("sqrt.rn.f64 %d4, %d1;", |a, _, _| std::hint::black_box(a.sqrt()));
    check_f64("min.f64 %d4, %d1, %d2;", |a, b, _| {
        if a == b { f64::from_bits(a.to_bits() | b.to_bits()) } else { a.min(b) }
    });
}

#[test]
fn products_round_as_directed() {
    // The product of two f32 is exact in f64.
    check_f32("mul.rz.f32 %f4, %f1, %f2;", |a, b, _| toward_zero(f64::from(a) * f64::from(b)));
    check_f32("mul.rm.f32 %f4, %f1, %f2;", |a, b, _| directed(f64::from(a) * f64::from(b), false));
    check_f32("mul.rp.f32 %f4, %f1, %f2;", |a, b, _| directed(f64::from(a) * f64::from(b), true));
}

/// A sum as the nearest f64 and what that leaves out.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// As [`directed`] for a number given as a sum of two parts, the second far smaller.
fn directed_sum((high, low): (f64, f64), up: bool) -> f32 {
    if !high.is_finite() || low == 0.0 || low.is_nan() {
        return directed(high, up);
    }
    // The part left out decides only where the first part is a float itself.
    if f64::from(high as f32) == high {
        return match (low > 0.0, up) {
            (true, true) => (high as f32).next_up(),
            (false, false) => (high as f32).next_down(),
            _ => high as f32,
        };
    }
    directed(high, up)
}

/// Exact zero from opposite operands is +0, but -0 when rounding down.
fn zero_sum(a: f64, b: f64, down: bool) -> Option<f32> {
    (a + b == 0.0 && a.is_sign_negative() != b.is_sign_negative()).then_some(if down { -0.0 } else { 0.0 })
}

#[test]
fn sums_and_fused_products_round_as_directed() {
    let add = |a: f32, b: f32, up: bool| {
        let (a, b) = (f64::from(a), f64::from(b));
        zero_sum(a, b, !up).unwrap_or_else(|| directed_sum(two_sum(a, b), up))
    };
    check_f32("add.rp.f32 %f4, %f1, %f2;", |a, b, _| add(a, b, true));
    check_f32("add.rm.f32 %f4, %f1, %f2;", |a, b, _| add(a, b, false));
    check_f32("sub.rm.f32 %f4, %f1, %f2;", |a, b, _| add(a, -b, false));
    let fma = |a: f32, b: f32, c: f32, up: bool| {
        let (p, c) = (f64::from(a) * f64::from(b), f64::from(c));
        zero_sum(p, c, !up).unwrap_or_else(|| directed_sum(two_sum(p, c), up))
    };
    check_f32("fma.rp.f32 %f4, %f1, %f2, %f3;", |a, b, c| fma(a, b, c, true));
    check_f32("fma.rm.f32 %f4, %f1, %f2, %f3;", |a, b, c| fma(a, b, c, false));
    check_f32("fma.rz.f32 %f4, %f1, %f2, %f3;", |a, b, c| {
        let (p, d) = (f64::from(a) * f64::from(b), f64::from(c));
        zero_sum(p, d, false).unwrap_or_else(|| fma(a, b, c, p + d < 0.0))
    });
}

#[test]
fn quotients_and_roots_round_as_directed() {
    // With the f64 quotient q, the sign of a - q b says on which side the exact one lies.
    let quotient = |a: f32, b: f32, up: bool| {
        let (a, b) = (f64::from(a), f64::from(b));
        let q = a / b;
        if !q.is_finite() || q == 0.0 {
            return q as f32;
        }
        let rest = (-q).mul_add(b, a) / b;
        directed_sum((q, rest), up)
    };
    check_f32("div.rp.f32 %f4, %f1, %f2;", |a, b, _| quotient(a, b, true));
    check_f32("div.rm.f32 %f4, %f1, %f2;", |a, b, _| quotient(a, b, false));
    check_f32("rcp.rp.f32 %f4, %f1;", |a, _, _| quotient(1.0, a, true));
    let root = |a: f32, up| {
        let a = f64::from(a);
        let r = a.sqrt();
        if !r.is_finite() || r == 0.0 {
            return r as f32;
        }
        directed_sum((r, (-r).mul_add(r, a) / (2.0 * r)), up)
    };
    check_f32("sqrt.rp.f32 %f4, %f1;", |a, _, _| root(a, true));
    check_f32("sqrt.rz.f32 %f4, %f1;", |a, _, _| root(a, false));
}

#[test]
fn f64_rounds_as_directed() {
    // Rounding down and up bracket the nearest; equal exactly when it is exact.
    let down_up = |a: f64, b: f64| {
        let (s, rest) = two_sum(a, b);
        (s, rest)
    };
    check_f64("add.rp.f64 %d4, %d1, %d2;", |a, b, _| {
        let (s, rest) = down_up(a, b);
        if rest > 0.0 { s.next_up() } else { s }
    });
    check_f64("mul.rz.f64 %d4, %d1, %d2;", |a, b, _| {
        let p = a * b;
        let rest = a.mul_add(b, -p);
        let shrinks = rest != 0.0 && rest.is_finite() && (rest > 0.0) != (p > 0.0);
        if shrinks { if p > 0.0 { p.next_down() } else { p.next_up() } } else { p }
    });
}

fn flush(x: f32) -> f32 {
    if x.is_subnormal() { 0f32.copysign(x) } else { x }
}

#[test]
fn ftz_flushes_and_sat_clamps() {
    check_f32("add.ftz.f32 %f4, %f1, %f2;", |a, b, _| flush(flush(a) + flush(b)));
    check_f32("mul.ftz.f32 %f4, %f1, %f2;", |a, b, _| flush(flush(a) * flush(b)));
    let sat = |x: f32| if x > 0.0 { x.min(1.0) } else { 0.0 };
    check_f32("add.sat.f32 %f4, %f1, %f2;", |a, b, _| sat(a + b));
    check_f32("fma.rn.ftz.sat.f32 %f4, %f1, %f2, %f3;", |a, b, c| {
        sat(flush(flush(a).mul_add(flush(b), flush(c))))
    });
}

#[test]
fn min_and_max_prefer_numbers_and_order_zeros() {
    let min = |a: f32, b: f32| match (a.is_nan(), b.is_nan()) {
        (true, _) => b,
        (_, true) => a,
        _ if a == b => {
            if a.is_sign_negative() {
                a
            } else {
                b
            }
        }
        _ => a.min(b),
    };
    check_f32("min.f32 %f4, %f1, %f2;", |a, b, _| min(a, b));
    check_f32("max.f32 %f4, %f1, %f2;", |a, b, _| -min(-a, -b));
    check_f32(
        "max.NaN.f32 %f4, %f1, %f2;",
        |a, b, _| {
            if a.is_nan() || b.is_nan() { f32::NAN } else { -min(-a, -b) }
        },
    );
    check_f32("min.xorsign.abs.f32 %f4, %f1, %f2;", |a, b, _| {
        let least = min(a.abs(), b.abs());
        if least.is_nan() { f32::NAN } else { least.copysign(a) * 1f32.copysign(b) }
    });
}

#[test]
fn sign_operations_are_bitwise() {
    let out = run(
        "ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%in]; neg.f32 %f5, %f1; abs.f32 %f6, %f2;
         copysign.f32 %f7, %f3, %f4; neg.ftz.f32 %f8, %f4; st.global.v4.f32 [%out], {%f5, %f6, %f7, %f8};",
        &[[0x7fc1_2345, 0xffc0_0001, 0x8000_0000, 0x0000_0001]],
    );
    assert_eq!(out[0], [0xffc1_2345, 0x7fc0_0001, 0x8000_0001, 0x8000_0000]);
}

#[test]
fn approximations_are_within_their_bounds() {
    let ulps = |instruction: &str, function: fn(f64) -> f64, range: fn(f32) -> f32, bound: f64| {
        let inputs: Vec<[u32; 4]> =
            common::random_floats(5, 512).into_iter().map(|v| [range(v).to_bits(), 0, 0, 0]).collect();
        let body = format!("ld.global.f32 %f1, [%in]; {instruction} st.global.f32 [%out], %f4;");
        for (input, found) in inputs.iter().zip(run(&body, &inputs)) {
            let x = f32::from_bits(input[0]);
            let (found, wanted) = (f64::from(f32::from_bits(found[0])), function(f64::from(x)));
            assert!(
                (found - wanted).abs() <= bound * wanted.abs().max(1e-30),
                "{instruction} of {x}: {found}, {wanted}"
            );
        }
    };
    ulps("ex2.approx.ftz.f32 %f4, %f1;", f64::exp2, |v| v * 20.0, 2.4e-7);
    ulps("rcp.approx.ftz.f32 %f4, %f1;", |x| 1.0 / x, |v| v * 9.0, 1.2e-7);
    ulps("rsqrt.approx.f32 %f4, %f1;", |x| 1.0 / x.sqrt(), |v| v * v + 1e-3, 1.2e-7);
    ulps("sqrt.approx.f32 %f4, %f1;", f64::sqrt, |v| v * v, 1.2e-7);
    ulps("tanh.approx.f32 %f4, %f1;", f64::tanh, |v| v * 3.0, 4.9e-4);
    ulps("lg2.approx.f32 %f4, %f1;", f64::log2, |v| v * v + 2.5, 2.4e-7);
    ulps("sin.approx.f32 %f4, %f1;", f64::sin, |v| v * 3.0, 1e-5);
    ulps("cos.approx.f32 %f4, %f1;", f64::cos, |v| v, 1e-5);
    ulps("div.full.f32 %f4, %f1, 0f40400000;", |x| x / 3.0, |v| v, 2.4e-7);
}

/// Half-precision values by their definition.
fn from_half(bits: u16, exponent_bits: u32, mantissa_bits: u32) -> f64 {
    let bias = (1 << (exponent_bits - 1)) - 1;
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits & 0x7fff) >> mantissa_bits;
    let fraction = f64::from(bits & ((1 << mantissa_bits) - 1)) / f64::from(1 << mantissa_bits);
    if exponent == (1 << exponent_bits) - 1 {
        return if fraction == 0.0 { sign * f64::INFINITY } else { f64::NAN };
    }
    if exponent == 0 {
        sign * fraction * 2f64.powi(1 - bias)
    } else {
        sign * (1.0 + fraction) * 2f64.powi(exponent - bias)
    }
}

/// The half nearest to `exact`, ties to even, by trying all of them.
fn to_half(exact: f64, exponent_bits: u32, mantissa_bits: u32) -> u16 {
    if exact.is_nan() {
        return 0x7fff;
    }
    let sign = if exact.is_sign_negative() { 0x8000 } else { 0 };
    let infinity = (((1u32 << exponent_bits) - 1) << mantissa_bits) as u16;
    let (mut low, mut high) = (0u16, infinity);
    // Binary search over the ordered positive values; infinity counts as the next power of two.
    let value = |b: u16| {
        if b == infinity {
            2.0 * from_half(
                infinity & !((1 << mantissa_bits) - 1) & (infinity - (1 << mantissa_bits)),
                exponent_bits,
                mantissa_bits,
            )
        } else {
            from_half(b, exponent_bits, mantissa_bits)
        }
    };
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if value(middle) <= exact.abs() { low = middle } else { high = middle }
    }
    let (below, above) = (exact.abs() - value(low), value(high) - exact.abs());
    let pick = if exact.abs() >= value(infinity) || below > above || (below == above && low & 1 == 1) {
        high
    } else {
        low
    };
    sign | pick
}

#[test]
fn half_precision_arithmetic_rounds_once() {
    for (name, e, m) in [("f16", 5, 10), ("bf16", 8, 7)] {
        let near = |w: u32| {
            (w & 0x8000_ffff & !(0x7fff & !((1 << m) - 1))) & 0xffff
                | ((1 << (e - 1)) - 4 + (w >> 28) % 8) << m
        };
        let inputs: Vec<[u32; 4]> = common::random_words(9, 4 * 512)
            .chunks(4)
            .map(|c| {
                if c[3] % 4 == 0 {
                    [c[0] & 0xffff, c[1] & 0xffff, c[2] & 0xffff, 0]
                } else {
                    [near(c[0]), near(c[1]), near(c[2]), 0]
                }
            })
            .collect();
        let body = format!(
            "ld.global.v4.u32 {{%r1, %r2, %r3, %r4}}, [%in];
             mov.b32 {{%h1, _}}, %r1; mov.b32 {{%h2, _}}, %r2; mov.b32 {{%h3, _}}, %r3;
             fma.rn.{name} %h4, %h1, %h2, %h3; mov.b16 %h5, 0;
             add.{name} %h6, %h1, %h2; mul.{name} %h7, %h1, %h2;
             mov.b32 %r5, {{%h1, %h2}}; mov.b32 %r6, {{%h2, %h3}}; mov.b32 %r7, {{%h3, %h1}};
             fma.rn.{name}x2 %r8, %r5, %r6, %r7;
             mov.b32 %r9, {{%h4, %h5}}; mov.b32 %r10, {{%h6, %h7}};
             st.global.v4.u32 [%out], {{%r9, %r10, %r8, %r4}};"
        );
        for (input, found) in inputs.iter().zip(run(&body, &inputs)) {
            let value = |w: u32| from_half(w as u16, e, m);
            let (a, b, c) = (value(input[0]), value(input[1]), value(input[2]));
            // The f64 sum may round; a value that decides a tie is never near enough to one for that to matter
            // unless the two terms are more than 40 bits apart, where the larger alone decides.
            let round = |exact: f64| to_half(exact, e, m);
            let fma = |a: f64, b: f64, c: f64| {
                let (high, low) = two_sum(a * b, c);
                let half = round(high);
                let tie = low != 0.0
                    && high.is_finite()
                    && from_half(round(high.next_up()), e, m) != from_half(round(high.next_down()), e, m);
                if tie { round(if low > 0.0 { high.next_up() } else { high.next_down() }) } else { half }
            };
            assert_eq!(found[0] as u16, fma(a, b, c), "{name} fma {a:e} {b:e} {c:e}");
            assert_eq!(found[1] as u16, round(a + b), "{name} add {a:e} {b:e}");
            assert_eq!((found[1] >> 16) as u16, round(a * b), "{name} mul {a:e} {b:e}");
            assert_eq!(found[2] as u16, fma(a, b, c), "{name}x2 low");
            assert_eq!((found[2] >> 16) as u16, fma(b, c, a), "{name}x2 high");
        }
    }
}
