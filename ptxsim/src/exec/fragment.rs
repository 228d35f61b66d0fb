//! Fragments: the matrices of a `wmma` product as a warp holds them, and as they lie in memory.
//!
//! PTX does not tell which element of a matrix a lane holds. Here fragments are made of the blocks that
//! [`super::mma`] has, those of a column of blocks after one another. A block of A is 8 rows by the
//! elements of 4 registers, of B those by 8 columns, of C and D 8 by 8; lane `l` holds elements of row
//! (of B: column) `l / 4`. Fragments of f16 have eight registers whatever their size: those of a small
//! matrix repeat its elements.

use super::mma::{Input, Sum};
use crate::fault::{Fault, FaultKind};
use crate::lower::{Address, Build};
use crate::machine::LANES;
use crate::machine::context::Context;
use crate::machine::registers::{Bank, Slot, Src};
use crate::memory::{Addresses, NO_DATA, Planes};
use crate::parse::ast::Operand;
use crate::types::Space;

/// Rows of D, columns of D, depth.
pub(super) type Shape = [usize; 3];

/// One of the matrices of a product, as a warp holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    pub rows: usize,
    pub columns: usize,
    /// Rows and columns of a block.
    block: [usize; 2],
    /// Whether the elements that a lane has of a block are neighbours in a column.
    upright: bool,
    /// Elements that a lane has of a block.
    run: usize,
    bits: usize,
    /// Registers, each of 32 bits or, for elements of 64, of 64.
    registers: usize,
}

impl Fragment {
    fn new(shape: [usize; 2], block: [usize; 2], upright: bool, run: usize, bits: usize) -> Self {
        let [rows, columns] = shape;
        let word = bits.max(32);
        let registers = rows * columns / LANES * bits / word;
        Self { rows, columns, block, upright, run, bits, registers }
    }

    fn input(shape: [usize; 2], input: Input, upright: bool) -> Self {
        let run = input.per_register();
        let bits = if input == Input::F64 { 64 } else { 32 / run };
        let block = if upright { [4 * run, 8] } else { [8, 4 * run] };
        let fragment = Self::new(shape, block, upright, run, bits);
        if input == Input::F16 { Self { registers: 8, ..fragment } } else { fragment }
    }

    pub fn a([m, _, k]: Shape, input: Input) -> Self {
        Self::input([m, k], input, false)
    }

    pub fn b([_, n, k]: Shape, input: Input) -> Self {
        Self::input([k, n], input, true)
    }

    pub fn sum([m, n, _]: Shape, sum: Sum) -> Self {
        let bits = match sum {
            Sum::F16 => 16,
            Sum::F64 => 64,
            _ => 32,
        };
        Self::new([m, n], [8, 8], false, 2, bits)
    }

    fn blocks(&self) -> usize {
        self.rows * self.columns / (LANES * self.run)
    }

    /// Row and column of element `i` of lane `lane` in block `block`.
    fn place(&self, block: usize, lane: usize, i: usize) -> (usize, usize) {
        let down = self.rows / self.block[0];
        let (row, column) = (block % down * self.block[0], block / down * self.block[1]);
        let (across, along) = (lane / 4, lane % 4 * self.run + i);
        if self.upright { (row + along, column + across) } else { (row + across, column + along) }
    }

    /// The register of the lane's element number `number`, and its lowest bit there.
    fn register(&self, number: usize) -> (usize, usize) {
        let bit = number * self.bits;
        let word = self.bits.max(32);
        (bit / word, bit % word)
    }

    /// The registers of an operand.
    pub fn sources(&self, b: &mut Build<'_, '_>, what: &str) -> Result<Vec<Slot>, String> {
        let items = self.items(b, what)?;
        items
            .into_iter()
            .map(|item| match self.bits {
                64 => b.src_of::<u64>(item).map(|s| Slot { bank: Bank::Double, index: s.index }),
                _ => b.src_of::<u32>(item).map(|s| Slot { bank: Bank::Word, index: s.index }),
            })
            .collect()
    }

    pub fn targets(&self, b: &mut Build<'_, '_>, what: &str) -> Result<Vec<Slot>, String> {
        let items = self.items(b, what)?;
        items
            .into_iter()
            .map(|item| match self.bits {
                64 => b.dst_of::<u64>(item).map(|d| Slot { bank: Bank::Double, index: d.index }),
                _ => b.dst_of::<u32>(item).map(|d| Slot { bank: Bank::Word, index: d.index }),
            })
            .collect()
    }

    fn items<'b>(&self, b: &mut Build<'b, '_>, what: &str) -> Result<Vec<&'b Operand>, String> {
        let items = b.vector()?;
        match items.len() {
            found if found == self.registers => Ok(items),
            found => Err(format!("{what} takes {} registers, not {found}", self.registers)),
        }
    }

    /// Call `each` with row, column and bits of every element that `registers` hold.
    pub fn read(&self, ctx: &Context<'_>, registers: &[Slot], mut each: impl FnMut(usize, usize, u64)) {
        let mask = if self.bits == 64 { u64::MAX } else { (1 << self.bits) - 1 };
        for block in 0..self.blocks() {
            for i in 0..self.run {
                let (register, shift) = self.register(block * self.run + i);
                for (lane, word) in ctx.get_bits(registers[register]).into_iter().enumerate() {
                    let (row, column) = self.place(block, lane, i);
                    each(row, column, word >> shift & mask);
                }
            }
        }
    }

    /// Set every element that `registers` hold to `value(row, column)`.
    pub fn write(&self, ctx: &mut Context<'_>, registers: &[Slot], value: impl Fn(usize, usize) -> u64) {
        let needed = self.register(self.blocks() * self.run).0;
        let mut words = vec![[0u64; LANES]; needed];
        for block in 0..self.blocks() {
            for i in 0..self.run {
                let (register, shift) = self.register(block * self.run + i);
                for (lane, word) in words[register].iter_mut().enumerate() {
                    let (row, column) = self.place(block, lane, i);
                    *word |= value(row, column) << shift;
                }
            }
        }
        for (number, &slot) in registers.iter().enumerate() {
            let row = &words[number % needed];
            ctx.put_bits(slot, |lane| row[lane]);
        }
    }
}

/// Where a fragment lies in memory.
pub(super) struct Matrix {
    pub fragment: Fragment,
    pub space: Space,
    pub address: Address,
    /// Elements from one row (by columns: column) to the next; none if they are adjacent.
    pub stride: Option<Src<u32>>,
    pub by_columns: bool,
}

impl Matrix {
    /// Addresses of the warp's elements from number `i` of block `block` on.
    fn addresses(&self, base: u64, stride: u64, block: usize, i: usize) -> Addresses {
        std::array::from_fn(|lane| {
            let (row, column) = self.fragment.place(block, lane, i);
            let (outer, inner) = if self.by_columns { (column, row) } else { (row, column) };
            let elements = (outer as u64).wrapping_mul(stride).wrapping_add(inner as u64);
            base.wrapping_add(elements.wrapping_mul(self.fragment.bits as u64 / 8))
        })
    }

    /// How many neighbouring elements a lane moves at once.
    fn at_once(&self) -> usize {
        if self.by_columns == self.fragment.upright { self.fragment.run } else { 1 }
    }

    /// The matrix's address and its stride in elements, the same for all lanes and aligned.
    fn start(&self, ctx: &Context<'_>) -> Result<(u64, u64), Box<Fault>> {
        let bases = self.address.lanes(ctx);
        let Fragment { rows, columns, bits, registers, .. } = self.fragment;
        let adjacent = if self.by_columns { rows } else { columns };
        let strides = self.stride.map_or([adjacent as u32; LANES], |stride| ctx.get(stride));
        let differs = (1..LANES).find(|&lane| (bases[lane], strides[lane]) != (bases[0], strides[0]));
        if let Some(lane) = differs {
            let detail = "address and stride of a matrix must be the same in all lanes".to_owned();
            return Err(ctx.fault(lane, FaultKind::Misuse { detail }));
        }
        let bytes = registers * bits.max(32) / 8;
        if !bases[0].is_multiple_of(bytes as u64) {
            let kind = FaultKind::Misaligned { space: self.space, address: bases[0], bytes: bytes as u32 };
            return Err(ctx.fault(0, kind));
        }
        let pitch = u64::from(strides[0]) * bits as u64 / 8;
        if !pitch.is_multiple_of(bytes.min(16) as u64) {
            let detail =
                format!("rows of a matrix {pitch} bytes apart; the distance must be a multiple of 16");
            return Err(ctx.fault(0, FaultKind::Misuse { detail }));
        }
        Ok((bases[0], strides[0].into()))
    }

    /// Load the matrix into `targets`.
    pub fn load(&self, ctx: &mut Context<'_>, targets: &[Slot]) -> Result<(), Box<Fault>> {
        let fragment = &self.fragment;
        let (base, stride) = self.start(ctx)?;
        let mut elements = vec![0; fragment.rows * fragment.columns];
        let at_once = self.at_once();
        for block in 0..fragment.blocks() {
            for first in (0..fragment.run).step_by(at_once) {
                let mut data = NO_DATA;
                let addresses = self.addresses(base, stride, block, first);
                ctx.load(self.space, &addresses, at_once * fragment.bits / 8, &mut data)?;
                for (lane, i) in each(at_once) {
                    let (row, column) = fragment.place(block, lane, first + i);
                    elements[row * fragment.columns + column] = get(&data, fragment.bits, lane, i);
                }
            }
        }
        fragment.write(ctx, targets, |row, column| elements[row * fragment.columns + column]);
        Ok(())
    }

    /// Store the matrix that `sources` hold.
    pub fn store(&self, ctx: &mut Context<'_>, sources: &[Slot]) -> Result<(), Box<Fault>> {
        let fragment = &self.fragment;
        let (base, stride) = self.start(ctx)?;
        let mut elements = vec![0; fragment.rows * fragment.columns];
        fragment.read(ctx, sources, |row, column, bits| elements[row * fragment.columns + column] = bits);
        let at_once = self.at_once();
        for block in 0..fragment.blocks() {
            for first in (0..fragment.run).step_by(at_once) {
                let mut data = NO_DATA;
                for (lane, i) in each(at_once) {
                    let (row, column) = fragment.place(block, lane, first + i);
                    put(&mut data, fragment.bits, lane, i, elements[row * fragment.columns + column]);
                }
                let addresses = self.addresses(base, stride, block, first);
                ctx.store(self.space, &addresses, at_once * fragment.bits / 8, &data)?;
            }
        }
        Ok(())
    }
}

/// Every lane with the numbers of its `count` elements.
fn each(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..LANES).flat_map(move |lane| (0..count).map(move |i| (lane, i)))
}

/// Element `i` of `bits` bits that `lane` has in the data of an access.
fn get(data: &Planes, bits: usize, lane: usize, i: usize) -> u64 {
    match bits {
        64 => u64::from(data[2 * i][lane]) | u64::from(data[2 * i + 1][lane]) << 32,
        32 => data[i][lane].into(),
        _ => u64::from(data[i * bits / 32][lane] >> (i * bits % 32)) & ((1 << bits) - 1),
    }
}

/// Set what [`get`] gets, where nothing was.
fn put(data: &mut Planes, bits: usize, lane: usize, i: usize, element: u64) {
    let bit = i * bits;
    data[bit / 32][lane] |= (element as u32) << (bit % 32);
    if bits == 64 {
        data[2 * i + 1][lane] = (element >> 32) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_one_place() {
        let shapes = |k: usize| [[16, 16, k], [32, 8, k], [8, 32, k], [8, 8, k]].into_iter();
        let inputs =
            [(Input::Bf16, 16), (Input::S8, 16), (Input::F16, 16), (Input::Tf32, 8), (Input::F64, 4)];
        for (input, k) in inputs {
            for shape in shapes(k) {
                let sum = input.sums()[0];
                for fragment in
                    [Fragment::a(shape, input), Fragment::b(shape, input), Fragment::sum(shape, sum)]
                {
                    let mut seen = vec![0; fragment.rows * fragment.columns];
                    for block in 0..fragment.blocks() {
                        for lane in 0..LANES {
                            for i in 0..fragment.run {
                                let (row, column) = fragment.place(block, lane, i);
                                seen[row * fragment.columns + column] += 1;
                            }
                        }
                    }
                    assert!(seen.iter().all(|n| *n == 1), "{fragment:?}");
                }
            }
        }
    }
}
