//! Reports and faults as JSON.

use serde_json::{Map, Value, json};

use crate::counters::{Count, LaunchReport};
use crate::fault::Fault;
use crate::roofline::Roofline;

/// A fault: what, and where.
pub fn fault(fault: &Fault) -> Value {
    json!({
        "message": fault.kind.to_string(),
        "kernel": fault.kernel,
        "source": fault.source,
        "ptx_line": fault.ptx_line,
        "instruction": fault.instruction,
        "block": fault.block,
        "thread": fault.thread,
        "printed": fault.printed,
    })
}

/// What a launch did, and its floors on a GPU if they were computed.
pub fn report(report: &LaunchReport, floors: Option<&Roofline>) -> Value {
    fn counts<'c>(items: impl Iterator<Item = (String, &'c Count)>) -> Value {
        items.map(|(name, c)| (name, count(c))).collect::<Map<_, _>>().into()
    }
    json!({
        "kernel": report.kernel,
        "blocks": report.blocks,
        "threads_per_block": report.threads_per_block,
        "shared_bytes_per_block": report.shared_bytes_per_block,
        "unique_bytes_read": report.unique_bytes_read,
        "unique_bytes_written": report.unique_bytes_written,
        "printed": report.printed,
        "total": count(&report.total),
        "by_class": counts(report.by_class.iter().map(|(class, c)| (format!("{class:?}"), c))),
        "by_line": counts(report.by_line.iter().map(|(line, c)| (line.clone(), c))),
        "by_opcode": counts(report.by_opcode.iter().map(|(opcode, c)| (opcode.clone(), c))),
        "floors": floors.map(roofline),
    })
}

fn roofline(floors: &Roofline) -> Value {
    let seconds = floors.floors.iter().map(|(limit, seconds)| (limit.name().to_owned(), json!(seconds)));
    json!({
        "gpu": floors.gpu,
        "seconds": seconds.collect::<Map<_, _>>(),
        "binding": floors.binding().0.name(),
        "uncached_memory_seconds": floors.uncached_memory,
        "occupancy": floors.occupancy.map(|o| o.fraction),
    })
}

fn count(c: &Count) -> Value {
    json!({
        "warp_instructions": c.warp_instructions,
        "thread_instructions": c.thread_instructions,
        "global_requests": c.global_requests,
        "global_bytes": c.global_bytes,
        "global_sectors": c.global_sectors,
        "shared_requests": c.shared_requests,
        "shared_bytes": c.shared_bytes,
        "shared_wavefronts": c.shared_wavefronts,
        "shared_ideal": c.shared_ideal,
        "tensor_flop": c.tensor_flop,
    })
}
