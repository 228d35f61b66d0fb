//! The operations, one folder each:
//!
//! - `mod.rs`: checks, then the forward pass, then the tape entry with the gradients;
//! - `cpu.rs`: the plain Rust version, generic over f32 and f64: the reference;
//! - `gpu.rs`: the launch of the kernels in `kernels/<op>/`.

pub mod relu;
pub mod residual_add;

use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Runs `$body` with `$t` standing for the Rust type of a float `$dtype`, on the CPU.
macro_rules! with_real {
    ($op:expr, $dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::tensor::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::tensor::DType::F64 => {
                type $t = f64;
                $body
            }
            other => Err($crate::error::Error::Operand {
                op: $op,
                expected: "f32 or f64 elements".into(),
                found: format!("{other:?}"),
            }),
        }
    };
}
pub(crate) use with_real;

/// Checks that `t` has as many axes as `axes` names, and returns their extents.
///
/// # Errors
/// [`Error::Shape`] naming the axes.
pub(crate) fn extents<const N: usize>(op: &'static str, axes: &str, t: &Tensor) -> Result<[usize; N]> {
    t.shape().try_into().map_err(|_| Error::Shape {
        op,
        expected: axes.into(),
        found: format!("{:?}", t.shape()),
    })
}

/// Checks that `t`, called `name`, has exactly the shape `want`.
///
/// # Errors
/// [`Error::Shape`] naming both shapes.
pub(crate) fn expect_shape(op: &'static str, name: &str, t: &Tensor, want: &[usize]) -> Result<()> {
    if t.shape() == want {
        return Ok(());
    }
    Err(Error::Shape { op, expected: format!("{name} {want:?}"), found: format!("{:?}", t.shape()) })
}

/// Checks that all `operands` live on one device and have the element type of the first, which is a
/// float.
///
/// # Errors
/// [`Error::Operand`] saying which one differs.
pub(crate) fn expect_alike(op: &'static str, operands: &[&Tensor]) -> Result<()> {
    let Some((first, rest)) = operands.split_first() else { return Ok(()) };
    let describe = |t: &Tensor| format!("{:?} on {:?}", t.dtype(), t.device());
    if !first.dtype().is_float() {
        return Err(Error::Operand { op, expected: "float elements".into(), found: describe(first) });
    }
    match rest.iter().find(|t| t.dtype() != first.dtype() || !t.device().is_same(&first.device())) {
        None => Ok(()),
        Some(odd) => Err(Error::Operand { op, expected: describe(first), found: describe(odd) }),
    }
}

/// Checks that `count` fits the kernels' 32-bit indices.
///
/// # Errors
/// [`Error::Shape`] otherwise.
pub(crate) fn index32(op: &'static str, count: usize) -> Result<i32> {
    i32::try_from(count).map_err(|_| Error::Shape {
        op,
        expected: "at most 2^31 - 1 elements (32-bit indices)".into(),
        found: format!("{count}"),
    })
}
