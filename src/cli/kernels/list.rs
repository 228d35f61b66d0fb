//! `cugrad kernels list`

use super::super::output::result;
use crate::device::kernels::{ALL, Entry};
use crate::error::Result;
use clap::Args;

#[derive(Args)]
pub struct List {
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

impl List {
    pub fn run(self) -> Result<()> {
        if self.json {
            let all: serde_json::Value = ALL.iter().map(|entry| json(entry)).collect();
            return result(format_args!("{all:#}"));
        }
        let mut file = "";
        for entry in ALL {
            if entry.module.file != file {
                file = entry.module.file;
                result(format_args!(
                    "{}kernels/{file}",
                    if std::ptr::eq(*entry, ALL[0]) { "" } else { "\n" }
                ))?;
            }
            result(format_args!(
                "  {:<28} {}",
                entry.name,
                entry.equation.first().unwrap_or(&entry.summary)
            ))?;
            result(format_args!("  {:<28} {}", "", resources(entry)))?;
        }
        Ok(())
    }
}

/// `registers 64 (sm_80) 66 (sm_90); shared 12.5 KiB; no spills`, once what is the same on all.
pub(super) fn resources(entry: &Entry) -> String {
    let each = |of: &dyn Fn(&crate::device::kernels::Resources) -> u32| {
        let mut values: Vec<(u32, Vec<String>)> = Vec::new();
        for resources in entry.resources {
            let arch = format!("sm_{}", resources.arch);
            match values.iter_mut().find(|(value, _)| *value == of(resources)) {
                Some((_, archs)) => archs.push(arch),
                None => values.push((of(resources), vec![arch])),
            }
        }
        match values.as_slice() {
            [(value, _)] => value.to_string(),
            several => {
                let parts = several.iter().map(|(value, archs)| format!("{value} ({})", archs.join(" ")));
                parts.collect::<Vec<_>>().join(", ")
            }
        }
    };
    if entry.resources.is_empty() {
        return "not compiled in this build".into();
    }
    let spills = match entry.resources.iter().all(|resources| resources.spill_bytes == 0) {
        true => "no spills".into(),
        false => format!("bytes spilled {}", each(&|resources| resources.spill_bytes)),
    };
    let registers = each(&|resources| resources.registers);
    let shared = each(&|resources| resources.shared_bytes);
    format!("registers {registers}; bytes of shared memory {shared}; {spills}")
}

/// A kernel as JSON.
pub(super) fn json(entry: &Entry) -> serde_json::Value {
    let resources = entry.resources.iter().map(|resources| {
        serde_json::json!({
            "arch": resources.arch,
            "registers": resources.registers,
            "shared_bytes": resources.shared_bytes,
            "spill_bytes": resources.spill_bytes,
        })
    });
    serde_json::json!({
        "kernel": entry.name,
        "file": format!("kernels/{}", entry.module.file),
        "summary": entry.summary,
        "equation": entry.equation,
        "resources": resources.collect::<Vec<_>>(),
    })
}
