//! Rung 5: bf16 on Hopper, by TMA and wgmma.
//!
//! Operands are device memory that holds bf16, and not yet tensors: no tensor has that type so far.

use super::Extents;
use crate::device::driver::{Grid, Ptr};
use crate::device::kernels::conv3x3::ladder::wgmma::{
    BLOCK_THREADS, Conv3x3DgradWgmma, Conv3x3FpropWgmma, SHARED_BYTES, TILE_PIXELS,
};
use crate::device::tensor_map::{TensorCopy, TensorElement, TensorLayout, TensorMap};
use crate::device::{Gpu, GpuBuffer};
use crate::error::Result;
use crate::ops::conv3x3::Conv3x3Shape;

/// Values of every axis of a box that a copy moves: 64 x 64 of them.
const BOX_SIDE: u32 = 64;

/// Whether the rung takes a shape: rows that TMA copies begin at multiples of 16 bytes.
pub fn takes(s: &Conv3x3Shape) -> bool {
    s.c.is_multiple_of(8) && s.k.is_multiple_of(8)
}

/// y = x * filter + bias; all bf16 but the bias, which is f32.
///
/// # Errors
/// [`crate::Error::Shape`] when the rung does not take `s`, [`crate::Error::Driver`] where there is no TMA.
pub fn fprop(
    gpu: &Gpu,
    s: &Conv3x3Shape,
    x: &GpuBuffer,
    filter: &GpuBuffer,
    bias: Option<&GpuBuffer>,
    y: &mut GpuBuffer,
) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let plan = Plan::of(gpu, s)?;
    let kernel = Conv3x3FpropWgmma {
        x_map: plan.images(x, s.c)?,
        filter_map: plan.filter(filter)?,
        y_map: plan.images(y, s.k)?,
        bias: bias.map_or(Ptr::new(0), GpuBuffer::ptr),
        patch_side: plan.patch_side as i32,
        N: n,
        H: h,
        W: w,
        C: c,
        K: k,
    };
    gpu.launch(&kernel, plan.grid(s.k))
}

/// dx, from dy and the filter; all bf16.
///
/// # Errors
/// As [`fprop`].
pub fn dgrad(
    gpu: &Gpu,
    s: &Conv3x3Shape,
    dy: &GpuBuffer,
    filter: &GpuBuffer,
    dx: &mut GpuBuffer,
) -> Result<()> {
    let Extents { n, h, w, c, k } = Extents::checked(s)?;
    let plan = Plan::of(gpu, s)?;
    let kernel = Conv3x3DgradWgmma {
        dy_map: plan.images(dy, s.k)?,
        filter_map: plan.filter(filter)?,
        dx_map: plan.images(dx, s.c)?,
        patch_side: plan.patch_side as i32,
        N: n,
        H: h,
        W: w,
        C: c,
        K: k,
    };
    gpu.launch(&kernel, plan.grid(s.c))
}

/// How the images of a shape are cut into patches, and the tensors into boxes.
struct Plan<'a> {
    gpu: &'a Gpu,
    s: &'a Conv3x3Shape,
    /// Of a patch: 8, or 4 where the images are no larger.
    patch_side: u32,
}

impl<'a> Plan<'a> {
    fn of(gpu: &'a Gpu, s: &'a Conv3x3Shape) -> Result<Plan<'a>> {
        if !takes(s) {
            return Err(crate::Error::Shape {
                op: super::OP,
                expected: "C and K that are multiples of 8, for the rung `wgmma`".into(),
                found: format!("C = {}, K = {}", s.c, s.k),
            });
        }
        Ok(Plan { gpu, s, patch_side: if s.h.max(s.w) <= 4 { 4 } else { 8 } })
    }

    /// Images of a patch.
    fn patch_images(&self) -> u32 {
        BOX_SIDE / (self.patch_side * self.patch_side)
    }

    /// One block on each multiprocessor, or one a tile if those are fewer, for `channels` outputs.
    fn grid(&self, channels: usize) -> Grid {
        let patches = |extent: usize| extent.div_ceil(self.patch_side as usize);
        let patches = patches(self.s.h) * patches(self.s.w) * self.s.n.div_ceil(self.patch_images() as usize);
        let pixel_tiles = (patches * BOX_SIDE as usize).div_ceil(TILE_PIXELS as usize);
        let channel_tiles = if channels <= 64 { 1 } else { channels.div_ceil(128) };
        let multiprocessors = self.gpu.driver().info().multiprocessors as usize;
        Grid::linear((pixel_tiles * channel_tiles).min(multiprocessors), BLOCK_THREADS)
            .with_shared(SHARED_BYTES)
    }

    /// The map of images `[N,H,W,channels]`, a patch and 64 channels at a time.
    fn images(&self, buffer: &GpuBuffer, channels: usize) -> Result<TensorMap> {
        let extents = [channels, self.s.w, self.s.h, self.s.n];
        self.map(buffer, &extents, vec![BOX_SIDE, self.patch_side, self.patch_side, self.patch_images()])
    }

    /// The map of the filter `[K,9,C]`, 64 of K times 64 of C of one tap at a time.
    fn filter(&self, buffer: &GpuBuffer) -> Result<TensorMap> {
        self.map(buffer, &[self.s.c, 9, self.s.k], vec![BOX_SIDE, 1, BOX_SIDE])
    }

    fn map(&self, buffer: &GpuBuffer, extents: &[usize], moved: Vec<u32>) -> Result<TensorMap> {
        let extents: Vec<u64> = extents.iter().map(|&extent| extent as u64).collect();
        let copy = TensorCopy::Tiled(moved);
        let layout = TensorLayout::dense(TensorElement::Bf16, buffer.address(), &extents, copy);
        self.gpu.driver().tensor_map(&layout)
    }
}
