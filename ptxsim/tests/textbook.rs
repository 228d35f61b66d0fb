//! What NVRTC makes of textbook kernels runs, with right results and no faults.

mod common;

use common::*;
use ptxsim::{Arg, Launch};

fn close(found: &[f32], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    let norm: f64 = wanted.iter().map(|w| w * w).sum::<f64>().sqrt();
    let error: f64 = found.iter().zip(wanted).map(|(f, w)| (f64::from(*f) - w).powi(2)).sum::<f64>().sqrt();
    assert!(error <= tolerance * norm, "relative error {}", error / norm);
}

#[test]
fn saxpy_is_exact() {
    let device = device();
    let (x, y) = (random_floats(1, 1000), random_floats(2, 1000));
    let (dx, dy) = (upload_f32(&device, &x), upload_f32(&device, &y));
    let args = [Arg::I32(1000), Arg::F32(1.7), Arg::U64(dx), Arg::U64(dy)];
    launch_fixture(&device, "saxpy.sm80", "saxpy", &Launch::linear(3, 96), &args);
    let wanted: Vec<f32> = x.iter().zip(&y).map(|(x, y)| 1.7f32.mul_add(*x, *y)).collect();
    assert_eq!(download_f32(&device, dy, 1000), wanted);
}

#[test]
fn reduction_by_shuffles_sums_each_slice() {
    let device = device();
    let x = random_floats(3, 5000);
    let (dx, out) = (upload_f32(&device, &x), device.alloc(7 * 4).unwrap());
    let args = [Arg::I32(5000), Arg::U64(dx), Arg::U64(out)];
    launch_fixture(&device, "reduce.sm80", "reduce_sum", &Launch::linear(7, 128), &args);
    let total: f64 = download_f32(&device, out, 7).iter().map(|v| f64::from(*v)).sum();
    let wanted: f64 = x.iter().map(|v| f64::from(*v)).sum();
    assert!((total - wanted).abs() < 1e-3, "{total} {wanted}");
}

#[test]
fn transpose_moves_every_element() {
    let device = device();
    let (rows, cols) = (70, 45);
    let x = random_words(4, rows * cols);
    let (dx, out) = (upload(&device, &x), device.alloc(rows * cols * 4).unwrap());
    let launch = Launch { grid: [2, 3, 1], block: [32, 8, 1], shared_bytes: 0, cluster: None };
    let args = [Arg::I32(rows as i32), Arg::I32(cols as i32), Arg::U64(dx), Arg::U64(out)];
    launch_fixture(&device, "transpose.sm80", "transpose", &launch, &args);
    let found = download(&device, out, rows * cols);
    for r in 0..rows {
        for c in 0..cols {
            assert_eq!(found[c * rows + r], x[r * cols + c]);
        }
    }
}

#[test]
fn histogram_counts_with_shared_and_global_atomics() {
    for threads in [1, 4] {
        let device = device_with(threads, ptxsim::Checks::all());
        let data: Vec<u8> = random_words(5, 3001).into_iter().map(|w| (w >> 13) as u8).collect();
        let (input, bins) = (device.alloc(data.len()).unwrap(), upload(&device, &[0; 256]));
        device.write(input, &data).unwrap();
        let launch = Launch { shared_bytes: 1024, ..Launch::linear(5, 128) };
        let args = [Arg::I32(3001), Arg::U64(input), Arg::U64(bins)];
        launch_fixture(&device, "histogram.sm80", "histogram", &launch, &args);
        let mut wanted = [0; 256];
        data.iter().for_each(|&b| wanted[usize::from(b)] += 1);
        assert_eq!(download(&device, bins, 256), wanted);
    }
}

#[test]
fn tiled_gemm_is_exact_in_its_own_order() {
    let device = device();
    let (m, n, k) = (128, 64, 48);
    let (a, b) = (random_floats(6, m * k), random_floats(7, k * n));
    let (da, db) = (upload_f32(&device, &a), upload_f32(&device, &b));
    let dc = device.alloc(m * n * 4).unwrap();
    let launch = Launch { grid: [1, 2, 1], ..Launch::linear(1, 256) };
    let args = [128, 64, 48].map(Arg::I32).into_iter().chain([da, db, dc].map(Arg::U64)).collect::<Vec<_>>();
    launch_fixture(&device, "gemm.sm80", "gemm", &launch, &args);
    let mut wanted = vec![0f32; m * n];
    for i in 0..m {
        for j in 0..n {
            wanted[i * n + j] = (0..k).fold(0.0, |s, p| a[i * k + p].mul_add(b[p * n + j], s));
        }
    }
    assert_eq!(download_f32(&device, dc, m * n), wanted);
}

#[test]
fn softmax_rows_sum_to_one() {
    let device = device();
    let (rows, cols) = (5, 77);
    let x: Vec<f32> = random_floats(8, rows * cols).iter().map(|v| v * 10.0).collect();
    let (dx, dy) = (upload_f32(&device, &x), device.alloc(rows * cols * 4).unwrap());
    let args = [Arg::I32(5), Arg::I32(77), Arg::U64(dx), Arg::U64(dy)];
    launch_fixture(&device, "softmax.sm80", "softmax", &Launch::linear(2, 96), &args);
    let mut wanted = Vec::new();
    for row in x.chunks(cols) {
        let exps: Vec<f64> = row.iter().map(|v| f64::from(*v).exp()).collect();
        let sum: f64 = exps.iter().sum();
        wanted.extend(exps.iter().map(|e| e / sum));
    }
    close(&download_f32(&device, dy, rows * cols), &wanted, 1e-6);
}

#[test]
fn layernorm_normalises_each_row() {
    let device = device();
    let (rows, cols) = (3, 200);
    let (x, gamma, beta) = (random_floats(9, rows * cols), random_floats(10, cols), random_floats(11, cols));
    let addresses = [&x, &gamma, &beta].map(|v| upload_f32(&device, v));
    let dy = device.alloc(rows * cols * 4).unwrap();
    let mut args = vec![Arg::I32(200), Arg::F32(1e-5)];
    args.extend(addresses.into_iter().chain([dy]).map(Arg::U64));
    launch_fixture(&device, "layernorm.sm80", "layernorm", &Launch::linear(3, 128), &args);
    let mut wanted = Vec::new();
    for row in x.chunks(cols) {
        let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / cols as f64;
        let var = row.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / cols as f64;
        for (i, v) in row.iter().enumerate() {
            wanted.push(
                (f64::from(*v) - mean) / (var + 1e-5).sqrt() * f64::from(gamma[i]) + f64::from(beta[i]),
            );
        }
    }
    close(&download_f32(&device, dy, rows * cols), &wanted, 1e-6);
}

#[test]
fn scan_gives_prefix_sums_of_each_block() {
    let device = device();
    let x: Vec<u32> = random_words(12, 700).into_iter().map(|w| w % 100).collect();
    let (dx, dy) = (upload(&device, &x), device.alloc(700 * 4).unwrap());
    let args = [Arg::I32(700), Arg::U64(dx), Arg::U64(dy)];
    launch_fixture(&device, "scan.sm80", "scan", &Launch::linear(3, 256), &args);
    let found = download(&device, dy, 700);
    for (start, block) in x.chunks(256).enumerate() {
        let mut sum = 0;
        for (i, v) in block.iter().enumerate() {
            sum += v;
            assert_eq!(found[start * 256 + i], sum);
        }
    }
}

#[test]
fn stencil_is_exact_up_to_its_edges() {
    let device = device();
    let (rows, cols) = (37, 50);
    let x = random_floats(14, rows * cols);
    let (dx, dy) = (upload_f32(&device, &x), device.alloc(rows * cols * 4).unwrap());
    let launch = Launch { grid: [4, 3, 1], block: [16, 16, 1], shared_bytes: 0, cluster: None };
    let args = [Arg::I32(rows as i32), Arg::I32(cols as i32), Arg::U64(dx), Arg::U64(dy)];
    launch_fixture(&device, "stencil.sm80", "stencil", &launch, &args);
    let found = download_f32(&device, dy, rows * cols);
    let at = |r: usize, c: usize| x[r.min(rows - 1) * cols + c.min(cols - 1)];
    for r in 0..rows {
        for c in 0..cols {
            let (up, left) = (at(r.saturating_sub(1), c), at(r, c.saturating_sub(1)));
            let wanted = 4.0 * at(r, c) - up - at(r + 1, c) - left - at(r, c + 1);
            assert_eq!(found[r * cols + c], wanted, "{r},{c}");
        }
    }
}

#[test]
fn math_library_is_accurate() {
    let device = device();
    let n = 200;
    let x: Vec<f32> = random_floats(13, n).iter().map(|v| v * 20.0).collect();
    let (dx, out) = (upload_f32(&device, &x), device.alloc(14 * n * 4).unwrap());
    let args = [Arg::I32(n as i32), Arg::U64(dx), Arg::U64(out)];
    launch_fixture(&device, "libm.sm80", "libm", &Launch::linear(2, 128), &args);
    let found = download_f32(&device, out, 14 * n);
    let functions: [fn(f64) -> f64; 14] = [
        f64::exp,
        |v| v.abs().ln(),
        f64::sin,
        f64::cos,
        f64::tanh,
        |v| v.abs().powf(1.5),
        |v| v.abs().sqrt(),
        |v| 1.0 / v,
        |v| erf(v),
        |v| ((0.25 * v + 2.0) * v - 1.0) * v + 0.5,
        |v| v * v / 3.0,
        |v| (((v as f32 * 1000.0) as i64) / 7 % 13) as f64,
        |v| f64::from(v as f32 % 0.7f32),
        f64::exp,
    ];
    for (row, function) in functions.iter().enumerate() {
        let wanted: Vec<f64> = x.iter().map(|v| function(f64::from(*v))).collect();
        let tolerance = if row == 13 { 2e-6 } else { 3e-7 };
        close(&found[row * n..(row + 1) * n], &wanted, tolerance);
    }
}

/// The error function by its series, good to 1e-12 where it matters here.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn spin_lock_lets_every_thread_through() {
    for threads in [1, 4] {
        let device = device_with(threads, ptxsim::Checks::all());
        let (lock, count) = (upload(&device, &[0]), upload(&device, &[0]));
        let args = [Arg::U64(lock), Arg::U64(count)];
        launch_fixture(&device, "spinlock.sm80", "spinlock", &Launch::linear(4, 64), &args);
        assert_eq!(download(&device, count, 1), [256]);
    }
}
