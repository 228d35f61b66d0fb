//! `cugrad step`: the engine held to another framework, number by number.

use super::DeviceArgs;
use crate::data::{CHANNELS, CLASSES, SIDE};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::files::{FileTensor, FileTensors, Metadata, read_tensors, write_tensors};
use crate::nn::{Mode, ResNet, state};
use crate::ops::sgd::Sgd;
use crate::ops::softmax_nll::softmax_nll;
use crate::optim::{Optimizer, parameters};
use crate::tape::Tape;
use crate::tensor::{DType, Tensor};
use crate::train::Precision;
use clap::Args;
use safetensors::Dtype;
use std::path::{Path, PathBuf};
use std::time::Instant;

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

/// The rows of the input file.
struct Rows {
    /// [R,32,32,3], flat.
    images: Vec<f64>,
    labels: Vec<i32>,
}

impl Step {
    pub fn run(self) -> Result<()> {
        let device = self.device.open()?;
        let dtype = self.dtype.dtype();
        let mut net = state::load(&self.weights, &device, dtype)?;
        let rows = Rows::read(&self.batch)?;
        let batch_size = self.batch_size.map_or(rows.labels.len(), |m| m as usize);
        let sgd = Sgd {
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            l1: 0.0,
            nesterov: self.nesterov,
        };
        let mut optimizer = Optimizer::new(sgd, &mut net)?;
        let mut out = FileTensors::new();
        let (mut losses, mut milliseconds) = (Vec::new(), Vec::new());
        for step in 0..self.steps as usize {
            let (x, labels) = rows.batch(step * batch_size, batch_size, &device, dtype)?;
            let started = Instant::now();
            let mut tape = Tape::recording();
            let logits = net.forward(&mut tape, &x, Mode::Train)?;
            let loss = softmax_nll(&mut tape, &logits, &labels, 0.0)?;
            let gradients = tape.backward(&loss)?;
            if step == 0 {
                out.insert("logits0".into(), FileTensor::try_from(&logits)?);
                for (name, parameter) in parameters(&mut net) {
                    if let Some(gradient) = gradients.get(parameter) {
                        out.insert(format!("grad.{name}"), state::filter_to_file(gradient)?);
                    }
                }
            }
            optimizer.step(&mut net, &gradients, self.lr)?;
            losses.push(loss.to_f64_vec()?[0]);
            milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
        }
        out.insert("loss".into(), FileTensor::new(Dtype::F64, &[losses.len()], &losses));
        for (name, tensor) in state::to_file(&mut net)? {
            out.insert(format!("final.{name}"), tensor);
        }
        out.insert("eval_logits".into(), eval_logits(&mut net, &rows, batch_size, &device, dtype)?);
        write_tensors(&self.out, &out, Metadata::new())?;
        match self.json {
            true => println!("{}", serde_json::json!({ "loss": losses, "step_ms": milliseconds })),
            false => losses.iter().enumerate().for_each(|(step, loss)| println!("step {step}  loss {loss}")),
        }
        Ok(())
    }
}

/// What the network says of the rows of step 0 in eval mode.
fn eval_logits(
    net: &mut ResNet,
    rows: &Rows,
    batch_size: usize,
    device: &Device,
    dtype: DType,
) -> Result<FileTensor> {
    let (x, _) = rows.batch(0, batch_size, device, dtype)?;
    FileTensor::try_from(&net.forward(&mut Tape::no_grad(), &x, Mode::Eval)?)
}

impl Rows {
    const PIXELS: usize = SIDE * SIDE;

    /// The rows of a file, from planes (NCHW) to NHWC.
    fn read(path: &Path) -> Result<Rows> {
        let (tensors, _) = read_tensors(path)?;
        let named = |name: &str| {
            let found = tensors.get(name);
            found.ok_or_else(|| Error::format(path, format!("has no tensor `{name}`")))
        };
        let (images, labels) = (named("images")?, named("labels")?);
        let count = labels.shape.iter().product::<usize>();
        if count == 0 || images.shape != [count, CHANNELS, SIDE, SIDE] {
            return Err(Error::format(
                path,
                format!(
                    "images {:?} and labels {:?}, expected images [R,3,32,32] and labels [R], R at least 1",
                    images.shape, labels.shape
                ),
            ));
        }
        let why = |why: String| Error::format(path, why);
        let planes = images.to_f64_vec().map_err(why)?;
        let labels: Vec<i32> = labels.to_f64_vec().map_err(why)?.into_iter().map(|l| l as i32).collect();
        if let Some(row) = labels.iter().position(|&l| !(0..CLASSES as i32).contains(&l)) {
            return Err(why(format!("row {row} has the label {}, expected 0 to 9", labels[row])));
        }
        let mut images = Vec::with_capacity(planes.len());
        for image in planes.chunks(CHANNELS * Self::PIXELS) {
            for pixel in 0..Self::PIXELS {
                images.extend((0..CHANNELS).map(|c| image[c * Self::PIXELS + pixel]));
            }
        }
        Ok(Rows { images, labels })
    }

    /// `count` rows from row `start` on, wrapping round, and their labels.
    fn batch(&self, start: usize, count: usize, device: &Device, dtype: DType) -> Result<(Tensor, Tensor)> {
        let rows = || (start..start + count).map(|row| row % self.labels.len());
        let size = CHANNELS * Self::PIXELS;
        let images = rows().flat_map(|row| &self.images[row * size..(row + 1) * size]).copied();
        let shape = [count, SIDE, SIDE, CHANNELS];
        let x = match dtype {
            DType::F64 => Tensor::from_vec(device, images.collect::<Vec<f64>>(), &shape)?,
            _ => Tensor::from_vec(device, images.map(|p| p as f32).collect(), &shape)?,
        };
        let labels = Tensor::from_vec(device, rows().map(|row| self.labels[row]).collect(), &[count])?;
        Ok((x, labels))
    }
}
