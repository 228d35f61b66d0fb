//! `wmma`: matrix products by whole fragments, which the same warp loads, multiplies and stores.
//!
//! PTX does not tell which element of a matrix a lane holds. Here fragments are made of the blocks that
//! [`super::mma`] has, those of a column of blocks after one another. A block of A is 8 rows by the
//! elements of 4 registers, of B those by 8 columns, of C and D 8 by 8; lane `l` holds elements of row
//! (of B: column) `l / 4`. Fragments of f16 have eight registers whatever their size: those of a small
//! matrix repeat its elements.
//!
//! The order of the sums is that of [`super::product`].

use super::map::Pure;
use super::mma::{INPUTS, Input, SUMS, Sum, to_f16};
use super::product::{COLUMNS, Element, Tiles};
use super::transfer::SPACES;
use super::whole_warp::{need_sync_aligned, whole_warp, whole_warp_plain};
use crate::counters::Class;
use crate::fault::{Fault, FaultKind};
use crate::lower::{Address, Build, Lowered};
use crate::machine::LANES;
use crate::machine::context::Context;
use crate::machine::kernel::Flow;
use crate::machine::registers::{Bank, Scalar, Slot, Src};
use crate::memory::{Addresses, NO_DATA};
use crate::parse::ast::Operand;
use crate::softfloat::F16;
use crate::types::Space;

/// Rows of D, columns of D, depth.
type Shape = [usize; 3];

const SHAPES: [(&str, Shape); 5] = [
    ("m16n16k16", [16, 16, 16]),
    ("m32n8k16", [32, 8, 16]),
    ("m8n32k16", [8, 32, 16]),
    ("m16n16k8", [16, 16, 8]),
    ("m8n8k4", [8, 8, 4]),
];

fn check_shape(shape: Shape, input: Input) -> Result<(), String> {
    let [m, n, k] = shape;
    let fits = match input {
        Input::Tf32 => k == 8,
        Input::F64 => k == 4,
        _ => k == 16,
    };
    if fits { Ok(()) } else { Err(format!("no `.m{m}n{n}k{k}` of {input:?} elements").to_lowercase()) }
}

/// One of the matrices of a product, as a warp holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fragment {
    rows: usize,
    columns: usize,
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

    fn a([m, _, k]: Shape, input: Input) -> Self {
        Self::input([m, k], input, false)
    }

    fn b([_, n, k]: Shape, input: Input) -> Self {
        Self::input([k, n], input, true)
    }

    fn sum([m, n, _]: Shape, sum: Sum) -> Self {
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
    fn sources(&self, b: &mut Build<'_, '_>, what: &str) -> Result<Vec<Slot>, String> {
        let items = self.items(b, what)?;
        items
            .into_iter()
            .map(|item| match self.bits {
                64 => b.src_of::<u64>(item).map(|s| Slot { bank: Bank::Double, index: s.index }),
                _ => b.src_of::<u32>(item).map(|s| Slot { bank: Bank::Word, index: s.index }),
            })
            .collect()
    }

    fn targets(&self, b: &mut Build<'_, '_>, what: &str) -> Result<Vec<Slot>, String> {
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
    fn read(&self, ctx: &Context<'_>, registers: &[Slot], mut each: impl FnMut(usize, usize, u64)) {
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
    fn write(&self, ctx: &mut Context<'_>, registers: &[Slot], value: impl Fn(usize, usize) -> u64) {
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

/// `wmma.load`, `wmma.mma` and `wmma.store`.
pub(crate) fn wmma(b: &mut Build<'_, '_>) -> Lowered {
    #[derive(Clone, Copy)]
    enum Kind {
        Load,
        Multiply,
        Store,
    }
    let kinds = [("load", Kind::Load), ("mma", Kind::Multiply), ("store", Kind::Store)];
    let kind = b.must_choose("kind", &kinds)?;
    need_sync_aligned(b)?;
    match kind {
        Kind::Load => load(b),
        Kind::Multiply => multiply(b),
        Kind::Store => store(b),
    }
}

/// Where a fragment lies in memory.
struct Matrix {
    fragment: Fragment,
    space: Space,
    address: Address,
    /// Elements from one row (by columns: column) to the next; none if they are adjacent.
    stride: Option<Src<u32>>,
    by_columns: bool,
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
}

/// Layout, shape and state space, which loads and stores have in this order.
fn memory_modifiers(b: &mut Build<'_, '_>) -> Result<(bool, Shape, Space), String> {
    let by_columns = b.must_choose("layout", &[("row", false), ("col", true)])?;
    let shape = b.must_choose("shape", &SHAPES)?;
    Ok((by_columns, shape, b.choose(&SPACES).unwrap_or(Space::Generic)))
}

fn sum_fragment(b: &mut Build<'_, '_>, shape: Shape) -> Result<Fragment, String> {
    let sum = b.must_choose("type", &SUMS)?;
    if (shape[2] == 4) != (sum == Sum::F64) || (shape[2] == 8 && sum != Sum::F32) {
        let [m, n, k] = shape;
        return Err(format!("no sums of {sum:?} for `.m{m}n{n}k{k}`").to_lowercase());
    }
    Ok(Fragment::sum(shape, sum))
}

fn load(b: &mut Build<'_, '_>) -> Lowered {
    let operand = b.must_choose("operand", &[("a", 'a'), ("b", 'b'), ("c", 'c')])?;
    let (by_columns, shape, space) = memory_modifiers(b)?;
    let fragment = match operand {
        'c' => sum_fragment(b, shape)?,
        _ => {
            let input = b.must_choose("type", &INPUTS)?;
            check_shape(shape, input)?;
            if operand == 'a' { Fragment::a(shape, input) } else { Fragment::b(shape, input) }
        }
    };
    b.all_modifiers_taken()?;
    let targets = fragment.targets(b, "this fragment")?;
    let (address, space) = b.address(space)?;
    let stride = if b.operands_left() > 0 { Some(b.src()?) } else { None };
    b.set_class(if space == Space::Shared { Class::LoadShared } else { Class::LoadGlobal });
    let matrix = Matrix { fragment, space, address, stride, by_columns };
    Ok(whole_warp(move |ctx| {
        let (base, stride) = matrix.start(ctx)?;
        let mut elements = vec![0; fragment.rows * fragment.columns];
        let (at_once, bytes) = (matrix.at_once(), fragment.bits / 8);
        for block in 0..fragment.blocks() {
            for first in (0..fragment.run).step_by(at_once) {
                let mut data = NO_DATA;
                let addresses = matrix.addresses(base, stride, block, first);
                ctx.load(space, &addresses, at_once * bytes, &mut data)?;
                for lane in 0..LANES {
                    for i in 0..at_once {
                        let (row, column) = fragment.place(block, lane, first + i);
                        let bit = i * fragment.bits;
                        elements[row * fragment.columns + column] = match fragment.bits {
                            64 => u64::from(data[2 * i][lane]) | u64::from(data[2 * i + 1][lane]) << 32,
                            32 => data[i][lane].into(),
                            bits => u64::from(data[bit / 32][lane] >> (bit % 32)) & ((1 << bits) - 1),
                        };
                    }
                }
            }
        }
        fragment.write(ctx, &targets, |row, column| elements[row * fragment.columns + column]);
        Ok(Flow::Next)
    }))
}

fn store(b: &mut Build<'_, '_>) -> Lowered {
    if !b.take("d") {
        return Err("stores `.d` only".into());
    }
    let (by_columns, shape, space) = memory_modifiers(b)?;
    let fragment = sum_fragment(b, shape)?;
    b.all_modifiers_taken()?;
    let (address, space) = b.address(space)?;
    let sources = fragment.sources(b, "D")?;
    let stride = if b.operands_left() > 0 { Some(b.src()?) } else { None };
    b.set_class(if space == Space::Shared { Class::StoreShared } else { Class::StoreGlobal });
    let matrix = Matrix { fragment, space, address, stride, by_columns };
    Ok(whole_warp(move |ctx| {
        let (base, stride) = matrix.start(ctx)?;
        let mut elements = vec![0; fragment.rows * fragment.columns];
        fragment.read(ctx, &sources, |row, column, bits| elements[row * fragment.columns + column] = bits);
        let (at_once, bytes) = (matrix.at_once(), fragment.bits / 8);
        for block in 0..fragment.blocks() {
            for first in (0..fragment.run).step_by(at_once) {
                let mut data = NO_DATA;
                for lane in 0..LANES {
                    for i in 0..at_once {
                        let (row, column) = fragment.place(block, lane, first + i);
                        let element = elements[row * fragment.columns + column];
                        let bit = i * fragment.bits;
                        data[bit / 32][lane] |= (element as u32) << (bit % 32);
                        if fragment.bits == 64 {
                            data[2 * i + 1][lane] = (element >> 32) as u32;
                        }
                    }
                }
                let addresses = matrix.addresses(base, stride, block, first);
                ctx.store(space, &addresses, at_once * bytes, &data)?;
            }
        }
        Ok(Flow::Next)
    }))
}

fn multiply(b: &mut Build<'_, '_>) -> Lowered {
    // Fragments hold the same elements however their matrices lie in memory.
    for operand in ["A", "B"] {
        b.must_choose(&format!("layout of {operand}"), &[("row", ()), ("col", ())])?;
    }
    let shape = b.must_choose("shape", &SHAPES)?;
    b.take("rn");
    let satfinite = b.take("satfinite");
    let d = b.must_choose("type of D", &SUMS)?;
    // For f16 the types of D and C are all there is.
    let inputs = match b.modifiers_left() {
        1 => [Input::F16; 2],
        _ => [b.must_choose("type of A", &INPUTS)?, b.must_choose("type of B", &INPUTS)?],
    };
    let c = b.must_choose("type of C", &SUMS)?;
    let [input, _] = inputs;
    check_shape(shape, input)?;
    let sums = input.sums();
    if inputs[0] != inputs[1] || !(sums.contains(&d) && sums.contains(&c)) {
        return Err(format!("no product of {:?} and {:?} summed in {d:?} and {c:?}", inputs[0], inputs[1]));
    }
    if satfinite && d != Sum::S32 {
        return Err("`.satfinite` is for integers".into());
    }
    product(b, Product { shape, input, sums: [d, c], satfinite })
}

#[derive(Clone, Copy)]
struct Product {
    shape: Shape,
    input: Input,
    /// Types of D and C.
    sums: [Sum; 2],
    satfinite: bool,
}

fn product(b: &mut Build<'_, '_>, product: Product) -> Lowered {
    let Product { input, sums: [d, c], satfinite, .. } = product;
    match d {
        Sum::F64 => lower(b, product, |bits| f64::from_bits(bits), f64::from_bits, f64::to_bits),
        Sum::S32 => {
            let limits = (i64::from(i32::MIN), i64::from(i32::MAX));
            let encode = move |sum: i64| {
                let sum = if satfinite { sum.clamp(limits.0, limits.1) } else { sum };
                u64::from(sum as u32)
            };
            lower(
                b,
                product,
                move |bits| input.integer(bits as u32, 0),
                |bits| i64::from(bits as i32),
                encode,
            )
        }
        Sum::F16 | Sum::F32 => {
            let decode = move |bits: u64| match c {
                Sum::F16 => F16(bits as u16).to_f32(),
                _ => f32::from_bits(bits as u32),
            };
            let encode = move |sum: f32| u64::from(if d == Sum::F16 { to_f16(sum) } else { sum.store() });
            lower(b, product, move |bits| input.f32(bits as u32, 0), decode, encode)
        }
    }
}

/// Decode the operands of a product in `T`: `element` decodes those of A and B, `decode` those of C, and
/// `encode` makes D's.
fn lower<T: Element>(
    b: &mut Build<'_, '_>,
    product: Product,
    element: impl Fn(u64) -> T + Pure,
    decode: impl Fn(u64) -> T + Pure,
    encode: impl Fn(T) -> u64 + Pure,
) -> Lowered {
    b.all_modifiers_taken()?;
    let Product { shape, input, sums, .. } = product;
    let [m, n, k] = shape;
    let [d_fragment, c_fragment] = sums.map(|sum| Fragment::sum(shape, sum));
    let (a_fragment, b_fragment) = (Fragment::a(shape, input), Fragment::b(shape, input));
    let d = d_fragment.targets(b, "D")?;
    let (a, b_slots) = (a_fragment.sources(b, "A")?, b_fragment.sources(b, "B")?);
    let c = c_fragment.sources(b, "C")?;
    let multiply = T::best();
    // Rows and columns of D that are multiplied together.
    let (rows, columns) = (m.min(16), COLUMNS);
    Ok(whole_warp_plain(move |ctx| {
        let across = n / columns;
        let mut tiles = vec![Tiles::<T>::default(); m / rows * across];
        c_fragment.read(ctx, &c, |row, column, bits| {
            tiles[row / rows * across + column / columns].d[row % rows][column % columns] = decode(bits);
        });
        a_fragment.read(ctx, &a, |row, depth, bits| {
            let value = element(bits);
            tiles[row / rows * across..][..across].iter_mut().for_each(|t| t.a[row % rows][depth] = value);
        });
        b_fragment.read(ctx, &b_slots, |depth, column, bits| {
            let value = element(bits);
            let tiles = tiles.iter_mut().skip(column / columns).step_by(across);
            tiles.for_each(|t| t.b[depth][column % columns] = value);
        });
        tiles.iter_mut().for_each(|tile| multiply(tile, k));
        d_fragment.write(ctx, &d, |row, column| {
            encode(tiles[row / rows * across + column / columns].d[row % rows][column % columns])
        });
        ctx.counters.tensor_flop(ctx.pc, (2 * m * n * k) as u64);
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_one_place() {
        let shapes = |k: usize| SHAPES.iter().map(|(_, shape)| *shape).filter(move |shape| shape[2] == k);
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
