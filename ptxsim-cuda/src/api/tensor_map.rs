//! Tensor maps, for kernels that copy by TMA.

use std::ffi::{c_int, c_uint, c_void};

use cudarc::driver::sys::{CUresult, CUtensorMap, CUtensorMapDataType as DataType};
use ptxsim::{ElementType, Swizzle, Tensor, TensorMap};

use crate::call::{Out, put, started};
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::host;

/// What the two kinds of maps have in common.
struct Common {
    data_type: c_uint,
    rank: c_uint,
    address: *mut c_void,
    dims: *const u64,
    strides: *const u64,
    element_strides: *const u32,
    interleave: c_uint,
    swizzle: c_uint,
    promotion: c_uint,
    fill: c_uint,
}

impl Common {
    /// The tensor, checked as far as the map does not check it itself.
    fn tensor(&self, driver: &Driver) -> Result<Tensor> {
        if !driver.model().has_clusters() {
            return Err(Error::not_supported(format!("{} has no TMA", driver.model().full_name)));
        }
        let rank = self.rank as usize;
        if !(1..=5).contains(&rank) {
            return Err(Error::value(format!("a tensor of {rank} dimensions; there can be 1 to 5")));
        }
        if self.promotion > 3 || self.fill > 1 || self.interleave > 2 {
            let given = (self.interleave, self.promotion, self.fill);
            return Err(Error::value(format!("interleave, L2 promotion and fill are {given:?}")));
        }
        if self.interleave != 0 {
            return Err(Error::not_supported("interleaved tensors cannot be simulated"));
        }
        Ok(Tensor {
            ty: element_type(self.data_type)?,
            address: self.address.addr() as u64,
            dims: list(self.dims, rank)?,
            strides: list(self.strides, rank - 1)?,
            element_strides: list(self.element_strides, rank)?,
            swizzle: swizzle(self.swizzle)?,
        })
    }

    /// Writes the map to its place, with what is outside of the tensor as it is asked for.
    fn put(&self, place: Out<'_, CUtensorMap>, map: std::result::Result<TensorMap, ptxsim::Error>) -> Result {
        const FILL_NAN: c_uint = 1;
        let map = if self.fill == FILL_NAN { map.and_then(TensorMap::filling_nan) } else { map };
        let bytes = map.map_err(|error| Error::value(error.to_string()))?.to_bytes();
        let address = place.as_ref().map_or(0, |place| place.as_ptr().addr());
        if !address.is_multiple_of(64) {
            return Err(Error::value(format!("the map's place, {address:#x}, is no multiple of 64 bytes")));
        }
        let (words, _) = bytes.as_chunks::<8>();
        put(place, CUtensorMap { opaque: std::array::from_fn(|i| u64::from_ne_bytes(words[i])) })
    }
}

fn element_type(number: c_uint) -> Result<ElementType> {
    let types = [
        (DataType::CU_TENSOR_MAP_DATA_TYPE_UINT8, ElementType::U8),
        (DataType::CU_TENSOR_MAP_DATA_TYPE_UINT16, ElementType::U16),
        (DataType::CU_TENSOR_MAP_DATA_TYPE_UINT32, ElementType::U32),
        (DataType::CU_TENSOR_MAP_DATA_TYPE_INT32, ElementType::I32),
        (DataType::CU_TENSOR_MAP_DATA_TYPE_UINT64, ElementType::U64),
        (DataType::CU_TENSOR_MAP_DATA_TYPE_INT64, ElementType::I64),
        (DataType::CU_TENSOR_MAP_DATA_TYPE_FLOAT16, ElementType::F16),
        (DataType::CU_TENSOR_MAP_DATA_TYPE_FLOAT32, ElementType::F32),
        (DataType::CU_TENSOR_MAP_DATA_TYPE_FLOAT64, ElementType::F64),
        (DataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, ElementType::Bf16),
        // What multiplies tf32 looks at no more of an f32 than that has.
        (DataType::CU_TENSOR_MAP_DATA_TYPE_TFLOAT32, ElementType::F32),
    ];
    if let Some((_, found)) = types.into_iter().find(|(known, _)| *known as c_uint == number) {
        return Ok(found);
    }
    if number <= DataType::CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ as c_uint {
        return Err(Error::not_supported("elements whose denormals are flushed cannot be simulated"));
    }
    Err(Error::value(format!("{number} is no type of elements")))
}

fn swizzle(number: c_uint) -> Result<Swizzle> {
    match number {
        0 => Ok(Swizzle::None),
        1 => Ok(Swizzle::B32),
        2 => Ok(Swizzle::B64),
        3 => Ok(Swizzle::B128),
        _ => Err(Error::value(format!("{number} is no swizzle"))),
    }
}

/// Integers of which any bytes make one.
trait Integer: Copy + Default {
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! integer {
    ($($ty:ty)*) => {$(
        impl Integer for $ty {
            fn read(bytes: &[u8]) -> Self {
                let mut whole = [0; size_of::<$ty>()];
                whole.copy_from_slice(bytes);
                <$ty>::from_ne_bytes(whole)
            }
        }
    )*};
}
integer!(u64 u32 i32);

/// The `count` integers at `pointer`.
fn list<T: Integer>(pointer: *const T, count: usize) -> Result<Vec<T>> {
    let mut bytes = vec![0; count * size_of::<T>()];
    host::read(pointer.expose_provenance() as u64, &mut bytes).map_err(Error::value)?;
    Ok(bytes.chunks_exact(size_of::<T>()).map(T::read).collect())
}

/// Makes a map for copies of boxes.
///
/// # Safety
/// The lists have as many entries as the rank says.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn cuTensorMapEncodeTiled(
    map: Out<'_, CUtensorMap>,
    data_type: c_uint,
    rank: c_uint,
    address: *mut c_void,
    dims: *const u64,
    strides: *const u64,
    box_dims: *const u32,
    element_strides: *const u32,
    interleave: c_uint,
    swizzle: c_uint,
    promotion: c_uint,
    fill: c_uint,
) -> CUresult {
    started("cuTensorMapEncodeTiled", |driver| {
        let common = Common {
            data_type,
            rank,
            address,
            dims,
            strides,
            element_strides,
            interleave,
            swizzle,
            promotion,
            fill,
        };
        let tensor = common.tensor(driver)?;
        let box_dims = list(box_dims, tensor.dims.len())?;
        common.put(map, TensorMap::tiled(&tensor, &box_dims))
    })
}

/// Makes a map for copies of the pixels of a convolution.
///
/// # Safety
/// The lists have as many entries as the rank says; the corners two less.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn cuTensorMapEncodeIm2col(
    map: Out<'_, CUtensorMap>,
    data_type: c_uint,
    rank: c_uint,
    address: *mut c_void,
    dims: *const u64,
    strides: *const u64,
    lower: *const c_int,
    upper: *const c_int,
    channels: c_uint,
    pixels: c_uint,
    element_strides: *const u32,
    interleave: c_uint,
    swizzle: c_uint,
    promotion: c_uint,
    fill: c_uint,
) -> CUresult {
    started("cuTensorMapEncodeIm2col", |driver| {
        let common = Common {
            data_type,
            rank,
            address,
            dims,
            strides,
            element_strides,
            interleave,
            swizzle,
            promotion,
            fill,
        };
        let tensor = common.tensor(driver)?;
        let corners = tensor.dims.len().saturating_sub(2);
        let (lower, upper) = (list(lower, corners)?, list(upper, corners)?);
        common.put(map, TensorMap::im2col(&tensor, &lower, &upper, channels, pixels))
    })
}
