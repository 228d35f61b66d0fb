//! What a kernel did, as JSON.

use super::{list, table};
use crate::device::SimLaunch;
use crate::profile::Profile;
use ptxsim::{Count, Gpu, Roofline};
use serde_json::{Value, json};

/// A profile with all of its launches.
pub fn profile(profile: &Profile, gpu: &Gpu) -> Value {
    let shape: serde_json::Map<String, Value> =
        profile.shape.iter().map(|(name, value)| (name.to_string(), value.into())).collect();
    json!({
        "kernel": list::json(profile.entry),
        "operation": profile.operation,
        "shape": shape,
        "arch": profile.arch.to_string(),
        "launches": profile.launches.iter().map(|launch| self::launch(profile, launch, gpu)).collect::<Vec<_>>(),
        "other_launches": profile.others.iter().map(|other| other.entry.name).collect::<Vec<_>>(),
    })
}

fn launch(profile: &Profile, launch: &SimLaunch, gpu: &Gpu) -> Value {
    let report = &launch.report;
    let roofline = Roofline::estimate(report, gpu, table::registers(profile.entry));
    let floors: serde_json::Map<String, Value> = roofline
        .floors
        .iter()
        .map(|(limit, seconds)| (limit.name().to_string(), (*seconds).into()))
        .collect();
    let by = |counts: &mut dyn Iterator<Item = (String, &Count)>| -> Value {
        Value::Object(counts.map(|(name, count)| (name, self::count(count))).collect())
    };
    json!({
        "blocks": launch.grid.blocks,
        "threads": launch.grid.threads,
        "dynamic_shared_bytes": launch.grid.shared_bytes,
        "unique_bytes_read": report.unique_bytes_read,
        "unique_bytes_written": report.unique_bytes_written,
        "floors": {
            "gpu": roofline.gpu,
            "seconds": floors,
            "binds": roofline.binding().0.name(),
            "occupancy": roofline.occupancy.map(|occupancy| occupancy.fraction),
        },
        "total": count(&report.total),
        "by_class": by(&mut report.by_class.iter().map(|(class, count)| (table::words(class), count))),
        "by_line": by(&mut report.by_line.iter().map(|(line, count)| (line.clone(), count))),
        "by_opcode": by(&mut report.by_opcode.iter().map(|(opcode, count)| (opcode.clone(), count))),
    })
}

fn count(count: &Count) -> Value {
    json!({
        "warp_instructions": count.warp_instructions,
        "thread_instructions": count.thread_instructions,
        "global_requests": count.global_requests,
        "global_bytes": count.global_bytes,
        "global_sectors": count.global_sectors,
        "shared_requests": count.shared_requests,
        "shared_bytes": count.shared_bytes,
        "shared_wavefronts": count.shared_wavefronts,
        "shared_ideal": count.shared_ideal,
        "tensor_flop": count.tensor_flop,
    })
}
