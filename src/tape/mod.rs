//! The tape: what the forward pass did, so that the backward pass can undo it in reverse.
//!
//! An operation computes its output and then [`Tape::record`]s a closure that turns the gradient of
//! the output into gradients of the inputs; the closure owns what it needs (tensors share memory, so
//! this copies nothing) and stands beside the forward code in `ops/<op>/mod.rs`.

mod gradients;

pub use gradients::{Destination, Gradients};

use crate::error::{Error, Result};
use crate::tensor::{Tensor, TensorId};
use std::collections::HashSet;

type Backward = Box<dyn FnOnce(&Tensor, &mut Gradients) -> Result<()>>;

struct Entry {
    output: TensorId,
    backward: Backward,
}

/// A record of operations, in the order they were done.
#[derive(Default)]
pub struct Tape {
    /// None when nothing is recorded.
    entries: Option<Vec<Entry>>,
    retained: HashSet<TensorId>,
}

impl Tape {
    /// A tape that records.
    pub fn recording() -> Tape {
        Tape { entries: Some(Vec::new()), retained: HashSet::new() }
    }

    /// A tape that records nothing, for evaluation: intermediate tensors are freed as soon as they
    /// are used.
    pub fn no_grad() -> Tape {
        Tape::default()
    }

    /// Whether operations on `inputs` have to keep what their gradients need.
    pub fn needs(&self, inputs: &[&Tensor]) -> bool {
        self.entries.is_some() && inputs.iter().any(|t| t.requires_grad())
    }

    /// Records how to go back from the gradient of `output` to those of `inputs`, and returns
    /// `output` as a tensor that takes part in the backward pass. Does nothing when no input does.
    pub fn record(
        &mut self,
        inputs: &[&Tensor],
        output: Tensor,
        backward: impl FnOnce(&Tensor, &mut Gradients) -> Result<()> + 'static,
    ) -> Tensor {
        if !self.needs(inputs) {
            return output;
        }
        if let Some(entries) = &mut self.entries {
            entries.push(Entry { output: output.id(), backward: Box::new(backward) });
        }
        output.with_grad()
    }

    /// Keeps the gradient of `t`, an intermediate tensor, beyond the point where it has been used.
    pub fn retain(&mut self, t: &Tensor) {
        self.retained.insert(t.id());
    }

    /// The gradients of `loss`, which has one element, with respect to every tensor that asked for
    /// one. Consumes the tape, and frees each activation as soon as it has served.
    ///
    /// # Errors
    /// [`Error::Shape`] when `loss` has more than one element; else what an operation's gradient
    /// reports.
    pub fn backward(self, loss: &Tensor) -> Result<Gradients> {
        if loss.len() != 1 {
            return Err(Error::Shape {
                op: "backward",
                expected: "a loss of one element".into(),
                found: format!("{:?}", loss.shape()),
            });
        }
        let one = Tensor::full(&loss.device(), loss.dtype(), loss.shape(), 1.0)?;
        self.backward_from(loss, one)
    }

    /// As [`Tape::backward`], from the given gradient `dy` of `y`, which may have any shape.
    ///
    /// # Errors
    /// What an operation's gradient reports.
    pub fn backward_from(self, y: &Tensor, dy: Tensor) -> Result<Gradients> {
        let mut gradients = Gradients::default();
        gradients.insert(y, dy)?;
        for Entry { output, backward } in self.entries.into_iter().flatten().rev() {
            let dy = gradients.of_output(output, self.retained.contains(&output));
            // No gradient reached the output: the loss does not depend on it.
            if let Some(dy) = dy {
                backward(&dy, &mut gradients)?;
            }
        }
        Ok(gradients)
    }
}
