//! PTX that Triton makes for sm_90 runs, with right results and no faults.

mod common;

use common::{device, download_f32, launch_fixture, random_floats, upload_f32};
use ptxsim::{Arg, Launch};

/// Triton's two parameters for scratch memory, unused here.
const SCRATCH: [Arg; 2] = [Arg::U64(0), Arg::U64(0)];

fn close(found: &[f32], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len());
    for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!(
            (f64::from(*found) - wanted).abs() <= 1e-5 * wanted.abs().max(1.0),
            "{i}: {found}, not {wanted}"
        );
    }
}

#[test]
fn softmax() {
    let device = device();
    let (rows, cols) = (6, 77);
    let x: Vec<f32> = random_floats(61, rows * cols).iter().map(|v| v * 10.0).collect();
    let (dx, dy) = (upload_f32(&device, &x), device.alloc(rows * cols * 4).unwrap());
    let launch = Launch { shared_bytes: 16, ..Launch::linear(rows as u32, 128) };
    let args = [&[Arg::U64(dx), Arg::U64(dy), Arg::I32(cols as i32)][..], &SCRATCH].concat();
    launch_fixture(&device, "triton/softmax.sm90", "softmax", &launch, &args);
    let mut wanted = Vec::new();
    for row in x.chunks(cols) {
        let exps: Vec<f64> = row.iter().map(|v| f64::from(*v).exp()).collect();
        wanted.extend(exps.iter().map(|e| e / exps.iter().sum::<f64>()));
    }
    close(&download_f32(&device, dy, rows * cols), &wanted);
}

#[test]
fn layernorm() {
    let device = device();
    let (rows, cols) = (3, 200);
    let (x, gamma, beta) = (random_floats(62, rows * cols), random_floats(63, cols), random_floats(64, cols));
    let mut args: Vec<Arg> = [&x, &gamma, &beta].map(|v| Arg::U64(upload_f32(&device, v))).into();
    let dy = device.alloc(rows * cols * 4).unwrap();
    args.extend([Arg::U64(dy), Arg::I32(cols as i32), Arg::F32(1e-5)]);
    args.extend(SCRATCH);
    let launch = Launch { shared_bytes: 1024, ..Launch::linear(rows as u32, 128) };
    launch_fixture(&device, "triton/layernorm.sm90", "layernorm", &launch, &args);
    let mut wanted = Vec::new();
    for row in x.chunks(cols) {
        let row: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
        let mean = row.iter().sum::<f64>() / cols as f64;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / cols as f64;
        let scale = 1.0 / (variance + f64::from(1e-5f32)).sqrt();
        let affine = gamma.iter().zip(&beta).map(|(g, b)| (f64::from(*g), f64::from(*b)));
        wanted.extend(row.iter().zip(affine).map(|(v, (g, b))| (v - mean) * scale * g + b));
    }
    close(&download_f32(&device, dy, rows * cols), &wanted);
}

#[test]
fn matmul_by_mma_with_edges() {
    let device = device();
    // Multiples of 16, as the kernel was told, and not of its 32x32x32 tiles.
    let (m, n, k) = (80, 48, 112);
    let bf16 = |v: f32| f32::from_bits(v.to_bits() & 0xffff_0000);
    let matrix = |seed, count| random_floats(seed, count).into_iter().map(bf16).collect::<Vec<f32>>();
    let (a, b) = (matrix(65, m * k), matrix(66, k * n));
    let upload = |values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|v| ((v.to_bits() >> 16) as u16).to_le_bytes()).collect();
        let address = device.alloc(bytes.len()).unwrap();
        device.write(address, &bytes).unwrap();
        address
    };
    let (da, db, dc) = (upload(&a), upload(&b), device.alloc(m * n * 4).unwrap());
    let launch = Launch { grid: [3, 2, 1], shared_bytes: 8192, ..Launch::linear(1, 64) };
    let mut args: Vec<Arg> = [da, db, dc].map(Arg::U64).into();
    args.extend([m, n, k].map(|v| Arg::I32(v as i32)));
    args.extend(SCRATCH);
    let report = launch_fixture(&device, "triton/matmul.sm90", "matmul", &launch, &args);
    let at = |row: usize, column: usize| {
        (0..k).map(|i| f64::from(a[row * k + i]) * f64::from(b[i * n + column])).sum::<f64>()
    };
    let wanted: Vec<f64> = (0..m * n).map(|i| at(i / n, i % n)).collect();
    close(&download_f32(&device, dc, m * n), &wanted);
    // Whole tiles are multiplied, edges and all.
    assert_eq!(report.total.tensor_flop, 2 * (3 * 32) * (2 * 32) * (4 * 32));
}
