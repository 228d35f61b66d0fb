//! Reads the assembler's report (`--ptxas-options=-v`) of what each kernel uses.

use std::collections::BTreeMap;

/// What one entry point uses on one architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    pub registers: u32,
    pub shared_bytes: u32,
    pub spill_bytes: u32,
    pub stack_bytes: u32,
    /// Where the assembler could not do what the source asks for, in its words: wgmma serialised,
    /// setmaxnreg ignored.
    pub remarks: Vec<String>,
}

/// The resources of each entry point that `log` tells of. What the functions it calls spill, which
/// the report lists after it, counts as its own; a remark that names no function is everyone's.
pub fn parse(log: &str) -> BTreeMap<String, Resources> {
    let mut resources = BTreeMap::<String, Resources>::new();
    let mut entry = None;
    for line in log.lines() {
        if let Some((_, name)) = line.split_once("Compiling entry function '") {
            entry = name.split('\'').next().map(str::to_string);
        }
        let Some(entry) = &entry else { continue };
        let before = |unit: &str| number_before(line, unit);
        let used = resources.entry(entry.clone()).or_default();
        used.registers = used.registers.max(before(" registers"));
        used.shared_bytes = used.shared_bytes.max(before(" bytes smem"));
        used.spill_bytes += before(" bytes spill stores") + before(" bytes spill loads");
        used.stack_bytes += before(" bytes stack frame");
    }
    for remark in
        log.lines().filter_map(|line| line.split_once(": (C7").map(|(_, text)| format!("(C7{text}")))
    {
        let named = remark.split_once("function '").and_then(|(_, name)| name.split('\'').next());
        for (_, used) in resources.iter_mut().filter(|(name, _)| named.is_none_or(|named| named == *name)) {
            used.remarks.push(remark.clone());
        }
    }
    resources
}

/// The compiler's warnings in `log`, without the source lines it quotes.
pub fn warnings(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.contains(": warning"))
}

/// The number that stands before `unit` in `line`, or 0.
fn number_before(line: &str, unit: &str) -> u32 {
    let number = line.find(unit).and_then(|end| line[..end].rsplit([' ', ',', '\t']).next());
    number.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
