//! What the program knows of the 3x3 convolution.

use super::ladder::Rung;
use super::{Conv3x3Shape, bias_grad, conv3x3, dgrad, wgrad};
use crate::ops::math::MathMode;
use crate::ops::spec::{Cost, Layer, Operation, Shape, Target, Variant, optional, real, wide};

/// The passes.
pub static PASSES: &[Operation] = &[
    Operation {
        name: "conv3x3_fprop",
        equation: "y[n,h,w,k] = bias[k] + sum_{r,s,c} x[n,h+r-1,w+s-1,c] filter[k,r,s,c]",
        inputs: &[real("x", "N,H,W,C"), real("filter", "K,3,3,C"), optional(wide("bias", "K"))],
        outputs: &[real("y", "N,H,W,K")],
        run: |tape, a| {
            let (x, filter, bias) = (a.tensor("x")?, a.tensor("filter")?, a.optional("bias"));
            Ok(vec![conv3x3(tape, x, filter, bias, MathMode::F32)?])
        },
        variants: LADDER,
        kernels: &[
            Target { kernel: "conv3x3_fprop", variant: None, shape: PROFILED },
            Target { kernel: "conv3x3_fprop_naive", variant: Some("naive"), shape: PROFILED },
            Target { kernel: "conv3x3_fprop_mma", variant: Some("mma"), shape: PROFILED },
        ],
        tests: &[ODD, WIDE, "n=2,h=5,w=3,c=3,k=5,bias=none", PIXEL, FOURS],
        large_tests: LARGE_TESTS,
        layers: &[
            Layer { shape: "n=batch,h=32,w=32,c=3,k=64,bias=none", peers: &[("prep.conv", "fprop")] },
            Layer { shape: "n=batch,h=32,w=32,c=64,k=128,bias=none", peers: &[("layer1.conv", "fprop")] },
            Layer {
                shape: "n=batch,h=16,w=16,c=128,k=128,bias=none",
                peers: &[("layer1.res.conv1", "fprop"), ("layer1.res.conv2", "fprop")],
            },
            Layer { shape: "n=batch,h=16,w=16,c=128,k=256,bias=none", peers: &[("layer2.conv", "fprop")] },
            Layer { shape: "n=batch,h=8,w=8,c=256,k=512,bias=none", peers: &[("layer3.conv", "fprop")] },
            Layer {
                shape: "n=batch,h=4,w=4,c=512,k=512,bias=none",
                peers: &[("layer3.res.conv1", "fprop"), ("layer3.res.conv2", "fprop")],
            },
        ],
        layer_test_images: 3,
        cost,
        ..Operation::EMPTY
    },
    Operation {
        name: "conv3x3_dgrad",
        equation: "dx[n,h,w,c] = sum_{k,r,s} dy[n,h+1-r,w+1-s,k] filter[k,r,s,c]",
        inputs: &[real("dy", "N,H,W,K"), real("filter", "K,3,3,C")],
        outputs: &[real("dx", "N,H,W,C")],
        accumulates: Some("dx"),
        run: |_, a| {
            let dx = a.destination("dx");
            Ok(vec![dgrad(a.tensor("dy")?, a.tensor("filter")?, MathMode::F32, dx)?])
        },
        variants: LADDER,
        kernels: &[
            Target { kernel: "conv3x3_dgrad", variant: None, shape: PROFILED },
            Target { kernel: "conv3x3_dgrad_naive", variant: Some("naive"), shape: PROFILED },
            Target { kernel: "conv3x3_dgrad_mma", variant: Some("mma"), shape: PROFILED },
        ],
        tests: &[ODD, WIDE, PIXEL, FOURS],
        large_tests: LARGE_TESTS,
        // Nothing asks for the gradient of the images, which prep would have.
        layers: &[
            Layer { shape: "n=batch,h=32,w=32,c=64,k=128", peers: &[("layer1.conv", "dgrad")] },
            Layer {
                shape: "n=batch,h=16,w=16,c=128,k=128",
                peers: &[("layer1.res.conv1", "dgrad"), ("layer1.res.conv2", "dgrad")],
            },
            Layer { shape: "n=batch,h=16,w=16,c=128,k=256", peers: &[("layer2.conv", "dgrad")] },
            Layer { shape: "n=batch,h=8,w=8,c=256,k=512", peers: &[("layer3.conv", "dgrad")] },
            Layer {
                shape: "n=batch,h=4,w=4,c=512,k=512",
                peers: &[("layer3.res.conv1", "dgrad"), ("layer3.res.conv2", "dgrad")],
            },
        ],
        layer_test_images: 3,
        cost,
        ..Operation::EMPTY
    },
    Operation {
        name: "conv3x3_wgrad",
        equation: "dfilter[k,r,s,c] = sum_{n,h,w} x[n,h+r-1,w+s-1,c] dy[n,h,w,k]",
        inputs: &[real("x", "N,H,W,C"), real("dy", "N,H,W,K")],
        outputs: &[wide("dfilter", "K,3,3,C")],
        accumulates: Some("dfilter"),
        run: |_, a| {
            let dfilter = a.destination("dfilter");
            Ok(vec![wgrad(a.tensor("x")?, a.tensor("dy")?, MathMode::F32, dfilter)?])
        },
        variants: LADDER,
        kernels: &[
            Target { kernel: "conv3x3_wgrad", variant: None, shape: SPLIT },
            Target { kernel: "conv3x3_wgrad_sum", variant: None, shape: SPLIT },
            Target { kernel: "conv3x3_wgrad_naive", variant: Some("naive"), shape: PROFILED },
            Target { kernel: "conv3x3_wgrad_mma", variant: Some("mma"), shape: PROFILED },
        ],
        tests: &[ODD, WIDE, PIXEL, FOURS],
        large_tests: LARGE_TESTS,
        layers: &[
            Layer { shape: "n=batch,h=32,w=32,c=3,k=64", peers: &[("prep.conv", "wgrad")] },
            Layer { shape: "n=batch,h=32,w=32,c=64,k=128", peers: &[("layer1.conv", "wgrad")] },
            Layer {
                shape: "n=batch,h=16,w=16,c=128,k=128",
                peers: &[("layer1.res.conv1", "wgrad"), ("layer1.res.conv2", "wgrad")],
            },
            Layer { shape: "n=batch,h=16,w=16,c=128,k=256", peers: &[("layer2.conv", "wgrad")] },
            Layer { shape: "n=batch,h=8,w=8,c=256,k=512", peers: &[("layer3.conv", "wgrad")] },
            Layer {
                shape: "n=batch,h=4,w=4,c=512,k=512",
                peers: &[("layer3.res.conv1", "wgrad"), ("layer3.res.conv2", "wgrad")],
            },
        ],
        layer_test_images: 3,
        cost,
        ..Operation::EMPTY
    },
    Operation {
        name: "conv3x3_bias_grad",
        equation: "dbias[k] = sum_{n,h,w} dy[n,h,w,k]",
        inputs: &[real("dy", "N,H,W,K")],
        outputs: &[wide("dbias", "K")],
        accumulates: Some("dbias"),
        run: |_, a| {
            let dbias = a.destination("dbias");
            Ok(vec![bias_grad(a.tensor("dy")?, dbias)?])
        },
        kernels: &[Target { kernel: "conv3x3_bias_grad", variant: None, shape: "n=2,h=8,w=8,k=32" }],
        tests: &["n=2,h=5,w=3,k=5"],
        large_tests: &["n=5,h=33,w=31,k=19"],
        // The convolutions within a residual have no bias.
        layers: &[
            Layer { shape: "n=batch,h=32,w=32,k=64", peers: &[("prep.conv", "bias_grad")] },
            Layer { shape: "n=batch,h=32,w=32,k=128", peers: &[("layer1.conv", "bias_grad")] },
            Layer { shape: "n=batch,h=16,w=16,k=256", peers: &[("layer2.conv", "bias_grad")] },
            Layer { shape: "n=batch,h=8,w=8,k=512", peers: &[("layer3.conv", "bias_grad")] },
        ],
        layer_test_images: 3,
        cost: |s| Cost::of_floats(s.volume("nhwk")),
        ..Operation::EMPTY
    },
];

/// The rungs of the ladder, from the bottom.
const LADDER: &[Variant] = &[variant(Rung::Naive), variant(Rung::Tiled), variant(Rung::Mma)];

const fn variant(rung: Rung) -> Variant {
    Variant {
        name: rung.name(),
        math: rung.math(),
        takes: match rung {
            Rung::Naive => |s| takes(Rung::Naive, s),
            Rung::Tiled => |s| takes(Rung::Tiled, s),
            Rung::Mma => |s| takes(Rung::Mma, s),
        },
        run: match rung {
            Rung::Naive => |pass, a| Rung::Naive.run(pass, a),
            Rung::Tiled => |pass, a| Rung::Tiled.run(pass, a),
            Rung::Mma => |pass, a| Rung::Mma.run(pass, a),
        },
    }
}

fn takes(rung: Rung, s: &Shape) -> bool {
    let extent = |axis| s.extent(axis).unwrap_or(1);
    let [n, h, w, c, k] = ["n", "h", "w", "c", "k"].map(extent);
    rung.takes(&Conv3x3Shape { n, h, w, c, k })
}

const PROFILED: &str = "n=2,h=8,w=8,c=16,k=32";
/// Enough pixels that their sum is made in parts.
const SPLIT: &str = "n=2,h=16,w=16,c=16,k=32";

/// Odd extents, beside any tile.
const ODD: &str = "n=2,h=5,w=3,c=3,k=5";
/// One pixel: eight of the nine taps are outside.
const PIXEL: &str = "n=1,h=1,w=1,c=2,k=1";
/// Channels at and beside a multiple of 8.
const WIDE: &str = "n=1,h=4,w=6,c=16,k=17";
/// Channels at multiples of 4.
const FOURS: &str = "n=2,h=3,w=5,c=8,k=12";

const LARGE_TESTS: &[&str] = &[
    "n=3,h=17,w=16,c=24,k=33",
    // Channels that are multiples of 4, and pixels at and beside multiples of 16 and 128.
    "n=3,h=5,w=9,c=20,k=36",
    // Every extent beyond one tile of 128; rows shorter than the walk of eight pixels.
    "n=9,h=5,w=3,c=132,k=136",
];

fn cost(s: &Shape) -> Cost {
    let (pixels, filter) = (s.volume("nhw"), 9.0 * s.volume("ck"));
    let floats = pixels * (s.volume("c") + s.volume("k")) + filter;
    Cost { flop: 2.0 * pixels * filter, floats, bytes: 0.0 }
}
