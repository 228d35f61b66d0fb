//! The kernel files: every kernels/**/*.cu, with the headers (*.cuh) it includes.

use super::signature::{self, Signature};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A kernel file, read.
pub struct KernelFile {
    /// The path under kernels/, with slashes: `conv3x3/fprop.cu`.
    pub name: String,
    pub text: String,
    pub signature: Signature,
    /// The headers it includes, directly or not: their paths under kernels/, and their texts.
    pub headers: BTreeMap<String, String>,
}

impl KernelFile {
    /// The Rust module that its constants are in. A file named like its folder is the folder's own;
    /// a number that only gives the reading order (`ladder/1_naive.cu`) is left out.
    pub fn module(&self) -> Vec<&str> {
        let stem = self.name.strip_suffix(".cu").unwrap_or(&self.name);
        let mut path: Vec<&str> = stem
            .split('/')
            .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('_'))
            .collect();
        path.dedup();
        path
    }
}

/// Reads all kernel files under `root`, in the order of their names.
///
/// # Errors
/// With file and line, what cannot be read or is not understood.
pub fn read_all(root: &Path) -> Result<Vec<KernelFile>, String> {
    let mut texts = BTreeMap::new();
    read_folder(root, root, &mut texts)?;
    let mut files = Vec::new();
    for (name, text) in texts.iter().filter(|(name, _)| name.ends_with(".cu")) {
        let mut headers = BTreeMap::new();
        add_headers(name, text, &texts, &mut headers)?;
        let signature = signature::parse(&format!("kernels/{name}"), text)?;
        files.push(KernelFile { name: name.clone(), text: text.clone(), signature, headers });
    }
    expect_unique_entries(&files)?;
    Ok(files)
}

/// Adds to `texts` all .cu and .cuh files under `folder`.
fn read_folder(root: &Path, folder: &Path, texts: &mut BTreeMap<String, String>) -> Result<(), String> {
    let failed = |path: &Path, error: std::io::Error| format!("cannot read {}: {error}", path.display());
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        if path.is_dir() {
            read_folder(root, &path, texts)?;
        } else if path.extension().is_some_and(|extension| extension == "cu" || extension == "cuh") {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            texts.insert(name, fs::read_to_string(&path).map_err(|error| failed(&path, error))?);
        }
    }
    Ok(())
}

/// Adds to `headers` what `text`, the text of `name`, includes.
fn add_headers(
    name: &str,
    text: &str,
    texts: &BTreeMap<String, String>,
    headers: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    for (number, line) in (1..).zip(text.lines()) {
        let Some(rest) = line.trim_start().strip_prefix("#include \"") else { continue };
        let header = rest.split('"').next().unwrap_or(rest);
        let Some(header_text) = texts.get(header) else {
            return Err(format!(
                "kernels/{name}:{number}: includes \"{header}\", expected the path of a file under \
                 kernels/, like \"common/reduce.cuh\""
            ));
        };
        if headers.insert(header.into(), header_text.clone()).is_none() {
            add_headers(header, header_text, texts, headers)?;
        }
    }
    Ok(())
}

/// Entry points are told apart by their names alone, over all files.
fn expect_unique_entries(files: &[KernelFile]) -> Result<(), String> {
    let mut owners = BTreeMap::new();
    for file in files {
        for entry in &file.signature.entries {
            if let Some(other) = owners.insert(&entry.name, &file.name) {
                let name = &entry.name;
                return Err(format!("kernels/{}: {name} is defined in kernels/{other}, too", file.name));
            }
        }
    }
    Ok(())
}
