//! What training changes, kept so that it can be put back.

use super::Optimizer;
use crate::nn::{ResNet, Slot, SlotValue};
use crate::tensor::Tensor;

/// Everything that a training step changes: parameters, running statistics, counters, velocities.
/// Tensors share their memory until one of them is written to, so this copies nothing by itself.
pub struct Snapshot {
    slots: Vec<Kept>,
    velocities: Vec<Tensor>,
}

enum Kept {
    Tensor(Tensor),
    Counter(i64),
}

impl Snapshot {
    /// The state of `net` and `optimizer`.
    pub fn take(net: &mut ResNet, optimizer: &mut Optimizer) -> Snapshot {
        let kept = |slot: Slot| match slot.value {
            SlotValue::Parameter(t) | SlotValue::Buffer(t) => Kept::Tensor(t.clone()),
            SlotValue::Counter(n) => Kept::Counter(*n),
        };
        Snapshot {
            slots: net.slots().into_iter().map(kept).collect(),
            velocities: optimizer.velocities(net).map(|(_, velocity)| velocity.clone()).collect(),
        }
    }

    /// Puts the state back, to the bit.
    pub fn restore(self, net: &mut ResNet, optimizer: &mut Optimizer) {
        for (slot, kept) in net.slots().into_iter().zip(self.slots) {
            match (slot.value, kept) {
                (SlotValue::Parameter(t) | SlotValue::Buffer(t), Kept::Tensor(before)) => *t = before,
                (SlotValue::Counter(n), Kept::Counter(before)) => *n = before,
                _ => unreachable!("a network's slots keep their kinds"),
            }
        }
        for ((_, velocity), before) in optimizer.velocities(net).zip(self.velocities) {
            *velocity = before;
        }
    }
}
