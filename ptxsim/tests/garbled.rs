//! Real kernels, garbled at random with fixed seeds: loading and launching them may fail, and must not
//! panic, hang or fill the memory. `fuzz/` does the same without end.

#[path = "../fuzz/garble.rs"]
mod garble;

mod common;

#[test]
fn garbled_kernels_never_panic() {
    for seed in 0..9000 {
        let edits = 1 + seed as usize % 8;
        let choices = common::random_words(seed, 1 + 4 * edits);
        garble::run(&garble::module(&choices));
    }
}
