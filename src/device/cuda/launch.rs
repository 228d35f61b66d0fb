//! Launches and tensor maps, in the driver's own terms.

use crate::device::driver::{Arg, Grid};
use crate::device::tensor_map::{Swizzle, TensorCopy, TensorElement, TensorLayout, TensorMap};
use cudarc::driver::{CudaFunction, CudaStream, DriverError, sys};
use std::ffi::c_void;

/// Shared memory that a block may have without asking for more.
const DEFAULT_SHARED_BYTES: u32 = 48 * 1024;

/// Queues `function`; the stream's context is current on this thread.
pub(super) fn kernel(
    function: &CudaFunction,
    grid: Grid,
    args: &[Arg],
    stream: &CudaStream,
) -> Result<(), DriverError> {
    if grid.shared_bytes > DEFAULT_SHARED_BYTES {
        let attribute = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        function.set_attribute(attribute, grid.shared_bytes as i32)?;
    }
    let mut attributes = attributes(grid);
    let config = sys::CUlaunchConfig {
        gridDimX: grid.blocks[0],
        gridDimY: grid.blocks[1],
        gridDimZ: grid.blocks[2],
        blockDimX: grid.threads[0],
        blockDimY: grid.threads[1],
        blockDimZ: grid.threads[2],
        sharedMemBytes: grid.shared_bytes,
        hStream: stream.cu_stream(),
        attrs: attributes.as_mut_ptr(),
        numAttrs: attributes.len() as u32,
    };
    let mut params: Vec<*mut c_void> =
        args.iter().map(|arg| arg.bytes().as_ptr().cast_mut().cast()).collect();
    // SAFETY: the generated structures give a kernel's arguments in its own order and types, and the
    // driver copies them before it returns; that the kernel stays within its buffers is what the
    // operations check before they launch.
    let status = unsafe {
        sys::cuLaunchKernelEx(&config, function.cu_function(), params.as_mut_ptr(), std::ptr::null_mut())
    };
    status.result()
}

/// What is beyond the plain launch.
fn attributes(grid: Grid) -> Vec<sys::CUlaunchAttribute> {
    use sys::CUlaunchAttributeID as Id;
    let attribute = |id, value| sys::CUlaunchAttribute { id, pad: [0; 4], value };
    let mut attributes = Vec::new();
    if grid.cluster != [1; 3] {
        let [x, y, z] = grid.cluster;
        let dimension = sys::CUlaunchAttributeValue_union__bindgen_ty_1 { x, y, z };
        let value = sys::CUlaunchAttributeValue { clusterDim: dimension };
        attributes.push(attribute(Id::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, value));
    }
    if grid.overlaps_previous {
        let value = sys::CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 };
        attributes.push(attribute(Id::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION, value));
    }
    attributes
}

/// Encodes `layout`.
pub(super) fn tensor_map(layout: &TensorLayout) -> Result<TensorMap, DriverError> {
    let element = match layout.element {
        TensorElement::Bf16 => sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
        TensorElement::F32 => sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
    };
    let swizzle = match layout.swizzle {
        Swizzle::None => sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_NONE,
        Swizzle::Bytes32 => sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_32B,
        Swizzle::Bytes64 => sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_64B,
        Swizzle::Bytes128 => sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
    };
    let interleave = sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE;
    let promotion = sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B;
    let fill = sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE;
    let address = layout.address as *mut c_void;
    let rank = layout.extents.len() as u32;
    let element_strides = vec![1u32; layout.extents.len()];
    // The driver reads a stride for each axis but the first, and as many of the rest as there are axes.
    let has_all = |len| len == layout.extents.len();
    let mut map = sys::CUtensorMap { opaque: [0; 16] };
    let status = match &layout.copy {
        TensorCopy::Tiled(extents) if has_all(extents.len()) && has_all(layout.strides.len() + 1) => {
            // SAFETY: every list has as many entries as the driver reads, which was just asked.
            unsafe {
                sys::cuTensorMapEncodeTiled(
                    &mut map,
                    element,
                    rank,
                    address,
                    layout.extents.as_ptr(),
                    layout.strides.as_ptr(),
                    extents.as_ptr(),
                    element_strides.as_ptr(),
                    interleave,
                    swizzle,
                    promotion,
                    fill,
                )
            }
        }
        TensorCopy::Im2col { lower, upper, channels, pixels }
            if has_all(lower.len() + 2) && has_all(upper.len() + 2) && has_all(layout.strides.len() + 1) =>
        {
            // SAFETY: as above.
            unsafe {
                sys::cuTensorMapEncodeIm2col(
                    &mut map,
                    element,
                    rank,
                    address,
                    layout.extents.as_ptr(),
                    layout.strides.as_ptr(),
                    lower.as_ptr(),
                    upper.as_ptr(),
                    *channels,
                    *pixels,
                    element_strides.as_ptr(),
                    interleave,
                    swizzle,
                    promotion,
                    fill,
                )
            }
        }
        TensorCopy::Tiled(_) | TensorCopy::Im2col { .. } => sys::CUresult::CUDA_ERROR_INVALID_VALUE,
    };
    status.result()?;
    Ok(TensorMap::new(map.opaque, layout.address))
}
