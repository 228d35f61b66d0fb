//! The table: what is measured, at which extents, and what it costs at least.

use crate::ops::conv3x3::Conv3x3Shape;
use crate::ops::conv3x3::ladder::Rung;
use crate::ops::registry::InputShape;

/// Bytes of an f32.
const F32: f64 = 4.0;

/// Parameters of the network, all of which the optimizer updates.
const PARAMETERS: usize = 6_574_090;

/// Classes.
const CLASSES: usize = 10;

/// One thing to measure.
#[derive(Clone, Debug)]
pub struct Case {
    /// The operation, as its folder in `src/ops/` is called.
    pub op: &'static str,
    /// The pass: `fprop`, `dgrad`, `wgrad`, ...
    pub pass: &'static str,
    /// The rung of the ladder; none for the kernel that training uses.
    pub rung: Option<&'static str>,
    /// The extents, for the id: `n512_hw32_c64_k128`.
    pub extents: String,
    /// The same work in `peer_torch.py`, one (op, pass) for each layer that has these extents; the
    /// peer need not measure all of them.
    pub peers: Vec<(String, &'static str)>,
    /// Floating-point operations; only for those limited by them.
    pub flop: f64,
    /// Bytes that have to be read or written at least.
    pub bytes: f64,
    /// How to run it.
    pub(super) work: Work,
    /// The extents of the operands' axes; `*` stands for all of them.
    pub(super) axes: Vec<(&'static str, usize)>,
    /// Attributes that differ from their defaults.
    pub(super) attributes: Vec<(&'static str, f64)>,
    /// Optional operands to leave out.
    pub(super) without: Vec<&'static str>,
}

/// What a case runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// The row of the registry with this name.
    Operation(&'static str),
    /// Another rung of the ladder, on the operands of that row.
    Rung(&'static str, Rung),
    /// The optimizer's step, in place.
    SgdStep,
}

impl Work {
    /// The row of the registry whose operands it takes.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Work::Operation(name) | Work::Rung(name, _) => name,
            Work::SgdStep => "sgd_step",
        }
    }
}

impl Case {
    /// `conv3x3/dgrad/n512_hw32_c64_k128`, `conv3x3/dgrad_naive/n512_hw32_c64_k128`
    pub fn id(&self) -> String {
        let rung = self.rung.map(|rung| format!("_{rung}")).unwrap_or_default();
        format!("{}/{}{rung}/{}", self.op, self.pass, self.extents)
    }

    /// The row of the registry that it measures.
    pub fn operation(&self) -> &'static str {
        self.work.operation()
    }

    /// What it is run on.
    pub(super) fn input_shape(&self) -> InputShape {
        let own = |name: &&str| name.to_string();
        InputShape {
            axes: self.axes.iter().map(|(axis, extent)| (own(axis), *extent)).collect(),
            attributes: self.attributes.iter().map(|(name, value)| (own(name), *value)).collect(),
            without: self.without.iter().map(own).collect(),
        }
    }

    /// Whether it can run on a CPU; the ladder's rungs are kernels.
    pub fn runs_on_cpu(&self) -> bool {
        self.rung.is_none()
    }
}

/// Layers with the same convolution: their names, side of the image, channels in and out.
const CONVS: &[(&[&str], usize, usize, usize)] = &[
    (&["prep.conv"], 32, 3, 64),
    (&["layer1.conv"], 32, 64, 128),
    (&["layer1.res.conv1", "layer1.res.conv2"], 16, 128, 128),
    (&["layer2.conv"], 16, 128, 256),
    (&["layer3.conv"], 8, 256, 512),
    (&["layer3.res.conv1", "layer3.res.conv2"], 4, 512, 512),
];

/// Channels and side of the image where the network normalises.
const NORMS: &[(usize, usize)] = &[(64, 32), (128, 16), (256, 8), (512, 4)];

/// Channels, side of the image, window where the network pools.
const POOLS: &[(usize, usize, usize)] = &[(128, 32, 2), (256, 16, 2), (512, 8, 2), (512, 4, 4)];

/// Every operation and pass at every layer shape of the network of width 64, for `n` images, on
/// every rung.
pub fn cases(n: usize) -> Vec<Case> {
    let mut all = Vec::new();
    CONVS.iter().for_each(|&(layers, hw, c, k)| convolutions(&mut all, n, layers, hw, c, k));
    NORMS.iter().for_each(|&(c, hw)| normalizations(&mut all, n, c, hw));
    POOLS.iter().for_each(|&(c, hw, window)| poolings(&mut all, n, c, hw, window));
    head(&mut all, n);
    all.push(
        case("batchnorm", "update_running", "c512", &[("C", 512)], 6.0 * 512.0 * F32).with("rows", 8192.0),
    );
    all.push(Case {
        work: Work::SgdStep,
        ..case("sgd", "step", &format!("p{PARAMETERS}"), &[("I", PARAMETERS)], 5.0 * PARAMETERS as f64 * F32)
    });
    let pixels = (n * 32 * 32 * 3) as f64;
    let images = [("N", n), ("T", 4 * n)];
    all.push(case("augment", "apply", &format!("n{n}"), &images, pixels * (1.0 + F32)));
    all
}

/// The convolution alone that `Ceilings` takes the matrix rate from: wide, with nothing left over at
/// the edges of a tile.
pub(super) fn widest_convolution(n: usize) -> Case {
    let mut all = Vec::new();
    convolutions(&mut all, n, &["wide"], 16, 256, 256);
    all.swap_remove(0)
}

/// A row that training runs, with no arithmetic to speak of and nothing to compare it with.
fn case(
    op: &'static str,
    pass: &'static str,
    extents: &str,
    axes: &[(&'static str, usize)],
    bytes: f64,
) -> Case {
    Case {
        op,
        pass,
        rung: None,
        extents: extents.into(),
        peers: Vec::new(),
        flop: 0.0,
        bytes,
        work: Work::Operation(operation(op, pass)),
        axes: axes.to_vec(),
        attributes: Vec::new(),
        without: Vec::new(),
    }
}

/// The registry's name of an operation and pass.
fn operation(op: &str, pass: &str) -> &'static str {
    let name = format!("{op}_{pass}");
    crate::ops::registry::find(&name).map_or("", |operation| operation.name)
}

impl Case {
    fn with(mut self, attribute: &'static str, value: f64) -> Case {
        self.attributes.push((attribute, value));
        self
    }

    /// Adds `what` to the extents: what else tells this case from others.
    fn named(mut self, what: &str) -> Case {
        self.extents += &format!("_{what}");
        self
    }

    fn without(mut self, operand: &'static str) -> Case {
        self.without.push(operand);
        self
    }

    fn flop(self, flop: f64) -> Case {
        Case { flop, ..self }
    }

    fn peer(mut self, op: String, pass: &'static str) -> Case {
        self.peers.push((op, pass));
        self
    }

    fn layers(mut self, layers: &[&str], pass: &'static str) -> Case {
        self.peers.extend(layers.iter().map(|layer| (layer.to_string(), pass)));
        self
    }

    /// The same work on another rung of the ladder.
    fn on_rung(&self, rung: Rung) -> Case {
        Case { rung: Some(rung.name()), work: Work::Rung(self.work.operation(), rung), ..self.clone() }
    }
}

fn convolutions(all: &mut Vec<Case>, n: usize, layers: &[&str], hw: usize, c: usize, k: usize) {
    let pixels = (n * hw * hw) as f64;
    let filter = (9 * c * k) as f64;
    let flop = 2.0 * pixels * filter;
    let bytes = (pixels * (c + k) as f64 + filter) * F32;
    let axes = [("N", n), ("H", hw), ("W", hw), ("C", c), ("K", k)];
    let extents = format!("n{n}_hw{hw}_c{c}_k{k}");
    let pass = |pass| case("conv3x3", pass, &extents, &axes, bytes).flop(flop).layers(layers, pass);

    let mut passes = vec![pass("fprop").without("bias"), pass("wgrad")];
    // Nothing asks for the gradient of the images.
    if c != 3 {
        passes.push(pass("dgrad"));
    }
    let shape = Conv3x3Shape { n, h: hw, w: hw, c, k };
    for pass in passes {
        let others = [Rung::Naive, Rung::Mma].into_iter().filter(|rung| rung.takes(&shape));
        let others: Vec<Case> = others.map(|rung| pass.on_rung(rung)).collect();
        all.push(pass);
        all.extend(others);
    }
    // The convolutions within a residual have no bias.
    if layers.len() == 1 {
        let bias_grad = case("conv3x3", "bias_grad", &extents, &axes, pixels * k as f64 * F32);
        all.push(bias_grad.layers(layers, "bias_grad"));
    }
}

fn normalizations(all: &mut Vec<Case>, n: usize, c: usize, hw: usize) {
    let tensor = (n * hw * hw * c) as f64 * F32;
    let axes = [("N", n), ("H", hw), ("W", hw), ("C", c)];
    let extents = format!("n{n}_hw{hw}_c{c}");
    // `passes` counts the tensors of this size that are read or written.
    let case = |op, pass, passes: f64| case(op, pass, &extents, &axes, passes * tensor);
    let relu = |pass, passes| case("batchnorm", pass, passes).with("relu", 1.0).named("relu");
    all.push(relu("fprop", 3.0).without("residual").peer(format!("bn_relu.{c}"), "forward"));
    if c == 128 || c == 512 {
        all.push(relu("fprop", 4.0).named("residual"));
    }
    all.push(relu("dgrad", 5.0).peer(format!("bn_relu.{c}"), "backward"));
    // The peer's ReLU and sum move the same tensors; this normalises them on the way.
    all.push(relu("eval", 3.0).named("residual").peer(format!("relu_add.{c}"), "forward"));
    all.push(case("batchnorm", "fprop", 3.0).without("residual"));
    all.push(case("batchnorm", "eval", 2.0).without("residual"));
    all.push(case("batchnorm", "dgrad", 5.0));
    all.push(case("relu", "fprop", 2.0));
    all.push(case("relu", "dgrad", 3.0));
    all.push(case("residual_add", "fprop", 3.0));
}

fn poolings(all: &mut Vec<Case>, n: usize, c: usize, hw: usize, window: usize) {
    let axes = [("N", n), ("H", hw), ("W", hw), ("P", hw / window), ("Q", hw / window), ("C", c)];
    let x = (n * hw * hw * c) as f64;
    let y = x / (window * window) as f64;
    let extents = format!("n{n}_hw{hw}_c{c}_window{window}");
    // Either pass moves x or dx, y or dy, and a byte a window: the place of its largest element.
    let bytes = (x + y) * F32 + y;
    let case = |pass| case("maxpool", pass, &extents, &axes, bytes).with("window", window as f64);
    let op = format!("maxpool{window}.{c}");
    all.push(case("fprop").peer(op.clone(), "forward"));
    all.push(case("argmax").named("place"));
    all.push(case("dgrad").peer(op, "backward"));
}

fn head(all: &mut Vec<Case>, n: usize) {
    let (c, k) = (512, CLASSES);
    let axes = [("N", n), ("C", c), ("K", k)];
    let bytes = (n * c + c * k + n * k) as f64 * F32;
    let flop = (2 * n * c * k) as f64;
    let extents = format!("n{n}_c{c}_k{k}");
    for pass in ["fprop", "dgrad", "wgrad"] {
        all.push(case("linear", pass, &extents, &axes, bytes).flop(flop).layers(&["fc"], pass));
    }
    let logits = (n * k) as f64 * F32;
    let extents = format!("n{n}_k{k}");
    all.push(case("linear", "bias_grad", &extents, &axes, logits).layers(&["fc"], "bias_grad"));
    all.push(case("softmax_nll", "fprop", &extents, &axes, 2.0 * logits));
    all.push(case("softmax_nll", "log_probs", &extents, &axes, 2.0 * logits));
    all.push(case("softmax_nll", "dgrad", &extents, &axes, 2.0 * logits));
    all.push(case("metrics", "correct", &extents, &axes, logits));
}
