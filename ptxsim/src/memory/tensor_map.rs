//! Tensor maps: what a bulk tensor copy knows of the tensor in global memory.

use std::fmt::Display;

use super::swizzle::Swizzle;
use crate::error::Error;

/// Bytes of an encoded map, the size of `CUtensorMap`.
const BYTES: usize = 128;
/// Marks an encoded map.
const MAGIC: u64 = u64::from_le_bytes(*b"ptxsimTM");

/// The type of a tensor's elements.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ElementType {
    U8,
    U16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
    Bf16,
}

impl ElementType {
    const ALL: [Self; 10] = [
        Self::U8,
        Self::U16,
        Self::U32,
        Self::I32,
        Self::U64,
        Self::I64,
        Self::F16,
        Self::F32,
        Self::F64,
        Self::Bf16,
    ];

    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// A tensor in global memory: dimensions from the innermost, whose elements are adjacent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Type of its elements.
    pub ty: ElementType,
    /// Device address, a multiple of 16.
    pub address: u64,
    /// 1 to 5 dimensions.
    pub dims: Vec<u64>,
    /// Bytes from one index to the next, of every dimension but the innermost; multiples of 16.
    pub strides: Vec<u64>,
    /// Steps between the elements that are copied, of every dimension, 1 to 8; the innermost counts as 1.
    pub element_strides: Vec<u32>,
    /// How the copied box lies in shared memory.
    pub swizzle: Swizzle,
}

/// Which elements one copy moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A box of that size.
    Tiled { box_dims: [u32; 5] },
    /// `pixels` pixels of `channels` channels from a box whose corners are moved by `lower` and `upper`.
    Im2col { lower: [i32; 3], upper: [i32; 3], channels: u32, pixels: u32 },
}

/// A checked tensor map, which encodes to the 128 bytes that a kernel takes as a parameter.
///
/// The parameters and their rules are those of `cuTensorMapEncodeTiled` and
/// `cuTensorMapEncodeIm2col` without interleave; elements out of bounds read as zero unless
/// [`Self::filling_nan`] says otherwise. The encoding is this simulator's own: maps of a driver do not work here, nor these on a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorMap {
    pub(crate) ty: ElementType,
    pub(crate) address: u64,
    pub(crate) rank: usize,
    pub(crate) dims: [u64; 5],
    pub(crate) strides: [u64; 4],
    pub(crate) element_strides: [u32; 5],
    pub(crate) swizzle: Swizzle,
    pub(crate) mode: Mode,
    /// Whether elements out of bounds are NaN instead of zero.
    pub(crate) fills_nan: bool,
}

impl TensorMap {
    /// A map for copies of boxes of `box_dims` elements.
    ///
    /// # Errors
    /// [`Error::Params`] if the tensor or the box breaks a rule.
    pub fn tiled(tensor: &Tensor, box_dims: &[u32]) -> Result<Self, Error> {
        let rank = tensor.dims.len();
        if box_dims.len() != rank {
            return wrong(format!("a box of {} dimensions of a tensor of {rank}", box_dims.len()));
        }
        if box_dims.iter().any(|&size| size == 0 || size > 256) {
            return wrong(format!("a box of {box_dims:?}; each size must be 1 to 256"));
        }
        let mut sizes = [1; 5];
        let mode = match sizes.get_mut(..rank) {
            Some(sizes_used) => {
                sizes_used.copy_from_slice(box_dims);
                Mode::Tiled { box_dims: sizes }
            }
            None => return wrong(format!("a tensor of {rank} dimensions; there can be 1 to 5")),
        };
        Self::new(tensor, mode)
    }

    /// A map for im2col copies of `pixels` pixels of `channels` channels, for tensors of channels,
    /// one to three spatial dimensions and images. A copy's pixels start inside the box that reaches
    /// from `lower` to the last index plus `upper` in each spatial dimension, the innermost first.
    ///
    /// # Errors
    /// [`Error::Params`] if the tensor or the box breaks a rule.
    pub fn im2col(
        tensor: &Tensor,
        lower: &[i32],
        upper: &[i32],
        channels: u32,
        pixels: u32,
    ) -> Result<Self, Error> {
        let rank = tensor.dims.len();
        if !(3..=5).contains(&rank) {
            return wrong(format!("an im2col map of {rank} dimensions; there can be 3 to 5"));
        }
        if lower.len() != rank - 2 || upper.len() != rank - 2 {
            return wrong(format!(
                "corners of {} and {} dimensions, not {}",
                lower.len(),
                upper.len(),
                rank - 2
            ));
        }
        let limit = [1 << 15, 1 << 7, 1 << 4][rank - 3];
        if lower.iter().chain(upper).any(|corner| !(-limit..limit).contains(corner)) {
            return wrong(format!(
                "corners {lower:?} and {upper:?}; each must be {} to {}",
                -limit,
                limit - 1
            ));
        }
        if channels == 0 || channels > 256 || pixels == 0 || pixels > 1024 {
            return wrong(format!(
                "{channels} channels of {pixels} pixels; there can be 1 to 256 of 1 to 1024"
            ));
        }
        let corner = |values: &[i32]| std::array::from_fn(|i| values.get(i).copied().unwrap_or(0));
        Self::new(tensor, Mode::Im2col { lower: corner(lower), upper: corner(upper), channels, pixels })
    }

    fn new(tensor: &Tensor, mode: Mode) -> Result<Self, Error> {
        let Tensor { ty, address, dims, strides, element_strides, swizzle } = tensor;
        let rank = dims.len();
        if !(1..=5).contains(&rank) || strides.len() != rank - 1 || element_strides.len() != rank {
            return wrong(format!(
                "{rank} dimensions, {} strides and {} element strides; 1 to 5 dimensions have one stride less and as many element strides",
                strides.len(),
                element_strides.len()
            ));
        }
        if !address.is_multiple_of(16) {
            return wrong(format!("the address {address:#x} is no multiple of 16"));
        }
        if dims.iter().any(|&size| size == 0 || size > 1 << 32) {
            return wrong(format!("dimensions {dims:?}; each must be 1 to 2^32"));
        }
        if strides.iter().any(|stride| !stride.is_multiple_of(16) || *stride >= 1 << 40) {
            return wrong(format!("strides {strides:?}; each must be a multiple of 16 below 2^40"));
        }
        if element_strides.iter().any(|stride| !(1..=8).contains(stride)) {
            return wrong(format!("element strides {element_strides:?}; each must be 1 to 8"));
        }
        let map = Self {
            ty: *ty,
            address: *address,
            rank,
            dims: padded(dims, 1),
            strides: padded(strides, 0),
            element_strides: padded(element_strides, 1),
            swizzle: *swizzle,
            mode,
            fills_nan: false,
        };
        let inner = map.row_bytes();
        if !inner.is_multiple_of(16) {
            return wrong(format!("the innermost {inner} bytes of a box are no multiple of 16"));
        }
        // The layout of narrower rows is not documented.
        if *swizzle != Swizzle::None && inner != swizzle.row_bytes() {
            return wrong(format!(
                "rows of {inner} bytes under a swizzle of {} bytes; they must be equal",
                swizzle.row_bytes()
            ));
        }
        Ok(map)
    }

    /// The same map, with elements out of bounds reading as NaN.
    ///
    /// # Errors
    /// [`Error::Params`] if its elements are integers.
    pub fn filling_nan(self) -> Result<Self, Error> {
        if self.nan().is_none() {
            return wrong(format!("elements of type {:?} have no NaN to fill with", self.ty));
        }
        Ok(Self { fills_nan: true, ..self })
    }

    /// The bits of its type's NaN.
    fn nan(&self) -> Option<u64> {
        match self.ty {
            ElementType::F16 | ElementType::Bf16 => Some(0x7fff),
            ElementType::F32 => Some(0x7fff_ffff),
            ElementType::F64 => Some(0x7fff_ffff_ffff_ffff),
            _ => None,
        }
    }

    /// `bytes` bytes of what elements out of bounds read as.
    pub(crate) fn blank(&self, bytes: usize) -> Vec<u8> {
        match self.nan().filter(|_| self.fills_nan) {
            None => vec![0; bytes],
            Some(nan) => nan.to_le_bytes()[..self.ty.bytes()].iter().copied().cycle().take(bytes).collect(),
        }
    }

    /// Bytes of a row: the box's innermost dimension.
    pub(crate) fn row_bytes(&self) -> usize {
        let elements = match self.mode {
            Mode::Tiled { box_dims } => box_dims[0],
            Mode::Im2col { channels, .. } => channels,
        };
        elements as usize * self.ty.bytes()
    }

    /// The 128 bytes to pass to a kernel, as [`Arg::Bytes`](crate::Arg::Bytes) or from device memory.
    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut words = [0u64; BYTES / 8];
        words[0] = MAGIC;
        words[1] = self.ty as u64 | (self.rank as u64) << 8 | (self.swizzle as u64) << 16;
        words[1] |= u64::from(self.fills_nan) << 32;
        words[2] = self.address;
        let dims = self.dims.map(|size| size - 1);
        words[3] = dims[0] | dims[1] << 32;
        words[4] = dims[2] | dims[3] << 32;
        words[5] = dims[4] | pack(&self.element_strides, 4) << 32;
        words[6..10].copy_from_slice(&self.strides);
        match self.mode {
            Mode::Tiled { box_dims } => {
                words[10] = pack(&box_dims[..4], 16);
                words[11] = box_dims[4].into();
            }
            Mode::Im2col { lower, upper, channels, pixels } => {
                words[1] |= 1 << 24;
                words[10] = pack(&[channels, pixels], 16);
                words[12] = pack(&lower.map(|corner| corner as u32 & 0xffff), 16);
                words[13] = pack(&upper.map(|corner| corner as u32 & 0xffff), 16);
            }
        }
        words[15] = checksum(&words[..15]);
        let mut out = [0; BYTES];
        for (bytes, word) in out.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// The map that `bytes` encode.
    pub(crate) fn from_bytes(bytes: &[u8; BYTES]) -> Result<Self, String> {
        let mut words = [0u64; BYTES / 8];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        }
        if words[0] != MAGIC || words[15] != checksum(&words[..15]) {
            return Err("its 128 bytes are none that this simulator encoded".into());
        }
        let byte = |at: u32| (words[1] >> at & 0xff) as u8;
        let (ty, swizzle) = (ElementType::ALL.get(usize::from(byte(0))), Swizzle::from_number(byte(16)));
        let (Some(&ty), Some(swizzle)) = (ty, swizzle) else {
            return Err("an unknown type or swizzle".into());
        };
        let size = |word: usize, high: u32| (words[word] >> (high * 32) & 0xffff_ffff) + 1;
        let field = |word: usize, at: u32| (words[word] >> (at * 16) & 0xffff) as u32;
        let corner = |word: usize| std::array::from_fn(|i| i32::from(field(word, i as u32) as u16 as i16));
        let mode = if byte(24) == 1 {
            let (lower, upper) = (corner(12), corner(13));
            Mode::Im2col { lower, upper, channels: field(10, 0), pixels: field(10, 1) }
        } else {
            let box_dims = [field(10, 0), field(10, 1), field(10, 2), field(10, 3), field(11, 0)];
            Mode::Tiled { box_dims }
        };
        Ok(Self {
            ty,
            address: words[2],
            rank: usize::from(byte(8)),
            dims: [size(3, 0), size(3, 1), size(4, 0), size(4, 1), size(5, 0)],
            strides: [words[6], words[7], words[8], words[9]],
            element_strides: std::array::from_fn(|i| (words[5] >> (32 + i * 4) & 0xf) as u32),
            swizzle,
            mode,
            fills_nan: byte(32) == 1,
        })
    }
}

fn wrong<T>(message: impl Display) -> Result<T, Error> {
    Err(Error::Params(format!("tensor map: {message}")))
}

fn padded<T: Copy, const N: usize>(values: &[T], rest: T) -> [T; N] {
    std::array::from_fn(|i| values.get(i).copied().unwrap_or(rest))
}

fn pack(values: &[u32], bits: usize) -> u64 {
    values.iter().enumerate().fold(0, |word, (i, &value)| word | u64::from(value) << (i * bits))
}

/// FNV-1a over the words.
fn checksum(words: &[u64]) -> u64 {
    words.iter().fold(0xcbf2_9ce4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor() -> Tensor {
        Tensor {
            ty: ElementType::Bf16,
            address: 0x7f00,
            dims: vec![64, 100, 3, 7],
            strides: vec![128, 12800, 38400],
            element_strides: vec![1, 2, 1, 1],
            swizzle: Swizzle::B128,
        }
    }

    #[test]
    fn maps_survive_their_encoding() {
        let tiled = TensorMap::tiled(&tensor(), &[64, 8, 2, 1]).unwrap();
        let im2col = TensorMap::im2col(&tensor(), &[-1, -1], &[-1, 1], 64, 96).unwrap();
        let filling = tiled.clone().filling_nan().unwrap();
        for map in [tiled, im2col, filling] {
            let mut bytes = map.to_bytes();
            assert_eq!(TensorMap::from_bytes(&bytes), Ok(map));
            bytes[17] ^= 1;
            assert!(TensorMap::from_bytes(&bytes).is_err());
        }
    }

    #[test]
    fn rules_are_checked() {
        let refused = |change: fn(&mut Tensor), box_dims: &[u32]| {
            let mut tensor = tensor();
            change(&mut tensor);
            TensorMap::tiled(&tensor, box_dims).unwrap_err().to_string()
        };
        assert!(refused(|t| t.address += 8, &[64, 8, 2, 1]).contains("multiple of 16"));
        assert!(refused(|t| t.strides[0] = 120, &[64, 8, 2, 1]).contains("multiple of 16"));
        assert!(refused(|t| t.dims[3] = 0, &[64, 8, 2, 1]).contains("1 to 2^32"));
        assert!(refused(|_| (), &[64, 257, 2, 1]).contains("1 to 256"));
        assert!(refused(|_| (), &[32, 8, 2, 1]).contains("under a swizzle"));
        assert!(refused(|_| (), &[64, 8, 2]).contains("dimensions"));
        assert!(refused(|t| t.element_strides[1] = 9, &[64, 8, 2, 1]).contains("1 to 8"));
    }
}
