//! What the program knows of an operation beside how it computes: tensors and attributes, the shapes to
//! test, to profile and to measure it at, and what it costs.
//!
//! Each operation's folder has a row for each of its passes in `spec.rs`; [`super::registry`] finds them
//! by name.

mod arguments;
mod inputs;
mod operand;
mod ranges;
mod shape;

pub use arguments::Arguments;
pub use operand::{Attribute, Operand, Values};
pub(crate) use operand::{default, operand, optional, positive, real, required, wide};
pub use shape::Shape;

use crate::error::{Error, Result};
use crate::ops::math::MathMode;
use crate::tape::Tape;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// A pass of an operation: itself, or a named gradient of it.
#[derive(Debug)]
pub struct Operation {
    /// Its name, `<op>_<pass>`.
    pub name: &'static str,
    /// What it computes.
    pub equation: &'static str,
    /// The tensors it takes.
    pub inputs: &'static [Operand],
    /// The numbers it takes.
    pub attributes: &'static [Attribute],
    /// The tensors it gives. One of an input's name is that input, updated in place.
    pub outputs: &'static [Operand],
    /// The output that is added to the tensor of its name, where one is given: a gradient that
    /// accumulates.
    pub accumulates: Option<&'static str>,
    /// Computes the outputs, in their order.
    pub(crate) run: fn(&mut Tape, &mut Arguments) -> Result<Vec<Tensor>>,
    /// Other kernels that compute the same.
    pub variants: &'static [Variant],
    /// The kernels that it launches.
    pub kernels: &'static [Target],
    /// Shapes to test it at: odd ones, beside the sizes of tiles.
    pub tests: &'static [&'static str],
    /// Shapes to test it at that are cut into several pieces of work.
    pub large_tests: &'static [&'static str],
    /// Where the network of width 64 uses it.
    pub layers: &'static [Layer],
    /// Images for a test at the network's shapes: as many as its reference does in seconds.
    pub layer_test_images: usize,
    /// What it costs at least.
    pub cost: fn(&Shape) -> Cost,
}

/// Another way to compute an operation on a GPU: a rung of a ladder.
#[derive(Debug)]
pub struct Variant {
    /// Its name, in which its kernels' names end.
    pub name: &'static str,
    /// How it multiplies.
    pub math: MathMode,
    /// Whether it is made for a shape.
    pub takes: fn(&Shape) -> bool,
    /// Computes the operation of the given name.
    pub(crate) run: fn(&str, &mut Arguments) -> Result<Tensor>,
}

/// A kernel to profile, by running its operation.
#[derive(Debug)]
pub struct Target {
    /// The kernel.
    pub kernel: &'static str,
    /// The variant that launches it; none for what training runs.
    pub variant: Option<&'static str>,
    /// A shape that shows it well and takes the simulator a moment.
    pub shape: &'static str,
}

/// One use of an operation in the network.
#[derive(Debug)]
pub struct Layer {
    /// Its shape; the word `batch` stands for the number of images.
    pub shape: &'static str,
    /// The same work in `peer_torch.py`, as (op, pass): for several layers with one shape several, and
    /// none where the peer does not measure it.
    pub peers: &'static [(&'static str, &'static str)],
}

/// The least that an operation has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Floating-point operations; 0 for operations that are not limited by them.
    pub flop: f64,
    /// Floats, of the operation's own type, that are read or written.
    pub floats: f64,
    /// Bytes of other types that are read or written.
    pub bytes: f64,
}

impl Cost {
    /// An operation limited by memory, which reads and writes `floats`.
    pub(crate) fn of_floats(floats: f64) -> Cost {
        Cost { floats, ..Cost::default() }
    }
}

impl Layer {
    /// The shape for `images` images.
    ///
    /// # Errors
    /// [`Error::Config`] when the row has a mistake.
    pub fn shape(&self, images: usize) -> Result<Shape> {
        self.shape.replace("batch", &images.to_string()).parse().map_err(Error::Config)
    }
}

impl Operation {
    /// What a row has that does not say otherwise: nothing.
    pub(crate) const EMPTY: Operation = Operation {
        name: "",
        equation: "",
        inputs: &[],
        attributes: &[],
        outputs: &[],
        accumulates: None,
        run: |_, _| Ok(Vec::new()),
        variants: &[],
        kernels: &[],
        tests: &[],
        large_tests: &[],
        layers: &[],
        layer_test_images: 1,
        cost: |_| Cost { flop: 0.0, floats: 0.0, bytes: 0.0 },
    };

    /// Runs the operation, on the device its tensors are on, and records it on `tape` if it has a
    /// gradient. Attributes that `arguments` lacks get their defaults.
    ///
    /// # Errors
    /// [`Error::Operand`] naming a tensor or an attribute that is missing, unknown or of a wrong
    /// type; else what the operation reports.
    pub fn run(&self, tape: &mut Tape, arguments: &Arguments) -> Result<BTreeMap<&'static str, Tensor>> {
        self.run_in_place(tape, &mut arguments.clone())
    }

    /// As [`Operation::run`], but what it updates it takes out of `arguments`, so that it need not be
    /// copied first; the outputs have it.
    ///
    /// # Errors
    /// As [`Operation::run`].
    pub fn run_in_place(
        &self,
        tape: &mut Tape,
        arguments: &mut Arguments,
    ) -> Result<BTreeMap<&'static str, Tensor>> {
        self.check(arguments)?;
        let outputs = (self.run)(tape, arguments)?;
        Ok(self.outputs.iter().map(|operand| operand.name).zip(outputs).collect())
    }

    /// As [`Operation::run_in_place`], by another variant of the operation.
    ///
    /// # Errors
    /// As [`Operation::run`]; [`Error::Operand`] when the tensors are on a CPU, or the variant does not
    /// take their shape.
    pub fn run_variant(&self, variant: &Variant, arguments: &mut Arguments) -> Result<Tensor> {
        self.check(arguments)?;
        (variant.run)(self.name, arguments)
    }

    /// The variant called `name`.
    ///
    /// # Errors
    /// [`Error::Config`] with the names there are.
    pub fn variant(&self, name: &str) -> Result<&'static Variant> {
        self.variants.iter().find(|variant| variant.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.variants.iter().map(|variant| variant.name).collect();
            Error::Config(format!("{} has no variant `{name}`, expected of {}", self.name, names.join(", ")))
        })
    }
}
