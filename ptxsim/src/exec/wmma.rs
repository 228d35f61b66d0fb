//! `wmma`: matrix products by whole fragments, which the same warp loads, multiplies and stores.
//!
//! The order of the sums is that of [`super::product`].

use super::fragment::{Fragment, Matrix, Shape};
use super::map::Pure;
use super::mma::{INPUTS, Input, SUMS, Sum, to_f16};
use super::product::{COLUMNS, Element, Tiles};
use super::transfer::SPACES;
use super::whole_warp::{need_sync_aligned, whole_warp, whole_warp_plain};
use crate::counters::Class;
use crate::lower::{Build, Lowered};
use crate::machine::kernel::Flow;
use crate::machine::registers::Scalar;
use crate::softfloat::F16;
use crate::types::Space;

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
        Input::E4m3 | Input::E5m2 => false,
        _ => k == 16,
    };
    if fits { Ok(()) } else { Err(format!("no `.m{m}n{n}k{k}` of {input:?} elements").to_lowercase()) }
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
        matrix.load(ctx, &targets)?;
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
        matrix.store(ctx, &sources)?;
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
        Sum::F64 => lower(b, product, f64::from_bits, f64::from_bits, f64::to_bits),
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
