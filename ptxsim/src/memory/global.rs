//! Global memory: allocations with bounds of their own, apart from one another, never reused.

use std::collections::BTreeMap;

use super::HEAP_START;
use super::allocation::Allocation;
use super::heap::Heap;
use crate::error::Error;

/// Allocations start at multiples of this, with at least as much empty space between.
const GRAIN: u64 = 512;

/// All allocations of a device.
#[derive(Default)]
pub(crate) struct GlobalMemory {
    live: BTreeMap<u64, Allocation>,
    freed: BTreeMap<u64, u64>,
    used: u64,
    /// What kernels allocate.
    heap: Heap,
}

impl GlobalMemory {
    /// A new allocation of `bytes` bytes.
    pub fn allocate(&mut self, bytes: u64) -> Result<u64, Error> {
        let rounded = bytes.checked_next_multiple_of(GRAIN).filter(|b| *b <= 1 << 38);
        let Some(rounded) = rounded else {
            return Err(Error::Memory(format!(
                "an allocation of {bytes} bytes is larger than any GPU's memory"
            )));
        };
        // A machine that has not that much would end the process while the memory is zeroed.
        if Vec::<u8>::new().try_reserve_exact(rounded as usize / 2 * 3).is_err() {
            return Err(Error::Memory(format!(
                "this machine has no memory for an allocation of {bytes} bytes"
            )));
        }
        let base = HEAP_START + self.used;
        self.used += rounded + GRAIN;
        self.live.insert(base, Allocation::new(base, bytes));
        Ok(base)
    }

    /// Forget the memory of what kernels have freed.
    pub fn collect_heap(&mut self) {
        self.heap.collect();
    }

    /// Free the allocation that starts at `address`.
    pub fn free(&mut self, address: u64) -> Result<(), Error> {
        match self.live.remove(&address) {
            Some(allocation) => {
                self.freed.insert(address, allocation.bytes);
                Ok(())
            }
            None if self.freed.contains_key(&address) => {
                Err(Error::Memory(format!("{address:#x} has been freed before")))
            }
            None => Err(Error::Memory(format!("{address:#x} is not the start of an allocation"))),
        }
    }

    /// Forbid kernels to write the allocation at `address`.
    pub fn make_read_only(&mut self, address: u64) {
        if let Some(allocation) = self.live.get_mut(&address) {
            allocation.writable = false;
        }
    }

    /// Have a fresh allocation count as written, with zeros.
    pub fn zero(&self, address: u64) {
        if let Some(allocation) = self.live.get(&address) {
            allocation.mark_all_written();
        }
    }

    fn find(&self, address: u64, bytes: u64) -> Result<(&Allocation, usize), Error> {
        let near = self.live.range(..=address).next_back().map(|(_, allocation)| allocation);
        match near.filter(|allocation| allocation.holds(address, bytes)).or(self.heap.find(address, bytes)) {
            Some(allocation) => Ok((allocation, (address - allocation.base) as usize)),
            _ => Err(Error::Memory(format!(
                "{bytes} bytes at {address:#x} are not inside one live allocation"
            ))),
        }
    }

    /// Copy `data` from the host.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Error> {
        let (allocation, offset) = self.find(address, data.len() as u64)?;
        allocation.write(offset, data);
        Ok(())
    }

    /// Copy to the host.
    pub fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Error> {
        let (allocation, offset) = self.find(address, out.len() as u64)?;
        allocation.read(offset, out);
        Ok(())
    }

    /// Forget what the last launch touched.
    pub fn begin_launch(&self) {
        self.live.values().chain(self.heap.all()).for_each(Allocation::begin_launch);
    }

    /// Different bytes that the launch has read, and written.
    pub fn touched_bytes(&self) -> (u64, u64) {
        let touched = self.live.values().chain(self.heap.all()).map(Allocation::touched_bytes);
        touched.fold((0, 0), |(read, written), (r, w)| (read + r, written + w))
    }

    /// Whether all of `bytes` bytes have been written.
    pub fn is_written(&self, address: u64, bytes: usize) -> Result<bool, Error> {
        let (allocation, offset) = self.find(address, bytes as u64)?;
        Ok(allocation.first_unwritten_byte(offset, bytes).is_none())
    }

    /// What kernels see.
    pub fn view(&self) -> GlobalView<'_> {
        GlobalView {
            starts: self.live.keys().copied().collect(),
            allocations: self.live.values().collect(),
            freed: &self.freed,
            heap: &self.heap,
        }
    }
}

/// Global memory during a launch.
pub(crate) struct GlobalView<'a> {
    /// Where each allocation starts, in order.
    starts: Vec<u64>,
    allocations: Vec<&'a Allocation>,
    freed: &'a BTreeMap<u64, u64>,
    pub heap: &'a Heap,
}

/// What stands in the way of an access.
pub(crate) enum Trouble {
    Freed,
    OutOfBounds(String),
}

impl<'a> GlobalView<'a> {
    /// The allocation that holds `bytes` bytes at `address`.
    pub fn find(&self, address: u64, bytes: u64) -> Option<&'a Allocation> {
        let next = self.starts.partition_point(|&start| start <= address);
        match next.checked_sub(1).and_then(|index| self.allocations.get(index)) {
            Some(allocation) if allocation.holds(address, bytes) => Some(allocation),
            _ => self.heap.find(address, bytes),
        }
    }

    /// Why [`Self::find`] found nothing.
    pub fn explain(&self, address: u64, bytes: u64) -> Trouble {
        if let Some((base, length)) = self.freed.range(..=address).next_back()
            && address - base < *length
        {
            return Trouble::Freed;
        }
        let next = self.starts.partition_point(|&start| start <= address);
        let near = match self.heap.near(address) {
            Some((_, true)) => return Trouble::Freed,
            Some((allocation, false)) => Some(allocation),
            None => next.checked_sub(1).and_then(|index| self.allocations.get(index).copied()),
        };
        let detail = match near {
            Some(a) if address < a.base + a.bytes + (1 << 20) => format!(
                "the allocation at {:#x} has {} bytes, this needs bytes {} to {}",
                a.base,
                a.bytes,
                address - a.base,
                (address - a.base).saturating_add(bytes)
            ),
            _ => "no allocation is near".to_owned(),
        };
        Trouble::OutOfBounds(detail)
    }
}
