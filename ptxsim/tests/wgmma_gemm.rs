//! A warp-specialised GEMM that NVRTC compiled for sm_90a: TMA loads into a ring of stages, mbarrier
//! pipeline, wgmma, TMA stores; held against f64.

mod common;

use common::*;
use ptxsim::{Arg, ElementType, Error, FaultKind, Launch, Module, Swizzle, Tensor, TensorMap};

const M: usize = 256;
const N: usize = 128;
const SHARED: u32 = 3 * (128 + 128) * 64 * 2;

/// The nearest bf16, as the high half of an f32.
fn bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

fn value(bits: u16) -> f64 {
    f32::from_bits(u32::from(bits) << 16).into()
}

fn matrix(seed: u64, rows: usize, columns: usize) -> Vec<u16> {
    random_floats(seed, rows * columns).into_iter().map(bf16).collect()
}

fn ptx() -> String {
    let path = format!("{}/tests/fixtures/wgmma_gemm.sm90a.ptx", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn map(ty: ElementType, address: u64, rows: usize, columns: usize, tile: [u32; 2]) -> Arg {
    let tensor = Tensor {
        ty,
        address,
        dims: vec![columns as u64, rows as u64],
        strides: vec![(columns * ty.bytes()) as u64],
        element_strides: vec![1, 1],
        swizzle: if ty == ElementType::Bf16 { Swizzle::B128 } else { Swizzle::None },
    };
    Arg::Bytes(TensorMap::tiled(&tensor, &tile).unwrap().to_bytes().to_vec())
}

/// The operands A and B as bf16, and their product as the kernel computed it.
type Product = (Vec<u16>, Vec<u16>, Vec<f32>);

/// Run `ptx` on random matrices of depth `k`; returns the operands and the result.
fn gemm(ptx: &str, k: usize) -> Result<Product, Error> {
    let device = device();
    let (a, b) = (matrix(1, M, k), matrix(2, N, k));
    let words =
        |m: &[u16]| -> Vec<u32> { m.chunks(2).map(|c| u32::from(c[0]) | u32::from(c[1]) << 16).collect() };
    let (da, db) = (upload(&device, &words(&a)), upload(&device, &words(&b)));
    let dc = device.alloc(M * N * 4).unwrap();
    let args = [
        map(ElementType::Bf16, da, M, k, [64, 128]),
        map(ElementType::Bf16, db, N, k, [64, 128]),
        map(ElementType::F32, dc, M, N, [128, 64]),
        Arg::I32(k as i32),
    ];
    let launch = Launch { grid: [1, 2, 1], block: [384, 1, 1], shared_bytes: SHARED, cluster: None };
    device.launch(&Module::parse(ptx)?, "gemm", &launch, &args)?;
    Ok((a, b, download_f32(&device, dc, M * N)))
}

fn check(k: usize) {
    let (a, b, c) = gemm(&ptx(), k).unwrap_or_else(|e| panic!("{e}"));
    for row in 0..M {
        for column in 0..N {
            let terms = (0..k).map(|i| value(a[row * k + i]) * value(b[column * k + i]));
            let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + f64::abs(x)));
            let found = f64::from(c[row * N + column]);
            assert!((found - sum).abs() <= 1e-6 * size, "{row},{column}: {found}, not {sum}");
        }
    }
}

#[test]
fn products_are_right() {
    check(64);
    check(448);
}

#[test]
fn depth_that_fills_no_stage_is_padded_with_zeros() {
    check(72);
}

fn fault_of(from: &str, to: &str) -> FaultKind {
    let text = ptx();
    assert!(text.contains(from), "{from}");
    match gemm(&text.replace(from, to), 448) {
        Err(Error::Fault(fault)) => fault.kind,
        other => panic!("expected a fault, found {:?}", other.map(|_| ())),
    }
}

#[test]
fn what_is_missing_is_named() {
    let kind = fault_of("wgmma.wait_group.sync.aligned 0;", "");
    assert!(matches!(kind, FaultKind::WgmmaRegister { .. } | FaultKind::UnfinishedCopy { .. }), "{kind}");
    let kind = fault_of("wgmma.fence.sync.aligned;", "");
    assert!(matches!(kind, FaultKind::MissingWgmmaFence { .. }), "{kind}");
    let kind = fault_of("fence.proxy.async.shared::cta;", "");
    assert!(matches!(kind, FaultKind::MissingProxyFence { .. }), "{kind}");
}
