//! The font of every picture. It is part of the program: no picture depends on what is installed.

/// Inter Regular, an OpenType file.
pub const REGULAR: &[u8] = include_bytes!("../../assets/fonts/Inter-Regular.otf");
/// Inter Bold, an OpenType file.
pub const BOLD: &[u8] = include_bytes!("../../assets/fonts/Inter-Bold.otf");
