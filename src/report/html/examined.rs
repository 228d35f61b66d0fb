//! The parts of a report that show what the network does with images.

use super::data_uri;
use crate::data::CLASSES;
use crate::explain::pages::percent;
use crate::explain::samples::describe;
use crate::explain::tiles::heat_colour;
use crate::numbers;
use crate::report::Run;
use crate::report::findings::Findings;
use crate::report::write::Material;
use maud::{Markup, html};

/// A part: its name in links, its title, its body.
type Part = (&'static str, &'static str, Markup);

/// The strongest shade of a cell: what stands on it can still be read.
const SHADE: f64 = 55.0;

/// Accuracy of each class, and the confusion matrix.
pub fn classes(found: &Findings, names: &[String]) -> Markup {
    let test = &found.test;
    html! {
        p {
            (test.correct()) " of " (test.images())
            " test images are classified right by the weights after the last epoch ("
            code { "ckpt/last.safetensors" } ")."
        }
        div.beside {
            table {
                caption { "Accuracy of each class; bars from 0 to 100%" }
                thead { tr {
                    th { "class" } th { "right" } th.extra { "images" } th { "accuracy" } th aria-hidden="true" {}
                } }
                tbody {
                    @for (class, name) in names.iter().enumerate() {
                        @let images: usize = test.confusion[class].iter().sum();
                        @let share = test.class_accuracy(class);
                        tr {
                            th scope="row" { (name) }
                            td { (test.confusion[class][class]) }
                            td.extra { (images) }
                            td { (share.map_or("–".into(), numbers::percent)) }
                            td { span.bar style=(format!("--share:{:.1}%", 100.0 * share.unwrap_or(0.0))) {} }
                        }
                    }
                }
            }
            (confusion(found, names))
        }
    }
}

fn confusion(found: &Findings, names: &[String]) -> Markup {
    let cell = |truth: usize, said: usize| {
        let row = &found.test.confusion[truth];
        let (count, images) = (row[said], row.iter().sum::<usize>().max(1));
        let share = count as f64 / images as f64;
        // A single mistake is to be seen too.
        let shade = if share > 0.0 { (SHADE * share.sqrt()).max(12.0) } else { 0.0 };
        let class = match () {
            _ if count == 0 => "none",
            _ if truth == said => "right",
            _ => "wrong",
        };
        let title = format!("{}, taken for {}: {count}", names[truth], names[said]);
        html! { td class=(class) style=(format!("--share:{shade:.0}%")) title=(title) { (count) } }
    };
    html! {
        table.confusion {
            caption {
                "Confusion matrix. Rows: the true class; columns: what the network said. Blue on the diagonal \
                 is right, orange beside it is wrong; the stronger, the larger the share of the class."
            }
            thead { tr { th aria-hidden="true" {} @for name in names { th scope="col" { (name) } } } }
            tbody {
                @for truth in 0..CLASSES {
                    tr { th scope="row" { (names[truth]) } @for said in 0..CLASSES { (cell(truth, said)) } }
                }
            }
        }
    }
}

/// Images that the network got wrong, in a grid of five columns.
pub fn misclassified(found: &Findings, material: &Material) -> Option<Part> {
    let names = &material.classes;
    let shown = &found.maps.images;
    let body = html! {
        p {
            "The first " (shown.len()) " of " (found.wrong) " in the order of the test set, titled prediction / \
             truth, with the probability that the network gives to each."
        }
        div.grid5 {
            @for (image, picture) in shown.iter().zip(&material.wrong) {
                @let (said, truth) = (image.said(), image.truth);
                figure {
                    img width="32" height="32" src=(data_uri(picture))
                        alt={ "test image " (image.image) ": " (names[truth]) " taken for " (names[said]) };
                    figcaption {
                        b { (names[said]) " / " (names[truth]) } br;
                        (percent(image.probabilities.0[said])) " / " (percent(image.probabilities.0[truth]))
                    }
                }
            }
        }
    };
    (!shown.is_empty()).then_some(("misclassified", "Misclassified images", body))
}

/// Where the network looked, for those images.
pub fn grad_cam(found: &Findings, material: &Material) -> Option<Part> {
    let names = &material.classes;
    let maps = &found.maps;
    let strip = |i: usize, role: &str, class: usize, picture: &image::RgbImage| {
        let image = &maps.images[i];
        html! {
            div {
                figcaption { (role) " " b { (names[class]) } " " (percent(image.probabilities.0[class])) }
                img width={ (picture.width()) } height={ (picture.height()) }
                    alt={ "Grad-CAM for " (names[class]) " at each layer" } src=(data_uri(picture));
            }
        }
    };
    let body = html! {
        p {
            "Where in each of these images a layer speaks for a class, laid over the image in grey: for the \
             class that the network predicts, and for the true one. Grey all over: nowhere does the layer \
             speak for the class."
        }
        p.faint {
            "0" span.scale style=(scale()) {} "1, share of each map's own maximum. "
            code { "pictures/misclassified-*.png" } " has the heat maps alone beside these."
        }
        div.cards {
            @for (i, image) in maps.images.iter().enumerate() {
                @let [said, truth] = &material.strips[i];
                figure.card {
                    img width="32" height="32" src=(data_uri(&material.wrong[i]))
                        alt={ "test image " (image.image) };
                    div.maps {
                        (strip(i, "predicted", image.said(), said))
                        (strip(i, "true", image.truth, truth))
                        div.layers { @for layer in &maps.layers { span { (layer.name()) } } }
                    }
                }
            }
        }
    };
    (!maps.images.is_empty()).then_some(("grad-cam", "Where the network looked: Grad-CAM", body))
}

/// The colour scale of heat maps, as a background.
fn scale() -> String {
    let stop = |i: u32| {
        let image::Rgb([r, g, b]) = heat_colour(f64::from(i) / 8.0);
        format!("rgb({r} {g} {b})")
    };
    format!("background:linear-gradient(to right,{})", (0..=8).map(stop).collect::<Vec<_>>().join(","))
}

/// What the network was shown in training.
pub fn augmentation(run: &Run, material: &Material) -> Option<Part> {
    let body = html! {
        p {
            "Left: a training image with 4 black pixels around it, and the 32×32 that the crop takes. Right: \
             what the network saw in the first epoch: cropped, perhaps flipped, with a black hole of 8×8."
        }
        div.samples {
            @for sample in &material.samples {
                @let name = &material.classes[sample.class];
                figure {
                    div {
                        img width="120" height="120" alt={ (name) " before" } src=(data_uri(&sample.before));
                        img width="96" height="96" alt={ (name) " after" } src=(data_uri(&sample.after));
                    }
                    figcaption { b { (name) } ": " (describe(sample.choice).replace("  ", ", ")) }
                }
            }
        }
        p.faint {
            "Crop: pixels right and down of the centre; hole: column and row of its centre; seed "
            (run.config.seed) "."
        }
    };
    (!material.samples.is_empty()).then_some(("samples", "Before and after augmentation", body))
}
