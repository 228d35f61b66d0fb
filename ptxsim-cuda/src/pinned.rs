//! Pinned memory: the program's own, taken from the driver or registered with it.

use std::collections::BTreeMap;

use cudarc::driver::sys::CUresult;

use crate::error::{Error, Result};
use crate::handle::Id;

/// A piece of pinned memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin {
    pub bytes: usize,
    pub flags: u32,
    pub context: Id,
    pub source: Source,
}

/// Whose memory it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// It was taken from the driver, which gives it back to the system.
    Taken,
    /// It is the program's, which registered it.
    Registered,
}

/// All pinned memory, by address.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    live: BTreeMap<u64, Pin>,
}

impl Pinned {
    /// Takes new memory from the system.
    pub fn take(&mut self, bytes: usize, flags: u32, context: Id) -> Result<u64> {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: the system finds a place for new memory.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(Error::new(CUresult::CUDA_ERROR_OUT_OF_MEMORY, format!("{bytes} bytes of the host")));
        }
        let address = start.expose_provenance() as u64;
        self.live.insert(address, Pin { bytes, flags, context, source: Source::Taken });
        Ok(address)
    }

    /// Notes that the program's memory is pinned.
    pub fn register(&mut self, address: u64, pin: Pin) -> Result {
        let last = self.live.range(..address.saturating_add(pin.bytes as u64)).next_back();
        if last.is_some_and(|(start, before)| start + before.bytes as u64 > address) {
            return Err(Error::new(
                CUresult::CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED,
                format!("some of the {} bytes at {address:#x} is pinned already", pin.bytes),
            ));
        }
        self.live.insert(address, pin);
        Ok(())
    }

    /// Ends what starts at `address` and came from `source`; what was taken is no memory any more.
    pub fn release(&mut self, address: u64, source: Source) -> Result {
        match self.live.get(&address) {
            Some(pin) if pin.source == source => {
                let bytes = pin.bytes;
                self.live.remove(&address);
                if source == Source::Taken {
                    unmap(address, bytes);
                }
                Ok(())
            }
            _ if source == Source::Registered => Err(Error::new(
                CUresult::CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED,
                format!("no memory that starts at {address:#x} is registered"),
            )),
            _ => Err(Error::value(format!("no pinned memory that starts at {address:#x} was taken"))),
        }
    }

    /// The pinned memory that `address` lies in, and where it starts.
    pub fn containing(&self, address: u64) -> Option<(u64, &Pin)> {
        let (&start, pin) = self.live.range(..=address).next_back()?;
        (address - start < pin.bytes as u64).then_some((start, pin))
    }

    /// Ends all that a context has.
    pub fn end_context(&mut self, context: Id) {
        self.live.retain(|&address, pin| {
            let stays = pin.context != context;
            if !stays && pin.source == Source::Taken {
                unmap(address, pin.bytes);
            }
            stays
        });
    }

    /// How many pieces a context has taken and not given back.
    pub fn taken(&self, context: Id) -> usize {
        self.live.values().filter(|pin| pin.context == context && pin.source == Source::Taken).count()
    }
}

/// Gives memory back to the system.
fn unmap(address: u64, bytes: usize) {
    let start = std::ptr::with_exposed_provenance_mut(address as usize);
    // SAFETY: it was mapped with this size, is unmapped once, and the program says that it has no use of it
    // any more. It cannot fail for memory that is mapped.
    let _ = unsafe { libc::munmap(start, bytes) };
}
