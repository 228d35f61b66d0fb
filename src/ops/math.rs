//! How matrix products are computed.

/// How an operation multiplies; its sums are as wide as its tensors either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MathMode {
    /// As wide as the tensors.
    #[default]
    F32,
    /// On tensor cores: f32 tensors, whose values are rounded to 10 bits of mantissa where they are
    /// multiplied. GPU only. Channel counts that are no multiples of 4 are multiplied in f32.
    Tf32,
}
