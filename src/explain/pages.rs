//! The pages: the grid of images with what was said of them, and their heat maps.

use super::classify::{Classified, Probabilities};
use super::grad_cam::{HeatMap, Layer, grad_cam};
use super::page::{Group, Page, Panel, Row};
use super::tiles;
use crate::data::transforms::rows;
use crate::data::{CLASSES, Dataset, Images, SIDE};
use crate::error::Result;
use crate::nn::ResNet;
use crate::ops::augment::Normalization;
use crate::tensor::Tensor;

/// Images on a page.
pub const IMAGES: usize = 25;
/// Images in a row of the grid.
const COLUMNS: usize = 5;
/// What the colours of a heat map mean.
const SCALE: &str = "share of each map's own maximum";
/// What a map without any heat means.
const EMPTY: &str = "an empty map: nowhere does the layer speak for the class";

/// A share as a person reads it.
pub fn percent(share: f64) -> String {
    match share {
        _ if share >= 0.9995 => ">99.9 %".into(),
        _ if share < 0.0005 => "<0.1 %".into(),
        _ => format!("{:.1} %", 100.0 * share),
    }
}

/// `images` of `set` in a grid of five columns, each with prediction and truth and the probabilities
/// that the network gives them.
pub fn grid(title: String, images: &[Classified], set: &Dataset) -> Page {
    let panel = |image: &Classified| {
        let (said, truth) = (image.said(), image.truth);
        let share = |class| percent(image.probabilities.0[class]);
        let note = match said == truth {
            true => share(said),
            false => format!("{} / {}", share(said), share(truth)),
        };
        Panel(vec![Group {
            caption: format!("{} / {}", set.classes[said], set.classes[truth]),
            note,
            tiles: vec![tiles::enlarge(&tiles::image(pixels(set, image)), 6)],
        }])
    };
    let panels: Vec<Panel> = images.iter().map(panel).collect();
    Page {
        title,
        lines: vec!["prediction / truth, with the probability that the network gives to each".into()],
        rows: in_rows(panels, COLUMNS),
        scale: None,
    }
}

/// The images that were classified: on the host, on the device, and how they are normalised.
#[derive(Clone, Copy)]
pub struct Test<'a> {
    /// The split, with the names of its classes.
    pub set: &'a Dataset,
    /// The same on the network's device.
    pub images: &'a Images,
    /// As in training.
    pub normalization: &'a Normalization,
}

/// The heat maps of images of a test, for the class that the network says and for the true one.
pub struct Maps {
    /// The images.
    pub images: Vec<Classified>,
    /// The layers that were looked into.
    pub layers: Vec<Layer>,
    /// For each layer, one for each image.
    said: Vec<Vec<HeatMap>>,
    truth: Vec<Vec<HeatMap>>,
}

impl Maps {
    /// Looks into `layers` for each of `images` of the test.
    ///
    /// # Errors
    /// As [`grad_cam`].
    pub fn new(net: &mut ResNet, images: Vec<Classified>, test: Test, layers: &[Layer]) -> Result<Maps> {
        let index: Vec<u32> = images.iter().map(|image| image.image).collect();
        let x = test.images.batch(&index, rows(0, 0, &index, false), test.normalization, net.dtype())?.x;
        let said: Vec<usize> = images.iter().map(Classified::said).collect();
        let truth: Vec<usize> = images.iter().map(|image| image.truth).collect();
        let (said, truth) = (grad_cam(net, &x, &said, layers)?, grad_cam(net, &x, &truth, layers)?);
        Ok(Maps { images, layers: layers.to_vec(), said, truth })
    }

    /// A page for each layer, with the layer's name: each image with its maps, and where the network is
    /// wrong those of the true class too.
    pub fn pages<'a>(&'a self, title: &'a str, set: &'a Dataset) -> impl Iterator<Item = (Layer, Page)> + 'a {
        let maps = self.said.iter().zip(&self.truth);
        self.layers.iter().zip(maps).map(move |(layer, (said, truth))| {
            (*layer, self.page(format!("{title}: Grad-CAM at {}", layer.name()), set, said, truth))
        })
    }

    fn page(&self, title: String, set: &Dataset, said: &[HeatMap], truth: &[HeatMap]) -> Page {
        let panel = |((image, said), truth): ((&Classified, &HeatMap), &HeatMap)| {
            let pixels = pixels(set, image);
            let group = |role: &str, class: usize, map: &HeatMap| Group {
                caption: format!("{role} {}", set.classes[class]),
                note: note(&image.probabilities, class, map),
                tiles: heat_tiles(pixels, map, 3),
            };
            let mut groups = vec![input(pixels, format!("image {}", image.image), 3)];
            groups.push(group("predicted", image.said(), said));
            if !image.is_right() {
                groups.push(group("true", image.truth, truth));
            }
            Panel(groups)
        };
        let panels = self.images.iter().zip(said).zip(truth).map(panel).collect();
        let columns = if self.images.iter().any(|image| !image.is_right()) { 2 } else { 3 };
        let side = said.first().map_or(0, |map| map.side);
        Page {
            title,
            lines: vec![
                format!(
                    "input, then for each class its heat map ({side}×{side}, enlarged) and the same over the \
                     image"
                ),
                EMPTY.into(),
            ],
            rows: in_rows(panels, columns),
            scale: Some(SCALE),
        }
    }

    /// The maps of the image at place `i` laid over it, layer beside layer, in the image's own pixels: those
    /// of the class that the network says, or of the true one.
    pub fn strip(&self, i: usize, true_class: bool, set: &Dataset) -> image::RgbImage {
        let maps = if true_class { &self.truth } else { &self.said };
        let side = SIDE as u32;
        let mut strip = image::RgbImage::new(side * maps.len() as u32, side);
        for (layer, maps) in maps.iter().enumerate() {
            let over = tiles::overlay(pixels(set, &self.images[i]), &maps[i].at_image_size(), 1);
            image::imageops::replace(&mut strip, &over, i64::from(side) * layer as i64, 0);
        }
        strip
    }
}

/// One image through all of `layers`: Grad-CAM for each of the classes it was asked of.
///
/// `x [1,32,32,3]` are the normalised `pixels`.
///
/// # Errors
/// As [`grad_cam`].
pub fn depth(
    net: &mut ResNet,
    title: String,
    pixels: &[u8],
    x: &Tensor,
    asked: &[(String, usize)],
    said: &Probabilities,
    layers: &[Layer],
) -> Result<Page> {
    let mut maps = Vec::new();
    for (_, class) in asked {
        maps.push(grad_cam(net, x, &[*class], layers)?);
    }
    let row = |(i, layer): (usize, &Layer)| {
        let mut groups = vec![input(pixels, if i == 0 { "input".into() } else { String::new() }, 4)];
        for ((caption, class), maps) in asked.iter().zip(&maps) {
            let caption = if i == 0 { caption.clone() } else { String::new() };
            let note = if i == 0 { percent(said.0[*class]) } else { String::new() };
            groups.push(Group { caption, note, tiles: heat_tiles(pixels, &maps[i][0], 4) });
        }
        let side = maps.first().map_or(0, |maps| maps[i][0].side);
        Row { label: format!("{} {side}×{side}", layer.name()), panels: vec![Panel(groups)] }
    };
    Ok(Page {
        title,
        lines: vec!["Grad-CAM: each layer's heat map, and the same over the image".into(), EMPTY.into()],
        rows: layers.iter().enumerate().map(row).collect(),
        scale: Some(SCALE),
    })
}

/// The probability of `class`, and whether its map is empty.
fn note(said: &Probabilities, class: usize, map: &HeatMap) -> String {
    let empty = if map.map.iter().all(|&value| value == 0.0) { ", empty map" } else { "" };
    format!("{}{empty}", percent(said.0[class]))
}

fn input(pixels: &[u8], caption: String, times: u32) -> Group {
    Group { caption, note: String::new(), tiles: vec![tiles::enlarge(&tiles::image(pixels), times)] }
}

fn heat_tiles(pixels: &[u8], map: &HeatMap, times: u32) -> Vec<image::RgbImage> {
    let shares = map.at_image_size();
    vec![tiles::heat(&shares, times), tiles::overlay(pixels, &shares, times)]
}

/// An image of `set` that was classified.
pub fn picture_of(set: &Dataset, image: &Classified) -> image::RgbImage {
    tiles::image(pixels(set, image))
}

/// The pixels of an image that was classified.
fn pixels<'a>(set: &'a Dataset, image: &Classified) -> &'a [u8] {
    set.image(image.image as usize).expect("an image that was classified is in the set")
}

fn in_rows(panels: Vec<Panel>, columns: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (i, panel) in panels.into_iter().enumerate() {
        match rows.last_mut() {
            Some(row) if i % columns != 0 => row.panels.push(panel),
            _ => rows.push(Row { label: String::new(), panels: vec![panel] }),
        }
    }
    rows
}

/// The class that `name` names: by its name, or by its number.
pub fn class_of(name: &str, classes: &[String]) -> Option<usize> {
    let number = || name.parse().ok().filter(|class| *class < CLASSES);
    classes.iter().position(|class| class == name).or_else(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_written_as_certain() {
        assert_eq!(
            ["0.93", "0.99951", "1", "0.0004"].map(|s| percent(s.parse().unwrap())),
            ["93.0 %", ">99.9 %", ">99.9 %", "<0.1 %"]
        );
    }

    #[test]
    fn rows_are_filled_from_the_left() {
        let rows = in_rows((0..7).map(|_| Panel(Vec::new())).collect(), 5);
        assert_eq!(rows.iter().map(|row| row.panels.len()).collect::<Vec<_>>(), [5, 2]);
    }

    #[test]
    fn a_class_has_a_name_and_a_number() {
        let classes = ["cat", "dog"].map(String::from);
        assert_eq!(class_of("dog", &classes), Some(1));
        assert_eq!(class_of("1", &classes), Some(1));
        assert_eq!(class_of("cow", &classes), None);
        assert_eq!(class_of("10", &classes), None);
    }
}
