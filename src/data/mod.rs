//! The images: where they come from ([`source`], which picks one of [`cifar10`], [`download`] and
//! [`embedded`]), what is done to them before a step ([`transforms`]), what can be said about them
//! ([`report`]).

pub mod cifar10;
pub mod download;
pub mod embedded;
mod images;
pub mod report;
pub mod source;
pub mod transforms;

pub use images::{Batch, Draw, Images};
pub use source::{Places, Source, Splits, Wanted};

/// Classes of every data set here: a label is a byte below this.
pub const CLASSES: usize = 10;
/// Rows and columns of an image.
pub const SIDE: usize = 32;
/// Channels of an image: red, green, blue.
pub const CHANNELS: usize = 3;
/// Bytes of an image: 32 rows of 32 pixels of 3 channels.
pub const IMAGE_BYTES: usize = SIDE * SIDE * CHANNELS;

/// Images with their labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The pixels `[T,32,32,3]` (NHWC), 0 to 255, one image after the other.
    pub images: Vec<u8>,
    /// The class of each image `[T]`, below [`CLASSES`].
    pub labels: Vec<u8>,
    /// What each class is called.
    pub classes: Vec<String>,
}

impl Dataset {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of one image `[32,32,3]`, or `None` past the end.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        self.images.chunks_exact(IMAGE_BYTES).nth(index)
    }

    /// Keeps the first `limit` images, or all when there are no more than that.
    pub fn truncate(&mut self, limit: usize) {
        self.labels.truncate(limit);
        self.images.truncate(limit.saturating_mul(IMAGE_BYTES));
    }

    /// Images of each class.
    pub fn counts(&self) -> [usize; CLASSES] {
        let mut counts = [0; CLASSES];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        counts
    }

    /// Mean and standard deviation of each channel over all pixels, on the scale 0 to 1.
    ///
    /// The sums are of integers, so the result is the same on every machine. Zero without images.
    pub fn channel_statistics(&self) -> ChannelStatistics {
        let (mut sums, mut squares) = ([0u64; CHANNELS], [0u64; CHANNELS]);
        for pixel in self.images.chunks_exact(CHANNELS) {
            for (channel, &value) in pixel.iter().enumerate() {
                sums[channel] += u64::from(value);
                squares[channel] += u64::from(value) * u64::from(value);
            }
        }
        let pixels = (self.images.len() / CHANNELS).max(1) as f64;
        let mean = sums.map(|sum| sum as f64 / pixels / 255.0);
        let std = std::array::from_fn(|channel| {
            let mean_square = squares[channel] as f64 / pixels / (255.0 * 255.0);
            (mean_square - mean[channel] * mean[channel]).max(0.0).sqrt()
        });
        ChannelStatistics { mean, std }
    }
}

/// Mean and standard deviation of red, green and blue, on the scale 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelStatistics {
    /// The means.
    pub mean: [f64; CHANNELS],
    /// The deviations (of the population: divided by the number of pixels).
    pub std: [f64; CHANNELS],
}
