//! Plain SGD steps on given rows, with everything kept that another framework can be held to.
//!
//! `cugrad step` runs them on tensors of files; `tests/golden.rs` on generated ones.

use crate::data::{CHANNELS, CLASSES, SIDE};
use crate::error::{Error, Result};
use crate::files::{FileTensor, FileTensors};
use crate::nn::{Mode, ResNet, state};
use crate::ops::sgd::Sgd;
use crate::ops::softmax_nll::softmax_nll;
use crate::optim::{Optimizer, parameters};
use crate::tape::Tape;
use crate::tensor::Tensor;
use safetensors::Dtype;
use std::time::Instant;

/// Which steps to run.
#[derive(Clone, Debug)]
pub struct PlainSteps {
    /// How many.
    pub steps: usize,
    /// Rows a step, M: step k trains on the rows k·M to (k+1)·M, wrapping round.
    pub batch_size: usize,
    /// The learning rate, the same in each step.
    pub lr: f64,
    /// Momentum, weight decay and the like.
    pub sgd: Sgd,
}

/// What the steps came to.
pub struct StepsOutcome {
    /// `loss [N]`; `logits0` and `grad.<name>` of step 0; `final.<name>` of every parameter and
    /// buffer; `eval_logits`, of the final weights in eval mode on the rows of step 0.
    pub tensors: FileTensors,
    /// The loss of each step.
    pub losses: Vec<f64>,
    /// Wall milliseconds of each step.
    pub milliseconds: Vec<f64>,
}

impl PlainSteps {
    /// Runs the steps on `net`, with the optimizer at rest.
    ///
    /// # Errors
    /// What the operations report.
    pub fn run(&self, net: &mut ResNet, rows: &Rows) -> Result<StepsOutcome> {
        let mut optimizer = Optimizer::new(self.sgd, net)?;
        let mut tensors = FileTensors::new();
        let (mut losses, mut milliseconds) = (Vec::new(), Vec::new());
        for step in 0..self.steps {
            let (x, labels) = rows.batch(step * self.batch_size, self.batch_size, net)?;
            let started = Instant::now();
            let mut tape = Tape::recording();
            let logits = net.forward(&mut tape, &x, Mode::Train)?;
            let loss = softmax_nll(&mut tape, &logits, &labels, 0.0)?;
            let gradients = tape.backward(&loss)?;
            if step == 0 {
                tensors.insert("logits0".into(), FileTensor::try_from(&logits)?);
                for (name, parameter) in parameters(net) {
                    if let Some(gradient) = gradients.get(parameter) {
                        tensors.insert(format!("grad.{name}"), state::filter_to_file(gradient)?);
                    }
                }
            }
            optimizer.step(net, &gradients, self.lr)?;
            losses.push(loss.to_f64_vec()?[0]);
            milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
        }
        tensors.insert("loss".into(), FileTensor::new(Dtype::F64, &[losses.len()], &losses));
        for (name, tensor) in state::to_file(net)? {
            tensors.insert(format!("final.{name}"), tensor);
        }
        tensors.insert("eval_logits".into(), self.eval_logits(net, rows)?);
        Ok(StepsOutcome { tensors, losses, milliseconds })
    }

    /// What the network says of the rows of step 0 in eval mode.
    fn eval_logits(&self, net: &mut ResNet, rows: &Rows) -> Result<FileTensor> {
        let (x, _) = rows.batch(0, self.batch_size, net)?;
        FileTensor::try_from(&net.forward(&mut Tape::no_grad(), &x, Mode::Eval)?)
    }
}

/// Images, already normalised, and their labels.
pub struct Rows {
    /// `[R,32,32,3]`, flat.
    images: Vec<f64>,
    labels: Vec<i32>,
}

impl Rows {
    const PIXELS: usize = SIDE * SIDE;

    /// The rows `images [R,3,32,32]` and `labels [R]` of a file.
    ///
    /// # Errors
    /// [`Error::Config`] saying what does not fit.
    pub fn new(tensors: &FileTensors) -> Result<Rows> {
        let named = |name: &str| {
            let found = tensors.get(name);
            found.ok_or_else(|| Error::Config(format!("has no tensor `{name}`")))
        };
        let (images, labels) = (named("images")?, named("labels")?);
        let count = labels.shape.iter().product::<usize>();
        if count == 0 || images.shape != [count, CHANNELS, SIDE, SIDE] {
            return Err(Error::Config(format!(
                "images {:?} and labels {:?}, expected images [R,3,32,32] and labels [R], R at least 1",
                images.shape, labels.shape
            )));
        }
        let planes = images.to_f64_vec().map_err(Error::Config)?;
        let labels = labels.to_f64_vec().map_err(Error::Config)?;
        let classes = 0..CLASSES as i32;
        if let Some(row) = labels.iter().position(|&l| !classes.contains(&(l as i32))) {
            return Err(Error::Config(format!("row {row} has the label {}, expected 0 to 9", labels[row])));
        }
        // From planes (NCHW) to NHWC.
        let mut images = Vec::with_capacity(planes.len());
        for image in planes.chunks(CHANNELS * Self::PIXELS) {
            for pixel in 0..Self::PIXELS {
                images.extend((0..CHANNELS).map(|c| image[c * Self::PIXELS + pixel]));
            }
        }
        Ok(Rows { images, labels: labels.into_iter().map(|l| l as i32).collect() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none, which [`Rows::new`] does not let happen.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// `count` rows from row `start` on, wrapping round, and their labels; where `net` is and of its
    /// type.
    fn batch(&self, start: usize, count: usize, net: &ResNet) -> Result<(Tensor, Tensor)> {
        let device = &net.device();
        let rows = || (start..start + count).map(|row| row % self.labels.len());
        let size = CHANNELS * Self::PIXELS;
        let images = rows().flat_map(|row| &self.images[row * size..(row + 1) * size]).copied();
        let shape = [count, SIDE, SIDE, CHANNELS];
        let x = Tensor::from_f64(device, net.dtype(), images.collect(), &shape)?;
        let labels = Tensor::from_vec(device, rows().map(|row| self.labels[row]).collect(), &[count])?;
        Ok((x, labels))
    }
}
