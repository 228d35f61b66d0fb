//! The kernels of the tests, garbled as the bytes say, loaded and launched: an error or fault at worst.

#![no_main]

#[path = "../garble.rs"]
mod garble;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let choices: Vec<u32> =
        bytes.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
    garble::run(&garble::module(&choices));
});
