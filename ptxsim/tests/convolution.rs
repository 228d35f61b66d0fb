//! cugrad's f32 convolution: right to the bit in its documented order, the same with and without checks
//! and on any number of CPU threads, and counted as it always was.

mod common;

use common::*;
use ptxsim::{Arg, Checks, Config, Count, Device, Launch, LaunchReport};

const N: usize = 2;
const H: usize = 8;
const W: usize = 8;
const C: usize = 32;
const K: usize = 128;

struct Convolution {
    x: Vec<f32>,
    filter: Vec<f32>,
    bias: Vec<f32>,
}

impl Convolution {
    fn new() -> Self {
        Self {
            x: random_floats(1, N * H * W * C),
            filter: random_floats(2, K * 9 * C),
            bias: random_floats(3, K),
        }
    }

    fn run(&self, config: Config) -> (Vec<f32>, LaunchReport) {
        let device = Device::new(config).expect("a device");
        let inputs = [&self.x, &self.filter, &self.bias].map(|values| upload_f32(&device, values));
        let y = device.alloc(N * H * W * K * 4).expect("memory");
        let extents = [N, H, W, C, K].map(|extent| Arg::I32(extent as i32));
        let args: Vec<Arg> = inputs.map(Arg::U64).into_iter().chain([Arg::U64(y)]).chain(extents).collect();
        let launch = Launch { grid: [1, 2, 1], ..Launch::linear(1, 128) };
        let report = launch_fixture(&device, "conv3x3_fprop.sm80", "conv3x3_fprop", &launch, &args);
        (download_f32(&device, y, N * H * W * K), report)
    }

    /// One output: the bias, then the products by row, column and channel of the filter, each added
    /// with one rounding. What lies outside the image is a zero that is added, too.
    fn output(&self, n: usize, p: usize, q: usize, k: usize) -> f32 {
        let mut sum = self.bias[k];
        for (r, s) in (0..9).map(|tap| (tap / 3, tap % 3)) {
            let inside = (1..=H).contains(&(p + r)) && (1..=W).contains(&(q + s));
            for c in 0..C {
                let x = if inside { self.x[((n * H + p + r - 1) * W + q + s - 1) * C + c] } else { 0.0 };
                sum = x.mul_add(self.filter[(k * 9 + r * 3 + s) * C + c], sum);
            }
        }
        sum
    }
}

#[test]
fn outputs_are_right_to_the_bit() {
    let convolution = Convolution::new();
    let (y, _) = convolution.run(Config::default());
    for (i, &found) in y.iter().enumerate() {
        let (pixel, k) = (i / K, i % K);
        let wanted = convolution.output(pixel / (H * W), pixel / W % H, pixel % W, k);
        assert_eq!(found, wanted, "pixel {pixel}, channel {k}");
    }
}

#[test]
fn neither_checks_nor_threads_change_results_or_counts() {
    let convolution = Convolution::new();
    let (y, report) = convolution.run(Config { threads: 1, ..Config::default() });
    assert_eq!(convolution.run(Config { threads: 4, ..Config::default() }), (y.clone(), report.clone()));
    let unchecked = Config { checks: Checks::none(), ..Config::default() };
    assert_eq!(convolution.run(unchecked), (y.clone(), report.clone()));
    let (uncounted, bare) = convolution.run(Config { traffic: false, ..unchecked });
    assert_eq!(uncounted, y);
    assert_eq!(bare.total.thread_instructions, report.total.thread_instructions);
    assert_eq!((bare.total.global_sectors, bare.unique_bytes_read), (0, 0));
}

#[test]
fn counts_stay_what_they_are() {
    let (_, report) = Convolution::new().run(Config::default());
    let wanted = Count {
        warp_instructions: 196_816,
        thread_instructions: 6_262_400,
        global_requests: 3456,
        global_bytes: 468_992,
        global_sectors: 14_656,
        shared_requests: 14_984,
        shared_bytes: 5_456_896,
        shared_wavefronts: 46_088,
        shared_ideal: 42_632,
        tensor_flop: 0,
    };
    assert_eq!(report.total, wanted);
    let bytes = [N * H * W * C + K * 9 * C + K, N * H * W * K].map(|count| 4 * count as u64);
    assert_eq!([report.unique_bytes_read, report.unique_bytes_written], bytes);
}
