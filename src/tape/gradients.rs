//! The gradients of a backward pass, and where the next one goes.

use crate::error::{Error, Result};
use crate::tensor::{Tensor, TensorId};
use std::collections::HashMap;

/// Where an operation puts a gradient that it computes.
///
/// A tensor used by several operations gets the sum of their gradients. The operation that comes second
/// in the backward pass adds to what the first one left, so the sum takes no pass over memory of its own.
#[derive(Debug, Default)]
pub enum Destination {
    /// Into new memory.
    #[default]
    New,
    /// Onto this gradient: `+=`.
    Onto(Tensor),
}

/// Gradients by the tensor they belong to.
#[derive(Default, Debug)]
pub struct Gradients {
    by_id: HashMap<TensorId, Tensor>,
}

impl Gradients {
    /// The gradient of `t`, if the loss depends on it.
    pub fn get(&self, t: &Tensor) -> Option<&Tensor> {
        self.by_id.get(&t.id())
    }

    /// Adds what one use of `t` contributes to its gradient: `compute` puts it where it is told to, and
    /// returns the sum. It is not called if `t` wants no gradient. Uses contribute in the reverse of
    /// their order in the forward pass.
    ///
    /// # Errors
    /// What `compute` reports; [`Error::Shape`] when the shapes of gradient and tensor differ.
    pub fn add(&mut self, t: &Tensor, compute: impl FnOnce(Destination) -> Result<Tensor>) -> Result<()> {
        if !t.requires_grad() {
            return Ok(());
        }
        let gradient = compute(self.destination(t))?;
        self.insert(t, gradient)
    }

    /// Where the next gradient of `t` goes. It is taken from here: what is computed there comes back
    /// with [`Gradients::insert`]. For an operation that computes several gradients at once.
    pub fn destination(&mut self, t: &Tensor) -> Destination {
        self.by_id.remove(&t.id()).map_or(Destination::New, Destination::Onto)
    }

    /// Keeps the gradient of `t`. Does nothing if `t` wants none.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes of gradient and tensor differ.
    pub fn insert(&mut self, t: &Tensor, gradient: Tensor) -> Result<()> {
        if !t.requires_grad() {
            return Ok(());
        }
        if gradient.shape() != t.shape() {
            return Err(Error::Shape {
                op: "gradient",
                expected: format!("the tensor's shape {:?}", t.shape()),
                found: format!("{:?}", gradient.shape()),
            });
        }
        self.by_id.insert(t.id(), gradient);
        Ok(())
    }

    /// The gradient of an operation's output, for its backward pass; it stays here if it is `retained`.
    pub(super) fn of_output(&mut self, output: TensorId, retained: bool) -> Option<Tensor> {
        if retained { self.by_id.get(&output).cloned() } else { self.by_id.remove(&output) }
    }
}
