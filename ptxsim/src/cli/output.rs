//! What the commands print, for people and as JSON.

use std::fmt::Write as _;
use std::io::Write as _;

use ptxsim::{Count, Entry, LaunchReport, Module, Roofline};
use serde_json::{Value, json};

/// Print to standard output; a reader that has gone away is no error.
pub(crate) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn signature(entry: &Entry<'_>) -> String {
    let params = entry.params().iter().map(|p| format!(".{} {}", p.ty.name(), p.name));
    format!("{}({})", entry.name(), params.collect::<Vec<_>>().join(", "))
}

pub(crate) fn list(module: &Module) -> String {
    let lines = module.entries().map(|entry| {
        let about = match entry.refusal() {
            Some(refusal) => format!("refused: {refusal}"),
            None => format!("{} bytes of static shared memory", entry.static_shared_bytes()),
        };
        format!("{}  {about}", signature(&entry))
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn list_json(module: &Module) -> String {
    let entries: Vec<Value> = module
        .entries()
        .map(|entry| {
            let params: Vec<Value> = entry
                .params()
                .iter()
                .map(|p| json!({"name": p.name, "type": p.ty.name(), "offset": p.offset, "bytes": p.bytes}))
                .collect();
            json!({
                "name": entry.name(),
                "params": params,
                "static_shared_bytes": entry.static_shared_bytes(),
                "refusal": entry.refusal().map(ToString::to_string),
            })
        })
        .collect();
    json!({"target": module.target(), "entries": entries}).to_string()
}

pub(crate) fn report(report: &LaunchReport, floors: Option<&Roofline>) -> String {
    let mut text =
        format!("{}: {} blocks of {} threads\n\n", report.kernel, report.blocks, report.threads_per_block);
    table(&mut text, "class", report.by_class.iter().map(|(class, count)| (format!("{class:?}"), count)));
    if !report.by_line.is_empty() {
        text.push('\n');
        table(&mut text, "line", report.by_line.iter().map(|(line, count)| (line.clone(), count)));
    }
    let Count { global_bytes, global_sectors, shared_wavefronts, shared_ideal, tensor_flop, .. } =
        report.total;
    let moved = global_sectors * 32;
    let (read, written) = (report.unique_bytes_read, report.unique_bytes_written);
    // Writing to a string never fails.
    let _ = write!(
        text,
        "\nglobal memory: {global_bytes} bytes asked for, {moved} moved in sectors; {read} different bytes read, {written} written\nshared memory: {shared_wavefronts} wavefronts, {shared_ideal} without bank conflicts"
    );
    if tensor_flop > 0 {
        let _ = write!(text, "\ntensor cores: {tensor_flop} operations");
    }
    if let Some(floors) = floors {
        let _ = write!(text, "\n\n{floors}");
    }
    text
}

fn table<'c>(text: &mut String, title: &str, rows: impl Iterator<Item = (String, &'c Count)>) {
    let rows: Vec<_> = rows.collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(title.len());
    let _ = writeln!(
        text,
        "{title:<width$} {:>12} {:>6} {:>10} {:>10} {:>10} {:>10}",
        "warp instr", "lanes", "requests", "sectors", "wavefronts", "ideal"
    );
    for (name, c) in rows {
        let _ = writeln!(
            text,
            "{name:<width$} {:>12} {:>6.1} {:>10} {:>10} {:>10} {:>10}",
            c.warp_instructions,
            c.average_lanes(),
            c.global_requests + c.shared_requests,
            c.global_sectors,
            c.shared_wavefronts,
            c.shared_ideal
        );
    }
}
