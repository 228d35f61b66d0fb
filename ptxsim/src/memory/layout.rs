//! Where the shared variables of a kernel lie.
//!
//! PTX promises no more than the alignment that a variable declares. A compiler packs variables side by
//! side, so that one may well land on a larger multiple, and code that needs the larger multiple works
//! by luck until another variable moves it. [`Layout::spread`] takes the luck away: each static variable
//! lies at a multiple of its alignment that is not a multiple of twice as much, with bytes before and
//! behind it that belong to no variable.
//!
//! Dynamic shared memory is not spread. Where it starts is not declared but follows from the static
//! variables: the driver puts it behind them, at a multiple of what its `.extern` declares and of 16.
//! A spread layout keeps that start's place within 1024 bytes, the largest unit that hardware looks at
//! (a 128-byte swizzle's pattern).

use std::ops::Range;

/// Dynamic shared memory starts at a multiple of this, whatever its declaration asks for.
const DYNAMIC_ALIGN: u64 = 16;
/// A spread layout leaves the start of dynamic shared memory as it is within this many bytes.
const WINDOW: u64 = 1024;

/// A shared variable of a kernel, of a size known when it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SharedVariable {
    pub name: String,
    pub bytes: u64,
    pub align: u64,
}

/// Addresses of a kernel's shared variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The address of each static variable, in the order of their declaration.
    pub addresses: Vec<u64>,
    /// Where dynamic shared memory starts.
    pub dynamic_start: u64,
    /// The end of the static variables.
    static_end: u64,
    /// Bytes below the start of dynamic shared memory that belong to no variable.
    gaps: Vec<Range<u64>>,
}

impl Layout {
    /// As a compiler lays them out: packed, dynamic shared memory behind.
    pub fn packed(variables: &[SharedVariable], dynamic_align: u64) -> Self {
        let mut layout = Self::default();
        for variable in variables {
            layout.add(variable, layout.static_end.next_multiple_of(variable.align));
        }
        layout.end(layout.static_end.next_multiple_of(dynamic_align.max(DYNAMIC_ALIGN)));
        layout
    }

    /// At multiples of what the variables declare, and of no more.
    pub fn spread(variables: &[SharedVariable], dynamic_align: u64) -> Self {
        let mut layout = Self::default();
        for variable in variables {
            let multiple = (layout.static_end + 1).div_ceil(variable.align) | 1;
            layout.add(variable, multiple * variable.align);
        }
        let packed = Self::packed(variables, dynamic_align).dynamic_start;
        let further = layout.static_end.saturating_sub(packed).next_multiple_of(WINDOW);
        layout.end(packed + further);
        layout
    }

    fn add(&mut self, variable: &SharedVariable, address: u64) {
        self.leave(self.static_end..address);
        self.addresses.push(address);
        self.static_end = address + variable.bytes;
    }

    fn end(&mut self, dynamic_start: u64) {
        self.leave(self.static_end..dynamic_start);
        self.dynamic_start = dynamic_start;
    }

    fn leave(&mut self, gap: Range<u64>) {
        if !gap.is_empty() {
            self.gaps.push(gap);
        }
    }

    /// Bytes of a block's shared memory, of which `dynamic` are dynamic.
    pub fn total(&self, dynamic: u64) -> u64 {
        if dynamic == 0 { self.static_end } else { self.dynamic_start + dynamic }
    }

    /// Whether some of the bytes from `low` to `end` belong to no variable.
    #[inline(always)]
    pub fn leaves_variables(&self, low: u64, end: u64) -> bool {
        self.gaps.iter().any(|gap| low < gap.end && gap.start < end)
    }

    /// Why `bytes` bytes at `address` are not inside one of `variables`, in words.
    pub fn explain(&self, variables: &[SharedVariable], dynamic: u64, address: u64, bytes: u64) -> String {
        let before = self.addresses.partition_point(|&start| start <= address);
        let (name, start, size) = match before.checked_sub(1) {
            _ if address >= self.dynamic_start && dynamic > 0 => {
                ("dynamic shared memory".to_owned(), self.dynamic_start, dynamic)
            }
            Some(i) => (format!("`{}`", variables[i].name), self.addresses[i], variables[i].bytes),
            None => match variables.first() {
                Some(first) => {
                    return format!("it lies before `{}` at {:#x}", first.name, self.addresses[0]);
                }
                None => return "the kernel has no shared memory".to_owned(),
            },
        };
        let first = address - start;
        format!("{name} at {start:#x} has {size} bytes, this needs bytes {first} to {}", first + bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(sizes: &[(u64, u64)]) -> Vec<SharedVariable> {
        sizes.iter().map(|&(bytes, align)| SharedVariable { name: "v".into(), bytes, align }).collect()
    }

    #[test]
    fn packed_variables_follow_one_another() {
        let layout = Layout::packed(&variables(&[(6, 2), (8, 8), (100, 4)]), 128);
        assert_eq!(layout.addresses, [0, 8, 16]);
        assert_eq!((layout.dynamic_start, layout.total(0), layout.total(64)), (128, 116, 192));
        assert_eq!(layout.gaps, [6..8, 116..128]);
        assert_eq!(Layout::packed(&[], 1).total(48), 48);
    }

    #[test]
    fn spread_variables_are_aligned_as_declared_and_no_better() {
        let aligns = [1, 4, 2, 8, 1, 16, 128, 4, 1024, 32];
        for seed in 0..50u64 {
            let size = |i: usize| (seed * 37 + i as u64 * 101) % 300;
            let sizes: Vec<(u64, u64)> =
                (0..10).map(|i| (size(i), aligns[(i + seed as usize) % 10])).collect();
            let variables = variables(&sizes);
            let (packed, layout) = (Layout::packed(&variables, 16), Layout::spread(&variables, 16));
            let mut end = 0;
            for (variable, &address) in variables.iter().zip(&layout.addresses) {
                assert_eq!(address.trailing_zeros(), variable.align.trailing_zeros());
                assert!(address > end, "bytes between any two variables");
                assert!(layout.leaves_variables(address - 1, address));
                assert!(!layout.leaves_variables(address, address + variable.bytes));
                end = address + variable.bytes;
            }
            assert!(layout.dynamic_start >= end);
            assert_eq!(layout.dynamic_start % WINDOW, packed.dynamic_start % WINDOW);
        }
    }
}
