//! What one `wgmma` computes: a warp's 16 rows of the 64, when the warp runs the instruction.
//!
//! Every element of D starts from its accumulator (or 0) and takes the products for k = 0, 1, 2… one
//! after the other, in the fixed order of [`super::product`]. An f16 accumulator is rounded once, at
//! the end.

use super::descriptor::Descriptor;
use super::wgmma_element::{Element, half};
use crate::fault::{Fault, FaultKind};
use crate::machine::LANES;
use crate::machine::context::Context;
use crate::machine::kernel::{Flow, Step};
use crate::machine::registers::{Bank, PredSrc, Scalar, Src};
use crate::machine::transfers::RIGHTS;
use crate::machine::wgmma::Role;
use crate::memory::shadow::GRANULE;
use crate::softfloat::{F16_FORMAT, F32_FORMAT, Rounding};

/// Where A comes from.
pub(super) enum Left {
    Shared { descriptor: Src<u64>, transposed: bool },
    Registers([u32; 4]),
}

/// A decoded product.
pub(super) struct Product {
    /// Types of A and B.
    pub element: [Element; 2],
    pub columns: usize,
    /// Whether the accumulators are pairs of f16.
    pub half: bool,
    pub accumulators: Vec<u32>,
    pub left: Left,
    pub right: Src<u64>,
    pub right_transposed: bool,
    /// Whether D is added; none for a constant.
    pub adds: Option<PredSrc>,
    pub never_adds: bool,
    /// 1 or -1 for A and B.
    pub scale: [f32; 2],
}

/// The largest depth, that of 8-bit elements.
const MAX_DEPTH: usize = 32;

/// The lanes of a register, as vectors of eight.
type Vectors = [[f32; 8]; 4];

/// What multiplies 8 rows of A at one k: each value four times over, as four lanes of a register of D
/// hold four columns of a row.
type Rows = Vectors;

/// What multiplies 8 columns of B at one k, see [`Right::columns`](crate::machine::transfers::Right).
type Columns = [[f32; 8]; 2];

/// [`Product::multiply`], compiled for some CPU.
type Multiply = fn(&Product, &mut [[u32; LANES]], bool, &[[Rows; 2]], &[Columns]);

impl Product {
    fn depth(&self) -> usize {
        32 / self.element[0].bytes()
    }

    pub fn run(&self, ctx: &mut Context<'_>) -> Step {
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
        let depth = self.depth();
        let mut granules = Vec::new();
        let mut rows = [[[[0.0; 8]; 4]; 2]; MAX_DEPTH];
        self.read_rows(ctx, part, &mut rows, &mut granules)?;
        let right = self.right(ctx, (number, part), &mut granules)?;
        if adds && ctx.launch.checks.registers {
            self.check_accumulators(ctx)?;
        }
        ctx.check_wgmma_reads(&granules)?;
        let right = &ctx.blocks[ctx.rank].warpgroups[number].rights[right];
        if right.reader != part {
            ctx.check_wgmma_reads(&right.granules)?;
        }
        Self::best_multiply()(self, &mut ctx.registers.words, adds, &rows[..depth], &right.columns);
        // This warp's quarter of the 64 rows.
        ctx.counters.tensor_flop(ctx.pc, (2 * 16 * self.columns * depth) as u64);
        ctx.wgmma.issued += 1;
        let issued = ctx.wgmma.issued;
        let block = ctx.block();
        granules.iter().for_each(|&granule| block.shared.shadow.add_outgoing(granule));
        let group = &mut block.warpgroups[number];
        group.issued[part] = issued;
        group.reads.push((issued, granules));
        Ok(Flow::Next)
    }

    /// Where B is, among those of warpgroup `number`. The first warp to run this reads and checks it; no
    /// other can find it changed, as what a wgmma reads cannot be written before it is complete.
    fn right(
        &self,
        ctx: &mut Context<'_>,
        (number, part): (usize, usize),
        granules: &mut Vec<usize>,
    ) -> Result<usize, Box<Fault>> {
        let (bits, descriptor) = self.descriptor(ctx, self.right)?;
        let issue = ctx.wgmma.issued + 1;
        let key = (issue, ctx.pc, bits);
        let place = issue as usize % RIGHTS;
        let mut right = std::mem::take(&mut ctx.block().warpgroups[number].rights[place]);
        if right.key != key {
            (right.key, right.reader) = (key, part);
            right.columns.resize(self.columns / 8 * self.depth(), Columns::default());
            right.granules.clear();
            self.read_columns(ctx, (bits, descriptor), &mut right.columns, &mut right.granules)?;
            granules.extend(&right.granules);
        }
        ctx.block().warpgroups[number].rights[place] = right;
        Ok(place)
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
        let end = offset + GRANULE;
        if end > limit || ctx.launch.shared_layout.leaves_variables(offset as u64, end as u64) {
            let why = ctx.launch.explain_shared(offset as u64, GRANULE as u64);
            let detail = format!("it reads shared {offset:#x}: {why}");
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
        out: &mut [[Rows; 2]; MAX_DEPTH],
        granules: &mut Vec<usize>,
    ) -> Result<(), Box<Fault>> {
        let element = self.element[0];
        let scale = self.scale[0];
        let mut set = |k: usize, row: usize, value: f32| {
            out[k][row / 8].as_flattened_mut()[row % 8 * 4..][..4].fill(value * scale);
        };
        let count = 16 / element.bytes();
        match &self.left {
            Left::Registers(registers) => {
                // A register holds 4 bytes: quad by quad along k, then 8 rows on, then 16 bytes on.
                let each = 4 / element.bytes();
                for (number, &register) in registers.iter().enumerate() {
                    for (lane, &word) in ctx.registers.words[register as usize].iter().enumerate() {
                        let row = lane / 4 + number % 2 * 8;
                        let first = (lane % 4) * each + number / 2 * count;
                        let values = element.widen([word, 0, 0, 0]);
                        (0..each).for_each(|i| set(first + i, row, values[i]));
                    }
                }
            }
            Left::Shared { descriptor, transposed } => {
                let (bits, descriptor) = self.descriptor(ctx, *descriptor)?;
                if *transposed {
                    for k in 0..16 {
                        for half in 0..2 {
                            let offset = descriptor.mn_major(k, part * 2 + half);
                            let values = element.widen(self.granule(ctx, bits, offset, granules)?);
                            (0..8).for_each(|i| set(k, half * 8 + i, values[i]));
                        }
                    }
                } else {
                    for row in 0..16 {
                        for chunk in 0..2 {
                            let offset = descriptor.k_major(part * 16 + row, chunk);
                            let values = element.widen(self.granule(ctx, bits, offset, granules)?);
                            (0..count).for_each(|i| set(chunk * count + i, row, values[i]));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The columns of B.
    fn read_columns(
        &self,
        ctx: &Context<'_>,
        (bits, descriptor): (u64, Descriptor),
        out: &mut [Columns],
        granules: &mut Vec<usize>,
    ) -> Result<(), Box<Fault>> {
        let element = self.element[1];
        let (count, scale) = (16 / element.bytes(), self.scale[1]);
        for (eight, out) in out.chunks_exact_mut(self.depth()).enumerate() {
            if self.right_transposed {
                for (k, out) in out.iter_mut().enumerate() {
                    let offset = descriptor.mn_major(k, eight);
                    let values = element.widen(self.granule(ctx, bits, offset, granules)?);
                    *out = side_by_side(std::array::from_fn(|column| values[column] * scale));
                }
                continue;
            }
            for (chunk, out) in out.chunks_exact_mut(count).enumerate() {
                let mut columns = [[0.0; 16]; 8];
                for (column, values) in columns.iter_mut().enumerate() {
                    let offset = descriptor.k_major(eight * 8 + column, chunk);
                    *values = element.widen(self.granule(ctx, bits, offset, granules)?);
                }
                for (k, out) in out.iter_mut().enumerate() {
                    *out = side_by_side(std::array::from_fn(|column| columns[column][k] * scale));
                }
            }
        }
        Ok(())
    }

    /// Multiply, eight columns after the other; each is four registers of D (or two, of f16 pairs).
    #[inline(always)]
    fn multiply(&self, words: &mut [[u32; LANES]], adds: bool, rows: &[[Rows; 2]], columns: &[Columns]) {
        for (eight, columns) in columns.chunks_exact(rows.len()).enumerate() {
            for upper in 0..2 {
                let mut sums = [[[0.0; 8]; 4]; 2];
                if self.half {
                    let row = &mut words[self.accumulators[eight * 2 + upper] as usize];
                    if adds {
                        sums = [load(row, |w| half(w & 0xffff)), load(row, |w| half(w >> 16))];
                    }
                    accumulate(&mut sums, rows, upper, columns);
                    let [even, odd] = sums.each_ref().map(|sums| sums.as_flattened());
                    *row = std::array::from_fn(|lane| to_f16(even[lane]) | to_f16(odd[lane]) << 16);
                    continue;
                }
                let d = &self.accumulators[eight * 4 + upper * 2..][..2];
                if adds {
                    for (sums, &d) in sums.iter_mut().zip(d) {
                        *sums = load(&words[d as usize], f32::from_bits);
                    }
                }
                accumulate(&mut sums, rows, upper, columns);
                for (sums, &d) in sums.iter().zip(d) {
                    let row = &mut words[d as usize];
                    row.iter_mut().zip(sums.as_flattened()).for_each(|(word, sum)| *word = sum.store());
                }
            }
        }
    }

    /// [`Self::multiply`] for this CPU.
    fn best_multiply() -> Multiply {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,fma")]
            fn vector(
                product: &Product,
                words: &mut [[u32; LANES]],
                adds: bool,
                rows: &[[Rows; 2]],
                columns: &[Columns],
            ) {
                product.multiply(words, adds, rows, columns);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: the CPU has both features, as just asked.
                return |product, words, adds, rows, columns| unsafe {
                    vector(product, words, adds, rows, columns)
                };
            }
        }
        Self::multiply
    }
}

/// A register's lanes as sums.
#[inline(always)]
fn load(row: &[u32; LANES], value: impl Fn(u32) -> f32) -> Vectors {
    let mut out = [[0.0; 8]; 4];
    out.as_flattened_mut().iter_mut().zip(row).for_each(|(out, &word)| *out = value(word));
    out
}

/// The nearest f16.
fn to_f16(x: f32) -> u32 {
    F16_FORMAT.pack(F32_FORMAT.unpack(x.to_bits().into()), Rounding::NearestEven) as u32
}

/// Eight columns in the order of [`Columns`].
#[inline(always)]
fn side_by_side(c: [f32; 8]) -> Columns {
    [[c[0], c[2], c[4], c[6], c[0], c[2], c[4], c[6]], [c[1], c[3], c[5], c[7], c[1], c[3], c[5], c[7]]]
}

/// Add to the even and the odd columns of 8 rows, the `upper` ones or not, their products, k by k.
#[inline(always)]
fn accumulate(sums: &mut [Vectors; 2], rows: &[[Rows; 2]], upper: usize, columns: &[Columns]) {
    for (odd, sums) in sums.iter_mut().enumerate() {
        let mut out = *sums;
        for (rows, columns) in rows.iter().zip(columns) {
            let (rows, column) = (&rows[upper], &columns[odd]);
            for (out, row) in out.iter_mut().zip(rows) {
                for i in 0..8 {
                    out[i] = row[i].mul_add(column[i], out[i]);
                }
            }
        }
        *sums = out;
    }
}
