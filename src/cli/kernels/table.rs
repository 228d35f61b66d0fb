//! What a kernel did, as a table for a person.

use super::list::resources;
use crate::device::SimLaunch;
use crate::device::kernels::Entry;
use crate::numbers::thousands;
use crate::profile::Profile;
use ptxsim::{Class, Count, Gpu, Roofline};
use std::fmt::Write as _;

/// The widest bar, in characters.
const BAR: f64 = 20.0;

/// Threads of a warp.
const LANES: u32 = 32;

/// The whole table.
pub fn profile(profile: &Profile, gpu: &Gpu) -> String {
    let launch = profile.largest();
    let mut out = header(profile, launch);
    out += &classes(launch);
    out += &global_memory(launch);
    out += &shared_memory(launch);
    if launch.report.total.tensor_flop > 0 {
        let _ = writeln!(out, "\ntensor cores   {} flop", thousands(launch.report.total.tensor_flop));
    }
    out += &floors(profile, gpu);
    out
}

/// What was run, and how.
fn header(profile: &Profile, launch: &SimLaunch) -> String {
    let entry = profile.entry;
    let mut out = format!("{}: {}\n", entry.name, entry.summary);
    for line in entry.equation {
        let _ = writeln!(out, "  {line}");
    }
    let mut row = |label: &str, text: String| {
        let _ = writeln!(out, "{label:<10} {text}");
    };
    let [x, y, z] = launch.grid.blocks;
    let threads: u32 = launch.grid.threads.iter().product();
    let blocks = u64::from(x) * u64::from(y) * u64::from(z);
    let total = &launch.report.total;
    row("source", format!("kernels/{}", entry.module.file));
    row("run by", format!("{} at {}, on a simulated {}", profile.operation, profile.shape, profile.arch));
    row(
        "launch",
        format!(
            "{} of {threads} threads ({})",
            count(blocks, "block"),
            count(u64::from(threads.div_ceil(LANES)), "warp")
        ) + &format!(", grid {x} x {y} x {z}"),
    );
    if profile.launches.len() > 1 {
        row("", format!("the largest of the operation's {} launches of it", profile.launches.len()));
    }
    row("uses", resources(entry));
    row(
        "executes",
        format!(
            "{} warp instructions, {:.1} of {LANES} lanes active on average",
            thousands(total.warp_instructions),
            total.average_lanes()
        ),
    );
    if !profile.others.is_empty() {
        let mut names: Vec<&str> = profile.others.iter().map(|launch| launch.entry.name).collect();
        names.dedup();
        row("besides", format!("the operation launches {}", names.join(", ")));
    }
    out
}

/// Instructions by kind, the most frequent first.
fn classes(launch: &SimLaunch) -> String {
    let total = launch.report.total.warp_instructions;
    let mut rows: Vec<(&Class, &Count)> = launch.report.by_class.iter().collect();
    rows.sort_by_key(|(class, count)| (std::cmp::Reverse(count.warp_instructions), **class));
    let mut out =
        format!("\n{:<16} {:>14} {:>7}  {:<20} {:>6}\n", "instructions", "warps", "share", "", "lanes");
    for (class, count) in rows {
        let share = count.warp_instructions as f64 / (total as f64).max(1.0);
        let _ = writeln!(
            out,
            "{:<16} {:>14} {:>6.1}%  {:<20} {:>6.1}",
            words(class),
            thousands(count.warp_instructions),
            100.0 * share,
            bar(share),
            count.average_lanes()
        );
    }
    out
}

/// What is asked of global memory and what moves.
fn global_memory(launch: &SimLaunch) -> String {
    let rows = rows(launch, |count| count.global_requests);
    if rows.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "\n{:<16} {:>14} {:>11} {:>11} {:>12} {:>16}\n",
        "global memory", "requests", "asked", "moved", "moved/asked", "sectors/request"
    );
    for (class, count) in rows {
        let _ = writeln!(
            out,
            "{:<16} {:>14} {:>11} {:>11} {:>12.2} {:>16.1}",
            words(class),
            thousands(count.global_requests),
            bytes(count.global_bytes),
            bytes(count.global_sectors * 32),
            count.sector_overhead(),
            count.global_sectors as f64 / count.global_requests as f64
        );
    }
    let (read, written) = (launch.report.unique_bytes_read, launch.report.unique_bytes_written);
    let _ = writeln!(out, "different bytes: {} read, {} written", bytes(read), bytes(written));
    out
}

/// What is asked of shared memory, and the passes over its banks.
fn shared_memory(launch: &SimLaunch) -> String {
    let rows = rows(launch, |count| count.shared_requests);
    if rows.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "\n{:<16} {:>14} {:>11} {:>11} {:>12} {:>16}\n",
        "shared memory", "requests", "asked", "wavefronts", "at best", "bank conflicts"
    );
    for (class, count) in rows {
        let _ = writeln!(
            out,
            "{:<16} {:>14} {:>11} {:>11} {:>12} {:>15.2}x",
            words(class),
            thousands(count.shared_requests),
            bytes(count.shared_bytes),
            thousands(count.shared_wavefronts),
            thousands(count.shared_ideal),
            count.bank_conflicts()
        );
    }
    out
}

/// The least time that each part of `gpu` needs, and what a multiprocessor holds at once.
fn floors(profile: &Profile, gpu: &Gpu) -> String {
    let launch = profile.largest();
    let compiled = registers(profile.entry);
    let roofline = Roofline::estimate(&launch.report, gpu, compiled);
    let (binding, most) = roofline.binding();
    let mut out =
        format!("\nleast time on {:<17} (floors, no timing: a real launch takes longer)\n", gpu.name);
    for (limit, seconds) in &roofline.floors {
        let mark = if *limit == binding { "binds" } else { "" };
        let row = format!(
            "{:<16} {:>11.3} us            {:<20} {mark}",
            limit.name(),
            seconds * 1e6,
            bar(seconds / most.max(f64::MIN_POSITIVE))
        );
        let _ = writeln!(out, "{}", row.trim_end());
    }
    if let Some(occupancy) = roofline.occupancy {
        let _ = writeln!(
            out,
            "occupancy {:.0}%: a multiprocessor holds {}, {}, limited by {}",
            100.0 * occupancy.fraction,
            count(occupancy.blocks.into(), "block"),
            count(occupancy.warps.into(), "warp"),
            occupancy.limit.name()
        );
    }
    out
}

/// The kernel's registers a thread: sm_90's, or those of the nearest architecture below it.
pub(super) fn registers(entry: &Entry) -> Option<u32> {
    let below = entry.resources.iter().filter(|resources| resources.arch <= 90);
    below.max_by_key(|resources| resources.arch).map(|resources| resources.registers)
}

/// The kinds of instruction of which `requests` counts any.
fn rows(launch: &SimLaunch, requests: impl Fn(&Count) -> u64) -> Vec<(&Class, &Count)> {
    launch.report.by_class.iter().filter(|(_, count)| requests(count) > 0).collect()
}

/// `LoadGlobal` as `load global`.
pub(super) fn words(class: &Class) -> String {
    let mut words = String::new();
    for letter in format!("{class:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// A bar of eighths of a character.
pub(super) fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * BAR * 8.0).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// `1 block`, `2 blocks`
fn count(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n), if n == 1 { "" } else { "s" })
}

/// `131.1 KiB`
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(5 << 20)],
            ["0 B", "1023 B", "1.5 KiB", "5.0 MiB"]
        );
        assert_eq!([count(1, "block"), count(1200, "warp")], ["1 block", "1,200 warps"]);
        assert_eq!([words(&Class::LoadGlobal), words(&Class::F32)], ["load global", "f32"]);
        assert_eq!([bar(0.0), bar(0.5), bar(1.0)], ["".into(), "█".repeat(10), "█".repeat(20)]);
    }
}
