//! Mbarriers: barriers in shared memory with phases, arrivals and transaction bytes.
//!
//! The 64 bits of an mbarrier are opaque in PTX, so its state is kept beside the block's shared
//! memory, by the object's offset there.

use crate::memory::order::{Horizon, merge};

/// Arrivals and transaction bytes that an mbarrier can count to.
pub(crate) const LIMIT: u32 = (1 << 20) - 1;

/// One initialised mbarrier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mbarrier {
    /// Arrivals that the next phase expects.
    pub expected: u32,
    /// Arrivals that this phase still needs.
    pub pending: u32,
    /// Bytes expected less bytes arrived, in this phase.
    pub balance: i64,
    /// Bytes that this phase was told to expect, and those that have arrived.
    pub expected_bytes: u64,
    pub arrived_bytes: u64,
    /// Phases completed.
    pub phase: u64,
    /// What the warps that have arrived know is over, and what those did whose phases are complete.
    pub arrived: Horizon,
    pub released: Horizon,
}

impl Mbarrier {
    /// Fresh, in its first phase.
    pub fn new(count: u32) -> Self {
        Self {
            expected: count,
            pending: count,
            balance: 0,
            expected_bytes: 0,
            arrived_bytes: 0,
            phase: 0,
            arrived: Horizon::default(),
            released: Horizon::default(),
        }
    }

    /// Expect `bytes` more in this phase.
    pub fn expect(&mut self, bytes: u32) -> Result<(), String> {
        self.balance += i64::from(bytes);
        self.expected_bytes += u64::from(bytes);
        self.check_balance()
    }

    /// `bytes` have arrived.
    pub fn complete(&mut self, bytes: u32) -> Result<(), String> {
        self.balance -= i64::from(bytes);
        self.arrived_bytes += u64::from(bytes);
        self.check_balance()?;
        if self.pending == 0 && self.balance < 0 {
            return Err(format!(
                "phase {}: {} bytes arrived where {} were expected",
                self.phase, self.arrived_bytes, self.expected_bytes
            ));
        }
        self.advance();
        Ok(())
    }

    /// `count` threads arrive; `drop` of them leave the barrier for good.
    pub fn arrive(&mut self, count: u32, drop: u32) -> Result<(), String> {
        if count > self.pending {
            return Err(format!(
                "phase {}: {count} arrivals where {} of {} are still due",
                self.phase, self.pending, self.expected
            ));
        }
        self.pending -= count;
        self.expected -= drop;
        if self.pending == 0 && self.balance < 0 {
            return Err(format!(
                "phase {}: all have arrived, and {} bytes where {} were expected",
                self.phase, self.arrived_bytes, self.expected_bytes
            ));
        }
        self.advance();
        Ok(())
    }

    /// Whether the phase of that parity has completed.
    pub fn parity_done(&self, parity: u32) -> bool {
        self.phase as u32 & 1 != parity & 1
    }

    /// What it waits for, for the report of a deadlock.
    pub fn describe(&self) -> String {
        format!(
            "phase {}: {} of {} arrivals due, {} of {} bytes arrived",
            self.phase, self.pending, self.expected, self.arrived_bytes, self.expected_bytes
        )
    }

    fn advance(&mut self) {
        if self.pending == 0 && self.balance == 0 {
            self.phase += 1;
            merge(&mut self.released, &self.arrived);
            self.pending = self.expected;
            (self.expected_bytes, self.arrived_bytes) = (0, 0);
        }
    }

    fn check_balance(&self) -> Result<(), String> {
        if self.balance.unsigned_abs() <= u64::from(LIMIT) {
            return Ok(());
        }
        Err(format!(
            "phase {}: {} bytes outstanding; an mbarrier counts to {LIMIT}",
            self.phase, self.balance
        ))
    }
}
