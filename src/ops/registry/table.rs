//! The table of operations. A new operation is one row.

use super::{Arguments, Attribute, Operand, Operation, Values};
use crate::error::Error;
use crate::ops::augment::{Normalization, augment};
use crate::ops::batchnorm::{
    self, BatchNormGradients, BatchStatistics, Epilogue, Normalized, Statistics, batchnorm,
};
use crate::ops::conv3x3::{self, Products, conv3x3};
use crate::ops::linear::{self, linear};
use crate::ops::maxpool::{self, maxpool};
use crate::ops::metrics;
use crate::ops::relu::{self, relu};
use crate::ops::residual_add::residual_add;
use crate::ops::sgd::{self, Sgd};
use crate::ops::softmax_nll::{self, softmax_nll};
use crate::tape::Tape;
use crate::tensor::Tensor;

/// Every operation and every named gradient.
pub static OPERATIONS: &[Operation] = &[
    Operation {
        name: "conv3x3_fprop",
        equation: "y[n,h,w,k] = bias[k] + sum_{r,s,c} x[n,h+r-1,w+s-1,c] filter[k,r,s,c]",
        inputs: &[real("x", "N,H,W,C"), real("filter", "K,3,3,C"), optional(real("bias", "K"))],
        attributes: &[],
        outputs: &[real("y", "N,H,W,K")],
        accumulates: None,
        run: |tape, a| {
            let (x, filter, bias) = (a.tensor("x")?, a.tensor("filter")?, a.optional("bias"));
            one(conv3x3(tape, x, filter, bias, Products::F32)?)
        },
    },
    Operation {
        name: "conv3x3_dgrad",
        equation: "dx[n,h,w,c] = sum_{k,r,s} dy[n,h+1-r,w+1-s,k] filter[k,r,s,c]",
        inputs: &[real("dy", "N,H,W,K"), real("filter", "K,3,3,C")],
        attributes: &[],
        outputs: &[real("dx", "N,H,W,C")],
        accumulates: Some("dx"),
        run: |_, a| {
            one(conv3x3::dgrad(a.tensor("dy")?, a.tensor("filter")?, Products::F32, a.destination("dx"))?)
        },
    },
    Operation {
        name: "conv3x3_wgrad",
        equation: "dfilter[k,r,s,c] = sum_{n,h,w} x[n,h+r-1,w+s-1,c] dy[n,h,w,k]",
        inputs: &[real("x", "N,H,W,C"), real("dy", "N,H,W,K")],
        attributes: &[],
        outputs: &[real("dfilter", "K,3,3,C")],
        accumulates: Some("dfilter"),
        run: |_, a| {
            one(conv3x3::wgrad(a.tensor("x")?, a.tensor("dy")?, Products::F32, a.destination("dfilter"))?)
        },
    },
    Operation {
        name: "conv3x3_bias_grad",
        equation: "dbias[k] = sum_{n,h,w} dy[n,h,w,k]",
        inputs: &[real("dy", "N,H,W,K")],
        attributes: &[],
        outputs: &[real("dbias", "K")],
        accumulates: Some("dbias"),
        run: |_, a| one(conv3x3::bias_grad(a.tensor("dy")?, a.destination("dbias"))?),
    },
    Operation {
        name: "batchnorm_fprop",
        equation: "y = (x - mean) / sqrt(var + eps) gamma + beta, with x's own mean and biased var; \
                   with relu y = max(that, 0) + residual",
        inputs: &[
            real("x", "N,H,W,C"),
            real("gamma", "C"),
            real("beta", "C"),
            optional(real("residual", "N,H,W,C")),
        ],
        attributes: &[EPS, RELU],
        outputs: &[real("y", "N,H,W,C"), real("mean", "C"), positive("var", "C")],
        accumulates: None,
        run: |tape, a| normalized(tape, a, Statistics::Batch),
    },
    Operation {
        name: "batchnorm_eval",
        equation: "y = (x - mean) / sqrt(var + eps) gamma + beta; with relu y = max(that, 0) + residual",
        inputs: &[
            real("x", "N,H,W,C"),
            real("mean", "C"),
            positive("var", "C"),
            real("gamma", "C"),
            real("beta", "C"),
            optional(real("residual", "N,H,W,C")),
        ],
        attributes: &[EPS, RELU],
        outputs: &[real("y", "N,H,W,C")],
        accumulates: None,
        run: |tape, a| {
            let statistics = Statistics::Running { mean: a.tensor("mean")?, var: a.tensor("var")? };
            normalized(tape, a, statistics)
        },
    },
    Operation {
        name: "batchnorm_dgrad",
        equation: "dgamma = sum dy xhat, dbeta = sum dy, dx = gamma / sqrt(var + eps) (dy - dbeta/NHW - xhat dgamma/NHW); \
                   the last two terms only for batch_statistics; xhat = (x - mean) / sqrt(var + eps); \
                   with relu dy counts as 0 where xhat gamma + beta <= 0; dresidual = dy",
        inputs: &[
            real("x", "N,H,W,C"),
            real("dy", "N,H,W,C"),
            real("mean", "C"),
            positive("var", "C"),
            real("gamma", "C"),
            real("beta", "C"),
        ],
        attributes: &[EPS, RELU, BATCH_STATISTICS],
        outputs: &[real("dx", "N,H,W,C"), real("dgamma", "C"), real("dbeta", "C")],
        accumulates: Some("dx"),
        run: |_, a| {
            let n = Normalized {
                statistics: BatchStatistics {
                    mean: a.tensor("mean")?.clone(),
                    var: a.tensor("var")?.clone(),
                },
                batch: a.flag("batch_statistics")?,
                eps: a.number("eps")?,
                gamma: a.tensor("gamma")?.clone(),
                beta: a.tensor("beta")?.clone(),
                relu: a.flag("relu")?,
            };
            let BatchNormGradients { dx, dgamma, dbeta } =
                batchnorm::dgrad(a.tensor("x")?, a.tensor("dy")?, &n, a.destination("dx"))?;
            Ok(vec![dx, dgamma, dbeta])
        },
    },
    Operation {
        name: "batchnorm_update_running",
        equation: "running_mean = (1 - momentum) running_mean + momentum mean, \
                   running_var = (1 - momentum) running_var + momentum var rows/(rows - 1)",
        inputs: &[
            real("mean", "C"),
            positive("var", "C"),
            real("running_mean", "C"),
            positive("running_var", "C"),
        ],
        attributes: &[required("rows"), default("momentum", 0.1)],
        outputs: &[real("running_mean", "C"), positive("running_var", "C")],
        accumulates: None,
        run: |_, a| {
            let batch = BatchStatistics { mean: a.tensor("mean")?.clone(), var: a.tensor("var")?.clone() };
            let (mut mean, mut var) = (a.tensor("running_mean")?.clone(), a.tensor("running_var")?.clone());
            let (rows, momentum) = (a.count("rows")?, a.number("momentum")?);
            batchnorm::update_running(&batch, rows, momentum, &mut mean, &mut var)?;
            Ok(vec![mean, var])
        },
    },
    Operation {
        name: "maxpool_fprop",
        equation: "y[n,p,q,c] = max of x[n,h,w,c] over h/window = p, w/window = q; window is 2 or 4",
        inputs: &[real("x", "N,H,W,C")],
        attributes: &[required("window")],
        outputs: &[real("y", "N,P,Q,C")],
        accumulates: None,
        run: |tape, a| one(maxpool(tape, a.tensor("x")?, a.count("window")?)?),
    },
    Operation {
        name: "maxpool_argmax",
        equation: "y as maxpool_fprop; argmax = the place of the first largest in its window, row-major",
        inputs: &[real("x", "N,H,W,C")],
        attributes: &[required("window")],
        outputs: &[real("y", "N,P,Q,C"), operand("argmax", "N,P,Q,C", Values::Place)],
        accumulates: None,
        run: |_, a| {
            let (y, argmax) = maxpool::fprop(a.tensor("x")?, a.count("window")?)?;
            Ok(vec![y, argmax])
        },
    },
    Operation {
        name: "maxpool_dgrad",
        equation: "dx[n,h,w,c] = dy[n,h/window,w/window,c] at the place argmax of its window, else 0",
        inputs: &[real("dy", "N,P,Q,C"), operand("argmax", "N,P,Q,C", Values::Place)],
        attributes: &[required("window")],
        outputs: &[real("dx", "N,H,W,C")],
        accumulates: Some("dx"),
        run: |_, a| {
            one(maxpool::dgrad(
                a.tensor("dy")?,
                a.tensor("argmax")?,
                a.count("window")?,
                a.destination("dx"),
            )?)
        },
    },
    Operation {
        name: "relu_fprop",
        equation: "y = max(x, 0)",
        inputs: &[real("x", "*")],
        attributes: &[],
        outputs: &[real("y", "*")],
        accumulates: None,
        run: |tape, a| one(relu(tape, a.tensor("x")?)?),
    },
    Operation {
        name: "relu_dgrad",
        equation: "dx = dy where y > 0, else 0",
        inputs: &[real("y", "*"), real("dy", "*")],
        attributes: &[],
        outputs: &[real("dx", "*")],
        accumulates: Some("dx"),
        run: |_, a| one(relu::dgrad(a.tensor("y")?, a.tensor("dy")?, a.destination("dx"))?),
    },
    Operation {
        name: "residual_add_fprop",
        equation: "y = a + b",
        inputs: &[real("a", "*"), real("b", "*")],
        attributes: &[],
        outputs: &[real("y", "*")],
        accumulates: None,
        run: |tape, a| one(residual_add(tape, a.tensor("a")?, a.tensor("b")?)?),
    },
    Operation {
        name: "linear_fprop",
        equation: "y[n,k] = bias[k] + sum_c x[n,c] weight[k,c]",
        inputs: &[real("x", "N,C"), real("weight", "K,C"), real("bias", "K")],
        attributes: &[],
        outputs: &[real("y", "N,K")],
        accumulates: None,
        run: |tape, a| one(linear(tape, a.tensor("x")?, a.tensor("weight")?, a.tensor("bias")?)?),
    },
    Operation {
        name: "linear_dgrad",
        equation: "dx[n,c] = sum_k dy[n,k] weight[k,c]",
        inputs: &[real("dy", "N,K"), real("weight", "K,C")],
        attributes: &[],
        outputs: &[real("dx", "N,C")],
        accumulates: Some("dx"),
        run: |_, a| one(linear::dgrad(a.tensor("dy")?, a.tensor("weight")?, a.destination("dx"))?),
    },
    Operation {
        name: "linear_wgrad",
        equation: "dweight[k,c] = sum_n dy[n,k] x[n,c]",
        inputs: &[real("x", "N,C"), real("dy", "N,K")],
        attributes: &[],
        outputs: &[real("dweight", "K,C")],
        accumulates: Some("dweight"),
        run: |_, a| one(linear::wgrad(a.tensor("x")?, a.tensor("dy")?, a.destination("dweight"))?),
    },
    Operation {
        name: "linear_bias_grad",
        equation: "dbias[k] = sum_n dy[n,k]",
        inputs: &[real("dy", "N,K")],
        attributes: &[],
        outputs: &[real("dbias", "K")],
        accumulates: Some("dbias"),
        run: |_, a| one(linear::bias_grad(a.tensor("dy")?, a.destination("dbias"))?),
    },
    Operation {
        name: "softmax_nll_fprop",
        equation: "loss = -mean_n sum_k target[n,k] log softmax(logits)[n,k], \
                   target = (1 - smoothing) onehot(labels) + smoothing/K",
        inputs: &[real("logits", "N,K"), operand("labels", "N", Values::Index("K"))],
        attributes: &[default("smoothing", 0.0)],
        outputs: &[real("loss", "1")],
        accumulates: None,
        run: |tape, a| {
            one(softmax_nll(tape, a.tensor("logits")?, a.tensor("labels")?, a.number("smoothing")?)?)
        },
    },
    Operation {
        name: "softmax_nll_log_probs",
        equation: "log_probs = log softmax(logits), losses[n] = -sum_k target[n,k] log_probs[n,k]",
        inputs: &[real("logits", "N,K"), operand("labels", "N", Values::Index("K"))],
        attributes: &[default("smoothing", 0.0)],
        outputs: &[real("log_probs", "N,K"), real("losses", "N")],
        accumulates: None,
        run: |_, a| {
            let (logits, labels) = (a.tensor("logits")?, a.tensor("labels")?);
            let computed = softmax_nll::fprop(logits, labels, a.number("smoothing")?)?;
            Ok(vec![computed.log_probs, computed.losses])
        },
    },
    Operation {
        name: "softmax_nll_dgrad",
        equation: "dlogits[n,k] = dloss/N (exp(log_probs[n,k]) - target[n,k])",
        inputs: &[real("log_probs", "N,K"), operand("labels", "N", Values::Index("K")), real("dloss", "1")],
        attributes: &[default("smoothing", 0.0)],
        outputs: &[real("dlogits", "N,K")],
        accumulates: Some("dlogits"),
        run: |_, a| {
            let (log_probs, labels) = (a.tensor("log_probs")?, a.tensor("labels")?);
            let (smoothing, dloss) = (a.number("smoothing")?, a.tensor("dloss")?);
            one(softmax_nll::dgrad(log_probs, labels, smoothing, dloss, a.destination("dlogits"))?)
        },
    },
    Operation {
        name: "metrics_correct",
        equation: "count = the number of rows n whose first largest logits[n,k] is at k = labels[n]",
        inputs: &[real("logits", "N,K"), operand("labels", "N", Values::Index("K"))],
        attributes: &[],
        outputs: &[operand("count", "1", Values::Count)],
        accumulates: None,
        run: |_, a| one(metrics::correct(a.tensor("logits")?, a.tensor("labels")?)?),
    },
    Operation {
        name: "sgd_step",
        equation: "g = grad + weight_decay param + l1 sign(param), velocity = momentum velocity + g, \
                   param -= lr (nesterov ? g + momentum velocity : velocity)",
        inputs: &[real("param", "*"), real("grad", "*"), real("velocity", "*"), real("lr", "1")],
        attributes: &[
            default("momentum", 0.9),
            default("weight_decay", 0.0),
            default("l1", 0.0),
            default("nesterov", 0.0),
        ],
        outputs: &[real("param", "*"), real("velocity", "*")],
        accumulates: None,
        run: |_, a| {
            let h = Sgd {
                momentum: a.number("momentum")?,
                weight_decay: a.number("weight_decay")?,
                l1: a.number("l1")?,
                nesterov: a.flag("nesterov")?,
            };
            let (mut param, mut velocity) = (a.tensor("param")?.clone(), a.tensor("velocity")?.clone());
            sgd::step(&h, a.tensor("lr")?, a.tensor("grad")?, &mut param, &mut velocity)?;
            Ok(vec![param, velocity])
        },
    },
    Operation {
        name: "augment_apply",
        equation: "x[n] = (p/255 - mean) / std, p = images[index[n]] after the crop, flip and hole of choices[n]",
        inputs: &[
            operand("images", "T,32,32,3", Values::Pixel),
            operand("index", "N", Values::Index("T")),
            operand("choices", "N,5", Values::Choices),
            real("mean", "3"),
            positive("std", "3"),
        ],
        attributes: &[],
        outputs: &[real("x", "N,32,32,3")],
        accumulates: None,
        run: |_, a| {
            let normalization = Normalization { mean: a.triple("mean")?, std: a.triple("std")? };
            let (images, index, choices) = (a.tensor("images")?, a.tensor("index")?, a.tensor("choices")?);
            one(augment(images, index, choices, &normalization, a.tensor("mean")?.dtype())?)
        },
    },
];

const EPS: Attribute = default("eps", 1e-5);
const RELU: Attribute = default("relu", 0.0);
const BATCH_STATISTICS: Attribute = default("batch_statistics", 1.0);

const fn operand(name: &'static str, axes: &'static str, values: Values) -> Operand {
    Operand { name, axes, values, optional: false }
}

const fn real(name: &'static str, axes: &'static str) -> Operand {
    operand(name, axes, Values::Real)
}

const fn positive(name: &'static str, axes: &'static str) -> Operand {
    operand(name, axes, Values::Positive)
}

const fn optional(operand: Operand) -> Operand {
    Operand { optional: true, ..operand }
}

const fn required(name: &'static str) -> Attribute {
    Attribute { name, default: None }
}

const fn default(name: &'static str, value: f64) -> Attribute {
    Attribute { name, default: Some(value) }
}

type Outputs = crate::error::Result<Vec<Tensor>>;

fn one(output: Tensor) -> Outputs {
    Ok(vec![output])
}

fn normalized(tape: &mut Tape, a: &Arguments, statistics: Statistics) -> Outputs {
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
