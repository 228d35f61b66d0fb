//! The CPU device: its element types and buffers. The operations themselves are in `ops/*/cpu.rs`,
//! generic over [`Real`], so that f64 is the reference for everything else.

use super::host_memory::HostMemory;
use super::registers::Registers;
use crate::error::{Error, Result};
use crate::tensor::DType;
use half::bf16;
use std::fmt;
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
pub struct CpuBuffer {
    dtype: DType,
    len: usize,
    memory: HostMemory,
}

impl CpuBuffer {
    /// `len` elements of `dtype` that hold anything.
    ///
    /// # Errors
    /// [`Error::OutOfHostMemory`].
    pub fn empty(dtype: DType, len: usize) -> Result<CpuBuffer> {
        let bytes = len.saturating_mul(dtype.size());
        let memory = HostMemory::take(bytes).ok_or(Error::OutOfHostMemory { bytes })?;
        Ok(CpuBuffer { dtype, len, memory })
    }

    /// A buffer of `values`.
    ///
    /// # Errors
    /// [`Error::OutOfHostMemory`].
    pub fn of<T: Element>(values: &[T]) -> Result<CpuBuffer> {
        let mut buffer = CpuBuffer::empty(T::DTYPE, values.len())?;
        buffer.memory.elements_mut(values.len()).copy_from_slice(values);
        Ok(buffer)
    }

    /// Another buffer with the same elements.
    ///
    /// # Errors
    /// [`Error::OutOfHostMemory`].
    pub fn duplicate(&self) -> Result<CpuBuffer> {
        let mut copy = CpuBuffer::empty(self.dtype, self.len)?;
        copy.bytes_mut().copy_from_slice(self.bytes());
        Ok(copy)
    }

    /// The elements, if they have this type.
    pub fn slice<T: Element>(&self) -> Option<&[T]> {
        (self.dtype == T::DTYPE).then(|| self.memory.elements(self.len))
    }

    /// The elements, writable, if they have this type.
    pub fn slice_mut<T: Element>(&mut self) -> Option<&mut [T]> {
        (self.dtype == T::DTYPE).then(|| self.memory.elements_mut(self.len))
    }

    /// The memory as bytes.
    pub fn bytes(&self) -> &[u8] {
        self.memory.elements(self.len * self.dtype.size())
    }

    /// The memory as bytes, writable.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.elements_mut(self.len * self.dtype.size())
    }
}

impl fmt::Debug for CpuBuffer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} x {:?}", self.len, self.dtype)
    }
}

/// A type a tensor's elements can have.
pub trait Element: bytemuck::Pod + Send + Sync {
    /// Its name among the [`DType`]s.
    const DTYPE: DType;
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
}

impl Element for f64 {
    const DTYPE: DType = DType::F64;
}

impl Element for bf16 {
    const DTYPE: DType = DType::BF16;
}

impl Element for i32 {
    const DTYPE: DType = DType::I32;
}

impl Element for u8 {
    const DTYPE: DType = DType::U8;
}
