//! Colours, and the 32×32 pixels they are painted on.

use crate::data::{CHANNELS, SIDE};
use crate::random::Stream;

/// Red, green and blue, 0 to 1.
#[derive(Clone, Copy)]
pub(super) struct Colour([f32; CHANNELS]);

impl Colour {
    /// A colour of random hue, saturation and brightness.
    pub(super) fn draw(stream: &mut Stream) -> Colour {
        let hue = stream.between(0.0, 6.0);
        let saturation = stream.between(0.15, 0.85);
        let value = stream.between(0.25, 1.0);
        // Each channel is a trapezium over the circle of six hues; the three are two hues apart.
        Colour([5.0, 3.0, 1.0].map(|phase| {
            let place = (hue + phase) % 6.0;
            let depth = place.min(4.0 - place).clamp(0.0, 1.0);
            value * (1.0 - saturation * depth)
        }))
    }

    /// `self` and `other` in the shares 1 - `t` and `t`.
    fn mix(self, other: Colour, t: f32) -> Colour {
        Colour(std::array::from_fn(|c| self.0[c] + (other.0[c] - self.0[c]) * t))
    }

    /// All channels raised by `amount`.
    fn lighter(self, amount: f32) -> Colour {
        Colour(self.0.map(|value| value + amount))
    }
}

/// Distance of two colours, weighted as the eye weighs the channels; black to white is 1.
pub(super) fn contrast(a: Colour, b: Colour) -> f32 {
    let [red, green, blue] = [0, 1, 2].map(|c| a.0[c] - b.0[c]);
    (0.3 * red * red + 0.59 * green * green + 0.11 * blue * blue).sqrt()
}

/// A linear change from one colour to another across the image.
pub(super) struct Shade {
    from: Colour,
    to: Colour,
    /// The change per pixel to the right and per pixel down.
    slope: (f32, f32),
}

impl Shade {
    /// One colour throughout.
    pub(super) fn flat(colour: Colour) -> Shade {
        Shade { from: colour, to: colour, slope: (0.0, 0.0) }
    }

    /// `colour`, changing a little towards another in a random direction.
    pub(super) fn draw(colour: Colour, stream: &mut Stream) -> Shade {
        let other = colour.mix(Colour::draw(stream), stream.between(0.0, 0.35));
        let side = 1.0 / SIDE as f32;
        let slope = (stream.between(-side, side), stream.between(-side, side));
        Shade { from: colour, to: other, slope }
    }

    /// The colour in the middle of the image.
    pub(super) fn middle(&self) -> Colour {
        self.at(0.0, 0.0)
    }

    /// The colour at `x`, `y` from the middle of the image.
    fn at(&self, x: f32, y: f32) -> Colour {
        self.from.mix(self.to, 0.5 + self.slope.0 * x + self.slope.1 * y)
    }
}

/// An image being painted, layer over layer.
pub(super) struct Canvas {
    pixels: [Colour; SIDE * SIDE],
}

impl Canvas {
    /// An image of nothing but its ground.
    pub(super) fn new(ground: &Shade) -> Canvas {
        let mut canvas = Canvas { pixels: [Colour([0.0; CHANNELS]); SIDE * SIDE] };
        canvas.each_pixel(|pixel, x, y| *pixel = ground.at(x, y));
        canvas
    }

    /// Covers the image with `shade` where and as far as `coverage` (0 to 1) says.
    pub(super) fn paint(&mut self, shade: &Shade, coverage: impl Fn(f32, f32) -> f32) {
        self.each_pixel(|pixel, x, y| *pixel = pixel.mix(shade.at(x, y), coverage(x, y)));
    }

    /// Lightens the image by `amount` (darkens it, if negative) where `coverage` says.
    pub(super) fn tint(&mut self, amount: f32, coverage: impl Fn(f32, f32) -> f32) {
        self.each_pixel(|pixel, x, y| *pixel = pixel.lighter(amount * coverage(x, y)));
    }

    /// Adds noise, in each channel on its own, that is nearly normal: the sum of four uniforms.
    pub(super) fn add_noise(&mut self, deviation: f32, stream: &mut Stream) {
        // A byte is uniform enough here, and a word has four. The deviation of their sum is
        // 256·√(4/12), its mean 4·127.5.
        let scale = deviation / (256.0 * 0.577_350_3);
        self.each_pixel(|pixel, _, _| {
            for value in &mut pixel.0 {
                let sum: u32 = stream.bits().to_le_bytes().into_iter().map(u32::from).sum();
                *value += (sum as f32 - 510.0) * scale;
            }
        });
    }

    /// Writes the image as bytes `[32,32,3]`, rounded to nearest.
    pub(super) fn write(&self, image: &mut [u8]) {
        for (bytes, pixel) in image.chunks_exact_mut(CHANNELS).zip(&self.pixels) {
            // The cast goes to 0 and 255 for what lies outside.
            bytes.copy_from_slice(&pixel.0.map(|value| (value * 255.0 + 0.5) as u8));
        }
    }

    /// Calls `f` with each pixel and the place of its centre, in pixels from the image's middle.
    fn each_pixel(&mut self, mut f: impl FnMut(&mut Colour, f32, f32)) {
        let middle = SIDE as f32 / 2.0 - 0.5;
        for (y, row) in self.pixels.chunks_exact_mut(SIDE).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                f(pixel, x as f32 - middle, y as f32 - middle);
            }
        }
    }
}
