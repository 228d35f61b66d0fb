//! The operations, one folder each:
//!
//! - `mod.rs`: checks, then the forward pass, then the tape entry with the gradients;
//! - `cpu.rs`: the plain Rust version, generic over f32 and f64: the reference;
//! - `gpu.rs`: the launch of the kernels in `kernels/<op>/`.

//!
//! [`registry`] lists them all by name, with their tensors and attributes.

pub mod augment;
pub mod batchnorm;
mod columns;
pub mod conv3x3;
mod gradient;
pub mod linear;
pub mod maxpool;
pub mod metrics;
mod parallel;
pub mod registry;
pub mod relu;
pub mod reshape;
pub mod residual_add;
mod scratch;
pub mod sgd;
pub mod softmax_nll;

pub(crate) use gradient::{Gradient, compute_on_cpu};

use crate::device::Device;
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};

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

/// Checks that `t` has as many axes as `axes` names, none of them empty, and returns their extents.
///
/// # Errors
/// [`Error::Shape`] naming the axes.
pub(crate) fn extents<const N: usize>(op: &'static str, axes: &str, t: &Tensor) -> Result<[usize; N]> {
    let wrong = |expected| Error::Shape { op, expected, found: format!("{:?}", t.shape()) };
    let extents: [usize; N] = t.shape().try_into().map_err(|_| wrong(axes.into()))?;
    if extents.contains(&0) {
        return Err(wrong(format!("{axes} with every extent at least 1")));
    }
    Ok(extents)
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

/// Checks that all `operands`, given with their names, live on one device and have the element type
/// of the first, which is a float, and f32 on a GPU.
///
/// # Errors
/// [`Error::Operand`] saying which one differs.
pub(crate) fn expect_alike(op: &'static str, operands: &[(&str, &Tensor)]) -> Result<()> {
    let Some((&(name, first), rest)) = operands.split_first() else { return Ok(()) };
    let (device, dtype) = (first.device(), first.dtype());
    let supported = match device {
        Device::Cpu => dtype.is_float(),
        Device::Gpu(_) => dtype == DType::F32,
    };
    if !supported {
        let expected = format!("{name} of f32 elements, or f64 on the CPU");
        return Err(Error::Operand { op, expected, found: describe(first) });
    }
    rest.iter().try_for_each(|(other, t)| {
        if t.dtype() == dtype && t.device().is_same(&device) {
            return Ok(());
        }
        let expected = format!("{other} of {} as {name} is", describe(first));
        Err(Error::Operand { op, expected, found: describe(t) })
    })
}

/// Checks that `t`, called `name`, has elements of `dtype` and lives on `device`.
///
/// # Errors
/// [`Error::Operand`] saying what it is.
pub(crate) fn expect_dtype(
    op: &'static str,
    name: &str,
    t: &Tensor,
    dtype: DType,
    device: &Device,
) -> Result<()> {
    if t.dtype() == dtype && t.device().is_same(device) {
        return Ok(());
    }
    Err(Error::Operand { op, expected: format!("{name} of {dtype:?} on {device:?}"), found: describe(t) })
}

fn describe(t: &Tensor) -> String {
    format!("{:?} on {:?}", t.dtype(), t.device())
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
