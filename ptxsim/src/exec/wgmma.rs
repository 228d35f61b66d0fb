//! `wgmma`: the tensor-core product of a warpgroup, `m64nNkK`.
//!
//! Each warp computes its 16 rows when it runs the instruction, in one fixed order: every element of
//! D starts from its accumulator (or 0) and adds the products for k = 0, 1, 2… one after the other,
//! each sum rounded to nearest in f32. Products of two operand elements are exact in f32. An f16
//! accumulator is rounded once, at the end.
//!
//! The result counts as unfinished until `wgmma.wait_group`: see [`crate::machine::wgmma`].

use super::descriptor::Descriptor;
use super::whole_warp::{need_sync_aligned, whole_warp, whole_warp_plain};
use crate::counters::Class;
use crate::fault::{Fault, FaultKind};
use crate::lower::{Build, Lowered};
use crate::machine::LANES;
use crate::machine::context::{Context, Waiting};
use crate::machine::kernel::{Flow, Step};
use crate::machine::registers::{Bank, PredSrc, Src};
use crate::machine::wgmma::Role;
use crate::memory::shadow::GRANULE;
use crate::parse::ast::Operand;
use crate::softfloat::{F16_FORMAT, F32_FORMAT, Rounding};

pub(crate) fn wgmma(b: &mut Build<'_, '_>) -> Lowered {
    #[derive(Clone, Copy)]
    enum Kind {
        Fence,
        Product,
        Commit,
        Wait,
    }
    let kinds = [
        ("fence", Kind::Fence),
        ("mma_async", Kind::Product),
        ("commit_group", Kind::Commit),
        ("wait_group", Kind::Wait),
    ];
    let kind = b.must_choose("kind", &kinds)?;
    need_sync_aligned(b)?;
    b.set_wgmma();
    b.set_class(Class::TensorCore);
    match kind {
        Kind::Fence => Ok(whole_warp_plain(|ctx| ctx.fence_wgmma())),
        Kind::Commit => Ok(whole_warp_plain(|ctx| {
            let issued = ctx.wgmma.issued;
            ctx.wgmma.commits.push_back(issued);
        })),
        Kind::Wait => {
            let groups = immediate(b)?;
            let groups = usize::try_from(groups).map_err(|_| "a negative count of groups")?;
            Ok(whole_warp(move |ctx| wait_group(ctx, groups)))
        }
        Kind::Product => product(b),
    }
}

fn immediate(b: &mut Build<'_, '_>) -> Result<i64, String> {
    match b.operand()? {
        Operand::Int(value) => Ok(*value as i64),
        _ => Err("an integer constant is needed here".into()),
    }
}

/// Wait until at most `groups` committed groups are unfinished.
fn wait_group(ctx: &mut Context<'_>, groups: usize) -> Step {
    let Some(last) = ctx.wgmma.commits.len().checked_sub(groups + 1) else { return Ok(Flow::Next) };
    let target = ctx.wgmma.commits[last];
    let number = ctx.warp / 4;
    let group = &ctx.block().warpgroups[number];
    if group.issued.iter().any(|&issued| issued < target) {
        return ctx.wait(Waiting::Warpgroup);
    }
    ctx.wgmma.done = ctx.wgmma.done.max(target);
    ctx.wgmma.commits.drain(..=last);
    let block = ctx.block();
    let (group, shadow) = (&mut block.warpgroups[number], &mut block.shared.shadow);
    group.reads.retain(|(wgmma, granules)| {
        let reads = *wgmma > target;
        if !reads {
            granules.iter().for_each(|&granule| shadow.end_outgoing(granule));
        }
        reads
    });
    Ok(Flow::Next)
}

/// Types of A's and B's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Bf16,
    F16,
    Tf32,
    E4m3,
    E5m2,
}

impl Element {
    fn bytes(self) -> usize {
        match self {
            Element::Bf16 | Element::F16 => 2,
            Element::Tf32 => 4,
            Element::E4m3 | Element::E5m2 => 1,
        }
    }

    /// The element `index` of packed `words`.
    #[inline(always)]
    fn decode(self, words: &[u32], index: usize) -> f32 {
        match self {
            Element::Bf16 => f32::from_bits((words[index / 2] >> (index % 2 * 16)) << 16),
            Element::F16 => half(words[index / 2] >> (index % 2 * 16) & 0xffff),
            Element::Tf32 => f32::from_bits(words[index] & 0xffff_e000),
            Element::E4m3 => {
                let byte = words[index / 4] >> (index % 4 * 8) & 0xff;
                // The exponent's bias is 7; only all ones is NaN.
                if byte & 0x7f == 0x7f { f32::NAN } else { small(byte, 3, 120) }
            }
            // The top byte of an f16.
            Element::E5m2 => half((words[index / 4] >> (index % 4 * 8) & 0xff) << 8),
        }
    }
}

/// The value of an f16's bits.
#[inline(always)]
fn half(bits: u32) -> f32 {
    // Placed 112 exponents too low, then scaled up: subnormals come out right.
    let scaled = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    let special = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits((bits & 0x8000) << 16 | scaled.to_bits() | special)
}

/// The value of a byte with sign, exponent and `fraction` bits, whose bias is less than f32's by `bias`.
fn small(byte: u32, fraction: u32, bias: u32) -> f32 {
    let scaled = f32::from_bits((byte & 0x7f) << (23 - fraction)) * f32::from_bits((127 + bias) << 23);
    f32::from_bits((byte & 0x80) << 24 | scaled.to_bits())
}

/// Where A comes from.
enum Left {
    Shared { descriptor: Src<u64>, transposed: bool },
    Registers([u32; 4]),
}

/// A decoded product.
struct Product {
    element: [Element; 2],
    columns: usize,
    half: bool,
    accumulators: Vec<u32>,
    left: Left,
    right: Src<u64>,
    right_transposed: bool,
    /// Whether D is added; none for a constant true.
    adds: Option<PredSrc>,
    never_adds: bool,
    scale: [f32; 2],
}

fn product(b: &mut Build<'_, '_>) -> Lowered {
    let mut shape = None;
    for columns in (8..=256).step_by(8) {
        for depth in [8, 16, 32] {
            if b.take(&format!("m64n{columns}k{depth}")) {
                shape = Some((columns, depth));
            }
        }
    }
    let (columns, depth) = shape.ok_or("needs a shape m64nNkK with N a multiple of 8 up to 256")?;
    let half = b.must_choose("accumulator type", &[("f32", false), ("f16", true)])?;
    let types = [
        ("bf16", Element::Bf16),
        ("f16", Element::F16),
        ("tf32", Element::Tf32),
        ("e4m3", Element::E4m3),
        ("e5m2", Element::E5m2),
    ];
    let element = [b.must_choose("type of A", &types)?, b.must_choose("type of B", &types)?];
    b.all_modifiers_taken()?;
    let width = element[0].bytes();
    let mixed = element[0] != element[1] && width != 1;
    if width != element[1].bytes() || mixed || depth * width != 32 {
        return Err(format!("no product of depth {depth} of {:?} and {:?}", element[0], element[1]));
    }
    if half && matches!(element[0], Element::Bf16 | Element::Tf32) {
        return Err(format!("no f16 accumulator of {:?}", element[0]));
    }
    let wanted = if half { columns / 4 } else { columns / 2 };
    let items = b.vector()?;
    if items.len() != wanted {
        return Err(format!("{} accumulator registers, not {wanted}", items.len()));
    }
    let mut accumulators = Vec::new();
    for item in items {
        match b.register_dst(item, Bank::Word, 32)? {
            (slot, 32) if slot.bank == Bank::Word => accumulators.push(slot.index),
            (_, bits) => return Err(format!("an accumulator of {bits} bits, not 32")),
        }
    }
    let in_registers = matches!(b.peek(), Some(Operand::Vector(_)));
    let registers = if in_registers {
        let items = b.vector()?;
        let mut registers = [0; 4];
        if items.len() != 4 {
            return Err(format!("{} registers of A, not 4", items.len()));
        }
        for (register, item) in registers.iter_mut().zip(items) {
            *register = b.src_of::<u32>(item)?.index;
        }
        Left::Registers(registers)
    } else {
        Left::Shared { descriptor: b.src()?, transposed: false }
    };
    let right = b.src()?;
    let (adds, never_adds) = match b.peek() {
        Some(Operand::Int(value)) => {
            b.operand()?;
            (None, *value == 0)
        }
        _ => (Some(b.pred_src()?), false),
    };
    let mut scale = [1.0; 2];
    for scale in &mut scale {
        *scale = match immediate(b)? {
            1 => 1.0,
            -1 => -1.0,
            other => return Err(format!("a scale of {other}, not 1 or -1")),
        };
    }
    let transposed = |b: &mut Build<'_, '_>| match immediate(b)? {
        0 => Ok(false),
        1 if width == 2 => Ok(true),
        other => Err(format!("a transposition of {other}")),
    };
    let mut left = registers;
    let mut right_transposed = false;
    if b.operands_left() > 0 {
        if let Left::Shared { transposed: flag, .. } = &mut left {
            *flag = transposed(b)?;
        }
        right_transposed = transposed(b)?;
    }
    let product = Product {
        element,
        columns,
        half,
        accumulators,
        left,
        right,
        right_transposed,
        adds,
        never_adds,
        scale,
    };
    Ok(whole_warp(move |ctx| product.run(ctx)))
}

/// The largest depth, that of 8-bit elements.
const MAX_DEPTH: usize = 32;
/// A by k and row, each value four times over: one lane of the product for each column of a quad.
type Rows = [[[f32; 4]; 16]; MAX_DEPTH];

impl Product {
    fn run(&self, ctx: &mut Context<'_>) -> Step {
        let (number, part) = (ctx.warp / 4, ctx.warp % 4);
        if (number + 1) * 4 * LANES > ctx.launch.threads() as usize {
            let detail = format!("warp {} is in no whole warpgroup of 4 warps", ctx.warp);
            return Err(ctx.fault(0, FaultKind::Misuse { detail }));
        }
        let adds = self.adds.map_or(if self.never_adds { 0 } else { u32::MAX }, |p| ctx.get_pred(p));
        if adds != 0 && adds != u32::MAX {
            let detail = "the predicate scale-d differs between threads".to_owned();
            return Err(ctx.fault(0, FaultKind::Misuse { detail }));
        }
        let adds = adds != 0;
        ctx.use_in_wgmma(&self.accumulators, Role::Accumulator(self.columns as u32, self.half))?;
        if let Left::Registers(registers) = &self.left {
            ctx.use_in_wgmma(registers, Role::Operand)?;
        }
        let mut granules = Vec::with_capacity(2 * self.columns + 2 * 16);
        let mut rows: Rows = [[[0.0; 4]; 16]; MAX_DEPTH];
        self.read_rows(ctx, part, &mut rows, &mut granules)?;
        let depth = 32 / self.element[0].bytes();
        let mut quads = vec![[0.0; 4]; self.columns / 4 * depth];
        self.read_columns(ctx, &mut quads, &mut granules)?;
        if adds && ctx.launch.checks.registers {
            self.check_accumulators(ctx)?;
        }
        for pair in 0..self.columns / 8 {
            self.multiply(ctx, pair, depth, adds, &rows, &quads);
        }
        // This warp's quarter of the 64 rows.
        ctx.counters.tensor_flop(ctx.pc, (2 * 16 * self.columns * depth) as u64);
        ctx.wgmma.issued += 1;
        let issued = ctx.wgmma.issued;
        let block = ctx.block();
        granules.iter().for_each(|&granule| block.shared.shadow.add_outgoing(granule));
        block.warpgroups[number].issued[part] = issued;
        block.warpgroups[number].reads.push((issued, granules));
        Ok(Flow::Next)
    }

    fn check_accumulators(&self, ctx: &Context<'_>) -> Result<(), Box<Fault>> {
        for &index in &self.accumulators {
            let slot = crate::machine::registers::Slot { bank: Bank::Word, index };
            if ctx.registers.written(slot) != u32::MAX {
                let names = &ctx.launch.kernel.register_names;
                let name = names.iter().find(|(s, _)| *s == slot).map_or("?", |(_, name)| name);
                let lane = (!ctx.registers.written(slot)).trailing_zeros() as usize;
                return Err(ctx.fault(lane, FaultKind::UninitialisedRegister { register: name.to_owned() }));
            }
        }
        Ok(())
    }

    /// The 16 bytes at `offset` of this block's shared memory, which wgmma reads.
    #[inline(always)]
    fn granule(
        &self,
        ctx: &Context<'_>,
        descriptor: u64,
        offset: usize,
        granules: &mut Vec<usize>,
    ) -> Result<[u32; 4], Box<Fault>> {
        let limit = ctx.blocks[ctx.rank].shared.bytes();
        if offset + GRANULE > limit {
            let detail = format!("it reads shared {offset:#x}, and the block has {limit} bytes");
            return Err(ctx.fault(0, FaultKind::BadDescriptor { descriptor, detail }));
        }
        let granule = offset / GRANULE;
        ctx.check_async_read(0, ctx.rank, granule)?;
        granules.push(granule);
        Ok(ctx.blocks[ctx.rank].shared.granule(offset))
    }

    fn descriptor(&self, ctx: &Context<'_>, register: Src<u64>) -> Result<(u64, Descriptor), Box<Fault>> {
        let rows = ctx.get(register);
        let bits = rows[0];
        let bad = |detail| ctx.fault(0, FaultKind::BadDescriptor { descriptor: bits, detail });
        if rows.iter().any(|&other| other != bits) {
            return Err(bad("it differs between the threads of a warp".to_owned()));
        }
        Descriptor::decode(bits).map(|descriptor| (bits, descriptor)).map_err(bad)
    }

    /// This warp's 16 rows of A.
    fn read_rows(
        &self,
        ctx: &Context<'_>,
        part: usize,
        out: &mut Rows,
        granules: &mut Vec<usize>,
    ) -> Result<(), Box<Fault>> {
        let element = self.element[0];
        let mut set = |k: usize, row: usize, value: f32| out[k][row] = [value * self.scale[0]; 4];
        let count = 16 / element.bytes();
        match &self.left {
            Left::Registers(registers) => {
                // A register holds 4 bytes: quad by quad along k, then 8 rows on, then 16 bytes on.
                let each = 4 / element.bytes();
                for (number, &register) in registers.iter().enumerate() {
                    for (lane, &word) in ctx.registers.words[register as usize].iter().enumerate() {
                        let row = lane / 4 + number % 2 * 8;
                        let first = (lane % 4) * each + number / 2 * count;
                        for index in 0..each {
                            set(first + index, row, element.decode(&[word], index));
                        }
                    }
                }
            }
            Left::Shared { descriptor, transposed } => {
                let (bits, descriptor) = self.descriptor(ctx, *descriptor)?;
                if *transposed {
                    for k in 0..16 {
                        for half in 0..2 {
                            let offset = descriptor.mn_major(k, part * 2 + half);
                            let words = self.granule(ctx, bits, offset, granules)?;
                            (0..8).for_each(|i| set(k, half * 8 + i, element.decode(&words, i)));
                        }
                    }
                } else {
                    for row in 0..16 {
                        for chunk in 0..2 {
                            let offset = descriptor.k_major(part * 16 + row, chunk);
                            let words = self.granule(ctx, bits, offset, granules)?;
                            (0..count).for_each(|i| set(chunk * count + i, row, element.decode(&words, i)));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// B, as quads of the columns that one register row holds: columns 0, 2, 4, 6 of eight, then 1, 3,
    /// 5, 7; each for all k.
    fn read_columns(
        &self,
        ctx: &Context<'_>,
        out: &mut [[f32; 4]],
        granules: &mut Vec<usize>,
    ) -> Result<(), Box<Fault>> {
        let element = self.element[1];
        let (count, depth) = (16 / element.bytes(), 32 / element.bytes());
        let scale = self.scale[1];
        let (bits, descriptor) = self.descriptor(ctx, self.right)?;
        if self.right_transposed {
            for k in 0..depth {
                for eight in 0..self.columns / 8 {
                    let words = self.granule(ctx, bits, descriptor.mn_major(k, eight), granules)?;
                    for i in 0..8 {
                        let quad = (eight * 2 + i % 2) * depth + k;
                        out[quad][i / 2] = element.decode(&words, i) * scale;
                    }
                }
            }
            return Ok(());
        }
        for column in 0..self.columns {
            let quad = (column / 8 * 2 + column % 2) * depth;
            for chunk in 0..2 {
                let words = self.granule(ctx, bits, descriptor.k_major(column, chunk), granules)?;
                for i in 0..count {
                    out[quad + chunk * count + i][column % 8 / 2] = element.decode(&words, i) * scale;
                }
            }
        }
        Ok(())
    }

    /// The eight columns from `pair * 8` of the product, in four register rows (or two, of f16 pairs).
    fn multiply(
        &self,
        ctx: &mut Context<'_>,
        pair: usize,
        depth: usize,
        adds: bool,
        rows: &Rows,
        quads: &[[f32; 4]],
    ) {
        for upper in 0..2 {
            let mut sums = [[0f32; LANES]; 2];
            let own = if self.half {
                [self.accumulators[pair * 2 + upper]; 2]
            } else {
                [0, 1].map(|odd| self.accumulators[pair * 4 + upper * 2 + odd])
            };
            for (odd, sums) in sums.iter_mut().enumerate() {
                if adds {
                    let words = &ctx.registers.words[own[odd] as usize];
                    *sums = match self.half {
                        true => words.map(|w| half(w >> (odd * 16) & 0xffff)),
                        false => words.map(f32::from_bits),
                    };
                }
                let first = (pair * 2 + odd) * depth;
                accumulate(sums, &rows[..depth], upper * 8, &quads[first..first + depth]);
            }
            if self.half {
                let pack = |x: f32| {
                    let exact = F32_FORMAT.unpack(x.to_bits().into());
                    F16_FORMAT.pack(exact, Rounding::NearestEven) as u32
                };
                ctx.registers.words[own[0] as usize] =
                    std::array::from_fn(|i| pack(sums[0][i]) | pack(sums[1][i]) << 16);
            } else {
                for (odd, sums) in sums.iter().enumerate() {
                    ctx.registers.words[own[odd] as usize] =
                        sums.map(|x| if x.is_nan() { 0x7fff_ffff } else { x.to_bits() });
                }
            }
        }
    }
}

/// Add to the 8 rows from `first_row`, four lanes a row, the products with `columns`, k by k.
#[inline(always)]
fn accumulate(sums: &mut [f32; LANES], rows: &[[[f32; 4]; 16]], first_row: usize, columns: &[[f32; 4]]) {
    let mut out = *sums;
    for (row, column) in rows.iter().zip(columns) {
        let row = &row[first_row..first_row + 8];
        for (quad, left) in out.chunks_exact_mut(4).zip(row) {
            for ((sum, left), right) in quad.iter_mut().zip(left).zip(column) {
                *sum += left * right;
            }
        }
    }
    *sums = out;
}
