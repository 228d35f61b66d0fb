//! A data set on a device, and the batches drawn from it.

use super::{CHANNELS, Dataset, IMAGE_BYTES, SIDE};
use crate::device::Device;
use crate::error::Result;
use crate::ops::augment::{Normalization, augment};
use crate::tensor::{DType, Tensor};

/// The images of a split on a device, as bytes, with their labels.
pub struct Images {
    /// U8 `[T,32,32,3]`
    pixels: Tensor,
    labels: Vec<u8>,
    device: Device,
}

/// What a training step or a test step looks at.
pub struct Batch {
    /// Normalised images `[N,32,32,3]`.
    pub x: Tensor,
    /// Classes, I32 `[N]`.
    pub labels: Tensor,
}

impl Images {
    /// The first `limit` images of `set` (all without a limit) on `device`.
    ///
    /// # Errors
    /// What the device reports when it has no room.
    pub fn new(device: &Device, set: &Dataset, limit: Option<usize>) -> Result<Images> {
        let count = limit.unwrap_or(usize::MAX).min(set.labels.len());
        let bytes = set.images[..count * IMAGE_BYTES].to_vec();
        Ok(Images {
            pixels: Tensor::from_vec(device, bytes, &[count, SIDE, SIDE, CHANNELS])?,
            labels: set.labels[..count].to_vec(),
            device: device.clone(),
        })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of an image.
    pub fn label(&self, image: u32) -> u8 {
        self.labels[image as usize]
    }

    /// The images `index`, each changed as its row of `choices` says (see
    /// [`super::transforms::rows`]), normalised.
    ///
    /// # Errors
    /// What the operation reports.
    pub fn batch(
        &self,
        index: &[u32],
        choices: Vec<i32>,
        normalization: &Normalization,
        dtype: DType,
    ) -> Result<Batch> {
        let n = index.len();
        let labels = index.iter().map(|&i| i32::from(self.label(i))).collect();
        let index = Tensor::from_vec(&self.device, index.iter().map(|&i| i as i32).collect(), &[n])?;
        let choices = Tensor::from_vec(&self.device, choices, &[n, 5])?;
        Ok(Batch {
            x: augment(&self.pixels, &index, &choices, normalization, dtype)?,
            labels: Tensor::from_vec(&self.device, labels, &[n])?,
        })
    }
}
