//! Tensors: a shape, an element type and shared memory on a device.
//!
//! A clone shares the memory; writing to a tensor whose memory is shared copies it first, so a
//! tensor is a value. Layout is row-major, images are NHWC, filters KRSC.

use crate::device::{CpuBuffer, Device, Element, Gpu, GpuBuffer};
use crate::error::{Error, Result};
use half::bf16;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 64-bit float; CPU only.
    F64,
    /// 16-bit float with f32's exponent: 8 bits of mantissa. Activations and filters; sums, parameters
    /// and statistics beside them are f32.
    BF16,
    /// 32-bit signed integer: labels, indices.
    I32,
    /// Byte: pixels, arg-max positions.
    U8,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::F64 => 8,
            DType::F32 | DType::I32 => 4,
            DType::BF16 => 2,
            DType::U8 => 1,
        }
    }

    /// Whether a gradient can have this type.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64 | DType::BF16)
    }

    /// The type of what goes with tensors of this float type in full precision: parameters, statistics,
    /// sums. It is f32 for bf16, else the type itself.
    pub fn wide(self) -> DType {
        if self == DType::BF16 { DType::F32 } else { self }
    }
}

/// Names a tensor on the tape. Clones have the same id: they are the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorId(u64);

impl TensorId {
    fn fresh() -> TensorId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        TensorId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Debug)]
enum Storage {
    Cpu(CpuBuffer),
    Gpu(GpuBuffer),
}

/// An n-dimensional array on a device.
#[derive(Clone, Debug)]
pub struct Tensor {
    id: TensorId,
    shape: Vec<usize>,
    dtype: DType,
    storage: Arc<Storage>,
    requires_grad: bool,
}

impl Tensor {
    /// A tensor whose elements are yet to be written; they may be anything.
    pub fn empty(device: &Device, dtype: DType, shape: &[usize]) -> Result<Tensor> {
        // What is too large to be counted is too large for any memory, which then says so.
        let len = shape.iter().fold(1_usize, |len, &extent| len.saturating_mul(extent));
        let storage = match device {
            Device::Cpu => Storage::Cpu(CpuBuffer::empty(dtype, len)?),
            Device::Gpu(gpu) => Storage::Gpu(gpu.alloc(len.saturating_mul(dtype.size()))?),
        };
        Ok(Tensor::with_storage(storage, dtype, shape))
    }

    /// A tensor of zeros.
    pub fn zeros(device: &Device, dtype: DType, shape: &[usize]) -> Result<Tensor> {
        let mut t = Tensor::empty(device, dtype, shape)?;
        match t.storage_mut()? {
            Storage::Cpu(buffer) => buffer.bytes_mut().fill(0),
            Storage::Gpu(buffer) => buffer.fill(0)?,
        }
        Ok(t)
    }

    /// A tensor of `values`, in row-major order.
    ///
    /// # Errors
    /// [`Error::Shape`] when `shape` does not have as many elements as `values`.
    pub fn from_vec<T: Element>(device: &Device, values: Vec<T>, shape: &[usize]) -> Result<Tensor> {
        if shape.iter().product::<usize>() != values.len() {
            return Err(Error::Shape {
                op: "tensor",
                expected: format!("{} values for the shape {shape:?}", shape.iter().product::<usize>()),
                found: format!("{} values", values.len()),
            });
        }
        let storage = match device {
            Device::Cpu => Storage::Cpu(CpuBuffer::of(&values)?),
            Device::Gpu(gpu) => {
                let bytes: &[u8] = bytemuck::cast_slice(&values);
                let mut buffer = gpu.alloc(bytes.len())?;
                buffer.write(bytes)?;
                Storage::Gpu(buffer)
            }
        };
        Ok(Tensor::with_storage(storage, T::DTYPE, shape))
    }

    /// A tensor of `values`, in row-major order, each rounded to `dtype` (to bf16 by way of f32).
    ///
    /// # Errors
    /// As [`Tensor::from_vec`].
    pub fn from_f64(device: &Device, dtype: DType, values: Vec<f64>, shape: &[usize]) -> Result<Tensor> {
        let values = values.into_iter();
        match dtype {
            DType::F64 => Tensor::from_vec(device, values.collect::<Vec<f64>>(), shape),
            DType::F32 => Tensor::from_vec(device, values.map(|x| x as f32).collect(), shape),
            DType::BF16 => {
                Tensor::from_vec(device, values.map(|x| bf16::from_f32(x as f32)).collect(), shape)
            }
            DType::I32 => Tensor::from_vec(device, values.map(|x| x as i32).collect(), shape),
            DType::U8 => Tensor::from_vec(device, values.map(|x| x as u8).collect(), shape),
        }
    }

    /// An unwritten tensor of the same device and type as this one.
    pub fn empty_like(&self, shape: &[usize]) -> Result<Tensor> {
        Tensor::empty(&self.device(), self.dtype, shape)
    }

    /// A tensor with every element `value`.
    pub fn full(device: &Device, dtype: DType, shape: &[usize], value: f64) -> Result<Tensor> {
        let len = shape.iter().product();
        if let Device::Gpu(_) = device {
            // By the device itself, not by a copy from the host, which no recording can hold.
            let mut t = Tensor::empty(device, dtype, shape)?;
            match dtype {
                DType::F32 => t.gpu_mut()?.fill_words((value as f32).to_bits())?,
                DType::I32 => t.gpu_mut()?.fill_words((value as i32).cast_unsigned())?,
                DType::U8 => t.gpu_mut()?.fill(value as u8)?,
                DType::F64 => t.write(&vec![value; len])?,
                DType::BF16 => t.write(&vec![bf16::from_f32(value as f32); len])?,
            }
            return Ok(t);
        }
        Tensor::from_f64(device, dtype, vec![value; len], shape)
    }

    /// Overwrites the elements with `values` of the host, in place: recorded work that reads this
    /// tensor sees them.
    ///
    /// # Errors
    /// [`Error::Shape`] when there are not as many, [`Error::Operand`] when they have another type.
    pub fn write<T: Element>(&mut self, values: &[T]) -> Result<()> {
        if values.len() != self.len() {
            return Err(Error::Shape {
                op: "tensor",
                expected: format!("{} values for the shape {:?}", self.len(), self.shape),
                found: format!("{} values", values.len()),
            });
        }
        if T::DTYPE != self.dtype {
            return Err(self.not_a("any device", T::DTYPE));
        }
        match self.storage_mut()? {
            Storage::Cpu(buffer) => buffer.bytes_mut().copy_from_slice(bytemuck::cast_slice(values)),
            Storage::Gpu(buffer) => buffer.write(bytemuck::cast_slice(values))?,
        }
        Ok(())
    }

    fn with_storage(storage: Storage, dtype: DType, shape: &[usize]) -> Tensor {
        Tensor {
            id: TensorId::fresh(),
            shape: shape.to_vec(),
            dtype,
            storage: Arc::new(storage),
            requires_grad: false,
        }
    }

    /// This tensor as one that `backward` computes the gradient of.
    pub fn with_grad(mut self) -> Tensor {
        self.requires_grad = true;
        self
    }

    /// The tensor's name on the tape.
    pub fn id(&self) -> TensorId {
        self.id
    }

    /// Its extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of its elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Whether `backward` gives this tensor a gradient.
    pub fn requires_grad(&self) -> bool {
        self.requires_grad
    }

    /// Where it lives.
    pub fn device(&self) -> Device {
        match &*self.storage {
            Storage::Cpu(_) => Device::Cpu,
            Storage::Gpu(buffer) => Device::Gpu(Arc::clone(buffer.gpu())),
        }
    }

    /// The same memory with another shape of as many elements; a new value on the tape.
    ///
    /// # Errors
    /// [`Error::Shape`] when the number of elements differs.
    pub fn reshaped(&self, shape: &[usize]) -> Result<Tensor> {
        if shape.iter().product::<usize>() != self.len() {
            return Err(Error::Shape {
                op: "reshape",
                expected: format!("a shape of {} elements", self.len()),
                found: format!("{shape:?}"),
            });
        }
        Ok(Tensor { id: TensorId::fresh(), shape: shape.to_vec(), ..self.clone() })
    }

    /// The elements of a CPU tensor.
    ///
    /// # Errors
    /// [`Error::Operand`] when they have another type or live on a GPU.
    pub fn cpu<T: Element>(&self) -> Result<&[T]> {
        match &*self.storage {
            Storage::Cpu(buffer) => buffer.slice().ok_or_else(|| self.not_a("the CPU", T::DTYPE)),
            Storage::Gpu(_) => Err(self.not_a("the CPU", T::DTYPE)),
        }
    }

    /// The elements of a CPU tensor, writable; copied first if another tensor shares them.
    ///
    /// # Errors
    /// As [`Tensor::cpu`].
    pub fn cpu_mut<T: Element>(&mut self) -> Result<&mut [T]> {
        let error = self.not_a("the CPU", T::DTYPE);
        match self.storage_mut()? {
            Storage::Cpu(buffer) => buffer.slice_mut().ok_or(error),
            Storage::Gpu(_) => Err(error),
        }
    }

    /// The memory of a GPU tensor.
    ///
    /// # Errors
    /// [`Error::Operand`] when it lives on the CPU.
    pub fn gpu(&self) -> Result<&GpuBuffer> {
        match &*self.storage {
            Storage::Gpu(buffer) => Ok(buffer),
            Storage::Cpu(_) => Err(self.not_a("a GPU", self.dtype)),
        }
    }

    /// The memory of a GPU tensor, writable; copied first if another tensor shares it.
    ///
    /// # Errors
    /// As [`Tensor::gpu`].
    pub fn gpu_mut(&mut self) -> Result<&mut GpuBuffer> {
        let error = self.not_a("a GPU", self.dtype);
        match self.storage_mut()? {
            Storage::Gpu(buffer) => Ok(buffer),
            Storage::Cpu(_) => Err(error),
        }
    }

    /// The elements, copied to the host from wherever they are.
    ///
    /// # Errors
    /// [`Error::Operand`] when they have another type.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if T::DTYPE != self.dtype {
            return Err(self.not_a("any device", T::DTYPE));
        }
        match &*self.storage {
            Storage::Cpu(_) => self.cpu::<T>().map(<[T]>::to_vec),
            Storage::Gpu(buffer) => Ok(bytemuck::pod_collect_to_vec(&buffer.read()?)),
        }
    }

    /// The elements as f64, exactly, copied to the host.
    pub fn to_f64_vec(&self) -> Result<Vec<f64>> {
        Ok(match self.dtype {
            DType::F64 => self.to_vec::<f64>()?,
            DType::F32 => self.to_vec::<f32>()?.into_iter().map(f64::from).collect(),
            DType::BF16 => self.to_vec::<bf16>()?.into_iter().map(f64::from).collect(),
            DType::I32 => self.to_vec::<i32>()?.into_iter().map(f64::from).collect(),
            DType::U8 => self.to_vec::<u8>()?.into_iter().map(f64::from).collect(),
        })
    }

    /// A copy on `device`.
    pub fn to_device(&self, device: &Device) -> Result<Tensor> {
        let mut copy = match self.dtype {
            DType::F32 => Tensor::from_vec(device, self.to_vec::<f32>()?, &self.shape)?,
            DType::F64 => Tensor::from_vec(device, self.to_vec::<f64>()?, &self.shape)?,
            DType::BF16 => Tensor::from_vec(device, self.to_vec::<bf16>()?, &self.shape)?,
            DType::I32 => Tensor::from_vec(device, self.to_vec::<i32>()?, &self.shape)?,
            DType::U8 => Tensor::from_vec(device, self.to_vec::<u8>()?, &self.shape)?,
        };
        copy.requires_grad = self.requires_grad;
        Ok(copy)
    }

    /// The storage, made this tensor's own.
    fn storage_mut(&mut self) -> Result<&mut Storage> {
        if Arc::get_mut(&mut self.storage).is_none() {
            self.storage = Arc::new(match &*self.storage {
                Storage::Cpu(buffer) => Storage::Cpu(buffer.duplicate()?),
                Storage::Gpu(buffer) => Storage::Gpu(buffer.duplicate()?),
            });
        }
        Ok(Arc::get_mut(&mut self.storage).expect("the storage was just made unshared"))
    }

    fn not_a(&self, place: &str, dtype: DType) -> Error {
        Error::Operand {
            op: "tensor",
            expected: format!("{dtype:?} elements on {place}"),
            found: format!("{:?} elements on {:?}", self.dtype, self.device()),
        }
    }
}

/// The GPU of a tensor, for the GPU half of an operation.
pub(crate) fn gpu_of(t: &Tensor) -> Result<&Arc<Gpu>> {
    Ok(t.gpu()?.gpu())
}
