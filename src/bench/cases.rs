//! What is measured: every operation where the network uses it, and its variants at the same shapes.

use crate::error::Result;
use crate::ops::SPECS;
use crate::ops::registry;
use crate::ops::spec::{Operation, Shape, Variant};

/// Bytes of an f32.
const F32: f64 = 4.0;

/// One thing to measure.
#[derive(Clone, Debug)]
pub struct Case {
    /// The operation's folder in `src/ops/`.
    pub op: &'static str,
    /// The pass: `fprop`, `dgrad`, `wgrad`, ...
    pub pass: &'static str,
    /// The row of the registry.
    pub operation: &'static Operation,
    /// The rung of the ladder; none for the kernel that training uses.
    pub variant: Option<&'static Variant>,
    /// What it is run on.
    pub shape: Shape,
    /// The same work in `peer_torch.py`, one (op, pass) for each layer that has this shape; the peer
    /// need not measure all of them.
    pub peers: &'static [(&'static str, &'static str)],
    /// Floating-point operations; only for those limited by them.
    pub flop: f64,
    /// Bytes that have to be read or written at least.
    pub bytes: f64,
}

impl Case {
    fn new(op: &'static str, operation: &'static Operation, shape: Shape) -> Case {
        let cost = (operation.cost)(&shape);
        let pass = operation.name.strip_prefix(op).unwrap_or(operation.name).trim_start_matches('_');
        Case {
            op,
            pass,
            operation,
            variant: None,
            shape,
            peers: &[],
            flop: cost.flop,
            bytes: cost.floats * F32 + cost.bytes,
        }
    }

    /// `conv3x3/dgrad/n512_hw32_c64_k128`, `conv3x3/dgrad_naive/n512_hw32_c64_k128`
    pub fn id(&self) -> String {
        let rung = self.rung().map(|rung| format!("_{rung}")).unwrap_or_default();
        format!("{}/{}{rung}/{}", self.op, self.pass, self.extents())
    }

    /// The extents and attributes for the id, and the optional tensors that are there:
    /// `n512_hw32_c64_k128`, `n512_hw16_c128_relu1_residual`.
    pub fn extents(&self) -> String {
        let square = self.shape.get("h") == self.shape.get("w");
        let numbers = self.shape.iter().filter_map(|(name, value)| match name {
            "h" if square => Some(format!("hw{value}")),
            "w" if square => None,
            _ => Some(format!("{name}{value}")),
        });
        let given = self.operation.inputs_at(&self.shape).filter(|operand| operand.optional);
        numbers.chain(given.map(|operand| operand.name.to_string())).collect::<Vec<_>>().join("_")
    }

    /// The name of the rung; none for the kernel that training uses.
    pub fn rung(&self) -> Option<&'static str> {
        self.variant.map(|variant| variant.name)
    }

    /// Whether it can run on a CPU; the ladder's rungs are kernels.
    pub fn runs_on_cpu(&self) -> bool {
        self.variant.is_none()
    }
}

/// Every operation where the network of width 64 uses it, for `n` images, and every variant that takes
/// the shape and is not what training runs anyway.
///
/// # Errors
/// [`crate::Error::Config`] when a row of the registry has a mistake.
pub fn cases(n: usize) -> Result<Vec<Case>> {
    let mut all = Vec::new();
    for spec in SPECS {
        for (operation, layer) in
            spec.passes.iter().flat_map(|pass| pass.layers.iter().map(move |l| (pass, l)))
        {
            let case = Case { peers: layer.peers, ..Case::new(spec.op, operation, layer.shape(n)?) };
            let launched = |variant: &&Variant| {
                operation.kernels.iter().any(|target| target.variant == Some(variant.name))
            };
            let variants = operation.variants.iter().filter(launched).filter(|v| (v.takes)(&case.shape));
            all.push(case.clone());
            all.extend(variants.map(|variant| Case { variant: Some(variant), ..case.clone() }));
        }
    }
    Ok(all)
}

/// The convolution alone that `Ceilings` takes the matrix rate from: wide, with nothing left over at
/// the edges of a tile.
pub(super) fn widest_convolution(n: usize) -> Result<Case> {
    let shape = format!("n={n},h=16,w=16,c=256,k=256,bias=none").parse();
    Ok(Case::new("conv3x3", registry::find("conv3x3_fprop")?, shape.map_err(crate::Error::Config)?))
}
