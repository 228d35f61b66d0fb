//! The CPU device: its element types and buffers. The operations themselves are in `ops/*/cpu.rs`,
//! generic over [`Real`], so that f64 is the reference for everything else.

use super::registers::Registers;
use crate::tensor::DType;
use std::iter::Sum;

/// A real number the CPU operations compute in: `f32` or `f64`.
pub trait Real:
    num_traits::Float + num_traits::NumAssign + bytemuck::Pod + Element + Registers + Sum + Send + Sync
{
    /// Rounds to this type.
    fn from_f64(x: f64) -> Self;
    /// Widens, exactly.
    fn to_f64(self) -> f64;
}

impl Real for f32 {
    fn from_f64(x: f64) -> f32 {
        x as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn from_f64(x: f64) -> f64 {
        x
    }
    fn to_f64(self) -> f64 {
        self
    }
}

/// Memory of a tensor on the CPU.
#[derive(Clone, Debug)]
pub enum CpuBuffer {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 32-bit signed integers: labels and indices.
    I32(Vec<i32>),
    /// Bytes: pixels and arg-max positions.
    U8(Vec<u8>),
}

impl CpuBuffer {
    /// `len` zeros of `dtype`.
    pub fn zeros(dtype: DType, len: usize) -> CpuBuffer {
        match dtype {
            DType::F32 => CpuBuffer::F32(vec![0.0; len]),
            DType::F64 => CpuBuffer::F64(vec![0.0; len]),
            DType::I32 => CpuBuffer::I32(vec![0; len]),
            DType::U8 => CpuBuffer::U8(vec![0; len]),
        }
    }

    /// The memory as bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            CpuBuffer::F32(v) => bytemuck::cast_slice(v),
            CpuBuffer::F64(v) => bytemuck::cast_slice(v),
            CpuBuffer::I32(v) => bytemuck::cast_slice(v),
            CpuBuffer::U8(v) => v,
        }
    }

    /// The memory as bytes, writable.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            CpuBuffer::F32(v) => bytemuck::cast_slice_mut(v),
            CpuBuffer::F64(v) => bytemuck::cast_slice_mut(v),
            CpuBuffer::I32(v) => bytemuck::cast_slice_mut(v),
            CpuBuffer::U8(v) => v,
        }
    }
}

/// A type a tensor's elements can have.
pub trait Element: bytemuck::Pod + Send + Sync {
    /// Its name among the [`DType`]s.
    const DTYPE: DType;
    /// A buffer that takes over `values`.
    fn buffer(values: Vec<Self>) -> CpuBuffer;
    /// The buffer's elements, if they have this type.
    fn slice(buffer: &CpuBuffer) -> Option<&[Self]>;
    /// The buffer's elements, writable, if they have this type.
    fn slice_mut(buffer: &mut CpuBuffer) -> Option<&mut [Self]>;
}

macro_rules! element {
    ($t:ty, $variant:ident) => {
        impl Element for $t {
            const DTYPE: DType = DType::$variant;
            fn buffer(values: Vec<Self>) -> CpuBuffer {
                CpuBuffer::$variant(values)
            }
            fn slice(buffer: &CpuBuffer) -> Option<&[Self]> {
                match buffer {
                    CpuBuffer::$variant(v) => Some(v),
                    _ => None,
                }
            }
            fn slice_mut(buffer: &mut CpuBuffer) -> Option<&mut [Self]> {
                match buffer {
                    CpuBuffer::$variant(v) => Some(v),
                    _ => None,
                }
            }
        }
    };
}

element!(f32, F32);
element!(f64, F64);
element!(i32, I32);
element!(u8, U8);
