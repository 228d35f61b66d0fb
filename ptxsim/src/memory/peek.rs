//! Reads on behalf of the simulator itself: checked, and not counted as accesses of the kernel.

use super::to_generic;
use crate::fault::{Fault, FaultKind};
use crate::machine::context::Context;
use crate::types::Space;

type Result<T> = std::result::Result<T, Box<Fault>>;

impl Context<'_> {
    /// The little-endian value of `bytes` bytes, at most 8, at `lane`'s `address`, whatever its alignment.
    pub fn peek_word(&self, lane: usize, space: Space, address: u64, bytes: usize) -> Result<u64> {
        let mut data = [0; 8];
        self.peek(lane, space, address, &mut data[..bytes])?;
        Ok(u64::from_le_bytes(data))
    }

    fn peek(&self, lane: usize, space: Space, address: u64, out: &mut [u8]) -> Result<()> {
        let bytes = out.len();
        let outside = |detail: String| {
            let kind = FaultKind::OutOfBounds { space, address, bytes: bytes as u32, detail };
            self.fault(lane, kind)
        };
        match space {
            Space::Shared => {
                let place = self.shared_place(lane, address, bytes)?;
                self.blocks[place.rank].shared.read_bytes(place.offset as usize, out);
            }
            Space::Local => {
                let limit = self.local.bytes();
                let start = usize::try_from(address).unwrap_or(usize::MAX);
                if start.checked_add(bytes).is_none_or(|end| end > limit) {
                    return Err(outside(format!("the thread's local memory has {limit} bytes")));
                }
                for (at, byte) in (start..).zip(out) {
                    if self.launch.checks.uninitialised && !self.local.is_written(lane, at, 1) {
                        return Err(self.unwritten(lane, Space::Local, at as u64, 1));
                    }
                    *byte = self.local.load(lane, at, 0) as u8;
                }
            }
            Space::Param => {
                let params = self.launch.params;
                let start = usize::try_from(address).unwrap_or(usize::MAX);
                let data = start.checked_add(bytes).and_then(|end| params.get(start..end));
                let missing = || outside(format!("the kernel's parameters have {} bytes", params.len()));
                out.copy_from_slice(data.ok_or_else(missing)?);
            }
            Space::Global | Space::Const | Space::Generic => {
                self.peek_global(lane, to_generic(space, address), out)?;
            }
        }
        Ok(())
    }
}
