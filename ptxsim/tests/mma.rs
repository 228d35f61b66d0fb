//! `mma` of every shape and type, against products computed here from the manual's fragment layouts.

mod common;

use common::{device, download, encode, integers, module, random_floats, upload};
use ptxsim::{Arg, Class, Error, Fault, FaultKind, Launch, LaunchReport};

/// Words of each lane's input and output.
const WORDS: usize = 32;

/// Run `body` in one warp. `%in` and `%out` point to the lane's [`WORDS`] words.
fn try_run_warp(body: &str, input: &[[u32; WORDS]]) -> Result<(Vec<u32>, LaunchReport), Error> {
    let device = device();
    let body = format!(
        "ld.param.u64 %in, [in]; mad.wide.u32 %in, %t, {0}, %in;
         ld.param.u64 %out, [out]; mad.wide.u32 %out, %t, {0}, %out;
         {body}",
        WORDS * 4
    );
    let module = module(&body).unwrap_or_else(|e| panic!("{e}\nin{body}"));
    let (input, output) =
        (upload(&device, input.as_flattened()), upload(&device, &[0xdead_beef; 32 * WORDS]));
    let report =
        device.launch(&module, "test", &Launch::linear(1, 32), &[Arg::U64(output), Arg::U64(input)])?;
    Ok((download(&device, output, 32 * WORDS), report))
}

fn run_warp(body: &str, input: &[[u32; WORDS]]) -> Vec<u32> {
    try_run_warp(body, input).unwrap_or_else(|e| panic!("{e}\nin{body}")).0
}

fn fault_of(body: &str) -> Fault {
    match try_run_warp(body, &[[0; WORDS]; 32]) {
        Err(Error::Fault(fault)) => *fault,
        other => panic!("expected a fault, found {other:?}"),
    }
}

/// A shape and its types, and how elements lie in registers: as the manual lists them for each.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    m: usize,
    k: usize,
    /// Bits of an element of A and B, and of C and D.
    bits: [usize; 2],
    /// Row and k of element `i` of A, by group and number in the group.
    a: fn(usize, usize, usize) -> (usize, usize),
    /// k of element `i` of B; the column is the group.
    b: fn(usize, usize) -> usize,
}

const fn case(
    name: &'static str,
    [m, k]: [usize; 2],
    bits: [usize; 2],
    a: fn(usize, usize, usize) -> (usize, usize),
    b: fn(usize, usize) -> usize,
) -> Case {
    Case { name, m, k, bits, a, b }
}

fn half_k8_a(g: usize, t: usize, i: usize) -> (usize, usize) {
    (if i < 2 { g } else { g + 8 }, 2 * t + (i & 1))
}

fn half_k16_a(g: usize, t: usize, i: usize) -> (usize, usize) {
    let row = if matches!(i, 0 | 1 | 4 | 5) { g } else { g + 8 };
    (row, 2 * t + (i & 1) + if i >= 4 { 8 } else { 0 })
}

fn half_k16_b(t: usize, i: usize) -> usize {
    if i < 2 { 2 * t + (i & 1) } else { 2 * t + (i & 1) + 8 }
}

fn single_a(g: usize, t: usize, i: usize) -> (usize, usize) {
    (if matches!(i, 0 | 2 | 4 | 6) { g } else { g + 8 }, t + 4 * (i / 2))
}

fn byte_k16_a(g: usize, t: usize, i: usize) -> (usize, usize) {
    (if i < 4 { g } else { g + 8 }, 4 * t + (i & 3))
}

fn byte_k32_a(g: usize, t: usize, i: usize) -> (usize, usize) {
    let row = if matches!(i, 0..4 | 8..12) { g } else { g + 8 };
    (row, 4 * t + (i & 3) + if i >= 8 { 16 } else { 0 })
}

fn byte_k32_b(t: usize, i: usize) -> usize {
    4 * t + (i & 3) + if i >= 4 { 16 } else { 0 }
}

const CASES: [Case; 26] = [
    case("m16n8k8.row.col.f32.bf16.bf16.f32", [16, 8], [16, 32], half_k8_a, |t, i| 2 * t + i),
    case("m16n8k8.row.col.f32.f16.f16.f32", [16, 8], [16, 32], half_k8_a, |t, i| 2 * t + i),
    case("m16n8k8.row.col.f16.f16.f16.f16", [16, 8], [16, 16], half_k8_a, |t, i| 2 * t + i),
    case("m16n8k16.row.col.f32.bf16.bf16.f32", [16, 16], [16, 32], half_k16_a, half_k16_b),
    case("m16n8k16.row.col.f32.f16.f16.f32", [16, 16], [16, 32], half_k16_a, half_k16_b),
    case("m16n8k16.row.col.f16.f16.f16.f16", [16, 16], [16, 16], half_k16_a, half_k16_b),
    case("m16n8k4.row.col.f32.tf32.tf32.f32", [16, 4], [32, 32], single_a, |t, _| t),
    case("m16n8k8.row.col.f32.tf32.tf32.f32", [16, 8], [32, 32], single_a, |t, i| t + 4 * i),
    case("m8n8k4.row.col.f64.f64.f64.f64", [8, 4], [64, 64], |g, t, _| (g, t), |t, _| t),
    case("m16n8k4.row.col.f64.f64.f64.f64", [16, 4], [64, 64], single_a, |t, _| t),
    case("m16n8k8.row.col.f64.f64.f64.f64", [16, 8], [64, 64], single_a, |t, i| t + 4 * i),
    case("m16n8k16.row.col.f64.f64.f64.f64", [16, 16], [64, 64], single_a, |t, i| t + 4 * i),
    case("m8n8k16.row.col.s32.s8.s8.s32", [8, 16], [8, 32], |g, t, i| (g, 4 * t + i), |t, i| 4 * t + i),
    case("m8n8k16.row.col.s32.u8.s8.s32", [8, 16], [8, 32], |g, t, i| (g, 4 * t + i), |t, i| 4 * t + i),
    case("m16n8k16.row.col.s32.s8.s8.s32", [16, 16], [8, 32], byte_k16_a, |t, i| 4 * t + i),
    case("m16n8k16.row.col.s32.u8.u8.s32", [16, 16], [8, 32], byte_k16_a, |t, i| 4 * t + i),
    case("m16n8k32.row.col.s32.s8.s8.s32", [16, 32], [8, 32], byte_k32_a, byte_k32_b),
    case("m16n8k32.row.col.s32.s8.u8.s32", [16, 32], [8, 32], byte_k32_a, byte_k32_b),
    case("m16n8k32.row.col.s32.u8.u8.s32", [16, 32], [8, 32], byte_k32_a, byte_k32_b),
    case("m16n8k32.row.col.satfinite.s32.s8.s8.s32", [16, 32], [8, 32], byte_k32_a, byte_k32_b),
    case("m16n8k32.row.col.satfinite.s32.u8.u8.s32", [16, 32], [8, 32], byte_k32_a, byte_k32_b),
    case("m16n8k32.row.col.f32.e4m3.e4m3.f32", [16, 32], [8, 32], byte_k32_a, byte_k32_b),
    case("m16n8k32.row.col.f32.e5m2.e5m2.f32", [16, 32], [8, 32], byte_k32_a, byte_k32_b),
    case("m16n8k32.row.col.f32.e4m3.e5m2.f32", [16, 32], [8, 32], byte_k32_a, byte_k32_b),
    case("m16n8k32.row.col.f16.e5m2.e4m3.f16", [16, 32], [8, 16], byte_k32_a, byte_k32_b),
    case("m16n8k16.row.col.f32.e4m3.e4m3.f32", [16, 16], [8, 32], byte_k16_a, |t, i| 4 * t + i),
];

impl Case {
    fn types(&self) -> [&'static str; 4] {
        let parts: Vec<&str> = self.name.split('.').collect();
        parts[parts.len() - 4..].try_into().unwrap()
    }

    /// Registers (of 32 bits, or 64) that each lane holds of A, B and C.
    fn registers(&self) -> [usize; 3] {
        let bits = if self.bits[0] == 64 { 64 } else { 32 };
        [self.m * self.k * self.bits[0], self.k * 8 * self.bits[0], self.m * 8 * self.bits[1]]
            .map(|n| n / 32 / bits)
    }

    /// Run it on small integers `a[row][k]`, `b[k][column]` and `c[row][column]`; gives `d` as bits.
    fn run(&self, a: &[Vec<i32>], b: &[Vec<i32>], c: &[Vec<i32>]) -> Vec<Vec<u64>> {
        let [d_type, a_type, b_type, _] = self.types();
        let wide = self.bits[0] == 64;
        let word = if wide { 2 } else { 1 };
        let [ra, rb, rc] = self.registers();
        let mut input = vec![[0u32; WORDS]; 32];
        for (lane, words) in input.iter_mut().enumerate() {
            let (g, t) = (lane / 4, lane % 4);
            let mut put = |bit: usize, width: usize, bits: u64| {
                for offset in (0..width).step_by(32) {
                    words[(bit + offset) / 32] |= ((bits >> offset) as u32) << (bit % 32);
                }
            };
            let [bits, sum_bits] = self.bits;
            for i in 0..ra * word * 32 / bits {
                let (row, k) = (self.a)(g, t, i);
                put(i * bits, bits, encode(a_type, a[row][k]));
            }
            for i in 0..rb * word * 32 / bits {
                put(ra * word * 32 + i * bits, bits, encode(b_type, b[(self.b)(t, i)][g]));
            }
            for i in 0..self.m / 4 {
                let (row, column) = (if i < 2 { g } else { g + 8 }, 2 * t + (i & 1));
                put((ra + rb) * word * 32 + i * sum_bits, sum_bits, encode(d_type, c[row][column]));
            }
        }
        let (letters, ty) = if wide { ("rd", "b64") } else { ("r", "b32") };
        let names = |from: usize, count: usize| -> String {
            let names: Vec<String> = (from..from + count).map(|i| format!("%{letters}{i}")).collect();
            format!("{{{}}}", names.join(", "))
        };
        let bytes = 4 * word;
        let loads: String = (0..ra + rb + rc)
            .map(|i| format!("ld.global.{ty} %{letters}{i}, [%in+{}];\n", bytes * i))
            .collect();
        let stores: String = (0..rc)
            .map(|i| format!("st.global.{ty} [%out+{}], %{letters}{};\n", bytes * i, 20 + i))
            .collect();
        let (d, a, b, c) = (names(20, rc), names(0, ra), names(ra, rb), names(ra + rb, rc));
        let body = format!("{loads} mma.sync.aligned.{} {d}, {a}, {b}, {c};\n{stores}", self.name);
        let found = run_warp(&body, &input);
        let mut out = vec![vec![0; 8]; self.m];
        for lane in 0..32 {
            for i in 0..self.m / 4 {
                let (row, column) = (lane / 4 + if i < 2 { 0 } else { 8 }, 2 * (lane % 4) + (i & 1));
                let words = &found[lane * WORDS..];
                out[row][column] = match self.bits[1] {
                    64 => u64::from(words[2 * i]) | u64::from(words[2 * i + 1]) << 32,
                    32 => words[i].into(),
                    _ => u64::from(words[i / 2] >> (16 * (i % 2)) & 0xffff),
                };
            }
        }
        out
    }
}

#[test]
fn every_shape_multiplies_what_its_layout_says() {
    for (number, case) in CASES.iter().enumerate() {
        let [d_type, a_type, b_type, _] = case.types();
        // So small that every sum is exact in the type of D.
        let range = |ty: &str| match (ty, d_type) {
            ("u8", _) => (0, 255),
            ("s8", _) => (-128, 127),
            ("e4m3" | "e5m2", _) => (-8, 8),
            (_, "f16") => (-9, 9),
            _ => (-256, 256),
        };
        let ((al, ah), (bl, bh)) = (range(a_type), range(b_type));
        let seed = 100 + 3 * number as u64;
        let (a, b) = (integers(seed, case.m, case.k, al, ah), integers(seed + 1, case.k, 8, bl, bh));
        let c = integers(seed + 2, case.m, 8, -500, 500);
        let found = case.run(&a, &b, &c);
        for row in 0..case.m {
            for column in 0..8 {
                let sum = c[row][column] + (0..case.k).map(|k| a[row][k] * b[k][column]).sum::<i32>();
                assert_eq!(found[row][column], encode(d_type, sum), "{} at {row},{column}", case.name);
            }
        }
    }
}

#[test]
fn integer_sums_wrap_or_saturate() {
    for (modifier, wanted) in [("", i32::MIN + 31 * 16129 + 16128), (".satfinite", i32::MAX)] {
        let name = if modifier.is_empty() { 16 } else { 19 };
        let case = CASES[name];
        assert_eq!(case.name.contains("satfinite"), !modifier.is_empty());
        let (a, b) = (vec![vec![127; 32]; 16], vec![vec![127; 8]; 32]);
        let found = case.run(&a, &b, &vec![vec![i32::MAX; 8]; 16]);
        assert!(found.iter().flatten().all(|v| *v as i32 == wanted), "{:?}", found[0][0] as i32);
    }
}

#[test]
fn sums_round_once_a_product_in_the_order_of_k() {
    // Every lane's A is the same row, its B the same column, so all 128 results are one chain.
    // Of many magnitudes, so that the order shows.
    let x: Vec<f32> = (0..).zip(random_floats(31, 16)).map(|(k, v)| v * 7f32.powi(k * 5 % 7)).collect();
    let y = random_floats(32, 16);
    let bf16 = |v: f32| v.to_bits() >> 16;
    let c = 0.1f32;
    let mut input = [[0; WORDS]; 32];
    for (lane, words) in input.iter_mut().enumerate() {
        let t = lane % 4;
        let pair = |v: &[f32], k: usize| bf16(v[k]) | bf16(v[k + 1]) << 16;
        words[..4].copy_from_slice(&[2 * t, 2 * t, 2 * t + 8, 2 * t + 8].map(|k| pair(&x, k)));
        words[4..6].copy_from_slice(&[2 * t, 2 * t + 8].map(|k| pair(&y, k)));
        words[6] = c.to_bits();
    }
    let body = "ld.global.v4.b32 {%r0, %r1, %r2, %r3}, [%in]; ld.global.v2.b32 {%r4, %r5}, [%in+16];
        ld.global.f32 %f1, [%in+24];
        mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f4, %f5, %f6, %f7}, {%r0, %r1, %r2, %r3}, {%r4, %r5}, {%f1, %f1, %f1, %f1};
        st.global.v4.f32 [%out], {%f4, %f5, %f6, %f7};";
    let found = run_warp(body, &input);
    let value = |v: f32| f32::from_bits(bf16(v) << 16);
    let wanted = (0..16).fold(c, |sum, k| value(x[k]).mul_add(value(y[k]), sum));
    let reversed = (0..16).rev().fold(c, |sum, k| value(x[k]).mul_add(value(y[k]), sum));
    assert_ne!(wanted, reversed, "the inputs must tell the orders apart");
    for lane in 0..32 {
        assert!(found[lane * WORDS..][..4].iter().all(|v| *v == wanted.to_bits()), "lane {lane}");
    }
}

#[test]
fn tf32_ignores_the_low_bits_and_f16_sums_round_once() {
    let mut input = [[0; WORDS]; 32];
    input.iter_mut().for_each(|words| words[0] = 1.0f32.to_bits() | 0x1fff);
    let body = "ld.global.b32 %r0, [%in]; mov.b32 %r1, 0x3f800000; mov.f32 %f1, 0f00000000;
        mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%f4, %f5, %f6, %f7}, {%r0, %r0}, {%r1}, {%f1, %f1, %f1, %f1};
        st.global.v4.f32 [%out], {%f4, %f5, %f6, %f7};";
    assert_eq!(run_warp(body, &input)[..4], [4.0f32.to_bits(); 4]);
    // 2048 + 8 * 1 is exact only if the ones are summed in f32: each alone is lost in f16.
    let body = "mov.b32 %r0, 0x3c003c00; mov.b32 %r1, 0x68006800;
        mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16 {%r4, %r5}, {%r0, %r0}, {%r0}, {%r1, %r1};
        st.global.v2.b32 [%out], {%r4, %r5};";
    assert_eq!(run_warp(body, &input)[..2], [0x6804_6804; 2]);
}

#[test]
fn nan_and_infinity_spread_to_their_row() {
    let mut input = [[0x3f80_3f80; WORDS]; 32];
    input[0][0] = 0x3f80_7f80; // a[0][0] is infinite
    input[8][0] = 0x3f80_7fc1; // a[2][0] is no number
    let body = "ld.global.v2.b32 {%r0, %r1}, [%in]; ld.global.b32 %r2, [%in+8]; mov.f32 %f1, 0f00000000;
        mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%f4, %f5, %f6, %f7}, {%r0, %r1}, {%r2}, {%f1, %f1, %f1, %f1};
        st.global.v4.f32 [%out], {%f4, %f5, %f6, %f7};";
    let found = run_warp(body, &input);
    for lane in 0..32 {
        let wanted = match lane / 4 {
            0 => f32::INFINITY.to_bits(),
            2 => 0x7fff_ffff,
            _ => 8f32.to_bits(),
        };
        assert_eq!(
            found[lane * WORDS..][..4],
            [wanted, wanted, 8f32.to_bits(), 8f32.to_bits()],
            "lane {lane}"
        );
    }
}

#[test]
fn operations_are_counted() {
    let body = "mov.b32 %r0, 0; mov.f32 %f1, 0f00000000;
        mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f4, %f5, %f6, %f7}, {%r0, %r0, %r0, %r0}, {%r0, %r0}, {%f1, %f1, %f1, %f1};
        mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%f4, %f5, %f6, %f7}, {%r0, %r0}, {%r0}, {%f4, %f5, %f6, %f7};";
    let (_, report) = try_run_warp(body, &[[0; WORDS]; 32]).unwrap();
    assert_eq!(report.total.tensor_flop, 2 * 16 * 8 * (16 + 8));
    assert_eq!(report.by_class[&Class::TensorCore].warp_instructions, 2);
}

#[test]
fn wrong_forms_are_refused_at_load_time() {
    for (form, wanted) in [
        (
            "m16n8k16.row.col.f32.bf16.bf16.f32 {%f4, %f5, %f6, %f7}, {%r0, %r0, %r0}, {%r0, %r0}, {%f1, %f1, %f1, %f1}",
            "A takes 4 registers, not 3",
        ),
        ("m16n8k16.row.row.f32.bf16.bf16.f32 {%f4}, {%r0}, {%r0}, {%f1}", "`.row.col`"),
        ("m16n8k4.row.col.f32.bf16.bf16.f32 {%f4}, {%r0}, {%r0}, {%f1}", "no `.m16n8k4` of bf16"),
        ("m16n8k16.row.col.f16.bf16.bf16.f16 {%r4}, {%r0}, {%r0}, {%r1}", "summed in f16"),
        ("m16n8k8.row.col.f32.bf16.f16.f32 {%f4}, {%r0}, {%r0}, {%f1}", "A and B"),
    ] {
        let error = module(&format!("mma.sync.aligned.{form};")).err().expect("an error").to_string();
        assert!(error.contains(wanted), "{form}: {error}");
    }
}

#[test]
fn part_of_a_warp_cannot_multiply() {
    let body = "mov.b32 %r0, 0; mov.f32 %f1, 0f00000000; setp.lt.u32 %p1, %t, 16;
        @%p1 mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%f4, %f5, %f6, %f7}, {%r0, %r0}, {%r0}, {%f1, %f1, %f1, %f1};";
    let FaultKind::Misuse { detail } = fault_of(body).kind else { panic!() };
    assert!(detail.contains("0xffff0000 are elsewhere"), "{detail}");
    assert!(try_run_warp(&body.replace("%t, 16", "%t, 32"), &[[0; WORDS]; 32]).is_ok());
    let body =
        "mov.b32 %r0, 0; setp.ge.u32 %p1, %t, 31; @%p1 exit; movmatrix.sync.aligned.m8n8.trans.b16 %r1, %r0;";
    let FaultKind::Misuse { detail } = fault_of(body).kind else { panic!() };
    assert!(detail.contains("only 0x7fffffff are left"), "{detail}");
}
