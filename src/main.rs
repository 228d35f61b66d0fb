//! The `cugrad` command line.

fn main() {}
