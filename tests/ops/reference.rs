//! The operations written a second time, straight from their definitions, in f64: what the CPU side
//! is held against. Slow, and sharing no code with it.

use cugrad::ops::spec::Arguments;

/// The outputs of the operation `op`, in the registry's order.
pub fn reference(op: &str, arguments: &Arguments) -> Vec<Vec<f64>> {
    let a = View(arguments);
    match op {
        "conv3x3_fprop" => vec![conv_fprop(&a)],
        "conv3x3_dgrad" => vec![conv_dgrad(&a)],
        "conv3x3_wgrad" => vec![conv_wgrad(&a)],
        "conv3x3_bias_grad" | "linear_bias_grad" => vec![columns(&a.values("dy"), a.last("dy"))],
        "batchnorm_fprop" => {
            let (mean, var) = moments(&a);
            vec![epilogue(&a, normalize(&a, &mean, &var)), mean, var]
        }
        "batchnorm_eval" => vec![epilogue(&a, normalize(&a, &a.values("mean"), &a.values("var")))],
        "batchnorm_dgrad" => batchnorm_dgrad(&a),
        "batchnorm_update_running" => update_running(&a),
        "maxpool_fprop" => vec![pool(&a).0],
        "maxpool_argmax" => {
            let (y, places) = pool(&a);
            vec![y, places]
        }
        "maxpool_dgrad" => vec![pool_dgrad(&a)],
        "relu_fprop" => vec![a.values("x").iter().map(|x| x.max(0.0)).collect()],
        "relu_dgrad" => vec![zip(&a.values("y"), &a.values("dy"), |y, dy| if y > 0.0 { dy } else { 0.0 })],
        "residual_add_fprop" => vec![zip(&a.values("a"), &a.values("b"), |a, b| a + b)],
        "linear_fprop" => vec![linear_fprop(&a)],
        "linear_dgrad" => vec![matmul(&a, "dy", "weight", false)],
        "linear_wgrad" => vec![matmul(&a, "dy", "x", true)],
        "softmax_nll_fprop" => {
            let losses = losses(&a, &log_softmax(&a));
            vec![vec![losses.iter().sum::<f64>() / losses.len() as f64]]
        }
        "softmax_nll_log_probs" => {
            let log_probs = log_softmax(&a);
            vec![log_probs.clone(), losses(&a, &log_probs)]
        }
        "softmax_nll_dgrad" => vec![softmax_nll_dgrad(&a)],
        "metrics_correct" => vec![vec![correct(&a)]],
        "sgd_step" => sgd_step(&a),
        "augment_apply" => vec![augment(&a)],
        other => panic!("no reference for {other}"),
    }
}

struct View<'a>(&'a Arguments);

impl View<'_> {
    fn values(&self, name: &str) -> Vec<f64> {
        self.0.tensors[name].to_f64_vec().unwrap()
    }

    fn shape<const N: usize>(&self, name: &str) -> [usize; N] {
        self.0.tensors[name].shape().try_into().unwrap()
    }

    fn last(&self, name: &str) -> usize {
        *self.0.tensors[name].shape().last().unwrap()
    }

    fn optional(&self, name: &str) -> Option<Vec<f64>> {
        self.0.tensors.contains_key(name).then(|| self.values(name))
    }

    fn attribute(&self, name: &str, default: f64) -> f64 {
        self.0.attributes.get(name).copied().unwrap_or(default)
    }
}

fn zip(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

/// The sum of each of `count` columns.
fn columns(values: &[f64], count: usize) -> Vec<f64> {
    (0..count).map(|c| values.iter().skip(c).step_by(count).sum()).collect()
}

/// Calls `f(n, h, w, r, s, h + r - 1, w + s - 1)` for every pixel and every tap within the image.
fn for_taps(extents: [usize; 3], mut f: impl FnMut(usize, usize, usize, usize, usize, usize, usize)) {
    let [images, height, width] = extents.map(|e| e as isize);
    for n in 0..images {
        for h in 0..height {
            for w in 0..width {
                for r in 0..3 {
                    for s in 0..3 {
                        let (from_h, from_w) = (h + r - 1, w + s - 1);
                        if from_h >= 0 && from_h < height && from_w >= 0 && from_w < width {
                            let at = [n, h, w, r, s, from_h, from_w].map(|i| i as usize);
                            f(at[0], at[1], at[2], at[3], at[4], at[5], at[6]);
                        }
                    }
                }
            }
        }
    }
}

fn conv_fprop(a: &View) -> Vec<f64> {
    let ([n, h, w, c], [k, ..]) = (a.shape("x"), a.shape::<4>("filter"));
    let (x, filter) = (a.values("x"), a.values("filter"));
    let bias = a.optional("bias").unwrap_or(vec![0.0; k]);
    let mut y: Vec<f64> = (0..n * h * w).flat_map(|_| bias.clone()).collect();
    for_taps([n, h, w], |i, p, q, r, s, from_h, from_w| {
        for out in 0..k {
            for channel in 0..c {
                y[((i * h + p) * w + q) * k + out] += x[((i * h + from_h) * w + from_w) * c + channel]
                    * filter[((out * 3 + r) * 3 + s) * c + channel];
            }
        }
    });
    y
}

fn conv_dgrad(a: &View) -> Vec<f64> {
    let ([n, h, w, k], [.., c]) = (a.shape("dy"), a.shape::<4>("filter"));
    let (dy, filter) = (a.values("dy"), a.values("filter"));
    let mut dx = vec![0.0; n * h * w * c];
    // Each product of the forward pass, given back to where its x came from.
    for_taps([n, h, w], |i, p, q, r, s, from_h, from_w| {
        for out in 0..k {
            for channel in 0..c {
                dx[((i * h + from_h) * w + from_w) * c + channel] +=
                    dy[((i * h + p) * w + q) * k + out] * filter[((out * 3 + r) * 3 + s) * c + channel];
            }
        }
    });
    dx
}

fn conv_wgrad(a: &View) -> Vec<f64> {
    let ([n, h, w, c], k) = (a.shape("x"), a.last("dy"));
    let (x, dy) = (a.values("x"), a.values("dy"));
    let mut dfilter = vec![0.0; k * 9 * c];
    for_taps([n, h, w], |i, p, q, r, s, from_h, from_w| {
        for out in 0..k {
            for channel in 0..c {
                dfilter[((out * 3 + r) * 3 + s) * c + channel] +=
                    dy[((i * h + p) * w + q) * k + out] * x[((i * h + from_h) * w + from_w) * c + channel];
            }
        }
    });
    dfilter
}

fn moments(a: &View) -> (Vec<f64>, Vec<f64>) {
    let (x, c) = (a.values("x"), a.last("x"));
    let rows = (x.len() / c) as f64;
    let mean: Vec<f64> = columns(&x, c).iter().map(|sum| sum / rows).collect();
    let squares: Vec<f64> = x.iter().enumerate().map(|(i, x)| (x - mean[i % c]).powi(2)).collect();
    (mean, columns(&squares, c).iter().map(|sum| sum / rows).collect())
}

fn normalize(a: &View, mean: &[f64], var: &[f64]) -> Vec<f64> {
    let c = a.last("x");
    let beta = a.optional("beta").unwrap_or(vec![0.0; c]);
    let (gamma, eps) = (a.values("gamma"), a.attribute("eps", 1e-5));
    let one = |(i, x): (usize, &f64)| {
        let i = i % c;
        (x - mean[i]) / (var[i] + eps).sqrt() * gamma[i] + beta[i]
    };
    a.values("x").iter().enumerate().map(one).collect()
}

fn batchnorm_dgrad(a: &View) -> Vec<Vec<f64>> {
    let (x, mean, var, gamma) = (a.values("x"), a.values("mean"), a.values("var"), a.values("gamma"));
    let mut dy = a.values("dy");
    if a.attribute("relu", 0.0) == 1.0 {
        dy = zip(&normalize(a, &mean, &var), &dy, |y, dy| if y > 0.0 { dy } else { 0.0 });
    }
    let (c, eps) = (a.last("x"), a.attribute("eps", 1e-5));
    let rows = (x.len() / c) as f64;
    let xhat: Vec<f64> =
        x.iter().enumerate().map(|(i, x)| (x - mean[i % c]) / (var[i % c] + eps).sqrt()).collect();
    let dgamma = columns(&zip(&dy, &xhat, |dy, xhat| dy * xhat), c);
    let dbeta = columns(&dy, c);
    let through = a.attribute("batch_statistics", 1.0);
    let dx = (0..x.len())
        .map(|i| {
            let channel = i % c;
            let of_statistics = (dbeta[channel] + xhat[i] * dgamma[channel]) / rows;
            gamma[channel] / (var[channel] + eps).sqrt() * (dy[i] - through * of_statistics)
        })
        .collect();
    vec![dx, dgamma, dbeta]
}

fn update_running(a: &View) -> Vec<Vec<f64>> {
    let (rows, momentum) = (a.attribute("rows", 0.0), a.attribute("momentum", 0.1));
    let mix = |running: f64, new: f64| running + momentum * (new - running);
    vec![
        zip(&a.values("running_mean"), &a.values("mean"), mix),
        zip(&a.values("running_var"), &a.values("var"), |old, var| mix(old, var * rows / (rows - 1.0))),
    ]
}

/// Nothing, or a ReLU and the residual's addition.
fn epilogue(a: &View, y: Vec<f64>) -> Vec<f64> {
    if a.attribute("relu", 0.0) == 0.0 {
        return y;
    }
    let residual = a.optional("residual").unwrap_or(vec![0.0; y.len()]);
    zip(&y, &residual, |y, residual| y.max(0.0) + residual)
}

fn pool(a: &View) -> (Vec<f64>, Vec<f64>) {
    let ([n, h, w, c], window) = (a.shape("x"), a.attribute("window", 0.0) as usize);
    let x = a.values("x");
    let (mut y, mut places) = (Vec::new(), Vec::new());
    for (i, p, q) in pixels([n, h / window, w / window]) {
        for channel in 0..c {
            let value = |place: usize| {
                let (row, column) = (p * window + place / window, q * window + place % window);
                x[((i * h + row) * w + column) * c + channel]
            };
            let largest = (0..window * window).map(value).fold(f64::NEG_INFINITY, f64::max);
            y.push(largest);
            places.push((0..window * window).position(|place| value(place) == largest).unwrap() as f64);
        }
    }
    (y, places)
}

fn pool_dgrad(a: &View) -> Vec<f64> {
    let ([n, p, q, c], window) = (a.shape("dy"), a.attribute("window", 0.0) as usize);
    let (dy, places) = (a.values("dy"), a.values("argmax"));
    let (h, w) = (p * window, q * window);
    let mut dx = vec![0.0; n * h * w * c];
    for (i, (image, row, column)) in pixels([n, p, q]).enumerate() {
        for channel in 0..c {
            let place = places[i * c + channel] as usize;
            let (row, column) = (row * window + place / window, column * window + place % window);
            dx[((image * h + row) * w + column) * c + channel] = dy[i * c + channel];
        }
    }
    dx
}

fn pixels([n, h, w]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..n).flat_map(move |n| (0..h).flat_map(move |h| (0..w).map(move |w| (n, h, w))))
}

fn linear_fprop(a: &View) -> Vec<f64> {
    let ([n, c], [k, _]) = (a.shape("x"), a.shape::<2>("weight"));
    let (x, weight, bias) = (a.values("x"), a.values("weight"), a.values("bias"));
    let y = |i: usize, k: usize| bias[k] + (0..c).map(|c_| x[i * c + c_] * weight[k * c + c_]).sum::<f64>();
    (0..n).flat_map(|i| (0..k).map(move |k| (i, k))).map(|(i, k)| y(i, k)).collect()
}

/// a b, or aᵀ b.
fn matmul(view: &View, a: &str, b: &str, transposed: bool) -> Vec<f64> {
    let ([rows, columns], [inner, width]) = (view.shape(a), view.shape(b));
    let (a, b) = (view.values(a), view.values(b));
    let out_rows = if transposed { columns } else { rows };
    let mut out = vec![0.0; out_rows * width];
    for i in 0..out_rows {
        for j in 0..inner {
            let left = if transposed { a[j * columns + i] } else { a[i * columns + j] };
            for k in 0..width {
                out[i * width + k] += left * b[j * width + k];
            }
        }
    }
    out
}

fn log_softmax(a: &View) -> Vec<f64> {
    let k = a.last("logits");
    let row = |logits: &[f64]| {
        let sum: f64 = logits.iter().map(|z| z.exp()).sum();
        logits.iter().map(|z| (z.exp() / sum).ln()).collect::<Vec<f64>>()
    };
    a.values("logits").chunks(k).flat_map(row).collect()
}

/// (1 - smoothing) onehot(label) + smoothing / K
fn target(a: &View, k: usize) -> Vec<f64> {
    let smoothing = a.attribute("smoothing", 0.0);
    let row = |label: f64| {
        (0..k).map(move |class| {
            (if class == label as usize { 1.0 - smoothing } else { 0.0 }) + smoothing / k as f64
        })
    };
    a.values("labels").into_iter().flat_map(row).collect()
}

fn losses(a: &View, log_probs: &[f64]) -> Vec<f64> {
    let k = a.last("logits");
    let products = zip(&target(a, k), log_probs, |target, log_prob| -target * log_prob);
    products.chunks(k).map(|row| row.iter().sum()).collect()
}

fn softmax_nll_dgrad(a: &View) -> Vec<f64> {
    let [n, k] = a.shape("log_probs");
    let scale = a.values("dloss")[0] / n as f64;
    zip(&a.values("log_probs"), &target(a, k), |log_prob, target| scale * (log_prob.exp() - target))
}

fn correct(a: &View) -> f64 {
    let k = a.last("logits");
    let is_right = |(logits, label): (&[f64], f64)| {
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        logits.iter().position(|&z| z == largest) == Some(label as usize)
    };
    a.values("logits").chunks(k).zip(a.values("labels")).filter(|&row| is_right(row)).count() as f64
}

fn sgd_step(a: &View) -> Vec<Vec<f64>> {
    let lr = a.values("lr")[0];
    let (momentum, decay, l1) =
        (a.attribute("momentum", 0.9), a.attribute("weight_decay", 0.0), a.attribute("l1", 0.0));
    let (mut param, mut velocity, grad) = (a.values("param"), a.values("velocity"), a.values("grad"));
    for ((p, v), grad) in param.iter_mut().zip(&mut velocity).zip(grad) {
        let gradient = grad + decay * *p + l1 * (if *p == 0.0 { 0.0 } else { p.signum() });
        *v = *v * momentum + gradient;
        *p -= lr * if a.attribute("nesterov", 0.0) == 1.0 { gradient + momentum * *v } else { *v };
    }
    vec![param, velocity]
}

fn augment(a: &View) -> Vec<f64> {
    let (images, mean, std) = (a.values("images"), a.values("mean"), a.values("std"));
    let mut x = Vec::new();
    for (index, choices) in a.values("index").iter().zip(a.values("choices").chunks(5)) {
        let &[crop_y, crop_x, flip, hole_y, hole_x] = choices else { panic!("five choices") };
        let image = &images[*index as usize * 3072..][..3072];
        // Step by step: pad, crop, flip, hole, normalise.
        let mut padded = vec![0.0; 40 * 40 * 3];
        for (_, h, w) in pixels([1, 32, 32]) {
            padded[((h + 4) * 40 + w + 4) * 3..][..3].copy_from_slice(&image[(h * 32 + w) * 3..][..3]);
        }
        let mut out = vec![0.0; 3072];
        for (_, h, w) in pixels([1, 32, 32]) {
            let to = if flip == 1.0 { 31 - w } else { w };
            let from = ((h + crop_y as usize) * 40 + w + crop_x as usize) * 3;
            out[(h * 32 + to) * 3..][..3].copy_from_slice(&padded[from..][..3]);
        }
        if hole_y >= 0.0 && hole_x >= 0.0 {
            for (_, h, w) in pixels([1, 32, 32]) {
                let (below, right) = (h as f64 - hole_y, w as f64 - hole_x);
                if (-4.0..4.0).contains(&below) && (-4.0..4.0).contains(&right) {
                    out[(h * 32 + w) * 3..][..3].fill(0.0);
                }
            }
        }
        x.extend(out.iter().enumerate().map(|(i, p)| (p / 255.0 - mean[i % 3]) / std[i % 3]));
    }
    x
}
