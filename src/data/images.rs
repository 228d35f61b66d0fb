//! A data set on a device, and the batches drawn from it.

use super::{CHANNELS, Dataset, IMAGE_BYTES, SIDE};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::augment::{CHOICES, Normalization, augment};
use crate::tensor::{DType, Tensor};

/// The images of a split on a device, as bytes, with their labels.
pub struct Images {
    /// U8 `[T,32,32,3]`
    pixels: Tensor,
    labels: Vec<u8>,
    device: Device,
}

/// Which images a batch is made of, and how each is changed, on the device.
pub struct Draw {
    /// I32 `[N]`
    index: Tensor,
    /// I32 `[N,5]`
    choices: Tensor,
    /// Classes, I32 `[N]`.
    labels: Tensor,
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
    /// [`super::transforms::rows`]), normalised: [`Images::draw`], then [`Images::apply`].
    ///
    /// # Errors
    /// [`Error::Operand`] when there is no such image; what the operation reports.
    pub fn batch(
        &self,
        index: &[u32],
        choices: Vec<i32>,
        normalization: &Normalization,
        dtype: DType,
    ) -> Result<Batch> {
        self.apply(&self.draw(index, choices)?, normalization, dtype)
    }

    /// Puts on the device which images a batch is made of, and how they are changed.
    ///
    /// # Errors
    /// [`Error::Operand`] when there is no such image; what the device reports.
    pub fn draw(&self, index: &[u32], choices: Vec<i32>) -> Result<Draw> {
        let n = index.len();
        let (index, labels) = self.checked(index)?;
        Ok(Draw {
            index: Tensor::from_vec(&self.device, index, &[n])?,
            choices: Tensor::from_vec(&self.device, choices, &[n, CHOICES])?,
            labels: Tensor::from_vec(&self.device, labels, &[n])?,
        })
    }

    /// Puts another batch of as many images in the place of `draw`: recorded work that reads it sees
    /// them.
    ///
    /// # Errors
    /// As [`Images::draw`]; [`Error::Shape`] when there are not as many.
    pub fn redraw(&self, draw: &mut Draw, index: &[u32], choices: &[i32]) -> Result<()> {
        let (index, labels) = self.checked(index)?;
        draw.index.write(&index)?;
        draw.choices.write(choices)?;
        draw.labels.write(&labels)
    }

    /// The images of `draw`, changed and normalised.
    ///
    /// # Errors
    /// What the operation reports.
    pub fn apply(&self, draw: &Draw, normalization: &Normalization, dtype: DType) -> Result<Batch> {
        Ok(Batch {
            x: augment(&self.pixels, &draw.index, &draw.choices, normalization, dtype)?,
            labels: draw.labels.clone(),
        })
    }

    /// The indices as the kernel takes them, and the labels. Here they are checked, while the host
    /// has them: the kernel trusts them.
    fn checked(&self, index: &[u32]) -> Result<(Vec<i32>, Vec<i32>)> {
        if let Some((row, image)) = index.iter().enumerate().find(|(_, i)| **i as usize >= self.len()) {
            return Err(Error::Operand {
                op: "batch",
                expected: format!("images in 0..{}", self.len()),
                found: format!("{image} at row {row}"),
            });
        }
        let labels = index.iter().map(|&i| self.label(i).into()).collect();
        Ok((index.iter().map(|&i| i as i32).collect(), labels))
    }
}
