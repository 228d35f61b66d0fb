//! A whole run: what it measures, its table and its JSON.

use super::{Case, Ceilings, Effort, Prepared, StepTime, Timing, cases, measure};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::machine::Machine;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Images.
    pub batch: usize,
    /// Only the cases whose id, or whose name at the peer, contains this text.
    pub filter: Option<String>,
    /// How long to measure each.
    pub effort: Effort,
}

impl Plan {
    /// The cases of the plan that `device` can run.
    ///
    /// # Errors
    /// As [`cases`].
    pub fn cases(&self, device: &Device) -> Result<Vec<Case>> {
        let wanted = |case: &Case| match &self.filter {
            Some(text) => {
                case.id().contains(text.as_str())
                    || case.peers.iter().any(|peer| peer.0.contains(text.as_str()))
            }
            None => true,
        };
        let runs = |case: &Case| matches!(device, Device::Gpu(_)) || case.runs_on_cpu();
        Ok(cases(self.batch)?.into_iter().filter(|case| wanted(case) && runs(case)).collect())
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where, and with which version.
    #[serde(flatten)]
    pub machine: Machine,
    /// Images.
    pub batch: usize,
    /// The type of the elements, as PyTorch names it.
    pub dtype: &'static str,
    /// The rates the rows are held against.
    pub ceilings: Ceilings,
    /// The training step, by how it is run; none when a filter was given.
    pub step: BTreeMap<&'static str, StepTime>,
    /// The operations: one row for each layer of the network that has such a one.
    pub ops: Vec<Row>,
    /// The cases that failed, with the error.
    pub failed: BTreeMap<String, String>,
}

/// One line of the table. `op` and `pass` are those of `peer_torch.py` where it has the same.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// `layer1.conv`, `bn_relu.64`; or this project's own name.
    pub op: String,
    /// `fprop`, `forward`, ...
    pub pass: &'static str,
    /// `production`, or the rung of the ladder.
    pub rung: &'static str,
    /// The benchmark's id.
    pub id: String,
    /// Microseconds.
    pub us: f64,
    /// 10^12 operations a second; 0 where they are not what it costs.
    pub tflops: f64,
    /// 10^12 bytes a second, of those that have to be moved.
    pub tb_s: f64,
    /// Per cent of the matrix ceiling.
    pub matmul_percent: f64,
    /// Per cent of the copy's ceiling; above 100 when a cache holds the data.
    pub copy_percent: f64,
    /// As [`Timing::spread`].
    pub spread: f64,
    /// Repeats.
    pub repeats: usize,
    /// Whether recorded calls were replayed, without the host's time between them.
    pub replayed: bool,
}

impl Report {
    /// Measures `plan` on `device`; `started` is told each case before it is measured. A case that
    /// fails is kept as such and the others go on.
    ///
    /// # Errors
    /// What the device reports outside the cases.
    pub fn measure(device: &Device, plan: &Plan, started: &mut dyn FnMut(&Case)) -> Result<Report> {
        let mut ceilings = Ceilings::measure(device, plan.batch, plan.effort)?;
        let mut failed = BTreeMap::new();
        let mut timed = Vec::new();
        for case in plan.cases(device)? {
            started(&case);
            match time(&case, device, plan.effort) {
                Ok((timing, replayed)) => timed.push((case, timing, replayed)),
                Err(e) => drop(failed.insert(case.id(), e.to_string())),
            }
        }
        let mut step = BTreeMap::new();
        if plan.filter.is_none() {
            for (how, time) in StepTime::measure(device, plan.batch, plan.effort)? {
                match time {
                    Ok(time) => drop(step.insert(how, time)),
                    Err(e) => drop(failed.insert(format!("step, {how}"), e.to_string())),
                }
            }
        }
        for (case, timing, _) in &timed {
            ceilings.matmul_tflops = ceilings.matmul_tflops.max(case.flop / timing.seconds / 1e12);
        }
        let ops = timed.iter().flat_map(|(case, timing, replayed)| rows(case, *timing, *replayed, &ceilings));
        Ok(Report {
            machine: Machine::of(device),
            batch: plan.batch,
            dtype: "torch.float32",
            ceilings,
            step,
            ops: ops.collect(),
            failed,
        })
    }

    /// Fails if a case did.
    ///
    /// # Errors
    /// [`Error::Data`] with the failed cases and their errors.
    pub fn checked(&self) -> Result<()> {
        if self.failed.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = self.failed.iter().map(|(id, why)| format!("{id}: {why}")).collect();
        Err(Error::Data(format!("{} cases failed\n{}", list.len(), list.join("\n"))))
    }
}

fn time(case: &Case, device: &Device, effort: Effort) -> Result<(Timing, bool)> {
    let mut prepared = Prepared::new(case, device)?;
    let calls = prepared.calls();
    Ok((measure(effort, calls, || prepared.burst())?, prepared.replayed()))
}

/// The rows of a case: one for each layer.
fn rows(case: &Case, timing: Timing, replayed: bool, ceilings: &Ceilings) -> Vec<Row> {
    let tflops = case.flop / timing.seconds / 1e12;
    let tb_s = case.bytes / timing.seconds / 1e12;
    let own = (format!("{}.{}", case.op, case.extents()), case.pass);
    let peers = case.peers.iter().map(|&(op, pass)| (op.to_string(), pass));
    let names = if case.peers.is_empty() { vec![own] } else { peers.collect() };
    names
        .into_iter()
        .map(|(op, pass)| Row {
            op,
            pass,
            rung: case.rung().unwrap_or("production"),
            id: case.id(),
            us: timing.seconds * 1e6,
            tflops,
            tb_s,
            matmul_percent: 100.0 * tflops / ceilings.matmul_tflops,
            copy_percent: 100.0 * tb_s / ceilings.copy_tb_s,
            spread: timing.spread,
            repeats: timing.repeats,
            replayed,
        })
        .collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(
            f,
            "{:<58} {:>11} {:>9} {:>8} {:>6} {:>6} {:>7}",
            "benchmark", "us", "TFLOP/s", "TB/s", "%flop", "%copy", "spread"
        )?;
        let mut last = "";
        for row in &self.ops {
            // Layers of the same extents were measured once.
            if row.id == last {
                continue;
            }
            last = &row.id;
            let rate = |value: f64, text: String| if value > 0.0 { text } else { "-".into() };
            writeln!(
                f,
                "{:<58} {:>11.1} {:>9} {:>8.4} {:>6} {:>6.1} {:>6.1}%{}",
                row.id,
                row.us,
                rate(row.tflops, format!("{:.4}", row.tflops)),
                row.tb_s,
                rate(row.tflops, format!("{:.1}", row.matmul_percent)),
                row.copy_percent,
                100.0 * row.spread,
                if row.replayed || self.machine.driver.is_none() { "" } else { "  call by call" },
            )?;
        }
        let Ceilings { matmul_tflops, copy_tb_s } = self.ceilings;
        writeln!(f, "\nceilings   {matmul_tflops:.4} TFLOP/s (matrix), {copy_tb_s:.4} TB/s (copy)")?;
        for (how, step) in &self.step {
            writeln!(
                f,
                "step       {how}: {:.2} ms, {:.0} images/s at batch {} (spread {:.1}%)",
                step.ms,
                step.images_per_s,
                self.batch,
                100.0 * step.spread
            )?;
        }
        let m = &self.machine;
        write!(f, "machine    {}, {} threads of {}, {}", m.device, m.threads, m.cpu, m.os)?;
        if let Some(driver) = &m.driver {
            write!(f, "\ndriver     CUDA {driver}; {}", m.clocks.as_deref().unwrap_or("clocks not known"))?;
        }
        write!(
            f,
            "\nversion    {} of {}",
            m.version,
            m.commit.as_deref().unwrap_or("a commit not known (CUGRAD_COMMIT)")
        )
    }
}
