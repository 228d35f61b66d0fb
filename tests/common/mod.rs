//! What several test programs share: the cases of the operations, and how to compare tensors.

pub mod cases;
pub mod compare;
