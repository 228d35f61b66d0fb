//! `cp.reduce.async.bulk`: bulk copies that combine with what is at their destination.

use super::atomic::{Change, OPERATIONS, Operation, change, order};
use super::tma;
use super::tma_tensor::{self, Kind};
use crate::counters::Class;
use crate::fault::Fault;
use crate::lower::{Build, Lowered};
use crate::machine::context::Context;
use crate::memory::tensor_map::ElementType;
use crate::types::{Space, Type};

/// What is done with each element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reduction {
    change: Change,
    /// Bytes of an element.
    size: usize,
}

impl Reduction {
    fn new(operation: Operation, ty: Type) -> Option<Self> {
        Some(Self { change: change(operation, ty)?, size: ty.bytes() as usize })
    }

    /// The reduction of a tensor's elements.
    pub(super) fn of_elements(operation: Operation, ty: ElementType) -> Result<Self, String> {
        use Operation::{And, Or, Xor};
        let logic = matches!(operation, And | Or | Xor);
        let scalar = match ty {
            ElementType::U32 | ElementType::I32 if logic => Type::B32,
            ElementType::U64 | ElementType::I64 if logic => Type::B64,
            ElementType::U32 => Type::U32,
            ElementType::I32 => Type::S32,
            ElementType::U64 => Type::U64,
            ElementType::I64 => Type::S64,
            ElementType::F16 => Type::F16,
            ElementType::F32 => Type::F32,
            ElementType::F64 => Type::F64,
            ElementType::Bf16 => Type::Bf16,
            ElementType::U8 | ElementType::U16 => Type::U8,
        };
        Self::new(operation, scalar)
            .ok_or_else(|| format!("no reduction by {operation:?} of {ty:?} elements").to_lowercase())
    }

    fn element(self, old: u64, new: u64) -> u64 {
        // f32 sums flush subnormals.
        (self.change)(old, new, 0, true)
    }

    /// Combine each element of `old` with that of `data`, which gets the result.
    pub fn apply(self, old: &[u8], data: &mut [u8]) {
        let value = |bytes: &[u8]| bytes.iter().rev().fold(0, |v, &byte| v << 8 | u64::from(byte));
        for (old, new) in old.chunks_exact(self.size).zip(data.chunks_exact_mut(self.size)) {
            let result = self.element(value(old), value(new));
            new.copy_from_slice(&result.to_le_bytes()[..self.size]);
        }
    }

    /// Combine global memory at `address` with `data`.
    pub fn to_global(
        self,
        ctx: &mut Context<'_>,
        lane: usize,
        address: u64,
        data: &[u8],
    ) -> Result<(), Box<Fault>> {
        ctx.reduce_global(lane, address, data, self.size, |old, new| self.element(old, new))
    }
}

/// `cp.reduce.async.bulk`, after its `.bulk`.
pub(super) fn reduce(b: &mut Build<'_, '_>) -> Lowered {
    b.set_class(Class::Async);
    b.set_async_proxy();
    let tensor = b.take("tensor");
    // The atomics that only exchange are no reductions.
    let operation = b.must_choose("operation", &OPERATIONS[..8])?;
    if tensor {
        // The map, known only when it runs, tells the type: take it for one whose sums depend on order.
        order(b, Space::Global, operation, Type::F32, &[]);
        return tma_tensor::copy(b, Kind::Reduce(operation));
    }
    b.take("noftz");
    let ty = b.ty()?;
    let Some(reduction) = Reduction::new(operation, ty) else { return b.bad_type(ty) };
    order(b, Space::Global, operation, ty, &[]);
    tma::transfer(b, Some(reduction))
}
