//! A kernel's source with its counts beside each line.

use crate::numbers::thousands;
use crate::profile::Profile;
use ptxsim::Count;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Lines that are shown around those that have counts.
const CONTEXT: u32 = 3;

/// Lines in the list of the hottest.
const HOTTEST: usize = 8;

/// The counts of a file's lines, by number.
type Lines<'a> = BTreeMap<u32, &'a Count>;

/// The lines that execute most.
pub fn hottest(profile: &Profile) -> String {
    let report = &profile.largest().report;
    // Line 0 is the compiler's own code.
    let mut lines: Vec<(&String, &Count)> =
        report.by_line.iter().filter(|(place, _)| split(place).is_some()).collect();
    lines.sort_by_key(|(_, count)| std::cmp::Reverse(count.warp_instructions));
    lines.truncate(HOTTEST);
    let width = lines.iter().map(|(place, _)| place.len()).max().unwrap_or(0);
    let mut out = "hottest lines (--annotate shows all)\n".to_string();
    for (place, count) in lines {
        let text =
            split(place).and_then(|(file, line)| source(profile, file)?.lines().nth(line as usize - 1));
        let share = share(count, profile);
        let _ = writeln!(out, "{share:>6.1}%  {place:<width$}  {}", text.unwrap_or_default().trim());
    }
    out
}

/// Every file with counts: the kernel's own first, then the headers it includes.
pub fn sources(profile: &Profile) -> String {
    let mut files: BTreeMap<&str, Lines> = BTreeMap::new();
    for (place, count) in &profile.largest().report.by_line {
        if let Some((file, line)) = split(place) {
            files.entry(file).or_default().insert(line, count);
        }
    }
    let own = format!("kernels/{}", profile.entry.module.file);
    let mut order: Vec<(&str, Lines)> = files.into_iter().collect();
    order.sort_by_key(|(file, _)| (*file != own, *file));
    let shown = order
        .iter()
        .filter_map(|(file, lines)| Some(annotated(profile, file, source(profile, file)?, lines)));
    shown.collect::<Vec<_>>().join("\n")
}

/// A file's lines around those with counts.
fn annotated(profile: &Profile, file: &str, source: &str, lines: &Lines) -> String {
    let mut out = format!(
        "{file}\n{:>7} {:>12} {:>6} {:>7} {:>7}\n{:>7} {:>12} {:>6} {:>7} {:>7}\n",
        "", "warp", "", "moved", "bank", "share", "instructions", "lanes", "/asked", "confl."
    );
    let mut skipped = false;
    for (number, text) in (1u32..).zip(source.lines()) {
        let near = number.saturating_sub(CONTEXT)..=number + CONTEXT;
        if lines.range(near).next().is_none() {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) {
            let _ = writeln!(out, "{:>43} │", "...");
        }
        let counts = lines.get(&number).map_or(String::new(), |count| columns(profile, count));
        let line = format!("{counts:<43} │ {number:>3}  {text}");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// A line's counts; those that say nothing are left blank.
fn columns(profile: &Profile, count: &Count) -> String {
    let unless = |absent: bool, text: String| if absent { String::new() } else { text };
    format!(
        "{:>6.1}% {:>12} {:>6.1} {:>7} {:>7}",
        share(count, profile),
        thousands(count.warp_instructions),
        count.average_lanes(),
        unless(count.global_requests == 0, format!("{:.2}", count.sector_overhead())),
        unless(count.shared_requests == 0, format!("{:.2}", count.bank_conflicts())),
    )
}

/// A line's percentage of the launch's warp instructions.
fn share(count: &Count, profile: &Profile) -> f64 {
    let total = profile.largest().report.total.warp_instructions;
    100.0 * count.warp_instructions as f64 / (total as f64).max(1.0)
}

/// `kernels/relu/relu.cu:12` in its parts.
fn split(place: &str) -> Option<(&str, u32)> {
    let (file, line) = place.rsplit_once(':')?;
    Some((file, line.parse().ok().filter(|line| *line > 0)?))
}

/// The text of a file that the kernel is made of.
fn source(profile: &Profile, file: &str) -> Option<&'static str> {
    let module = profile.entry.module;
    let name = file.strip_prefix("kernels/")?;
    if name == module.file {
        return Some(module.source);
    }
    module.headers.iter().find(|(header, _)| *header == name).map(|(_, text)| *text)
}
