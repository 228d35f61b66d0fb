//! A warp's registers: one row of 32 lanes for each, so that an instruction is a loop over a row.
//!
//! There are three banks: 32-bit rows (8- and 16-bit registers too, in their low bits; what stands
//! above is undefined), 64-bit rows, and predicates, which are one bit a lane.

use std::marker::PhantomData;

use super::LANES;
use crate::softfloat::{Bf16, F16};

/// Which file of rows a register lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bank {
    Word,
    Double,
    Predicate,
}

/// A register's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub bank: Bank,
    pub index: u32,
}

/// All registers of one warp.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registers {
    pub words: Vec<[u32; LANES]>,
    pub doubles: Vec<[u64; LANES]>,
    pub predicates: Vec<u32>,
    /// Which lanes of each register have been written, by bank.
    pub written: [Vec<u32>; 3],
}

impl Registers {
    /// Registers with `counts` rows in each bank.
    pub fn new(counts: [u32; 3]) -> Self {
        let [words, doubles, predicates] = counts.map(|c| c as usize);
        Self {
            words: vec![[0; LANES]; words],
            doubles: vec![[0; LANES]; doubles],
            predicates: vec![0; predicates],
            written: [vec![0; words], vec![0; doubles], vec![0; predicates]],
        }
    }

    /// Lanes of `slot` that have been written.
    pub fn written(&self, slot: Slot) -> u32 {
        self.written[slot.bank as usize][slot.index as usize]
    }

    /// Note that `lanes` of `slot` have been written.
    pub fn mark_written(&mut self, slot: Slot, lanes: u32) {
        self.written[slot.bank as usize][slot.index as usize] |= lanes;
    }

    /// Give every lane of `slot` the same value, as a constant.
    pub fn broadcast(&mut self, slot: Slot, bits: u64) {
        self.set_row(slot, |_| bits);
    }

    /// Set all lanes of `slot`.
    pub fn set_row(&mut self, slot: Slot, value: impl Fn(usize) -> u64) {
        let index = slot.index as usize;
        match slot.bank {
            Bank::Word => self.words[index] = std::array::from_fn(|lane| value(lane) as u32),
            Bank::Double => self.doubles[index] = std::array::from_fn(value),
            Bank::Predicate => {
                self.predicates[index] = (0..LANES).fold(0, |m, lane| m | ((value(lane) as u32 & 1) << lane));
            }
        }
        self.mark_written(slot, u32::MAX);
    }
}

/// What a lane of a bank holds.
pub(crate) trait Word: Copy + Default + Send + Sync + 'static {
    const BANK: Bank;
    fn rows(registers: &Registers) -> &[[Self; LANES]];
    fn rows_mut(registers: &mut Registers) -> &mut [[Self; LANES]];
    fn to_bits(self) -> u64;
}

impl Word for u32 {
    const BANK: Bank = Bank::Word;
    fn rows(registers: &Registers) -> &[[Self; LANES]] {
        &registers.words
    }
    fn rows_mut(registers: &mut Registers) -> &mut [[Self; LANES]] {
        &mut registers.words
    }
    fn to_bits(self) -> u64 {
        u64::from(self)
    }
}

impl Word for u64 {
    const BANK: Bank = Bank::Double;
    fn rows(registers: &Registers) -> &[[Self; LANES]] {
        &registers.doubles
    }
    fn rows_mut(registers: &mut Registers) -> &mut [[Self; LANES]] {
        &mut registers.doubles
    }
    fn to_bits(self) -> u64 {
        self
    }
}

/// A value of an instruction's type, as it sits in a register.
pub(crate) trait Scalar: Copy + Send + Sync + 'static {
    type Word: Word;
    const BITS: u32;
    fn load(word: Self::Word) -> Self;
    fn store(self) -> Self::Word;
}

macro_rules! scalar {
    ($($ty:ty: $word:ty, $bits:literal, |$w:ident| $load:expr, |$v:ident| $store:expr;)*) => {$(
        impl Scalar for $ty {
            type Word = $word;
            const BITS: u32 = $bits;
            #[inline(always)]
            fn load($w: $word) -> Self {
                $load
            }
            #[inline(always)]
            fn store(self) -> $word {
                let $v = self;
                $store
            }
        }
    )*};
}

scalar! {
    u8: u32, 8, |w| w as u8, |v| v.into();
    i8: u32, 8, |w| w as i8, |v| v as i32 as u32;
    u16: u32, 16, |w| w as u16, |v| v.into();
    i16: u32, 16, |w| w as i16, |v| v as i32 as u32;
    u32: u32, 32, |w| w, |v| v;
    i32: u32, 32, |w| w as i32, |v| v as u32;
    u64: u64, 64, |w| w, |v| v;
    i64: u64, 64, |w| w as i64, |v| v as u64;
    // Arithmetic in f32 gives the canonical NaN; moves never pass through this type.
    f32: u32, 32, |w| f32::from_bits(w), |v| if v.is_nan() { 0x7fff_ffff } else { v.to_bits() };
    f64: u64, 64, |w| f64::from_bits(w), |v| v.to_bits();
    F16: u32, 16, |w| F16(w as u16), |v| v.0.into();
    Bf16: u32, 16, |w| Bf16(w as u16), |v| v.0.into();
    [F16; 2]: u32, 32, |w| [F16(w as u16), F16((w >> 16) as u16)], |v| u32::from(v[0].0) | u32::from(v[1].0) << 16;
    [Bf16; 2]: u32, 32, |w| [Bf16(w as u16), Bf16((w >> 16) as u16)], |v| u32::from(v[0].0) | u32::from(v[1].0) << 16;
}

/// A source operand: a register or a constant in a register.
#[derive(Debug)]
pub(crate) struct Src<T> {
    pub index: u32,
    marker: PhantomData<fn() -> T>,
}

/// A destination register.
#[derive(Debug)]
pub(crate) struct Dst<T> {
    pub index: u32,
    marker: PhantomData<fn() -> T>,
}

impl<T> Src<T> {
    pub fn new(index: u32) -> Self {
        Self { index, marker: PhantomData }
    }
}

impl<T> Dst<T> {
    pub fn new(index: u32) -> Self {
        Self { index, marker: PhantomData }
    }
}

impl<T> Clone for Src<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Src<T> {}

impl<T> Clone for Dst<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Dst<T> {}

/// A predicate source, one bit a lane, with its `!`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PredSrc {
    pub index: u32,
    pub negated: bool,
}

/// A predicate destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PredDst {
    pub index: u32,
}
