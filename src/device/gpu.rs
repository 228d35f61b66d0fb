//! A GPU as the operations see it: memory that returns to a pool, and kernel launches.

use super::blocks::Blocks;
use super::driver::{Arg, Driver, Graph, Grid, Ptr, PtrMut};
use super::kernels::Launch;
use crate::error::{Error, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A GPU and the memory it has handed out.
pub struct Gpu {
    driver: Box<dyn Driver>,
    blocks: Mutex<Blocks>,
}

impl Gpu {
    /// The GPU behind `driver`.
    pub fn new(driver: Box<dyn Driver>) -> Arc<Gpu> {
        Arc::new(Gpu { driver, blocks: Mutex::default() })
    }

    /// The driver, for what is not memory or launches.
    pub fn driver(&self) -> &dyn Driver {
        &*self.driver
    }

    /// Memory of `bytes` bytes, with whatever it last held.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`] when neither the pool nor the device has room.
    pub fn alloc(self: &Arc<Gpu>, bytes: usize) -> Result<GpuBuffer> {
        let free = if self.driver.reuses_memory() { self.blocks().take(bytes) } else { None };
        let address = match free {
            Some(address) => address,
            None => match self.driver.alloc(bytes.max(1)) {
                // The driver gives nothing back while it records.
                Err(Error::OutOfMemory { .. }) if !self.blocks().is_recording() => {
                    self.empty_pool();
                    self.driver.alloc(bytes.max(1))?
                }
                allocated => allocated?,
            },
        };
        Ok(GpuBuffer { gpu: Arc::clone(self), address, bytes })
    }

    /// Queues `kernel`.
    ///
    /// # Errors
    /// As [`Driver::launch`].
    pub fn launch<K: Launch>(&self, kernel: &K, grid: Grid) -> Result<()> {
        let args = kernel.args();
        for address in args.iter().filter_map(Arg::address) {
            self.blocks().touch(address);
        }
        self.driver.launch(K::ENTRY, grid, &args)
    }

    /// Records the work that `queue` queues, instead of doing it. Memory is written by the work when
    /// it is replayed: to read it before is to read what it held before.
    ///
    /// # Errors
    /// What `queue` reports, such as [`Error::Driver`] for a copy from or to the host, which no
    /// recording can hold; and what the driver reports.
    pub fn record<T>(self: &Arc<Gpu>, queue: impl FnOnce() -> Result<T>) -> Result<(Recording, T)> {
        self.driver.begin_capture()?;
        self.blocks().begin();
        let queued = queue();
        let graph = self.driver.end_capture();
        let blocks = self.blocks().end();
        let keep = |graph| Recording { graph, gpu: Arc::clone(self), blocks: blocks.clone() };
        match (queued, graph.map(keep)) {
            (Ok(value), Ok(recording)) => Ok((recording, value)),
            (Err(error), Ok(_)) => Err(error),
            (queued, Err(error)) => {
                self.unpin(&blocks);
                Err(queued.err().unwrap_or(error))
            }
        }
    }

    /// The blocks that a recording leaves; the driver's if it reuses none.
    fn unpin(&self, blocks: &[u64]) {
        self.blocks().unpin(blocks);
        if !self.driver.reuses_memory() {
            self.empty_pool();
        }
    }

    /// Gives the free blocks back to the device.
    fn empty_pool(&self) {
        let free = self.blocks().drain();
        free.into_iter().for_each(|address| self.driver.free(address));
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        self.empty_pool();
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gpu").field(&self.driver.info().name).finish()
    }
}

/// Recorded work, with the memory it works in: as long as this lives, nobody else gets that memory,
/// also where the buffers are gone.
///
/// The work reads and writes the buffers that it was recorded with. A tensor that shares their memory
/// sees a replay, unlike a write, which would have copied it first.
pub struct Recording {
    graph: Box<dyn Graph>,
    gpu: Arc<Gpu>,
    blocks: Vec<u64>,
}

impl Recording {
    /// Queues the work once more.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn replay(&self) -> Result<()> {
        self.graph.launch()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.gpu.unpin(&self.blocks);
    }
}

/// A block of a GPU's memory; it returns to the pool when dropped.
pub struct GpuBuffer {
    gpu: Arc<Gpu>,
    address: u64,
    bytes: usize,
}

impl GpuBuffer {
    /// The GPU that holds it.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// Its start, for a tensor map.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its start, for a kernel that reads it.
    pub fn ptr<T>(&self) -> Ptr<T> {
        Ptr::new(self.address)
    }

    /// Its start, for a kernel that writes it.
    pub fn ptr_mut<T>(&mut self) -> PtrMut<T> {
        PtrMut::new(self.address)
    }

    /// Overwrites it from the host.
    pub fn write(&mut self, from: &[u8]) -> Result<()> {
        assert_eq!(from.len(), self.bytes, "a copy to the device has the buffer's size");
        self.gpu.driver.write(self.address, from)
    }

    /// Its bytes, after all queued work.
    pub fn read(&self) -> Result<Vec<u8>> {
        let mut to = vec![0; self.bytes];
        self.gpu.driver.read(self.address, &mut to)?;
        Ok(to)
    }

    /// Sets every byte to `value`.
    pub fn fill(&mut self, value: u8) -> Result<()> {
        self.gpu.blocks().touch(self.address);
        self.gpu.driver.fill(self.address, value, self.bytes)
    }

    /// Sets every four bytes to `word`; its size is a multiple of four.
    pub fn fill_words(&mut self, word: u32) -> Result<()> {
        assert_eq!(self.bytes % 4, 0, "a buffer of words has a multiple of four bytes");
        self.gpu.blocks().touch(self.address);
        self.gpu.driver.fill_words(self.address, word, self.bytes / 4)
    }

    /// Overwrites it with `from`, which is on the same device and as long.
    pub fn copy_from(&mut self, from: &GpuBuffer) -> Result<()> {
        assert_eq!(from.bytes, self.bytes, "a copy within the device has the buffer's size");
        self.gpu.blocks().touch(self.address);
        self.gpu.blocks().touch(from.address);
        self.gpu.driver.copy(self.address, from.address, self.bytes)
    }

    /// A copy on the same device.
    pub fn duplicate(&self) -> Result<GpuBuffer> {
        let mut copy = self.gpu.alloc(self.bytes)?;
        copy.copy_from(self)?;
        Ok(copy)
    }
}

impl Drop for GpuBuffer {
    fn drop(&mut self) {
        self.gpu.blocks().give(self.address, self.bytes);
        if !self.gpu.driver.reuses_memory() {
            self.gpu.empty_pool();
        }
    }
}

impl std::fmt::Debug for GpuBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GpuBuffer({} bytes at {:#x})", self.bytes, self.address)
    }
}
