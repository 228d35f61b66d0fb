//! `mma`: the product of two small matrices that a warp holds in its registers.
//!
//! Lane `l` belongs to group `g = l / 4` and is number `t = l % 4` in it. With `e` elements in a
//! register, one layout holds for every shape and type (registers of A and C alternate between rows
//! `g` and `g + 8` where the matrix has 16 rows):
//! - A: element `i` of register `r` is at row `g + 8 * (r % 2)`, k `4e * (r / 2) + e * t + i`;
//! - B: element `i` of register `r` is at k `4e * r + e * t + i`, column `g`;
//! - C and D: elements 0 and 1 of each pair are at columns `2t` and `2t + 1`.
//!
//! The order of the sums is that of [`super::product`].

use super::map::Pure;
use super::product::{COLUMNS, Element, Tiles};
use super::wgmma_element::e4m3;
use super::whole_warp::{need_sync_aligned, whole_warp_plain};
use crate::lower::{Build, Lowered};
use crate::machine::registers::{Dst, Scalar, Src, Word};
use crate::parse::ast::Operand;
use crate::softfloat::{Bf16, F16, F16_FORMAT, F32_FORMAT, Rounding};

/// What A and B are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Input {
    F16,
    Bf16,
    Tf32,
    F64,
    E4m3,
    E5m2,
    S8,
    U8,
}

/// What C and D are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sum {
    F16,
    F32,
    F64,
    S32,
}

pub(super) const INPUTS: [(&str, Input); 8] = [
    ("f16", Input::F16),
    ("bf16", Input::Bf16),
    ("tf32", Input::Tf32),
    ("f64", Input::F64),
    ("e4m3", Input::E4m3),
    ("e5m2", Input::E5m2),
    ("s8", Input::S8),
    ("u8", Input::U8),
];

pub(super) const SUMS: [(&str, Sum); 4] =
    [("f16", Sum::F16), ("f32", Sum::F32), ("f64", Sum::F64), ("s32", Sum::S32)];

impl Input {
    /// Elements in a register.
    pub fn per_register(self) -> usize {
        match self {
            Input::F16 | Input::Bf16 => 2,
            Input::Tf32 | Input::F64 => 1,
            Input::E4m3 | Input::E5m2 | Input::S8 | Input::U8 => 4,
        }
    }

    /// Shapes the type has, as rows and depth; all have 8 columns.
    fn shapes(self) -> &'static [(usize, usize)] {
        match self {
            Input::F16 | Input::Bf16 => &[(16, 8), (16, 16)],
            Input::Tf32 => &[(16, 4), (16, 8)],
            Input::F64 => &[(8, 4), (16, 4), (16, 8), (16, 16)],
            Input::E4m3 | Input::E5m2 => &[(16, 16), (16, 32)],
            Input::S8 | Input::U8 => &[(8, 16), (16, 16), (16, 32)],
        }
    }

    pub fn sums(self) -> &'static [Sum] {
        match self {
            Input::F16 | Input::E4m3 | Input::E5m2 => &[Sum::F16, Sum::F32],
            Input::Bf16 | Input::Tf32 => &[Sum::F32],
            Input::F64 => &[Sum::F64],
            Input::S8 | Input::U8 => &[Sum::S32],
        }
    }

    /// Element `i` of a register, for the types that are multiplied in f32.
    pub fn f32(self, word: u32, i: usize) -> f32 {
        let half = (word >> (16 * (i % 2))) as u16;
        match self {
            Input::F16 => F16(half).to_f32(),
            Input::Bf16 => Bf16(half).to_f32(),
            Input::E4m3 => e4m3(word >> (8 * i) & 0xff),
            // The top byte of an f16.
            Input::E5m2 => F16((word >> (8 * i) << 8) as u16).to_f32(),
            // The low 13 bits of the register are not looked at.
            _ => f32::from_bits(word & 0xffff_e000),
        }
    }

    /// Element `i` of a register of integers.
    pub fn integer(self, word: u32, i: usize) -> i64 {
        let byte = word.to_le_bytes()[i];
        if self == Input::S8 { i64::from(byte as i8) } else { i64::from(byte) }
    }
}

pub(crate) fn mma(b: &mut Build<'_, '_>) -> Lowered {
    need_sync_aligned(b)?;
    const SHAPES: [(&str, (usize, usize)); 6] = [
        ("m8n8k4", (8, 4)),
        ("m8n8k16", (8, 16)),
        ("m16n8k4", (16, 4)),
        ("m16n8k8", (16, 8)),
        ("m16n8k16", (16, 16)),
        ("m16n8k32", (16, 32)),
    ];
    let shape = b.must_choose("shape", &SHAPES)?;
    if !(b.take("row") && b.take("col")) {
        return Err("needs `.row.col`".into());
    }
    let satfinite = b.take("satfinite");
    let sum = b.must_choose("type of D", &SUMS)?;
    let inputs = [b.must_choose("type of A", &INPUTS)?, b.must_choose("type of B", &INPUTS)?];
    if b.must_choose("type of C", &SUMS)? != sum {
        return Err("C and D must have one type".into());
    }
    let integers = inputs.iter().all(|i| matches!(i, Input::S8 | Input::U8));
    let fp8 = inputs.iter().all(|i| matches!(i, Input::E4m3 | Input::E5m2));
    if inputs[0] != inputs[1] && !integers && !fp8 {
        return Err("A and B must have one type".into());
    }
    if satfinite && !integers {
        return Err("`.satfinite` is for integers".into());
    }
    let [input, _] = inputs;
    if !input.shapes().contains(&shape) || !input.sums().contains(&sum) {
        let (m, k) = shape;
        return Err(format!("no `.m{m}n8k{k}` of {input:?} elements summed in {sum:?}").to_lowercase());
    }
    let (rows, depth) = shape;
    let layout = Layout { rows, depth, packed: input.per_register(), packed_sums: 1 };
    match sum {
        Sum::F32 => layout.lower(
            b,
            inputs.map(|input| move |word, i| input.f32(word, i)),
            |word: u32, _| f32::from_bits(word),
            |sums| sums[0].store(),
        ),
        Sum::F16 => Layout { packed_sums: 2, ..layout }.lower(
            b,
            inputs.map(|input| move |word, i| input.f32(word, i)),
            |word: u32, i| F16((word >> (16 * i)) as u16).to_f32(),
            |sums| to_f16(sums[0]) | to_f16(sums[1]) << 16,
        ),
        Sum::F64 => layout.lower(
            b,
            [|word, _| f64::from_bits(word); 2],
            |word: u64, _| f64::from_bits(word),
            |sums| sums[0].store(),
        ),
        Sum::S32 => layout.lower(
            b,
            inputs.map(|input| move |word, i| input.integer(word, i)),
            |word: u32, _| i64::from(word as i32),
            move |sums| {
                let limits = (i64::from(i32::MIN), i64::from(i32::MAX));
                if satfinite { sums[0].clamp(limits.0, limits.1) as u32 } else { sums[0] as u32 }
            },
        ),
    }
}

pub(super) fn to_f16(value: f32) -> u32 {
    F16_FORMAT.pack(F32_FORMAT.unpack(value.to_bits().into()), Rounding::NearestEven) as u32
}

/// How the matrices lie in registers.
#[derive(Clone, Copy)]
struct Layout {
    rows: usize,
    depth: usize,
    /// Elements of A and B in a register.
    packed: usize,
    /// Elements of C and D in a register.
    packed_sums: usize,
}

impl Layout {
    /// Decode the operands. Registers are of type `W`; `inputs` decode elements of A and B, `sum`
    /// one of C, and `encode` makes a register of D.
    fn lower<W, T>(
        self,
        b: &mut Build<'_, '_>,
        inputs: [impl Fn(W, usize) -> T + Pure; 2],
        sum: impl Fn(W, usize) -> T + Pure,
        encode: impl Fn(&[T]) -> W + Pure,
    ) -> Lowered
    where
        W: Scalar<Word = W> + Word,
        T: Element,
    {
        b.all_modifiers_taken()?;
        let steps = self.depth / (4 * self.packed);
        let blocks = self.rows / 8;
        let sums = 2 * blocks / self.packed_sums;
        let d =
            registers(b, "D", sums)?.into_iter().map(|o| b.dst_of(o)).collect::<Result<Vec<Dst<W>>, _>>()?;
        let mut sources = |what, count| -> Result<Vec<Src<W>>, String> {
            registers(b, what, count)?.into_iter().map(|o| b.src_of(o)).collect()
        };
        let (a, b, c) = (sources("A", steps * blocks)?, sources("B", steps)?, sources("C", sums)?);
        let multiply = T::best();
        let [input_a, input_b] = inputs;
        Ok(whole_warp_plain(move |ctx| {
            let mut tiles = Tiles::<T>::default();
            let Layout { packed, packed_sums, .. } = self;
            for (r, &a) in a.iter().enumerate() {
                for (lane, &word) in ctx.get(a).iter().enumerate() {
                    let row = &mut tiles.a[lane / 4 + 8 * (r % blocks)];
                    let k = packed * (4 * (r / blocks) + lane % 4);
                    row[k..k + packed].iter_mut().enumerate().for_each(|(i, a)| *a = input_a(word, i));
                }
            }
            for (r, &b) in b.iter().enumerate() {
                for (lane, &word) in ctx.get(b).iter().enumerate() {
                    let k = packed * (4 * r + lane % 4);
                    (0..packed).for_each(|i| tiles.b[k + i][lane / 4] = input_b(word, i));
                }
            }
            // Element `i` of a lane's sums, over its registers.
            let place = |lane: usize, i: usize| (lane / 4 + 8 * (i / 2), 2 * (lane % 4) + i % 2);
            for (r, &c) in c.iter().enumerate() {
                for (lane, &word) in ctx.get(c).iter().enumerate() {
                    for i in 0..packed_sums {
                        let (row, column) = place(lane, r * packed_sums + i);
                        tiles.d[row][column] = sum(word, i);
                    }
                }
            }
            multiply(&mut tiles, self.depth);
            for (r, &d) in d.iter().enumerate() {
                ctx.put(d, |lane| {
                    let (row, column) = place(lane, r * packed_sums);
                    encode(&tiles.d[row][column..column + packed_sums])
                });
            }
            ctx.counters.tensor_flop(ctx.pc, (2 * self.rows * COLUMNS * self.depth) as u64);
        }))
    }
}

/// The next operand as `count` registers.
fn registers<'b>(b: &mut Build<'b, '_>, what: &str, count: usize) -> Result<Vec<&'b Operand>, String> {
    let items = b.vector()?;
    match items.len() {
        found if found == count => Ok(items),
        found => Err(format!("{what} takes {count} registers, not {found}")),
    }
}
