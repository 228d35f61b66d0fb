//! Conversions between all kinds of numbers.

mod common;

use common::{check32, check64, inputs_f32, module, random_words, run};

#[test]
fn integers_widen_narrow_and_saturate() {
    check32("cvt.u16.u32 %h1, %r1; cvt.u32.u16 %r5, %h1;", |[a, ..]| a & 0xffff);
    check32("cvt.u16.u32 %h1, %r1; cvt.s32.s16 %r5, %h1;", |[a, ..]| a as i16 as i32 as u32);
    check32("cvt.s32.s8 %r5, %r1;", |[a, ..]| a as i8 as i32 as u32);
    check32("cvt.sat.u8.s32 %r5, %r1;", |[a, ..]| (a as i32).clamp(0, 255) as u32);
    check32("cvt.sat.s16.s32 %h1, %r1; cvt.s32.s16 %r5, %h1;", |[a, ..]| {
        (a as i32).clamp(-32768, 32767) as u32
    });
    check64("cvt.s64.s32 %rd3, %r2;", |_, b| b as i32 as i64 as u64);
    check64("cvt.u64.u32 %rd3, %r2;", |_, b| u64::from(b as u32));
    check64("cvt.sat.u32.s64 %r1, %rd1; cvt.u64.u32 %rd3, %r1;", |a, _| {
        (a as i64).clamp(0, 0xffff_ffff) as u64
    });
}

#[test]
fn integers_become_the_nearest_floats() {
    check32("cvt.rn.f32.s32 %f1, %r1; mov.b32 %r5, %f1;", |[a, ..]| (a as i32 as f32).to_bits());
    check32("cvt.rn.f32.u32 %f1, %r1; mov.b32 %r5, %f1;", |[a, ..]| (a as f32).to_bits());
    check32("cvt.rz.f32.u32 %f1, %r1; mov.b32 %r5, %f1;", |[a, ..]| {
        let near = a as f32;
        if f64::from(near) > f64::from(a) { near.next_down().to_bits() } else { near.to_bits() }
    });
    check64("cvt.rn.f64.s64 %d1, %rd1; mov.b64 %rd3, %d1;", |a, _| (a as i64 as f64).to_bits());
    check64("cvt.rn.f32.u64 %f1, %rd1; mov.b32 %r1, %f1; cvt.u64.u32 %rd3, %r1;", |a, _| {
        (a as f32).to_bits().into()
    });
    check64("cvt.rn.f64.u32 %d1, %r2; mov.b64 %rd3, %d1;", |_, b| f64::from(b as u32).to_bits());
}

#[test]
fn floats_become_integers_by_every_rounding_and_clamp() {
    type Round = fn(f64) -> f64;
    let roundings: [(&str, Round); 4] =
        [("rzi", f64::trunc), ("rni", f64::round_ties_even), ("rmi", f64::floor), ("rpi", f64::ceil)];
    let mut inputs = inputs_f32();
    inputs.extend((-40..40).map(|i| [(i as f32 * 0.25).to_bits(), 0, 0, 0]));
    inputs.extend(
        [4294967040f32, 2147483648.0, -2147483648.0, 2147483520.0, -2147483904.0]
            .map(|x| [x.to_bits(), 0, 0, 0]),
    );
    for (name, round) in roundings {
        let body = format!(
            "ld.global.f32 %f1, [%in]; cvt.{name}.s32.f32 %r1, %f1; cvt.{name}.u32.f32 %r2, %f1;
             cvt.{name}.s64.f32 %rd1, %f1; st.global.v2.u32 [%out], {{%r1, %r2}}; st.global.u64 [%out+8], %rd1;"
        );
        for part in inputs.chunks(512) {
            for (input, found) in part.iter().zip(run(&body, part)) {
                let x = f32::from_bits(input[0]);
                let rounded = round(f64::from(x));
                // Rust's casts clamp, and make NaN zero.
                let wide = if x.is_nan() { i64::MIN } else { rounded as i64 };
                let wanted = [rounded as i32 as u32, rounded as u32, wide as u32, (wide >> 32) as u32];
                assert_eq!(found, wanted, "{name} of {x:e}");
            }
        }
    }
}

#[test]
fn floats_round_to_integral_floats() {
    common::check_f32("cvt.rni.f32.f32 %f4, %f1;", |a, _, _| a.round_ties_even());
    common::check_f32("cvt.rzi.f32.f32 %f4, %f1;", |a, _, _| a.trunc());
    common::check_f32("cvt.rmi.f32.f32 %f4, %f1;", |a, _, _| a.floor());
    common::check_f32("cvt.sat.f32.f32 %f4, %f1;", |a, _, _| if a > 0.0 { a.min(1.0) } else { 0.0 });
}

#[test]
fn f64_narrows_in_every_direction() {
    let directed = |x: f64, up: bool| {
        let near = x as f32;
        match (f64::from(near) < x, f64::from(near) > x) {
            (true, _) if up => near.next_up(),
            (_, true) if !up => near.next_down(),
            _ => near,
        }
    };
    let store = "cvt.f64.f32 %d4, %f1;";
    common::check_f64(&format!("cvt.rn.f32.f64 %f1, %d1; {store}"), |a, _, _| f64::from(a as f32));
    common::check_f64(&format!("cvt.rp.f32.f64 %f1, %d1; {store}"), |a, _, _| f64::from(directed(a, true)));
    common::check_f64(&format!("cvt.rm.f32.f64 %f1, %d1; {store}"), |a, _, _| f64::from(directed(a, false)));
    common::check_f64(&format!("cvt.rz.f32.f64 %f1, %d1; {store}"), |a, _, _| {
        f64::from(directed(a, a < 0.0))
    });
}

/// bf16 by adding half of the last place to the f32's bits.
fn to_bf16(x: f32) -> u16 {
    if x.is_nan() {
        return 0x7fff;
    }
    let bits = x.to_bits();
    ((u64::from(bits) + 0x7fff + u64::from(bits >> 16 & 1)) >> 16) as u16
}

/// f16 by scaling to an integer number of smallest steps and rounding that.
fn to_f16(x: f32) -> u16 {
    if x.is_nan() {
        return 0x7fff;
    }
    let sign = if x.is_sign_negative() { 0x8000 } else { 0 };
    let magnitude = f64::from(x.abs());
    let exponent = (magnitude.log2().floor() as i32).max(-14);
    let steps = (magnitude / 2f64.powi(exponent - 10)).round_ties_even();
    let (steps, exponent) = if steps >= 2048.0 { (steps / 2.0, exponent + 1) } else { (steps, exponent) };
    if magnitude.is_infinite() || exponent > 15 {
        return sign | 0x7c00;
    }
    if magnitude == 0.0 { sign } else { sign | ((((exponent + 14) as u16) << 10) + steps as u16) }
}

#[test]
fn f32_packs_into_halves() {
    let inputs = inputs_f32();
    let body = "ld.global.v2.f32 {%f1, %f2}, [%in];
        cvt.rn.bf16x2.f32 %r1, %f1, %f2; cvt.rn.f16x2.f32 %r2, %f1, %f2;
        cvt.rn.f16.f32 %h1, %f1; cvt.rn.bf16.f32 %h2, %f2; mov.b32 %r3, {%h1, %h2};
        cvt.rn.relu.bf16x2.f32 %r4, %f1, %f2;
        st.global.v4.u32 [%out], {%r1, %r2, %r3, %r4};";
    for part in inputs.chunks(512) {
        for (input, found) in part.iter().zip(run(body, part)) {
            let (a, b) = (f32::from_bits(input[0]), f32::from_bits(input[1]));
            let join = |high: u16, low: u16| u32::from(high) << 16 | u32::from(low);
            let relu = |x: f32| if x.is_sign_negative() && !x.is_nan() { 0 } else { to_bf16(x) };
            let wanted = [
                join(to_bf16(a), to_bf16(b)),
                join(to_f16(a), to_f16(b)),
                join(to_bf16(b), to_f16(a)),
                join(relu(a), relu(b)),
            ];
            assert_eq!(found, wanted, "{a:e} {b:e}");
        }
    }
}

#[test]
fn halves_widen_exactly() {
    let inputs: Vec<[u32; 4]> = (0..65536u32).step_by(7).map(|h| [h, 0, 0, 0]).collect();
    let body = "ld.global.u16 %h1, [%in]; cvt.f32.f16 %f1, %h1; cvt.f32.bf16 %f2, %h1;
        cvt.rn.f16.f32 %h2, %f1; mov.b32 %r3, {%h2, 0};
        mov.b32 %r1, %f1; mov.b32 %r2, %f2; st.global.v4.u32 [%out], {%r1, %r2, %r3, 0};";
    for part in inputs.chunks(1024) {
        for (input, found) in part.iter().zip(run(body, part)) {
            let h = input[0];
            let bf16 = f32::from_bits(h << 16);
            assert_eq!(found[1], if bf16.is_nan() { 0x7fff_ffff } else { bf16.to_bits() });
            let f16 = f32::from_bits(found[0]);
            if f16.is_nan() {
                assert!(h & 0x7fff > 0x7c00 && found[2] == 0x7fff);
            } else {
                assert_eq!((found[2], to_f16(f16)), (h, h as u16));
            }
        }
    }
}

#[test]
fn tf32_keeps_ten_bits() {
    let inputs = &inputs_f32()[..512];
    let body = "ld.global.f32 %f1, [%in]; cvt.rna.tf32.f32 %r1, %f1; cvt.rn.tf32.f32 %r2, %f1;
        st.global.v2.u32 [%out], {%r1, %r2};";
    for (input, found) in inputs.iter().zip(run(body, inputs)) {
        let bits = input[0];
        if f32::from_bits(bits).is_finite() {
            assert_eq!(found[0], (bits + 0x1000) & !0x1fff, "rna of {bits:#x}");
            assert_eq!(found[1], (bits + 0xfff + (bits >> 13 & 1)) & !0x1fff, "rn of {bits:#x}");
        }
    }
}

/// An fp8 byte's value: sign, exponent and `fraction` bits, in units of the smallest step.
fn fp8(byte: u8, fraction: i32, bias: i32) -> f32 {
    let (exponent, mantissa) = (i32::from(byte & 0x7f) >> fraction, i32::from(byte) & ((1 << fraction) - 1));
    let (whole, scale) = if exponent == 0 { (mantissa, 1) } else { (mantissa + (1 << fraction), exponent) };
    let value = whole as f32 * 2f32.powi(scale - bias - fraction);
    if byte >> 7 == 1 { -value } else { value }
}

/// The fp8 byte nearest to `x`, ties to even, the largest beyond the range: found by trying them all.
fn to_fp8(x: f32, fraction: i32, bias: i32, largest: u8) -> u8 {
    if x.is_nan() {
        return 0x7f;
    }
    let sign = u8::from(x.is_sign_negative()) << 7;
    let magnitude = f64::from(x.abs().min(2.0 * fp8(largest, fraction, bias)));
    let distance = |byte: &u8| (f64::from(fp8(*byte, fraction, bias)) - magnitude).abs();
    let nearest =
        (0..=largest).min_by(|a, b| distance(a).total_cmp(&distance(b)).then((a & 1).cmp(&(b & 1))));
    sign | nearest.unwrap()
}

#[test]
fn fp8_rounds_saturates_and_widens() {
    let mut inputs = inputs_f32();
    let more = random_words(91, 2000).into_iter().map(|w| (w & 0x807f_ffff) | (105 + (w >> 24) % 45) << 23);
    let more: Vec<u32> = more.collect();
    inputs.extend(more.chunks(2).map(|w| [w[0], w[1], 0, 0]));
    inputs.extend(
        [448.0f32, 464.0, 464.1, 480.0, 57344.0, 61440.0, 0.0019, 7e-6]
            .map(|x| [x.to_bits(), (-x).to_bits(), 0, 0]),
    );
    for (ty, fraction, bias, largest) in [("e4m3x2", 3, 7, 0x7e), ("e5m2x2", 2, 15, 0x7b)] {
        let body = format!(
            "ld.global.v2.f32 {{%f1, %f2}}, [%in];
            cvt.rn.satfinite.{ty}.f32 %h1, %f1, %f2; cvt.rn.satfinite.relu.{ty}.f32 %h2, %f1, %f2;
            cvt.rn.f16x2.f32 %r1, %f1, %f2; cvt.rn.satfinite.{ty}.f16x2 %h3, %r1; cvt.rn.f16x2.{ty} %r2, %h1;
            mov.b32 %r3, {{%h1, %h2}}; mov.b32 %r4, {{%h3, 0}}; st.global.v4.u32 [%out], {{%r3, %r4, %r2, %r1}};"
        );
        for part in inputs.chunks(512) {
            for (input, found) in part.iter().zip(run(&body, part)) {
                let [a, b] = [input[0], input[1]].map(f32::from_bits);
                let join = |a: u8, b: u8| u32::from(a) << 8 | u32::from(b);
                let pack = |x: f32| to_fp8(x, fraction, bias, largest);
                let relu = |x: f32| if x.is_sign_negative() && !x.is_nan() { 0 } else { pack(x) };
                let wanted = join(relu(a), relu(b)) << 16 | join(pack(a), pack(b));
                assert_eq!(found[0], wanted, "{ty} of {a:e}, {b:e}: {:#x}, not {wanted:#x}", found[0]);
                // By way of f16, which rounds first.
                let half = |bits: u32| {
                    let magnitude = match bits >> 10 & 31 {
                        31 if bits & 1023 != 0 => f32::NAN,
                        31 => f32::INFINITY,
                        0 => (bits & 1023) as f32 * 2f32.powi(-24),
                        e => ((bits & 1023) + 1024) as f32 * 2f32.powi(e as i32 - 25),
                    };
                    if bits >> 15 & 1 == 1 { -magnitude } else { magnitude }
                };
                let wanted = join(pack(half(found[3] >> 16)), pack(half(found[3] & 0xffff)));
                assert_eq!(found[1], wanted, "{ty} of the halves {:#x}", found[3]);
                let widened =
                    [found[0] >> 8 & 0xff, found[0] & 0xff].map(|byte| fp8(byte as u8, fraction, bias));
                for (half_bits, value) in [found[2] >> 16, found[2] & 0xffff].into_iter().zip(widened) {
                    let is_nan = half(half_bits).is_nan();
                    assert!(
                        half(half_bits) == value || is_nan && (a.is_nan() || b.is_nan()),
                        "{ty} {value:e}"
                    );
                }
            }
        }
    }
    let error = module("cvt.rn.e4m3x2.f32 %h1, %f1, %f2;").err().expect("an error").to_string();
    assert!(error.contains("needs `.satfinite`"), "{error}");
}

#[test]
fn finite_halves_saturate_with_their_sign() {
    let body = "ld.global.v2.f32 {%f1, %f2}, [%in]; cvt.rn.satfinite.f16x2.f32 %r1, %f1, %f2; st.global.u32 [%out], %r1;";
    assert_eq!(run(body, &[[(-1e9f32).to_bits(), 1e9f32.to_bits(), 0, 0]])[0][0], 0xfbff_7bff);
}
