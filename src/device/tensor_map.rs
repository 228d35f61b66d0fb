//! Tensor maps: what the tensor memory accelerator (TMA) of sm_90 knows of a tensor in global memory.
//!
//! A kernel takes a map by value (`const __grid_constant__ TensorMap x`) and names coordinates alone
//! when it copies: strides, bounds and the layout in shared memory are the map's.

/// A tensor in global memory, and which part of it one copy moves. [`Driver::tensor_map`] encodes it.
///
/// [`Driver::tensor_map`]: super::driver::Driver::tensor_map
#[derive(Clone, Debug)]
pub struct TensorLayout {
    /// The type of its elements.
    pub element: TensorElement,
    /// Its address, a multiple of 16.
    pub address: u64,
    /// Its extents, the contiguous axis first; 1 to 5 of them.
    pub extents: Vec<u64>,
    /// Bytes between neighbours along each axis but the first; multiples of 16.
    pub strides: Vec<u64>,
    /// What one copy moves.
    pub copy: TensorCopy,
    /// How what is copied lies in shared memory.
    pub swizzle: Swizzle,
}

impl TensorLayout {
    /// A tensor without gaps, whose copies are swizzled over 128 bytes.
    pub fn dense(element: TensorElement, address: u64, extents: &[u64], copy: TensorCopy) -> TensorLayout {
        let mut stride = element.bytes();
        let strides = extents.iter().map(|extent| {
            stride *= extent;
            stride
        });
        let mut strides: Vec<u64> = strides.collect();
        strides.pop();
        TensorLayout {
            element,
            address,
            extents: extents.to_vec(),
            strides,
            copy,
            swizzle: Swizzle::Bytes128,
        }
    }
}

/// The type of a tensor's elements, as a copy sees it: what is outside is filled with its zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorElement {
    /// bfloat16.
    Bf16,
    /// IEEE 754 single precision.
    F32,
}

impl TensorElement {
    /// Bytes of an element.
    pub fn bytes(self) -> u64 {
        match self {
            TensorElement::Bf16 => 2,
            TensorElement::F32 => 4,
        }
    }
}

/// What one copy moves. Axes are in the order of [`TensorLayout::extents`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorCopy {
    /// A box of these extents, at most 256 each, that starts anywhere, also outside.
    Tiled(Vec<u32>),
    /// `pixels` neighbouring pixels with `channels` channels, of a tensor `[channels, w, h, .., n]`. A
    /// copy starts inside the box that reaches from `lower` to the last pixel plus `upper`.
    Im2col {
        /// The box's first corner: one number for each axis but the first and the last.
        lower: Vec<i32>,
        /// The box's other corner, relative to the last pixel.
        upper: Vec<i32>,
        /// Channels of a pixel, at most 256.
        channels: u32,
        /// Pixels of a copy, at most 1024.
        pixels: u32,
    },
}

/// Which 16-byte chunks of shared memory change places, so that neither rows nor columns of a copied
/// box meet a bank twice. The innermost extent of a copy is as many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swizzle {
    /// None do.
    None,
    /// Rows of 32 bytes.
    Bytes32,
    /// Rows of 64 bytes.
    Bytes64,
    /// Rows of 128 bytes.
    Bytes128,
}

/// An encoded [`TensorLayout`]: a kernel's argument.
#[derive(Clone, Copy, Debug)]
pub struct TensorMap {
    words: [u64; 16],
    address: u64,
}

impl TensorMap {
    /// The map that a driver has encoded for the tensor at `address`.
    pub fn new(words: [u64; 16], address: u64) -> TensorMap {
        TensorMap { words, address }
    }

    /// The address of the tensor.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// The encoding, which only the driver that made it and its GPU understand.
    pub fn bytes(&self) -> &[u8] {
        bytemuck::bytes_of(&self.words)
    }
}
