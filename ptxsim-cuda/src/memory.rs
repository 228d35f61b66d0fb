//! Device memory: what is allocated, by whom, and how much is left.

use std::collections::BTreeMap;

use cudarc::driver::sys::CUresult;

use crate::error::{Error, Result};
use crate::handle::Id;

/// An allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub bytes: usize,
    pub device: usize,
    pub context: Id,
    /// The function that made it.
    pub call: &'static str,
}

/// All allocations, by address.
#[derive(Debug)]
pub(crate) struct Memory {
    live: BTreeMap<u64, Block>,
    /// What has been freed, with its size and by which function.
    freed: BTreeMap<u64, (usize, &'static str)>,
    /// Bytes in use on each GPU.
    used: Vec<u64>,
    total: u64,
}

/// Memory is given in pieces of this many bytes.
const PIECE: u64 = 512;

impl Memory {
    pub fn new(devices: usize, total: u64) -> Self {
        Self { live: BTreeMap::new(), freed: BTreeMap::new(), used: vec![0; devices], total }
    }

    /// Bytes that are free on a GPU, and that it has.
    pub fn free_and_total(&self, device: usize) -> (u64, u64) {
        let used = self.used.get(device).copied().unwrap_or(0);
        (self.total.saturating_sub(used), self.total)
    }

    /// Fails if a GPU has not so much memory left.
    pub fn expect_room(&self, device: usize, bytes: usize) -> Result {
        let (free, total) = self.free_and_total(device);
        if rounded(bytes) <= free {
            return Ok(());
        }
        Err(Error::new(
            CUresult::CUDA_ERROR_OUT_OF_MEMORY,
            format!("{bytes} bytes, of {total} of which {free} are free"),
        ))
    }

    /// Notes an allocation.
    pub fn insert(&mut self, address: u64, block: Block) {
        if let Some(used) = self.used.get_mut(block.device) {
            *used += rounded(block.bytes);
        }
        self.freed.remove(&address);
        self.live.insert(address, block);
    }

    /// Forgets the allocation that starts at `address`, which the function `call` frees.
    pub fn remove(&mut self, address: u64, call: &'static str) -> Result<Block> {
        let block = self.live.remove(&address).ok_or_else(|| self.not_there(address))?;
        if let Some(used) = self.used.get_mut(block.device) {
            *used = used.saturating_sub(rounded(block.bytes));
        }
        self.freed.insert(address, (block.bytes, call));
        Ok(block)
    }

    /// The allocation that holds `bytes` bytes at `address`, and where it starts.
    pub fn find(&self, address: u64, bytes: usize) -> Result<(u64, &Block)> {
        let (&start, block) = self.containing(address).ok_or_else(|| self.not_there(address))?;
        let end = address - start + bytes as u64;
        if end > block.bytes as u64 {
            return Err(Error::value(format!(
                "{bytes} bytes at {address:#x} go beyond the {} bytes that {} gave at {start:#x}",
                block.bytes, block.call
            )));
        }
        Ok((start, block))
    }

    /// The allocation that `address` lies in.
    pub fn containing(&self, address: u64) -> Option<(&u64, &Block)> {
        let (start, block) = self.live.range(..=address).next_back()?;
        (address - start < (block.bytes as u64).max(1)).then_some((start, block))
    }

    /// The function that freed the memory at `address`, if one did.
    pub fn freed_by(&self, address: u64) -> Option<&'static str> {
        let (start, (bytes, call)) = self.freed.range(..=address).next_back()?;
        (address - start < *bytes as u64).then_some(call)
    }

    /// All allocations of a context.
    pub fn of_context(&self, context: Id) -> Vec<(u64, Block)> {
        let inside = self.live.iter().filter(|(_, block)| block.context == context);
        inside.map(|(&address, &block)| (address, block)).collect()
    }

    fn not_there(&self, address: u64) -> Error {
        Error::value(match self.freed_by(address) {
            Some(call) => format!("the memory at {address:#x} was freed by {call}"),
            None => format!("{address:#x} is in no device memory that was allocated"),
        })
    }
}

fn rounded(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(PIECE)
}
