//! The embedded set: ten classes of drawn 32×32 images, for when CIFAR-10 is not at hand.
//!
//! Seven figures and three patterns, in random colour, place, size and turn, on a shaded ground with
//! faint patterns and small stray figures to mislead, under noise. Every image is drawn from its own
//! random stream with nothing but additions, multiplications, divisions and square roots, which IEEE
//! 754 rounds in one way only: all machines draw the same bytes.

mod canvas;
mod figure;

use rayon::prelude::*;

use super::{CLASSES, Dataset, IMAGE_BYTES, SIDE};
use crate::random::{Purpose, Stream};
use canvas::{Canvas, Colour, Shade, contrast};
use figure::{Figure, Pose};

/// Images to train on.
pub const TRAIN_IMAGES: usize = 5_000;
/// Images to test on.
pub const TEST_IMAGES: usize = 1_000;
/// The seed of the set: the set is one and the same whatever a run's seed.
const SEED: u64 = 0x5eed_c1fa;

// What makes the set easy or hard. Lengths are in pixels, colours go from 0 to 1.
/// Distance of a figure's outermost point from its centre.
const RADIUS: (f32, f32) = (6.5, 12.0);
/// How far a figure's centre lies from the image's, in either direction.
const OFFSET: f32 = 4.5;
/// Distance between two stripes, checks or dots, as a share of the radius.
const PITCH: f32 = 0.75;
/// Least contrast of a figure with its ground.
const CONTRAST: f32 = 0.2;
/// Contrast of the faint patterns that mean nothing.
const FAINT: (f32, f32) = (0.04, 0.12);
/// Chance of a faint pattern on the ground, and of one on the figure.
const FAINT_CHANCE: f32 = 0.4;
/// Most stray figures in an image, and their radius.
const STRAYS: u32 = 4;
const STRAY_RADIUS: (f32, f32) = (1.6, 3.6);
/// Deviation of the noise.
const NOISE: (f32, f32) = (0.02, 0.09);

/// Draws the training images and the test images.
pub fn load() -> (Dataset, Dataset) {
    (draw_split(0, TRAIN_IMAGES), draw_split(1, TEST_IMAGES))
}

/// Draws `images` images of split 0 (train) or 1 (test). The classes take turns, so that the first
/// images of a split are balanced however many are used.
fn draw_split(split: u32, images: usize) -> Dataset {
    let mut pixels = vec![0; images * IMAGE_BYTES];
    pixels.par_chunks_exact_mut(IMAGE_BYTES).enumerate().for_each(|(index, image)| {
        let mut stream = Stream::new(SEED, Purpose::Embedded, split, index as u32);
        draw(Figure::ALL[index % CLASSES], &mut stream).write(image);
    });
    Dataset {
        images: pixels,
        labels: (0..images).map(|index| (index % CLASSES) as u8).collect(),
        classes: Figure::ALL.map(|figure| figure.name().to_string()).to_vec(),
    }
}

/// Draws one image of the class `figure`.
fn draw(figure: Figure, stream: &mut Stream) -> Canvas {
    let ground = Shade::draw(Colour::draw(stream), stream);
    let mut canvas = Canvas::new(&ground);
    if stream.uniform_f32() < FAINT_CHANCE {
        let pattern = Figure::PATTERNS[stream.below(3) as usize];
        let pose = Pose::draw(RADIUS, SIDE as f32, stream);
        let tint = stream.between(FAINT.0, FAINT.1);
        canvas.tint(tint, |x, y| pattern.coverage(&pose, x, y));
    }
    for _ in 0..stream.below(STRAYS + 1) {
        let stray = Figure::SHAPES[stream.below(7) as usize];
        let pose = Pose::draw(STRAY_RADIUS, SIDE as f32 / 2.0, stream);
        let shade = Shade::flat(Colour::draw(stream));
        canvas.paint(&shade, |x, y| stray.coverage(&pose, x, y));
    }
    let mut colour = Colour::draw(stream);
    while contrast(colour, ground.middle()) < CONTRAST {
        colour = Colour::draw(stream);
    }
    let shade = Shade::draw(colour, stream);
    let pose = Pose::draw(RADIUS, OFFSET, stream);
    if figure.is_pattern() {
        // A pattern shows on a patch of its own, which may be larger than the image.
        let patch = Pose::draw((11.0, 24.0), OFFSET, stream);
        let outline = if stream.coin() { Figure::Disc } else { Figure::Square };
        canvas.paint(&shade, |x, y| figure.coverage(&pose, x, y) * outline.coverage(&patch, x, y));
    } else {
        let (shadow_x, shadow_y) = (stream.between(-1.5, 1.5), stream.between(0.5, 2.0));
        canvas.tint(-0.2, |x, y| figure.soft_coverage(&pose, x - shadow_x, y - shadow_y));
        canvas.paint(&shade, |x, y| figure.coverage(&pose, x, y));
        if stream.uniform_f32() < FAINT_CHANCE {
            let pattern = Figure::PATTERNS[stream.below(3) as usize];
            let fabric = Pose::draw((4.0, 8.0), OFFSET, stream);
            let tint = stream.between(FAINT.0, FAINT.1);
            canvas.tint(tint, |x, y| pattern.coverage(&fabric, x, y) * figure.coverage(&pose, x, y));
        }
    }
    let deviation = stream.between(NOISE.0, NOISE.1);
    canvas.add_noise(deviation, stream);
    canvas
}
