//! What a run shows of itself: pictures, with their font in the program.

pub mod font;
