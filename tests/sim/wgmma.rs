//! The convolutions in bf16, to the bit.
//!
//! Inputs are random multiples of 1/64 between -1 and 1. Their products are multiples of 2^-12, and a
//! sum of thousands of them has fewer than 24 bits: f32 holds it exactly, in whichever order it is
//! summed. So a kernel is wrong if a single bit differs from the definition, rounded once.

use crate::reference::reference;
use crate::{logged_sim, sim};
use bytemuck::Pod;
use cugrad::device::{Device, Gpu, GpuBuffer};
use cugrad::ops::conv3x3::{Conv3x3Shape, wgmma};
use cugrad::ops::spec::Arguments;
use cugrad::random::{Purpose, Stream};
use cugrad::{Result, Tensor};
use half::bf16;
use ptxsim::{Class, LaunchReport};
use std::sync::Arc;

/// The network's layers with few images, then shapes beside tiles: odd images, channels that fill no
/// box, one pixel, more tiles than blocks.
const SHAPES: &[[usize; 5]] = &[
    [1, 32, 32, 64, 128],
    [2, 16, 16, 128, 128],
    [1, 16, 16, 128, 256],
    [3, 8, 8, 256, 512],
    [5, 4, 4, 512, 512],
    [1, 1, 1, 8, 8],
    [3, 5, 7, 24, 72],
    [2, 9, 3, 72, 136],
    [17, 4, 3, 64, 16],
    [2, 33, 17, 16, 64],
];

/// Random multiples of 1/64, the same for the same `index`.
fn values(len: usize, index: u32) -> Vec<f64> {
    let mut stream = Stream::new(16, Purpose::Test, 0, index);
    (0..len).map(|_| (f64::from(stream.below(129)) - 64.0) / 64.0).collect()
}

fn upload(gpu: &Arc<Gpu>, bytes: &[u8]) -> GpuBuffer {
    let mut buffer = gpu.alloc(bytes.len()).unwrap();
    buffer.write(bytes).unwrap();
    buffer
}

fn as_bf16(values: &[f64]) -> Vec<bf16> {
    values.iter().map(|&value| bf16::from_f64(value)).collect()
}

/// Runs a pass twice, into memory never written, and compares with `want`, rounded to `T`.
fn check<T: Pod + Into<f64>>(
    what: &str,
    gpu: &Arc<Gpu>,
    want: &[f64],
    round: impl Fn(f64) -> T,
    run: impl Fn(&mut GpuBuffer) -> Result<()>,
) {
    for _ in 0..2 {
        let mut out = gpu.alloc(want.len() * size_of::<T>()).unwrap();
        run(&mut out).unwrap_or_else(|error| panic!("{what}: {error}"));
        let bytes = out.read().unwrap_or_else(|error| panic!("{what}: {error}"));
        let got: Vec<T> = bytemuck::pod_collect_to_vec(&bytes);
        let equal = |at: &usize| got[*at].into() == round(want[*at]).into();
        if let Some(at) = (0..want.len()).find(|at| !equal(at)) {
            panic!("{what}: element {at} is {}, expected {}", got[at].into(), want[at]);
        }
    }
}

fn arguments<const COUNT: usize>(tensors: [(&str, &[f64], &[usize]); COUNT]) -> Arguments {
    let mut arguments = Arguments::default();
    for (name, values, shape) in tensors {
        let tensor = Tensor::from_vec(&Device::Cpu, values.to_vec(), shape).unwrap();
        arguments.tensors.insert(name.into(), tensor);
    }
    arguments
}

#[test]
fn all_passes_are_their_definitions_to_the_bit() {
    let device = sim();
    let Device::Gpu(gpu) = &device else { panic!("the simulator is a GPU") };
    for &[n, h, w, c, k] in SHAPES {
        let s = Conv3x3Shape { n, h, w, c, k };
        let (x, dy) = (values(n * h * w * c, 0), values(n * h * w * k, 1));
        let (filter, bias) = (values(9 * c * k, 2), values(k, 3));
        let on_gpu = |values: &[f64]| upload(gpu, bytemuck::cast_slice(&as_bf16(values)));
        let (x_gpu, dy_gpu, filter_gpu) = (on_gpu(&x), on_gpu(&dy), on_gpu(&filter));
        let bias_f32: Vec<f32> = bias.iter().map(|&value| value as f32).collect();
        let bias_gpu = upload(gpu, bytemuck::cast_slice(&bias_f32));
        let filter = ("filter", &filter[..], &[k, 3, 3, c][..]);

        let inputs = arguments([("x", &x, &[n, h, w, c]), filter, ("bias", &bias, &[k])]);
        let want = reference("conv3x3_fprop", &inputs);
        check(&format!("fprop at {s:?}"), gpu, &want[0], bf16::from_f64, |y| {
            wgmma::fprop(&s, &x_gpu, &filter_gpu, Some(&bias_gpu), y)
        });
        let want = reference("conv3x3_dgrad", &arguments([("dy", &dy, &[n, h, w, k]), filter]));
        check(&format!("dgrad at {s:?}"), gpu, &want[0], bf16::from_f64, |dx| {
            wgmma::dgrad(&s, &dy_gpu, &filter_gpu, dx)
        });
        let want =
            reference("conv3x3_wgrad", &arguments([("x", &x, &[n, h, w, c]), ("dy", &dy, &[n, h, w, k])]));
        check(
            &format!("wgrad at {s:?}"),
            gpu,
            &want[0],
            |sum| sum as f32,
            |dfilter| wgmma::wgrad(&s, &x_gpu, &dy_gpu, dfilter),
        );
    }
}

#[test]
fn channels_that_tma_cannot_copy_are_refused() {
    let device = sim();
    let Device::Gpu(gpu) = &device else { panic!("the simulator is a GPU") };
    let s = Conv3x3Shape { n: 1, h: 4, w: 4, c: 8, k: 12 };
    let [x, filter] = [16 * 8, 9 * 8 * 12].map(|len| upload(gpu, &vec![0; 2 * len]));
    let error = wgmma::fprop(&s, &x, &filter, None, &mut gpu.alloc(2 * 16 * 12).unwrap()).unwrap_err();
    assert!(error.to_string().contains("multiples of 8"), "{error}");
}

/// The layers with as many images as fill a tile of 256 pixels.
const LAYERS: &[[usize; 5]] = &[
    [1, 32, 32, 64, 128],
    [1, 16, 16, 128, 128],
    [1, 16, 16, 128, 256],
    [4, 8, 8, 256, 512],
    [16, 4, 4, 512, 512],
];

/// Bytes of the boxes that TMA fills for a pass from `depth` to `channels`: for each tile and tap, the pixels and
/// the filters that the tile multiplies. What lies outside an image is filled without being read.
fn moved_in([n, h, w, ..]: [usize; 5], depth: usize, channels: usize) -> u64 {
    let tile = channels.min(128);
    let tiles = n * h * w / 256 * channels / tile;
    (tiles * 9 * depth * (256 + tile) * size_of::<bf16>()) as u64
}

#[test]
fn a_pass_multiplies_and_moves_no_more_than_its_tiles_need() {
    let (device, log) = logged_sim();
    let Device::Gpu(gpu) = &device else { panic!("the simulator is a GPU") };
    for &[n, h, w, c, k] in LAYERS {
        let s = Conv3x3Shape { n, h, w, c, k };
        let zeros = |len: usize| upload(gpu, &vec![0; len * size_of::<bf16>()]);
        let [mut x, mut y] = [c, k].map(|channels| zeros(n * h * w * channels));
        let filter = zeros(9 * c * k);
        wgmma::fprop(&s, &x, &filter, None, &mut y).unwrap();
        wgmma::dgrad(&s, &y, &filter, &mut x).unwrap();
        let mut dfilter = gpu.alloc(9 * c * k * size_of::<f32>()).unwrap();
        wgmma::wgrad(&s, &x, &y, &mut dfilter).unwrap();
        let launches = log.take();
        let [fprop, dgrad, wgrad, _sum] = &launches[..] else { panic!("{} launches", launches.len()) };
        expect_wgrad(&wgrad.report, &s);
        for (launch, depth, channels) in [(fprop, c, k), (dgrad, k, c)] {
            let report: &LaunchReport = &launch.report;
            let what = format!("{} at {s:?}", report.kernel);
            assert_eq!(report.total.tensor_flop, (18 * n * h * w * c * k) as u64, "{what}");
            let compulsory = (n * h * w * depth + 9 * c * k) * size_of::<bf16>();
            assert_eq!(report.unique_bytes_read, compulsory as u64, "{what}");
            assert_eq!(
                report.unique_bytes_written,
                (n * h * w * channels * size_of::<bf16>()) as u64,
                "{what}"
            );
            let stored = &report.by_class[&Class::StoreShared];
            assert_eq!(stored.shared_wavefronts, stored.shared_ideal, "{what}: bank conflicts");
            for class in [Class::LoadGlobal, Class::StoreGlobal, Class::LoadLocal, Class::StoreLocal] {
                assert!(!report.by_class.contains_key(&class), "{what}: {class:?}");
            }
            let copies = &report.by_class[&Class::Async];
            let most = moved_in([n, h, w, c, k], depth, channels) + report.unique_bytes_written;
            assert!(copies.global_bytes <= most, "{what}: {} bytes moved", copies.global_bytes);
            assert_eq!(copies.sector_overhead(), 1.0, "{what}: parts of sectors");
        }
    }
}

/// What wgrad does, besides the partial sums that it writes.
fn expect_wgrad(report: &LaunchReport, s: &Conv3x3Shape) {
    let &Conv3x3Shape { n, h, w, c, k } = s;
    assert_eq!(report.total.tensor_flop, (18 * n * h * w * c * k) as u64, "wgrad at {s:?}");
    let compulsory = n * h * w * (c + k) * size_of::<bf16>();
    assert_eq!(report.unique_bytes_read, compulsory as u64, "wgrad at {s:?}");
    for class in [Class::StoreGlobal, Class::Async] {
        assert_eq!(
            report.by_class[&class].sector_overhead(),
            1.0,
            "wgrad at {s:?}: {class:?} of parts of sectors"
        );
    }
    for class in [Class::LoadGlobal, Class::LoadLocal, Class::StoreLocal] {
        assert!(!report.by_class.contains_key(&class), "wgrad at {s:?}: {class:?}");
    }
}
