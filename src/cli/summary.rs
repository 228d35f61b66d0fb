//! `cugrad summary`

use super::output::result;
use crate::data::{CHANNELS, SIDE};
use crate::error::Result;
use crate::nn::summary::layers;
use crate::numbers::thousands;
use clap::Args;

#[derive(Args)]
pub struct Summary {
    /// Channels after the first convolution
    #[arg(long, default_value = "64", value_parser = clap::value_parser!(u16).range(1..=1024))]
    width: u16,
    /// Print the table as JSON
    #[arg(long)]
    json: bool,
}

impl Summary {
    pub fn run(self) -> Result<()> {
        let rows = layers(usize::from(self.width))?;
        let parameters: u64 = rows.iter().map(|r| r.parameters).sum();
        let macs: u64 = rows.iter().map(|r| r.macs).sum();
        if self.json {
            let table = serde_json::json!({ "layers": rows, "parameters": parameters, "macs": macs });
            return result(format_args!("{table:#}"));
        }
        let line = |name: &str, kind: &str, output: &str, parameters: &str, macs: &str| {
            let line = format!("{name:<18} {kind:<20} {output:<18} {parameters:>11} {macs:>13}");
            result(line.trim_end())
        };
        line("layer", "kind", "output", "parameters", "MACs")?;
        line("input", "", &format!("[N, {SIDE}, {SIDE}, {CHANNELS}]"), "", "")?;
        for row in &rows {
            let output: Vec<String> = row.output.iter().map(usize::to_string).collect();
            let output = format!("[N, {}]", output.join(", "));
            line(&row.name, &row.kind, &output, &thousands(row.parameters), &thousands(row.macs))?;
        }
        result(format_args!("\nparameters  {}", thousands(parameters)))?;
        result(format_args!("MACs        {} an image, forward", thousands(macs)))?;
        result(format_args!("weights     {:.1} MB as f32", parameters as f64 * 4e-6))
    }
}
