//! Grad-CAM: where in the image a layer found what speaks for a class.
//!
//! With `A [S,S,K]` the output of a layer for one image and `z` the logit of a class,
//!
//! ```text
//! weight[k]  = mean over y,x of  dz / dA[y,x,k]
//! map[y,x]   = ReLU( sum over k of  weight[k] * A[y,x,k] )
//! ```
//!
//! The gradients are those of the engine's own tape: the outputs of all layers are retained, and one
//! backward pass from the logits of the chosen classes reaches them all. In eval mode no image of a
//! batch touches another, so a batch has one class for each image.
//!
//! Source: Selvaraju et al., *Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
//! Localization*, 2017.

use crate::data::{CLASSES, SIDE};
use crate::error::{Error, Result};
use crate::nn::{Mode, ResNet};
use crate::tape::Tape;
use crate::tensor::Tensor;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The layers that can be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The first convolution, 32×32.
    Prep,
    /// The first residual layer, 16×16.
    Layer1,
    /// The layer in between, 8×8.
    Layer2,
    /// The last residual layer, 4×4.
    Layer3,
}

impl Layer {
    /// From the image to the logits.
    pub const ALL: [Layer; 4] = [Layer::Prep, Layer::Layer1, Layer::Layer2, Layer::Layer3];

    /// What the network calls it.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Prep => "prep",
            Layer::Layer1 => "layer1",
            Layer::Layer2 => "layer2",
            Layer::Layer3 => "layer3",
        }
    }

    /// The last of its parts: what that puts out is what the layer puts out.
    fn output(self) -> &'static str {
        match self {
            Layer::Prep => "prep.bn",
            Layer::Layer1 => "layer1.res.bn2",
            Layer::Layer2 => "layer2.bn",
            Layer::Layer3 => "layer3.res.bn2",
        }
    }
}

/// What one layer says of one image and one class.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// The mean gradient of each channel `[K]`.
    pub weights: Vec<f64>,
    /// Rows and columns of `map`.
    pub side: usize,
    /// The map `[side,side]` in units of the logit; nothing is below 0.
    pub map: Vec<f64>,
}

impl HeatMap {
    /// From the output `a [side,side,K]` of a layer and the gradient `da` of a logit to it.
    fn new(a: &[f64], da: &[f64], side: usize) -> HeatMap {
        let pixels = side * side;
        let channels = a.len() / pixels;
        let mut weights = vec![0.0; channels];
        for da in da.chunks_exact(channels) {
            weights.iter_mut().zip(da).for_each(|(weight, da)| *weight += da);
        }
        weights.iter_mut().for_each(|weight| *weight /= pixels as f64);
        let weighted = |a: &[f64]| a.iter().zip(&weights).map(|(a, weight)| a * weight).sum::<f64>();
        let map = a.chunks_exact(channels).map(|a| weighted(a).max(0.0)).collect();
        HeatMap { weights, side, map }
    }

    /// The map as shares of its maximum, 0 to 1; all 0 where nothing speaks for the class.
    pub fn normalised(&self) -> Vec<f64> {
        let most = self.map.iter().copied().fold(0.0, f64::max);
        let scale = if most > 0.0 { 1.0 / most } else { 0.0 };
        self.map.iter().map(|value| value * scale).collect()
    }

    /// The normalised map, bilinearly brought to the image's 32×32.
    pub fn at_image_size(&self) -> Vec<f64> {
        bilinear(&self.normalised(), self.side, SIDE)
    }
}

/// The heat maps of a batch: for each of `layers`, one for each image of `x [N,32,32,3]`, of the class
/// that `classes [N]` names for it.
///
/// # Errors
/// [`Error::Config`] when a class is none, or there are not as many as images; what the operations
/// report.
pub fn grad_cam(
    net: &mut ResNet,
    x: &Tensor,
    classes: &[usize],
    layers: &[Layer],
) -> Result<Vec<Vec<HeatMap>>> {
    let images = x.shape().first().copied().unwrap_or(0);
    if classes.len() != images || classes.iter().any(|&class| class >= CLASSES) {
        return Err(Error::Config(format!(
            "grad_cam: expected a class below {CLASSES} for each of {images} images, found {classes:?}"
        )));
    }
    let mut tape = Tape::recording();
    let mut outputs: Vec<Option<Tensor>> = vec![None; layers.len()];
    let logits = net.forward_observed(&mut tape, x, Mode::Eval, &mut |output| {
        for (layer, kept) in layers.iter().zip(&mut outputs) {
            if layer.output() == output.name {
                *kept = Some(output.tensor.clone());
            }
        }
    })?;
    let unseen = |layer: &Layer| Error::Config(format!("grad_cam: the network has no {}", layer.output()));
    let outputs = outputs.into_iter().zip(layers);
    let outputs =
        outputs.map(|(kept, layer)| kept.ok_or_else(|| unseen(layer))).collect::<Result<Vec<Tensor>>>()?;
    outputs.iter().for_each(|output| tape.retain(output));
    let gradients = tape.backward_from(&logits, one_hot(&logits, classes)?)?;
    outputs
        .iter()
        .map(|output| {
            let (a, shape) = (output.to_f64_vec()?, output.shape());
            let da = match gradients.get(output) {
                Some(gradient) => gradient.to_f64_vec()?,
                None => vec![0.0; a.len()],
            };
            let image = a.len() / images.max(1);
            Ok(a.chunks_exact(image)
                .zip(da.chunks_exact(image))
                .map(|(a, da)| HeatMap::new(a, da, shape[1]))
                .collect())
        })
        .collect()
}

/// The gradient of the sum of every image's chosen logit.
fn one_hot(logits: &Tensor, classes: &[usize]) -> Result<Tensor> {
    let mut values = vec![0.0; logits.len()];
    for (row, &class) in values.chunks_exact_mut(CLASSES).zip(classes) {
        row[class] = 1.0;
    }
    Tensor::from_f64(&logits.device(), logits.dtype(), values, logits.shape())
}

/// `map [from,from]` at `[to,to]`, corners not aligned: pixels are areas, and the border is repeated
/// outwards.
pub fn bilinear(map: &[f64], from: usize, to: usize) -> Vec<f64> {
    // The two neighbours of each place, and the share of the second.
    let places: Vec<(usize, usize, f64)> = (0..to)
        .map(|i| {
            let at = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
            let low = at as usize;
            (low, (low + 1).min(from - 1), at - low as f64)
        })
        .collect();
    let mix = |a: f64, b: f64, share: f64| a + (b - a) * share;
    let mut out = Vec::with_capacity(to * to);
    for &(y0, y1, fy) in &places {
        for &(x0, x1, fx) in &places {
            let row = |y: usize| mix(map[y * from + x0], map[y * from + x1], fx);
            out.push(mix(row(y0), row(y1), fy));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_weighs_channels_by_their_mean_gradient() {
        // Two channels on 2x2 pixels: the means of the gradients are 1 and -2.
        let a = [1.0, 0.0, 3.0, 1.0, 0.0, 1.0, 4.0, 0.0];
        let da = [4.0, -8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let heat = HeatMap::new(&a, &da, 2);
        assert_eq!(heat.weights, [1.0, -2.0]);
        assert_eq!(heat.map, [1.0, 1.0, 0.0, 4.0]);
        assert_eq!(heat.normalised(), [0.25, 0.25, 0.0, 1.0]);
    }

    #[test]
    fn a_map_of_nothing_stays_nothing() {
        let heat = HeatMap::new(&[1.0; 4], &[-1.0; 4], 2);
        assert_eq!(heat.at_image_size(), vec![0.0; SIDE * SIDE]);
    }

    #[test]
    fn bilinear_repeats_the_border_and_mixes_between() {
        let twice = bilinear(&[0.0, 1.0, 0.0, 1.0], 2, 4);
        assert_eq!(twice[..4], [0.0, 0.25, 0.75, 1.0]);
        let same = bilinear(&[0.5, 1.0, 0.0, 0.25], 2, 2);
        assert_eq!(same, [0.5, 1.0, 0.0, 0.25]);
    }
}
