//! Layers, the network built of them, and the files its weights live in.

mod init;
mod layers;
pub mod resnet;
pub mod state;
pub mod summary;

pub use layers::{BatchNorm, Conv3x3, Linear};
pub use resnet::ResNet;

use crate::tensor::Tensor;

/// Whether a network learns or is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch norm uses the batch's statistics and updates the running ones.
    Train,
    /// Batch norm uses the running statistics; nothing changes.
    Eval,
}

/// One named piece of a network's state, as a PyTorch `state_dict` lists it.
pub struct Slot<'a> {
    /// `layer1.res.bn2.running_var`
    pub name: String,
    /// The piece itself.
    pub value: SlotValue<'a>,
}

/// What a [`Slot`] holds.
pub enum SlotValue<'a> {
    /// Learned by the optimizer.
    Parameter(&'a mut Tensor),
    /// Kept by the layer itself: running statistics.
    Buffer(&'a mut Tensor),
    /// Kept by the layer itself: batches seen.
    Counter(&'a mut i64),
}

/// Collects the slots of a network, layer by layer, with dotted names.
#[derive(Default)]
pub struct Slots<'a> {
    prefix: Vec<&'static str>,
    slots: Vec<Slot<'a>>,
}

impl<'a> Slots<'a> {
    /// Adds the slots that `visit` adds, their names prefixed with `part`.
    fn within(&mut self, part: &'static str, visit: impl FnOnce(&mut Slots<'a>)) {
        self.prefix.push(part);
        visit(self);
        self.prefix.pop();
    }

    fn push(&mut self, name: &'static str, value: SlotValue<'a>) {
        let name = self.prefix.iter().copied().chain([name]).collect::<Vec<_>>().join(".");
        self.slots.push(Slot { name, value });
    }
}
