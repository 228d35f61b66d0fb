//! What the program knows of batch normalisation.

use super::{BatchNormGradients, BatchStatistics, Epilogue, Normalized, Statistics, batchnorm, dgrad, update_running};
use crate::error::{Error, Result};
use crate::ops::spec::{Arguments, Attribute, Cost, Layer, Operand, Operation, Shape, Target, default, optional, positive, real, required, wide};
use crate::tape::Tape;
use crate::tensor::Tensor;

/// The passes.
pub static PASSES: &[Operation] = &[
    Operation {
        name: "batchnorm_fprop",
        equation: "y = (x - mean) / sqrt(var + eps) gamma + beta, with x's own mean and biased var; \
                   with relu y = max(that, 0) + residual",
        inputs: &[real("x", "N,H,W,C"), wide("gamma", "C"), wide("beta", "C"), RESIDUAL],
        attributes: &[EPS, RELU],
        outputs: &[real("y", "N,H,W,C"), wide("mean", "C"), positive("var", "C")],
        run: |tape, a| normalized(tape, a, Statistics::Batch),
        kernels: &[
            Target { kernel: "batchnorm_moments", variant: None, shape: PROFILED },
            Target { kernel: "batchnorm_statistics", variant: None, shape: PROFILED },
            Target { kernel: "batchnorm_apply", variant: None, shape: PROFILED },
        ],
        tests: &[
            "n=2,h=3,w=5,c=7,residual=none",
            "n=1,h=1,w=2,c=1,eps=0.01,residual=none",
            "n=2,h=3,w=5,c=7,relu=1",
            "n=2,h=3,w=5,c=7,relu=1,residual=none",
        ],
        large_tests: LARGE_TESTS,
        layers: &[
            Layer { shape: "n=batch,h=32,w=32,c=64,relu=1,residual=none", peers: &[("bn_relu.64", "forward")] },
            Layer { shape: "n=batch,h=16,w=16,c=128,relu=1,residual=none", peers: &[("bn_relu.128", "forward")] },
            Layer { shape: "n=batch,h=8,w=8,c=256,relu=1,residual=none", peers: &[("bn_relu.256", "forward")] },
            Layer { shape: "n=batch,h=4,w=4,c=512,relu=1,residual=none", peers: &[("bn_relu.512", "forward")] },
            Layer { shape: "n=batch,h=16,w=16,c=128,relu=1", peers: &[] },
            Layer { shape: "n=batch,h=4,w=4,c=512,relu=1", peers: &[] },
            // Without an epilogue, to compare with.
            Layer { shape: "n=batch,h=32,w=32,c=64,residual=none", peers: &[] },
        ],
        layer_test_images: 32,
        // x once for the statistics and once to be normalised.
        cost: |s| Cost::of_floats((3.0 + residual(s)) * s.volume("nhwc")),
        ..Operation::EMPTY
    },
    Operation {
        name: "batchnorm_eval",
        equation: "y = (x - mean) / sqrt(var + eps) gamma + beta; with relu y = max(that, 0) + residual",
        inputs: &[
            real("x", "N,H,W,C"),
            wide("mean", "C"),
            positive("var", "C"),
            wide("gamma", "C"),
            wide("beta", "C"),
            RESIDUAL,
        ],
        attributes: &[EPS, RELU],
        outputs: &[real("y", "N,H,W,C")],
        run: |tape, a| {
            let (mean, var) = (a.tensor("mean")?.clone(), a.tensor("var")?.clone());
            normalized(tape, a, Statistics::Running { mean: &mean, var: &var })
        },
        tests: &[
            "n=2,h=3,w=5,c=7,residual=none",
            "n=2,h=3,w=5,c=7,relu=1",
            "n=2,h=3,w=5,c=7,relu=1,residual=none",
        ],
        large_tests: LARGE_TESTS,
        // The peer's ReLU and sum move the same tensors; this normalises them on the way.
        layers: &[
            Layer { shape: "n=batch,h=32,w=32,c=64,relu=1", peers: &[("relu_add.64", "forward")] },
            Layer { shape: "n=batch,h=16,w=16,c=128,relu=1", peers: &[("relu_add.128", "forward")] },
            Layer { shape: "n=batch,h=8,w=8,c=256,relu=1", peers: &[("relu_add.256", "forward")] },
            Layer { shape: "n=batch,h=4,w=4,c=512,relu=1", peers: &[("relu_add.512", "forward")] },
            Layer { shape: "n=batch,h=32,w=32,c=64,residual=none", peers: &[] },
        ],
        layer_test_images: 32,
        cost: |s| Cost::of_floats((2.0 + residual(s)) * s.volume("nhwc")),
        ..Operation::EMPTY
    },
    Operation {
        name: "batchnorm_dgrad",
        equation: "dgamma = sum dy xhat, dbeta = sum dy, dx = gamma / sqrt(var + eps) (dy - dbeta/NHW - xhat dgamma/NHW); \
                   the last two terms only for batch_statistics; xhat = (x - mean) / sqrt(var + eps); \
                   with relu dy counts as 0 where xhat gamma + beta <= 0; dresidual = dy",
        inputs: &[
            real("x", "N,H,W,C"),
            real("dy", "N,H,W,C"),
            wide("mean", "C"),
            positive("var", "C"),
            wide("gamma", "C"),
            wide("beta", "C"),
        ],
        attributes: &[EPS, RELU, default("batch_statistics", 1.0)],
        outputs: &[real("dx", "N,H,W,C"), wide("dgamma", "C"), wide("dbeta", "C")],
        accumulates: Some("dx"),
        run: |_, a| {
            let dx = a.destination("dx");
            let n = Normalized {
                statistics: BatchStatistics { mean: a.tensor("mean")?.clone(), var: a.tensor("var")?.clone() },
                batch: a.flag("batch_statistics")?,
                eps: a.number("eps")?,
                gamma: a.tensor("gamma")?.clone(),
                beta: a.tensor("beta")?.clone(),
                relu: a.flag("relu")?,
            };
            let BatchNormGradients { dx, dgamma, dbeta } = dgrad(a.tensor("x")?, a.tensor("dy")?, &n, dx)?;
            Ok(vec![dx, dgamma, dbeta])
        },
        kernels: &[
            Target { kernel: "batchnorm_gradient_sums", variant: None, shape: PROFILED },
            Target { kernel: "batchnorm_gradient_total", variant: None, shape: PROFILED },
            Target { kernel: "batchnorm_dgrad", variant: None, shape: PROFILED },
        ],
        tests: &[
            "n=2,h=3,w=5,c=7",
            "n=2,h=3,w=5,c=7,batch_statistics=0,eps=0.01",
            "n=2,h=3,w=5,c=7,relu=1",
            "n=2,h=3,w=5,c=7,batch_statistics=0,eps=0.01,relu=1",
        ],
        large_tests: &["n=5,h=33,w=31,c=19", "n=5,h=33,w=31,c=19,relu=1"],
        layers: &[
            Layer { shape: "n=batch,h=32,w=32,c=64,relu=1", peers: &[("bn_relu.64", "backward")] },
            Layer { shape: "n=batch,h=16,w=16,c=128,relu=1", peers: &[("bn_relu.128", "backward")] },
            Layer { shape: "n=batch,h=8,w=8,c=256,relu=1", peers: &[("bn_relu.256", "backward")] },
            Layer { shape: "n=batch,h=4,w=4,c=512,relu=1", peers: &[("bn_relu.512", "backward")] },
            Layer { shape: "n=batch,h=32,w=32,c=64", peers: &[] },
        ],
        layer_test_images: 32,
        // x and dy once for the sums and once for dx.
        cost: |s| Cost::of_floats(5.0 * s.volume("nhwc")),
        ..Operation::EMPTY
    },
    Operation {
        name: "batchnorm_update_running",
        equation: "running_mean = (1 - momentum) running_mean + momentum mean, \
                   running_var = (1 - momentum) running_var + momentum var rows/(rows - 1)",
        inputs: &[
            wide("mean", "C"),
            positive("var", "C"),
            wide("running_mean", "C"),
            positive("running_var", "C"),
        ],
        attributes: &[required("rows"), default("momentum", 0.1)],
        outputs: &[wide("running_mean", "C"), positive("running_var", "C")],
        run: |_, a| {
            let (mut mean, mut var) = (a.take("running_mean")?, a.take("running_var")?);
            let batch = BatchStatistics { mean: a.tensor("mean")?.clone(), var: a.tensor("var")?.clone() };
            update_running(&batch, a.count("rows")?, a.number("momentum")?, &mut mean, &mut var)?;
            Ok(vec![mean, var])
        },
        kernels: &[Target { kernel: "batchnorm_update_running", variant: None, shape: "c=64,rows=256" }],
        tests: &["c=7,rows=30,momentum=0.3"],
        layers: &[Layer { shape: "c=512,rows=8192", peers: &[] }],
        cost: |s| Cost::of_floats(6.0 * s.volume("c")),
        ..Operation::EMPTY
    },
];

const EPS: Attribute = default("eps", 1e-5);
const RELU: Attribute = default("relu", 0.0);
const RESIDUAL: Operand = optional(real("residual", "N,H,W,C"));

const PROFILED: &str = "n=4,h=8,w=8,c=64,relu=1";
const LARGE_TESTS: &[&str] = &["n=5,h=33,w=31,c=19,residual=none", "n=5,h=33,w=31,c=19,relu=1"];

/// Tensors of the residual's size that are read.
fn residual(s: &Shape) -> f64 {
    if s.is_without("residual") { 0.0 } else { 1.0 }
}

fn normalized(tape: &mut Tape, a: &Arguments, statistics: Statistics) -> Result<Vec<Tensor>> {
    let (x, gamma, beta) = (a.tensor("x")?, a.tensor("gamma")?, a.tensor("beta")?);
    let epilogue = match (a.flag("relu")?, a.optional("residual")) {
        (false, None) => Epilogue::None,
        (true, None) => Epilogue::Relu,
        (true, Some(residual)) => Epilogue::ReluAdd(residual),
        (false, Some(_)) => {
            return Err(Error::Config("batchnorm: a residual needs the attribute relu=1".into()));
        }
    };
    let (y, batch) = batchnorm(tape, x, gamma, beta, a.number("eps")?, statistics, epilogue)?;
    Ok([y].into_iter().chain(batch.into_iter().flat_map(|batch| [batch.mean, batch.var])).collect())
}
