//! `cugrad step`: the engine held to another framework, number by number.

use super::DeviceArgs;
use super::output::result;
use crate::error::Result;
use crate::files::{Metadata, read_tensors, write_tensors};
use crate::nn::state;
use crate::ops::sgd::Sgd;
use crate::train::{PlainSteps, Precision, Rows};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(long_about = "Run N plain SGD steps (torch.optim.SGD's arithmetic, weight decay on every \
parameter) on the tensors `images` (float32 [R,3,32,32], already normalised) and `labels` (int64 [R]) \
of a file. Step k trains on the rows k*M to (k+1)*M, wrapping round.

Writes `loss` [N]; `logits0` and `grad.<name>` of step 0; `final.<name>` of every parameter and buffer; \
and `eval_logits`, of the final weights in eval mode on the rows of step 0.")]
pub struct Step {
    /// Initial weights, as PyTorch's state_dict has them (safetensors)
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The file with `images` and `labels` (safetensors)
    #[arg(long, value_name = "FILE")]
    batch: PathBuf,
    /// How many steps
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Rows a step, M [default: all]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
    /// The learning rate
    #[arg(long, default_value = "0.01")]
    lr: f64,
    /// SGD's momentum
    #[arg(long, default_value = "0")]
    momentum: f64,
    /// L2 decay of every parameter
    #[arg(long, default_value = "0")]
    weight_decay: f64,
    /// Nesterov's form of the momentum
    #[arg(long)]
    nesterov: bool,
    /// The type to compute in
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Precision,
    #[command(flatten)]
    device: DeviceArgs,
    /// Where to write the results (safetensors)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print each step's loss and milliseconds as JSON
    #[arg(long)]
    json: bool,
}

impl Step {
    pub fn run(self) -> Result<()> {
        let device = self.device.open()?;
        self.dtype.expect_on(&device)?;
        let net = state::load(&self.weights, &device, self.dtype.dtype())?;
        let mut net = net.with_math(self.dtype.math());
        let (batch, _) = read_tensors(&self.batch)?;
        let rows = Rows::new(&batch).map_err(|why| why.about_file(&self.batch))?;
        let steps = PlainSteps {
            steps: self.steps as usize,
            batch_size: self.batch_size.map_or(rows.len(), |m| m as usize),
            lr: self.lr,
            sgd: Sgd {
                momentum: self.momentum,
                weight_decay: self.weight_decay,
                l1: 0.0,
                nesterov: self.nesterov,
            },
        };
        let outcome = steps.run(&mut net, &rows)?;
        write_tensors(&self.out, &outcome.tensors, Metadata::new())?;
        if self.json {
            let (losses, milliseconds) = (&outcome.losses, &outcome.milliseconds);
            return result(serde_json::json!({ "loss": losses, "step_ms": milliseconds }));
        }
        for (step, loss) in outcome.losses.iter().enumerate() {
            result(format_args!("step {step}  loss {loss}"))?;
        }
        Ok(())
    }
}
