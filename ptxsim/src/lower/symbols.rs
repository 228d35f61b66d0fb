//! What names stand for: registers, variables, labels, special registers.

use std::collections::HashMap;

use crate::machine::kernel::{Constant, Special};
use crate::machine::registers::{Bank, Slot};
use crate::parse::ast::Variable;
use crate::types::{Space, Type};

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Symbol {
    Register {
        slot: Slot,
        ty: Type,
    },
    /// `%r<10>`; each register gets its slot when it is first named.
    RegisterRange {
        ty: Type,
        count: u32,
    },
    /// A variable whose address in its space is known while loading.
    Variable {
        space: Space,
        address: u64,
        bytes: u64,
    },
    /// A static shared variable of the kernel, by its index.
    SharedVariable(u32),
    DynamicShared,
    Label(usize),
    Targets(Vec<String>),
}

/// Names declared in one `{}`.
pub(super) type Scope = HashMap<String, Symbol>;

/// A `.global` or `.const` variable of the module.
#[derive(Clone, Debug)]
pub(crate) struct ModuleVariable {
    pub variable: Variable,
    pub space: Space,
}

/// Module-level names.
#[derive(Default)]
pub(crate) struct ModuleSymbols {
    /// Global and constant variables, in the order of their index.
    pub globals: Vec<ModuleVariable>,
    pub global_index: HashMap<String, u32>,
    /// Shared variables declared at module level.
    pub shared: HashMap<String, Variable>,
}

/// The bank of registers of type `ty`, if there is one.
pub(super) fn bank(ty: Type) -> Option<Bank> {
    match ty.bits() {
        1 => Some(Bank::Predicate),
        8 | 16 | 32 => Some(Bank::Word),
        64 => Some(Bank::Double),
        _ => None,
    }
}

/// The constant that a special register holds, with its width in bits.
pub(super) fn special(name: &str) -> Option<(Constant, u32)> {
    let name = name.strip_prefix('%')?;
    let (base, component) = match name.split_once('.') {
        Some((base, "x")) => (base, 0),
        Some((base, "y")) => (base, 1),
        Some((base, "z")) => (base, 2),
        Some(_) => return None,
        None => (name, 3),
    };
    let vector: Option<fn(u8) -> Special> = match base {
        "tid" => Some(Special::Tid),
        "ntid" => Some(Special::Ntid),
        "ctaid" => Some(Special::Ctaid),
        "nctaid" => Some(Special::Nctaid),
        "clusterid" => Some(Special::Clusterid),
        "nclusterid" => Some(Special::Nclusterid),
        "cluster_ctaid" => Some(Special::ClusterCtaid),
        "cluster_nctaid" => Some(Special::ClusterNctaid),
        _ => None,
    };
    if let Some(make) = vector {
        return (component < 3).then(|| (Constant::Special(make(component)), 32));
    }
    let single = match name {
        "cluster_ctarank" => Special::ClusterCtarank,
        "cluster_nctarank" => Special::ClusterNctarank,
        "laneid" => Special::Laneid,
        "warpid" => Special::Warpid,
        "nwarpid" => Special::Nwarpid,
        "smid" => Special::Smid,
        "nsmid" => Special::Nsmid,
        "lanemask_eq" => Special::LanemaskEq,
        "lanemask_lt" => Special::LanemaskLt,
        "lanemask_le" => Special::LanemaskLe,
        "lanemask_gt" => Special::LanemaskGt,
        "lanemask_ge" => Special::LanemaskGe,
        "dynamic_smem_size" => Special::DynamicSharedSize,
        "total_smem_size" => Special::TotalSharedSize,
        "gridid" => return Some((Constant::Special(Special::Gridid), 64)),
        "is_explicit_cluster" => return Some((Constant::Special(Special::IsExplicitCluster), 1)),
        _ => return None,
    };
    Some((Constant::Special(single), 32))
}
