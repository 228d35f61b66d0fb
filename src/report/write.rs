//! A run's report and its pictures, written into its folder.

use super::findings::Findings;
use super::html::report_page;
use super::{Run, write_run_plots};
use crate::data::{Splits, report::sha256};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::explain::pages::{grid, picture_of};
use crate::explain::samples::{Sample, samples, samples_page};
use crate::files::write_atomically;
use crate::picture::Theme;
use crate::picture::file::save_png;
use image::RgbImage;
use rayon::prelude::*;
use std::path::PathBuf;

/// Training images of each class in the page of samples, and in the report.
const SAMPLES: (usize, usize) = (4, 2);

/// What was written, and what the report lacks.
pub struct Written {
    /// The report.
    pub report: PathBuf,
    /// What it lacks and why, a sentence each.
    pub lacks: Vec<String>,
}

/// What a report tells of, besides the numbers of the run.
pub struct Material {
    /// What the network says of the test images.
    pub findings: Option<Findings>,
    /// The images that it shows of those that the network got wrong.
    pub wrong: Vec<RgbImage>,
    /// Their heat maps laid over them, layer beside layer: for the class that was said, for the true one.
    pub strips: Vec<[RgbImage; 2]>,
    /// Training images before and after augmentation.
    pub samples: Vec<Sample>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// What is not there and why, a sentence each.
    pub lacks: Vec<String>,
}

/// Writes plots/, pictures/ and report.html of `run`. `data` are the images it was trained and tested on,
/// or why they are not to be had; the network runs on `device`.
///
/// # Errors
/// As [`Findings::new`]; [`Error::Io`] naming what cannot be written. The report is written last, whole
/// or not at all.
pub fn write_report(
    run: &Run,
    data: std::result::Result<&Splits, String>,
    device: &Device,
) -> Result<Written> {
    let material = Material::new(run, data.clone(), device)?;
    let page = report_page(run, &material)?.into_string();
    write_run_plots(run, &run.files.plots())?;
    if let Ok(splits) = data {
        write_pictures(run, &material, splits)?;
    }
    let report = run.files.report();
    write_atomically(&report, page.as_bytes())?;
    Ok(Written { report, lacks: material.lacks })
}

impl Material {
    fn new(run: &Run, data: std::result::Result<&Splits, String>, device: &Device) -> Result<Material> {
        let mut lacks = unfinished(run);
        let splits = match data {
            Ok(splits) => match other_images(run, splits) {
                None => Some(splits),
                Some(why) => {
                    lacks.push(why);
                    None
                }
            },
            Err(why) => {
                lacks.push(format!("No images are shown and no confusion matrix: {why}."));
                None
            }
        };
        let has_weights = run.files.last().exists();
        if !has_weights {
            lacks.push(
                "There are no weights yet (ckpt/last.safetensors): they are written after each epoch.".into(),
            );
        }
        let findings = match splits {
            Some(splits) if has_weights => Some(Findings::new(run, splits, device)?),
            _ => None,
        };
        let shown = match splits {
            Some(splits) if run.config.augment => {
                samples(&splits.train, run.config.seed, 0, SAMPLES.1, Theme::Light)?
            }
            _ => Vec::new(),
        };
        let classes = splits.map(|splits| splits.test.classes.clone()).unwrap_or_default();
        let (mut wrong, mut strips) = (Vec::new(), Vec::new());
        if let (Some(splits), Some(Findings { maps, .. })) = (splits, &findings) {
            let set = &splits.test;
            wrong.extend(maps.images.iter().map(|image| picture_of(set, image)));
            strips
                .extend((0..maps.images.len()).map(|i| [false, true].map(|truth| maps.strip(i, truth, set))));
        }
        Ok(Material { findings, wrong, strips, samples: shown, classes, lacks })
    }
}

/// What a run lacks that did not come to its end.
fn unfinished(run: &Run) -> Vec<String> {
    let mut lacks = Vec::new();
    if !run.is_complete() {
        let (done, all, steps) = (run.epochs.len(), run.config.epochs, run.steps.len());
        let ended = match run.end() {
            Some(end) => match &end.error {
                Some(error) => format!("it ended {} with: {error}", end.at),
                None => format!("it ended {}", end.at),
            },
            None => "it is still at work, or was killed".into(),
        };
        lacks.push(format!("The run is not complete: {done} of {all} epochs, {steps} steps; {ended}."));
    }
    if run.journal.is_empty() {
        lacks.push("There is no journal.jsonl: machine, data set and times are not known.".into());
    }
    lacks
}

/// Why `splits` are not the images that the run was trained on, as far as its journal tells.
fn other_images(run: &Run, splits: &Splits) -> Option<String> {
    let trained = &run.last_start()?.data;
    let found = [&splits.train, &splits.test].map(sha256);
    (trained.sha256 != found).then(|| {
        format!(
            "No images are shown and no confusion matrix: the run was trained on {} (SHA-256 of its images \
             {}…), found are {} ({}…). Name the others with --data or --data-dir.",
            trained.source,
            &trained.sha256[0][..12.min(trained.sha256[0].len())],
            splits.source,
            &found[0][..12]
        )
    })
}

/// Writes the pages of pictures that go with the report.
fn write_pictures(run: &Run, material: &Material, splits: &Splits) -> Result<()> {
    let folder = run.files.pictures();
    std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let set = &splits.test;
    let mut pages = Vec::new();
    if run.config.augment && !material.classes.is_empty() {
        pages.push((
            "samples".to_string(),
            samples_page(&splits.train, run.config.seed, 0, SAMPLES.0, Theme::Light)?,
        ));
    }
    if let Some(Findings { wrong, maps, .. }) = &material.findings
        && !maps.images.is_empty()
    {
        let title = format!("The first {} of {wrong} misclassified test images", maps.images.len());
        pages.push(("misclassified".into(), grid(title, &maps.images, set)));
        let of_layers = maps.pages("Misclassified", set);
        pages.extend(of_layers.map(|(layer, page)| (format!("misclassified-{}", layer.name()), page)));
    }
    pages.par_iter().try_for_each(|(name, page)| {
        save_png(&folder.join(format!("{name}.png")), &page.draw(Theme::Light), 1)
    })
}
