//! What NVRTC makes of a bf16 GEMM with cp.async double buffering, ldmatrix and mma.sync.

mod common;

use common::{device, download_f32, random_floats};
use ptxsim::{Arg, Error, FaultKind, Launch, LaunchReport, Module};

const M: usize = 128;
const N: usize = 64;
const K: usize = 96;

/// The fixture, with the first `from` replaced by `to`.
fn ptx(changes: &[(&str, &str)]) -> String {
    let path = format!("{}/tests/fixtures/mma_gemm.sm80.ptx", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "the fixture has no `{from}`");
        text.replacen(from, to, 1)
    })
}

struct Gemm {
    /// Values that bf16 holds.
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Gemm {
    fn new() -> Self {
        let bf16 = |v: f32| f32::from_bits(v.to_bits() & 0xffff_0000);
        let values = |seed, count| random_floats(seed, count).into_iter().map(bf16).collect();
        Self { a: values(51, M * K), b: values(52, K * N) }
    }

    fn run(&self, ptx: &str) -> Result<(Vec<f32>, LaunchReport), Error> {
        let device = device();
        let upload = |values: &[f32]| {
            let bytes: Vec<u8> =
                values.iter().flat_map(|v| ((v.to_bits() >> 16) as u16).to_le_bytes()).collect();
            let address = device.alloc(bytes.len()).expect("memory");
            device.write(address, &bytes).expect("a write");
            address
        };
        let (a, b, c) = (upload(&self.a), upload(&self.b), device.alloc(M * N * 4).expect("memory"));
        let launch = Launch { grid: [(N / 64) as u32, (M / 64) as u32, 1], ..Launch::linear(1, 128) };
        let mut args: Vec<Arg> = [M, N, K].iter().map(|&v| Arg::I32(v as i32)).collect();
        args.extend([a, b, c].map(Arg::U64));
        let report = device.launch(&Module::parse(ptx)?, "mma_gemm", &launch, &args)?;
        Ok((download_f32(&device, c, M * N), report))
    }
}

#[test]
fn gemm_matches_f64_and_its_own_order() {
    let gemm = Gemm::new();
    let (found, report) = gemm.run(&ptx(&[])).unwrap_or_else(|e| panic!("{e}"));
    let (mut error, mut norm) = (0.0, 0.0);
    for row in 0..M {
        for column in 0..N {
            let products = (0..K).map(|k| (gemm.a[row * K + k], gemm.b[k * N + column]));
            let wanted: f64 = products.clone().map(|(a, b)| f64::from(a) * f64::from(b)).sum();
            let found = found[row * N + column];
            error += (f64::from(found) - wanted).powi(2);
            norm += wanted.powi(2);
            assert_eq!(found, products.fold(0.0, |sum, (a, b)| a.mul_add(b, sum)), "{row},{column}");
        }
    }
    assert!((error / norm).sqrt() < 1e-6, "relative error {}", (error / norm).sqrt());
    assert_eq!(report.total.tensor_flop, (2 * M * N * K) as u64);
    for opcode in
        ["ldmatrix.sync.aligned.m8n8.x4.shared.b16", "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16"]
    {
        assert_eq!(report.by_opcode[opcode].bank_conflicts(), 1.0, "{opcode}");
    }
}

#[test]
fn gemm_that_lacks_a_barrier_races() {
    let gemm = Gemm::new();
    let text = ptx(&[]);
    let barriers: Vec<usize> = text.match_indices("bar.sync").map(|(at, _)| at).collect();
    assert_eq!(barriers.len(), 2);
    // The first lets all warps read what each copied, the second lets copies overwrite what all read.
    for at in barriers {
        let without = format!("{}//{}", &text[..at], &text[at..]);
        let Err(Error::Fault(fault)) = gemm.run(&without) else { panic!("no race at {at}") };
        // Who is early meets a copy under way, or data of which no barrier says that it is there.
        assert!(
            matches!(fault.kind, FaultKind::SharedRace { .. } | FaultKind::CopyInFlight { .. }),
            "{fault}"
        );
    }
}

#[test]
fn gemm_that_does_not_wait_for_its_copies_is_caught() {
    let gemm = Gemm::new();
    let stale = gemm.run(&ptx(&[("cp.async.wait_group 1;", "cp.async.wait_group 2;")])).unwrap_err();
    let Error::Fault(fault) = stale else { panic!("{stale}") };
    assert!(matches!(fault.kind, FaultKind::CopyInFlight { committed: true, .. }), "{fault}");
    assert!(fault.instruction.starts_with("ldmatrix"), "{fault}");
    let text = fault.to_string();
    assert!(
        text.contains("kernels/mma_gemm.cu:51: ") && text.contains("cp.async at kernels/mma_gemm.cu:16"),
        "{text}"
    );
    let unwaited = gemm.run(&ptx(&[("cp.async.wait_group 0;", "")])).unwrap_err();
    assert!(matches!(unwaited, Error::Fault(f) if matches!(f.kind, FaultKind::CopyInFlight { .. })));
    // The first commit is the prologue's: without it the next one takes its copies along, a stage late.
    let uncommitted = gemm.run(&ptx(&[("cp.async.commit_group;", "")])).unwrap_err();
    assert!(matches!(uncommitted, Error::Fault(f) if matches!(f.kind, FaultKind::CopyInFlight { .. })));
}

/// The PTX of `wmma_gemm.cu` run on `args` behind its sizes.
fn wmma(entry: &str, grid: [u32; 3], sizes: &[usize], operands: [&[u8]; 2], count: usize) -> Vec<f32> {
    let path = format!("{}/tests/fixtures/wmma_gemm.sm80.ptx", env!("CARGO_MANIFEST_DIR"));
    let module = Module::parse(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|e| panic!("{e}"));
    let device = device();
    let mut args: Vec<Arg> = sizes.iter().map(|&v| Arg::I32(v as i32)).collect();
    for bytes in operands {
        let address = device.alloc(bytes.len()).unwrap();
        device.write(address, bytes).unwrap();
        args.push(Arg::U64(address));
    }
    let c = device.alloc(count * 4).unwrap();
    args.push(Arg::U64(c));
    let launch = Launch { grid, ..Launch::linear(1, 32) };
    device.launch(&module, entry, &launch, &args).unwrap_or_else(|e| panic!("{entry}: {e}"));
    download_f32(&device, c, count)
}

/// `scale * (start + a * b)`, summed over k in order as the tensor cores do it here.
fn chains(a: &[f32], b: &[f32], n: usize, k: usize, start: f32, scale: f32) -> Vec<f32> {
    let element =
        |i: usize, j: usize| (0..k).fold(start, |s, p| a[i * k + p].mul_add(b[p * n + j], s)) * scale;
    (0..a.len() / k).flat_map(|i| (0..n).map(move |j| element(i, j))).collect()
}

#[test]
fn gemm_through_wmma_is_exact_in_its_own_order() {
    let (m, n, k) = (32, 48, 64);
    // Small multiples of 1/8 are the same in bf16, f16 and tf32.
    let values = |seed, count| -> Vec<f32> {
        random_floats(seed, count).iter().map(|v| (v * 15.0).round() / 8.0).collect()
    };
    let (a, b) = (values(71, m * k), values(72, k * n));
    let bf16 = |v: &[f32]| -> Vec<u8> {
        v.iter().flat_map(|v| ((v.to_bits() >> 16) as u16).to_le_bytes()).collect()
    };
    let f16 = |v: &[f32]| -> Vec<u8> {
        v.iter().flat_map(|v| (common::encode("f16", (v * 8.0) as i32) as u16).to_le_bytes()).collect()
    };
    let grid = [(n / 16) as u32, (m / 16) as u32, 1];
    let found = wmma("gemm_bf16", grid, &[n, k], [&bf16(&a), &bf16(&b)], m * n);
    assert_eq!(found, chains(&a, &b, n, k, 0.0, 0.5));
    // As f16 both operands are eight times as large.
    let found = wmma("gemm_f16", grid, &[n, k], [&f16(&a), &f16(&b)], m * n);
    assert_eq!(found, chains(&a, &b, n, k, 0.0, 128.0));
    let (a, b) = (random_floats(73, 16 * 40), random_floats(74, 40 * 16));
    let f32s = |v: &[f32]| -> Vec<u8> { v.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let found = wmma("gemm_tf32", [1, 1, 1], &[40], [&f32s(&a), &f32s(&b)], 256);
    // __float_to_tf32 rounds to nearest, ties away from zero.
    let tf32 = |v: &[f32]| -> Vec<f32> {
        v.iter().map(|v| f32::from_bits((v.to_bits() + 0x1000) & !0x1fff)).collect()
    };
    assert_eq!(found, chains(&tf32(&a), &tf32(&b), 16, 40, 1.0, 1.0));
}
