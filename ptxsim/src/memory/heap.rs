//! The heap that kernels allocate from with `malloc`: it outlives a launch, as CUDA's does.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::allocation::Allocation;

/// Bytes that may be allocated at one time, CUDA's default; `malloc` gives a null pointer beyond.
const LIMIT: u64 = 8 << 20;
/// Each allocation has a window of addresses of its own, so that addresses are never reused.
const WINDOW_BITS: u32 = 24;
/// Allocations of a device over all launches.
const SLOTS: usize = 1 << 16;
/// The first address, between the windows of generic addresses and other global memory.
const START: u64 = 0x60 << 40;

/// All that kernels have allocated.
#[derive(Default)]
pub(crate) struct Heap {
    /// Made by the first `malloc`, which few devices ever run.
    slots: OnceLock<Box<[Slot]>>,
    next: AtomicUsize,
    used: AtomicU64,
}

#[derive(Default)]
struct Slot {
    allocation: OnceLock<Allocation>,
    freed: AtomicBool,
}

impl Heap {
    /// A new allocation of `bytes` bytes; 0 if there is no room. An error if the addresses are used up.
    pub fn allocate(&self, bytes: u64) -> Result<u64, String> {
        let bytes = bytes.max(1);
        if self.used.load(Relaxed).saturating_add(bytes) > LIMIT {
            return Ok(0);
        }
        let number = self.next.fetch_add(1, Relaxed);
        let slots = self.slots.get_or_init(|| std::iter::repeat_with(Slot::default).take(SLOTS).collect());
        let Some(slot) = slots.get(number) else {
            return Err(format!("`malloc` was called more than {SLOTS} times on this device"));
        };
        let base = START + ((number as u64) << WINDOW_BITS);
        slot.allocation.get_or_init(|| Allocation::new(base, bytes));
        self.used.fetch_add(bytes, Relaxed);
        Ok(base)
    }

    /// Free an allocation; a null pointer is none.
    pub fn free(&self, address: u64) -> Result<(), String> {
        if address == 0 {
            return Ok(());
        }
        let Some((slot, allocation)) = self.slot(address).filter(|(_, found)| found.base == address) else {
            return Err(format!("`free` of {address:#x}, which `malloc` has not returned"));
        };
        if slot.freed.swap(true, Relaxed) {
            return Err(format!("`free` of {address:#x}, which has been freed before"));
        }
        self.used.fetch_sub(allocation.bytes, Relaxed);
        Ok(())
    }

    fn slot(&self, address: u64) -> Option<(&Slot, &Allocation)> {
        let slot = self.slots.get()?.get((address.checked_sub(START)? >> WINDOW_BITS) as usize)?;
        Some((slot, slot.allocation.get()?))
    }

    /// The live allocation that holds `bytes` bytes at `address`.
    pub fn find(&self, address: u64, bytes: u64) -> Option<&Allocation> {
        let (slot, allocation) = self.slot(address)?;
        (!slot.freed.load(Relaxed) && allocation.holds(address, bytes)).then_some(allocation)
    }

    /// The allocation whose window an address lies in, and whether it has been freed.
    pub fn near(&self, address: u64) -> Option<(&Allocation, bool)> {
        let (slot, allocation) = self.slot(address)?;
        Some((allocation, slot.freed.load(Relaxed)))
    }

    /// All allocations, those freed too.
    pub fn all(&self) -> impl Iterator<Item = &Allocation> {
        let slots = self.slots.get().into_iter().flat_map(|slots| slots.iter());
        slots.take(self.next.load(Relaxed)).filter_map(|slot| slot.allocation.get())
    }

    /// Drop what has been freed.
    pub fn collect(&mut self) {
        let used = *self.next.get_mut();
        let slots = self.slots.get_mut().into_iter().flat_map(|slots| slots.iter_mut());
        // A freed slot keeps an allocation of no bytes, so that a use of it is told for what it is.
        for slot in slots.take(used).filter(|slot| slot.freed.load(Relaxed)) {
            if let Some(allocation) = slot.allocation.get_mut() {
                *allocation = Allocation::new(allocation.base, 0);
            }
        }
    }
}
