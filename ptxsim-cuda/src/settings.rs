//! What the environment says: which GPU, how many, and in which order work is done, and where reports go.

use std::env;
use std::path::PathBuf;

use crate::gpu::Model;

/// When queued work is done, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As soon as it is queued.
    Early,
    /// When something waits for it and no sooner, what was queued last first where streams allow it.
    Late,
    /// At random times, in a random order that the seed repeats.
    Random(u64),
}

/// The settings of a process, read once.
#[derive(Debug)]
pub(crate) struct Settings {
    pub model: &'static Model,
    /// Device memory of each GPU.
    pub memory_bytes: u64,
    /// The numbers of the GPUs that the program sees, in its order.
    pub visible: Vec<usize>,
    pub order: Order,
    /// Whether copies from and to memory that is not pinned are waited for, as drivers may do and do.
    pub waits_for_pageable: bool,
    /// Where counters and faults are written.
    pub report: Option<PathBuf>,
    /// Where faults, misuses and leaks are written for the program `ptxsim`, which runs this one.
    pub findings: Option<PathBuf>,
    /// The CUDA version that the driver speaks: 12090 is 12.9.
    pub driver_version: i32,
    /// CPU threads that run kernels; 0 for one a core.
    pub threads: usize,
}

/// The CUDA version whose functions are here.
const DRIVER_VERSION: i32 = 12090;

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// A sentence that names the variable and what it takes.
    pub fn read() -> Result<Settings, String> {
        let model = match variable("PTXSIM_GPU") {
            None => &Model::ALL[0],
            Some(name) => Model::find(&name).ok_or_else(|| {
                let known: Vec<&str> = Model::ALL.iter().map(|model| model.name).collect();
                format!("PTXSIM_GPU is `{name}`; expected {}", known.join(", "))
            })?,
        };
        let devices = number("PTXSIM_DEVICES", 1, |n| n <= 64)?;
        Ok(Settings {
            model,
            memory_bytes: number("PTXSIM_MEMORY", model.memory_bytes, |_| true)?,
            visible: visible(env::var("CUDA_VISIBLE_DEVICES").ok().as_deref(), devices),
            order: order()?,
            driver_version: number("PTXSIM_DRIVER_VERSION", DRIVER_VERSION, |n| n >= 1000)?,
            waits_for_pageable: one_of("PTXSIM_PAGEABLE", ["async", "sync"])? == "sync",
            report: variable("PTXSIM_REPORT").map(PathBuf::from),
            findings: variable("PTXSIM_FINDINGS").map(PathBuf::from),
            threads: number("PTXSIM_THREADS", 0, |n| n <= 4096)?,
        })
    }
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn number<T: std::str::FromStr + Copy>(
    name: &str,
    default: T,
    allowed: impl Fn(T) -> bool,
) -> Result<T, String> {
    let Some(text) = variable(name) else { return Ok(default) };
    let value = text.parse().ok().filter(|&value| allowed(value));
    value.ok_or_else(|| format!("{name} is `{text}`, which is no number that it takes"))
}

/// What a variable is of `known`, the first if it is not set.
fn one_of<const N: usize>(name: &str, known: [&'static str; N]) -> Result<&'static str, String> {
    let Some(text) = variable(name) else { return Ok(known[0]) };
    let found = known.into_iter().find(|known| *known == text);
    found.ok_or_else(|| format!("{name} is `{text}`; expected {}", known.join(" or ")))
}

fn order() -> Result<Order, String> {
    let Some(text) = variable("PTXSIM_ORDER") else { return Ok(Order::Late) };
    match text.split_once(':') {
        None if text == "early" => Ok(Order::Early),
        None if text == "late" => Ok(Order::Late),
        Some(("random", seed)) if seed.parse::<u64>().is_ok() => Ok(Order::Random(seed.parse().unwrap_or(0))),
        _ => Err(format!("PTXSIM_ORDER is `{text}`; expected early, late or random:SEED")),
    }
}

/// The GPUs that `list` shows: numbers with commas, up to the first that is none or comes twice.
fn visible(list: Option<&str>, devices: usize) -> Vec<usize> {
    let Some(list) = list else { return (0..devices).collect() };
    let mut shown = Vec::new();
    for item in list.split(',') {
        match item.trim().parse() {
            Ok(number) if number < devices && !shown.contains(&number) => shown.push(number),
            _ => break,
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn visible_devices_end_at_the_first_wrong_one() {
        let cases: [(_, &[usize]); 6] = [
            (None, &[0, 1]),
            (Some("1,0"), &[1, 0]),
            (Some(""), &[]),
            (Some("1,2,0"), &[1]),
            (Some("0,0"), &[0]),
            (Some("none"), &[]),
        ];
        for (list, shown) in cases {
            assert_eq!(visible(list, 2), shown, "{list:?}");
        }
    }
}
