//! Checks that operations share: shapes, types and devices of their operands.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};

/// Runs `$body` with `$t` standing for the Rust type that the CPU computes in for tensors of a float
/// `$dtype`: f32 for bf16.
macro_rules! with_real {
    ($op:expr, $dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::tensor::DType::F32 | $crate::tensor::DType::BF16 => {
                type $t = f32;
                $body
            }
            $crate::tensor::DType::F64 => {
                type $t = f64;
                $body
            }
            other => Err($crate::error::Error::Operand {
                op: $op,
                expected: "float elements".into(),
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

/// The operands of an operation, whose types and device follow from one of them.
///
/// Activations and the filters that they are multiplied by are *stored* in one type. Parameters, statistics
/// and losses are *wide*: of the type [`DType::wide`] of the stored ones.
#[derive(Debug)]
pub(crate) struct Operands {
    op: &'static str,
    name: String,
    dtype: DType,
    device: Device,
}

impl Operands {
    /// Of the operation `op`, which stores `t`, called `name`: f32, or on the CPU f64 or bf16.
    ///
    /// # Errors
    /// [`Error::Operand`] saying what it is.
    pub fn stored_as(op: &'static str, name: &str, t: &Tensor) -> Result<Operands> {
        let supported = match t.device() {
            Device::Cpu => t.dtype().is_float(),
            Device::Gpu(_) => t.dtype() == DType::F32,
        };
        if supported {
            return Ok(Operands { op, name: name.into(), dtype: t.dtype(), device: t.device() });
        }
        let expected = format!("{name} of f32 elements, or f64 or bf16 on the CPU");
        Err(Error::Operand { op, expected, found: describe(t) })
    }

    /// Of an operation on wide operands alone, such as `t`: f32, or f64 on the CPU.
    ///
    /// # Errors
    /// As [`Operands::stored_as`].
    pub fn wide_as(op: &'static str, name: &str, t: &Tensor) -> Result<Operands> {
        if t.dtype() != DType::BF16 {
            return Operands::stored_as(op, name, t);
        }
        let expected = format!("{name} of f32 elements, or f64 on the CPU");
        Err(Error::Operand { op, expected, found: describe(t) })
    }

    /// Checks that `t`, called `name`, can be used as a stored operand.
    ///
    /// # Errors
    /// [`Error::Operand`] saying what it is and what it should be.
    pub fn stored(self, name: &str, t: &Tensor) -> Result<Operands> {
        self.expect(name, t, self.dtype)?;
        Ok(self)
    }

    /// Checks that `t`, called `name`, can be used as a wide operand.
    ///
    /// # Errors
    /// As [`Operands::stored`].
    pub fn wide(self, name: &str, t: &Tensor) -> Result<Operands> {
        self.expect(name, t, self.dtype.wide())?;
        Ok(self)
    }

    fn expect(&self, name: &str, t: &Tensor, dtype: DType) -> Result<()> {
        if t.dtype() == dtype && t.device().is_same(&self.device) {
            return Ok(());
        }
        let Operands { op, name: first, dtype: stored, device } = self;
        let expected = format!("{name} of {dtype:?} on {device:?}, as {first} is of {stored:?}");
        Err(Error::Operand { op, expected, found: describe(t) })
    }
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
