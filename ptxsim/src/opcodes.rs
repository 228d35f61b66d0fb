//! The one table of opcodes. To add an opcode, write its lowering in a file of [`crate::exec`] and
//! list it here.

use crate::counters::Class;
use crate::exec::{
    approx, async_copy, atomic, barrier, bits, carry, compare, control, convert, dot, float, integer, matrix,
    mbarrier, memory, mma, shuffle, transfer, wgmma, wmma,
};
use crate::lower::{Build, Lowered};

/// An opcode: its name without modifiers, what kind of work it is unless its lowering says
/// otherwise, and how it is decoded.
pub(crate) struct Opcode {
    pub name: &'static str,
    pub class: Class,
    pub lower: fn(&mut Build<'_, '_>) -> Lowered,
}

const fn op(name: &'static str, class: Class, lower: fn(&mut Build<'_, '_>) -> Lowered) -> Opcode {
    Opcode { name, class, lower }
}

/// Every opcode, by name.
const OPCODES: &[Opcode] = &[
    op("abs", Class::Integer, integer::abs),
    op("activemask", Class::WarpSync, shuffle::activemask),
    op("add", Class::Integer, integer::add),
    op("addc", Class::Integer, carry::addc),
    op("and", Class::Logic, bits::and),
    op("atom", Class::Atomic, atomic::atom),
    op("bar", Class::Barrier, barrier::bar),
    op("barrier", Class::Barrier, barrier::barrier),
    op("bfe", Class::Logic, bits::bfe),
    op("bfi", Class::Logic, bits::bfi),
    op("bfind", Class::Logic, bits::bfind),
    op("bmsk", Class::Logic, bits::bmsk),
    op("bra", Class::Control, control::bra),
    op("brev", Class::Logic, bits::brev),
    op("brkpt", Class::Control, control::trap),
    op("brx", Class::Control, control::brx),
    op("clz", Class::Logic, bits::clz),
    op("cnot", Class::Logic, bits::cnot),
    op("copysign", Class::F32, float::copysign),
    op("cos", Class::Transcendental, approx::cos),
    op("cp", Class::Async, async_copy::cp),
    op("cvt", Class::Convert, convert::cvt),
    op("cvta", Class::Move, transfer::cvta),
    op("discard", Class::Other, memory::hint),
    op("div", Class::Integer, integer::div),
    op("dp2a", Class::Integer, dot::dp2a),
    op("dp4a", Class::Integer, dot::dp4a),
    op("elect", Class::WarpSync, shuffle::elect),
    op("ex2", Class::Transcendental, approx::ex2),
    op("exit", Class::Control, control::exit),
    op("fence", Class::Barrier, barrier::fence),
    op("fma", Class::F32, float::fma),
    op("fns", Class::Logic, bits::fns),
    op("griddepcontrol", Class::Control, control::griddepcontrol),
    op("isspacep", Class::Compare, transfer::isspacep),
    op("ld", Class::LoadGlobal, memory::ld),
    op("ldmatrix", Class::LoadShared, matrix::ldmatrix),
    op("ldu", Class::LoadGlobal, memory::ld),
    op("lg2", Class::Transcendental, approx::lg2),
    op("lop3", Class::Logic, bits::lop3),
    op("mad", Class::Integer, integer::mad),
    op("mad24", Class::Integer, integer::mad24),
    op("madc", Class::Integer, carry::madc),
    op("mapa", Class::Move, transfer::mapa),
    op("match", Class::WarpSync, shuffle::match_),
    op("max", Class::Integer, integer::max),
    op("mbarrier", Class::Barrier, mbarrier::mbarrier),
    op("membar", Class::Barrier, barrier::fence),
    op("min", Class::Integer, integer::min),
    op("mma", Class::TensorCore, mma::mma),
    op("mov", Class::Move, transfer::mov),
    op("movmatrix", Class::Move, matrix::movmatrix),
    op("mul", Class::Integer, integer::mul),
    op("mul24", Class::Integer, integer::mul24),
    op("nanosleep", Class::Control, control::nanosleep),
    op("neg", Class::Integer, integer::neg),
    op("not", Class::Logic, bits::not),
    op("or", Class::Logic, bits::or),
    op("pmevent", Class::Other, control::pmevent),
    op("popc", Class::Logic, bits::popc),
    op("prefetch", Class::Other, memory::hint),
    op("prefetchu", Class::Other, memory::hint),
    op("prmt", Class::Logic, bits::prmt),
    op("rcp", Class::F32, approx::rcp),
    op("red", Class::Atomic, atomic::red),
    op("redux", Class::WarpSync, shuffle::redux),
    op("rem", Class::Integer, integer::rem),
    op("ret", Class::Control, control::ret),
    op("rsqrt", Class::Transcendental, approx::rsqrt),
    op("sad", Class::Integer, integer::sad),
    op("selp", Class::Move, compare::selp),
    op("set", Class::Compare, compare::set),
    op("setmaxnreg", Class::Control, control::setmaxnreg),
    op("setp", Class::Compare, compare::setp),
    op("shf", Class::Logic, bits::shf),
    op("shfl", Class::WarpSync, shuffle::shfl),
    op("shl", Class::Logic, bits::shl),
    op("shr", Class::Logic, bits::shr),
    op("sin", Class::Transcendental, approx::sin),
    op("slct", Class::Move, compare::slct),
    op("sqrt", Class::F32, approx::sqrt),
    op("st", Class::StoreGlobal, memory::st),
    op("stmatrix", Class::StoreShared, matrix::stmatrix),
    op("sub", Class::Integer, integer::sub),
    op("subc", Class::Integer, carry::subc),
    op("szext", Class::Logic, bits::szext),
    op("tanh", Class::Transcendental, approx::tanh),
    op("testp", Class::Compare, compare::testp),
    op("trap", Class::Control, control::trap),
    op("vote", Class::WarpSync, shuffle::vote),
    op("wgmma", Class::TensorCore, wgmma::wgmma),
    op("wmma", Class::TensorCore, wmma::wmma),
    op("xor", Class::Logic, bits::xor),
];

/// The opcode of that name.
pub(crate) fn find(name: &str) -> Option<&'static Opcode> {
    OPCODES.binary_search_by(|o| o.name.cmp(name)).ok().map(|i| &OPCODES[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_by_name() {
        assert!(OPCODES.windows(2).all(|w| w[0].name < w[1].name));
    }

    #[test]
    fn readme_lists_every_opcode_once() {
        let (_, table) = include_str!("../README.md").split_once("## What runs").unwrap();
        let (table, _) = table.split_once("\n## ").unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Family"));
        let cells = rows.filter_map(|row| row.split('|').nth(2));
        let mut listed: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        listed.sort_unstable();
        // Calls are inlined while decoding, so no opcode stands for them.
        let mut known: Vec<&str> = OPCODES.iter().map(|opcode| opcode.name).chain(["call"]).collect();
        known.sort_unstable();
        assert_eq!(listed, known);
    }
}
