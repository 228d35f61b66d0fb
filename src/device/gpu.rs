//! A GPU as the operations see it: memory that returns to a pool, and kernel launches.

use super::driver::{Driver, Grid, Ptr, PtrMut};
use super::kernels::Launch;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A GPU and the memory it has handed out.
pub struct Gpu {
    driver: Box<dyn Driver>,
    /// Freed blocks by size. The stream runs in order, so a block may be handed out again while the
    /// work that last used it is still queued.
    pool: Mutex<HashMap<usize, Vec<u64>>>,
}

impl Gpu {
    /// The GPU behind `driver`.
    pub fn new(driver: Box<dyn Driver>) -> Arc<Gpu> {
        Arc::new(Gpu { driver, pool: Mutex::default() })
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
        let pooled = self.lock_pool().get_mut(&bytes).and_then(Vec::pop);
        let address = match pooled {
            Some(address) => address,
            None => match self.driver.alloc(bytes.max(1)) {
                Ok(address) => address,
                Err(Error::OutOfMemory { .. }) => {
                    self.empty_pool();
                    self.driver.alloc(bytes.max(1))?
                }
                Err(error) => return Err(error),
            },
        };
        Ok(GpuBuffer { gpu: Arc::clone(self), address, bytes })
    }

    /// Queues `kernel`.
    ///
    /// # Errors
    /// As [`Driver::launch`].
    pub fn launch<K: Launch>(&self, kernel: &K, grid: Grid) -> Result<()> {
        self.driver.launch_kernel(kernel, grid)
    }

    /// Gives the pool's memory back to the device.
    fn empty_pool(&self) {
        for address in self.lock_pool().drain().flat_map(|(_, blocks)| blocks) {
            self.driver.free(address);
        }
    }

    fn lock_pool(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Vec<u64>>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.gpu.driver.fill(self.address, value, self.bytes)
    }

    /// Overwrites it with `from`, which is on the same device and as long.
    pub fn copy_from(&mut self, from: &GpuBuffer) -> Result<()> {
        assert_eq!(from.bytes, self.bytes, "a copy within the device has the buffer's size");
        self.gpu.driver.copy(self.address, from.address, self.bytes)
    }

    /// A copy on the same device.
    pub fn duplicate(&self) -> Result<GpuBuffer> {
        let copy = self.gpu.alloc(self.bytes)?;
        self.gpu.driver.copy(copy.address, self.address, self.bytes)?;
        Ok(copy)
    }
}

impl Drop for GpuBuffer {
    fn drop(&mut self) {
        if self.gpu.driver.reuses_memory() {
            self.gpu.lock_pool().entry(self.bytes).or_default().push(self.address);
        } else {
            self.gpu.driver.free(self.address);
        }
    }
}

impl std::fmt::Debug for GpuBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GpuBuffer({} bytes at {:#x})", self.bytes, self.address)
    }
}
