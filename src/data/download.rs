//! Fetching CIFAR-10: download, verify, then unpack the files that are wanted and nothing else.
//!
//! The archive goes into a file without a name, which disappears with the process. Only when its
//! length and SHA-256 are right is it opened. No path of the archive is ever used: each wanted member
//! is copied to a file under a temporary name, synchronised, and all are renamed at the end.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use ureq::{Agent, Timeout};

use super::cifar10::{FOLDER, NAMES_FILE, TEST_FILE, TRAIN_FILES};
use super::report::hex;
use crate::error::{Error, Result};

/// Where CIFAR-10's authors publish it.
pub const OFFICIAL_URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
/// Bytes of the official archive.
pub const OFFICIAL_BYTES: u64 = 170_052_171;
/// SHA-256 of the official archive.
pub const OFFICIAL_SHA256: &str = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd";

/// What to do when it cannot be had from there.
pub(super) const HELP: &str =
    "to train on it, unpack cifar-10-binary.tar.gz anywhere and name the folder with --data-dir";

/// More than any member of the archive has: a limit on what a member may unpack to.
const MEMBER_LIMIT: u64 = 64 << 20;

/// What to fetch, from where, and how patiently.
#[derive(Clone, Debug)]
pub struct Download {
    /// The addresses, tried in order until one gives the archive.
    pub urls: Vec<String>,
    /// Bytes of the archive.
    pub bytes: u64,
    /// SHA-256 of the archive, in lower-case hexadecimal.
    pub sha256: String,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for the next bytes on a connection.
    pub stall_timeout: Duration,
}

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A connection to an address is being made.
    Connecting {
        /// The address.
        url: &'a str,
    },
    /// Bytes have arrived.
    Receiving {
        /// All bytes so far.
        received: u64,
        /// All bytes that are to come, with those.
        total: u64,
    },
    /// An address did not give the archive; the next one, if there is one, is tried.
    Failed {
        /// The address.
        url: &'a str,
        /// The reason.
        why: &'a str,
    },
    /// The archive is right; a file of it is being unpacked.
    Unpacking {
        /// The file's name.
        file: &'a str,
    },
}

impl Download {
    /// CIFAR-10 from `mirrors`, in order, and then from its authors.
    pub fn cifar10(mirrors: &[String]) -> Download {
        Download {
            urls: mirrors.iter().cloned().chain([OFFICIAL_URL.to_string()]).collect(),
            bytes: OFFICIAL_BYTES,
            sha256: OFFICIAL_SHA256.into(),
            connect_timeout: Duration::from_secs(5),
            stall_timeout: Duration::from_secs(20),
        }
    }

    /// Puts the data set into `parent`/cifar-10-batches-bin and returns that folder.
    ///
    /// Files of the same names that are there already are replaced. After an error there is no
    /// new file in `parent`.
    ///
    /// # Errors
    /// [`Error::Download`] when no address gives the archive, with the reason for each;
    /// [`Error::Io`] when the files cannot be written (no permission, no space);
    /// [`Error::Format`] when the archive is right by its hash and yet lacks a file.
    pub fn run(&self, parent: &Path, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        let mut archive = tempfile::tempfile_in(parent).map_err(Error::io("write to", parent))?;
        self.fetch(parent, &mut archive, progress)?;
        let folder = parent.join(FOLDER);
        archive.rewind().map_err(Error::io("read", parent))?;
        unpack(archive, &folder, progress)?;
        Ok(folder)
    }

    /// Fills `archive`, a file in `parent`, from the first address that has the right bytes.
    fn fetch(&self, parent: &Path, archive: &mut File, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let mut failures = Vec::new();
        for url in &self.urls {
            progress(Progress::Connecting { url });
            match self.fetch_from(url, archive, progress) {
                Ok(()) => return Ok(()),
                Err(Failure::Local(source)) => return Err(Error::io("write to", parent)(source)),
                Err(Failure::Remote(why)) => {
                    progress(Progress::Failed { url, why: &why });
                    failures.push((url, why));
                }
            }
        }
        let (url, why) = match failures.as_slice() {
            [(url, why)] => (url.to_string(), why.clone()),
            [] => ("CIFAR-10".into(), "no address to download it from".into()),
            many => (
                "CIFAR-10".into(),
                many.iter().map(|(url, why)| format!("{url}: {why}")).collect::<Vec<_>>().join("; "),
            ),
        };
        Err(Error::Download { url, why, help: HELP.into() })
    }

    /// Overwrites `archive` with what `url` gives, and checks it.
    fn fetch_from(
        &self,
        url: &str,
        archive: &mut File,
        progress: &mut dyn FnMut(Progress),
    ) -> std::result::Result<(), Failure> {
        archive.set_len(0).and_then(|()| archive.rewind()).map_err(Failure::Local)?;
        let mut response = self.agent(url).get(url).call().map_err(|error| self.explain(&error, None))?;
        if let Some(length) = response.body().content_length()
            && length != self.bytes
        {
            let why = format!("expected an archive of {} bytes, found one of {length}", self.bytes);
            return Err(Failure::Remote(why));
        }

        let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
        let mut hasher = Sha256::new();
        let mut received = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.explain(&error.into(), Some(received))),
            };
            received += count as u64;
            if received > self.bytes {
                let why = format!("expected an archive of {} bytes, more were sent", self.bytes);
                return Err(Failure::Remote(why));
            }
            hasher.update(&buffer[..count]);
            archive.write_all(&buffer[..count]).map_err(Failure::Local)?;
            progress(Progress::Receiving { received, total: self.bytes });
        }
        if received < self.bytes {
            let why = format!("the connection ended after {received} of {} bytes", self.bytes);
            return Err(Failure::Remote(why));
        }
        let found = hex(&hasher.finalize());
        if found != self.sha256 {
            let why =
                format!("the archive is not the right one: expected SHA-256 {}, found {found}", self.sha256);
            return Err(Failure::Remote(why));
        }
        Ok(())
    }

    /// The HTTP client for `url`, with this download's patience and the environment's proxy.
    fn agent(&self, url: &str) -> Agent {
        let config = Agent::config_builder()
            .timeout_resolve(Some(self.connect_timeout))
            .timeout_connect(Some(self.connect_timeout))
            .timeout_recv_response(Some(self.stall_timeout))
            .timeout_per_read(Some(self.stall_timeout))
            .user_agent(concat!("cugrad/", env!("CARGO_PKG_VERSION")));
        // A server on this machine is never behind a proxy.
        let here = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
        let config =
            if here.iter().any(|prefix| url.starts_with(prefix)) { config.proxy(None) } else { config };
        config.build().into()
    }

    /// The failure in words; `received` bytes had come if the body had begun.
    fn explain(&self, error: &ureq::Error, received: Option<u64>) -> Failure {
        let why = match error {
            ureq::Error::StatusCode(status) => format!("the server answered with status {status}"),
            ureq::Error::HostNotFound => "the host is not known (is there a network?)".into(),
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                format!("no connection within {:?}", self.connect_timeout)
            }
            ureq::Error::Timeout(_) => format!("no data for {:?}", self.stall_timeout),
            ureq::Error::Io(error) => error.to_string(),
            other => other.to_string(),
        };
        Failure::Remote(match received {
            Some(received) => format!("{why}, after {received} of {} bytes", self.bytes),
            None => why,
        })
    }
}

/// Why one address did not give the archive.
enum Failure {
    /// The network or the server; another address may do better.
    Remote(String),
    /// This machine's disk; no other address helps.
    Local(io::Error),
}

/// Copies the seven wanted files out of `archive` into `folder`.
fn unpack(archive: File, folder: &Path, progress: &mut dyn FnMut(Progress)) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let unpacked = copy_members(archive, folder, progress).and_then(|members| {
        for (name, member) in members {
            let path = folder.join(name);
            member.persist(&path).map_err(|error| Error::io("write", &path)(error.error))?;
        }
        sync_folder(folder)
    });
    if unpacked.is_err() {
        // This removes the folder only if it is empty, that is, if it was not there before.
        let _ = fs::remove_dir(folder);
    }
    unpacked
}

/// Writes each wanted member to a file in `folder` under a temporary name; dropped, they disappear.
fn copy_members(
    archive: File,
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<(&'static str, NamedTempFile)>> {
    let damaged = |error: io::Error| Error::format(folder, format!("the archive is damaged: {error}"));
    let mut wanted: Vec<&str> = TRAIN_FILES.into_iter().chain([TEST_FILE, NAMES_FILE]).collect();
    let mut members = Vec::new();
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(archive)));
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path_bytes();
        let is_it = |name: &&str| *path == *format!("{FOLDER}/{name}").as_bytes();
        let Some(position) = wanted.iter().position(is_it) else { continue };
        if !entry.header().entry_type().is_file() || entry.size() > MEMBER_LIMIT {
            continue;
        }
        drop(path);
        let name = wanted.swap_remove(position);
        progress(Progress::Unpacking { file: name });
        members.push((name, copy_member(&mut entry, folder, name)?));
    }
    if wanted.is_empty() {
        return Ok(members);
    }
    wanted.sort_unstable();
    Err(Error::format(folder, format!("the archive has no {}", wanted.join(", "))))
}

/// Copies one member to a temporary file beside its place `name` in `folder`, and to the disk.
fn copy_member(member: &mut impl Read, folder: &Path, name: &str) -> Result<NamedTempFile> {
    let path = folder.join(name);
    let mut builder = tempfile::Builder::new();
    builder.prefix(name).suffix(".tmp");
    #[cfg(unix)]
    {
        // Readable by all, where the file creation mask allows it, like any other file.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(Error::io("write", &path))?;
    io::copy(member, &mut file).map_err(Error::io("write", &path))?;
    file.as_file().sync_all().map_err(Error::io("write", &path))?;
    Ok(file)
}

/// Makes the new names in `folder` durable, where the system has a way to.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder).and_then(|handle| handle.sync_all()).map_err(Error::io("write", folder))?;
    }
    Ok(())
}
