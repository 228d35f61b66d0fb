//! Draws a contact sheet of the embedded set: a row for each class, twice enlarged.
//!
//! `cargo run --release --example embedded_sheet -- sheet.png`

use std::fs::File;
use std::io::BufWriter;

use cugrad::data::{CLASSES, IMAGE_BYTES, SIDE, embedded};

/// Images a row.
const COLUMNS: usize = 16;
/// Pixels between two images.
const GAP: usize = 2;
const ENLARGED: usize = 2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "embedded_sheet.png".into());
    let (train, _) = embedded::load();

    let cell = SIDE + GAP;
    let (width, height) = (COLUMNS * cell * ENLARGED, CLASSES * cell * ENLARGED);
    let mut sheet = vec![0xFF; width * height * 3];
    for (index, image) in train.images.chunks_exact(IMAGE_BYTES).take(COLUMNS * CLASSES).enumerate() {
        let (left, top) = (index / CLASSES * cell, index % CLASSES * cell);
        for (position, pixel) in image.chunks_exact(3).enumerate() {
            let (y, x) = (top + position / SIDE, left + position % SIDE);
            for row in 0..ENLARGED {
                for column in 0..ENLARGED {
                    let at = (y * ENLARGED + row) * width + x * ENLARGED + column;
                    sheet[at * 3..at * 3 + 3].copy_from_slice(pixel);
                }
            }
        }
    }

    let mut encoder = png::Encoder::new(BufWriter::new(File::create(&path)?), width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&sheet)?;
    println!("{path}: {}", train.classes.join(", "));
    Ok(())
}
