//! Files that are there whole or not at all.

use crate::error::{Error, Result};
use std::io::Write;
use std::path::Path;

/// The name of a file that is not yet whole begins and ends so.
const PREFIX: &str = ".cugrad-";
const SUFFIX: &str = ".part";

/// Writes `bytes` to a temporary file beside `path`, flushes it to the disk and renames it, so that
/// neither a crash nor a full disk leaves half a file or loses the old one.
///
/// # Errors
/// [`Error::Io`] naming the file; the old one is then still there.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(SUFFIX)
        .tempfile_in(folder)
        .map_err(Error::io("write", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.as_file().sync_all().map_err(Error::io("write", path))?;
    make_readable(file.as_file()).map_err(Error::io("write", path))?;
    file.persist(path).map_err(|e| Error::io("write", path)(e.error))?;
    // The rename itself is on the disk only when the folder is.
    sync_folder(folder).map_err(Error::io("write", path))
}

/// Removes what a program that was killed in [`write_atomically`] has left in `folder`. Nobody else may
/// be writing there.
///
/// # Errors
/// [`Error::Io`] naming what cannot be read or removed.
pub fn remove_leftovers(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let entry = entry.map_err(Error::io("read", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            std::fs::remove_file(entry.path()).map_err(Error::io("remove", entry.path()))?;
        }
    }
    Ok(())
}

/// Temporary files are private; what they become is not.
#[cfg(unix)]
fn make_readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}
