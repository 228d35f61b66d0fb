//! Files of lines, each a JSON value, that are written while something goes on.

use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use std::path::Path;

/// The values of a file that may not be there yet, and whose last line may have been cut off when the
/// program was killed: that one is left out. `what` says what a line is.
///
/// # Errors
/// [`Error::Io`], or [`Error::Format`] naming a line that is something else.
pub fn read_whole_lines<T: DeserializeOwned>(path: &Path, what: &str) -> Result<Vec<T>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(Error::io("read", path)(e)),
    };
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let lines = bytes[..end].split_inclusive(|&byte| byte == b'\n').enumerate();
    let value = |(i, line)| {
        serde_json::from_slice(line)
            .map_err(|e| Error::format(path, format!("line {} is no {what} ({e})", i + 1)))
    };
    lines.map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_line_that_was_cut_off_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        assert_eq!(read_whole_lines::<u32>(&path, "number").unwrap(), [0; 0]);
        for (text, values) in [
            (&b""[..], &[][..]),
            (b"1", &[]),
            (b"1\n", &[1]),
            (b"1\n22\n3", &[1, 22]),
            (b"1\n\xff\xc3", &[1]),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_whole_lines::<u32>(&path, "number").unwrap(), values, "{text:?}");
        }
        std::fs::write(&path, "1\nx\n3\n").unwrap();
        let why = read_whole_lines::<u32>(&path, "number").unwrap_err().to_string();
        assert!(why.contains("line 2 is no number"), "{why}");
    }
}
