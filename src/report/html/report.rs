//! A run's report: its numbers here, what its network does in [`examined`](super::examined).

use super::{chart, examined, page, pairs, section};
use crate::error::Result;
use crate::nn::summary::{Layer, layers};
use crate::numbers::{duration, percent, thousands};
use crate::report::write::Material;
use crate::report::{Run, run_figures};
use maud::{Markup, html};

/// The report of `run`.
///
/// # Errors
/// What the network's operations report.
pub fn report_page(run: &Run, material: &Material) -> Result<Markup> {
    let network = layers(run.config.width)?;
    let sections = [
        Some(("curves", "Curves", curves(run))),
        (!run.epochs.is_empty()).then(|| ("epochs", "Epochs and throughput", epochs(run))),
        material
            .findings
            .as_ref()
            .map(|found| ("classes", "Classes", examined::classes(found, &material.classes))),
        material.findings.as_ref().and_then(|found| examined::misclassified(found, material)),
        material.findings.as_ref().and_then(|found| examined::grad_cam(found, material)),
        examined::augmentation(run, material),
        Some(("network", "Network", network_table(&network))),
        Some(("settings", "Settings", settings(run))),
        Some(("machine", "Machine, data and versions", machine(run))),
    ];
    let sections: Vec<_> = sections.into_iter().flatten().collect();
    let body = html! {
        header {
            h1 { "Run " (run.name) }
            p.faint { (subtitle(run)) }
            @if !material.lacks.is_empty() {
                div.lacks role="note" { @for lack in &material.lacks { p { (lack) } } }
            }
            (facts(run, &network))
            nav aria-label="Sections" { @for (id, title, _) in &sections { a href={ "#" (id) } { (title) } } }
        }
        main { @for (id, title, body) in &sections { (section(id, title, body.clone())) } }
        footer { p { "Written by cugrad " (env!("CARGO_PKG_VERSION")) "." } }
    };
    Ok(page(&format!("{} · cugrad", run.name), body))
}

fn subtitle(run: &Run) -> String {
    let config = &run.config;
    let mut parts = vec![format!("a ResNet of width {}, seed {}", config.width, config.seed)];
    if let Some(start) = run.last_start() {
        parts.push(start.at.clone());
    }
    parts.join(" · ")
}

/// What one wants to know first.
fn facts(run: &Run, network: &[Layer]) -> Markup {
    let parameters: u64 = network.iter().map(|layer| layer.parameters).sum();
    let fact = |name: &str, value: String, note: String| {
        html! { div { dt { (name) } dd { (value) small { (note) } } } }
    };
    html! {
        dl.facts {
            @if let (Some(last), Some(best)) = (run.epochs.last(), run.best()) {
                (fact("test accuracy", percent(last.test_accuracy), format!("after epoch {}", last.epoch)))
                (fact("best test accuracy", percent(best.test_accuracy), format!("after epoch {}", best.epoch)))
                (fact("test loss", format!("{:.4}", last.test_loss), "nats".into()))
            }
            (fact("parameters", thousands(parameters), format!("{:.1} MB as f32", parameters as f64 * 4e-6)))
            @if let Some(seconds) = run.seconds().filter(|seconds| *seconds > 0.0) {
                (fact("time", duration(seconds), format!("{} epochs, with tests", run.epochs.len())))
            }
            @if let Some(rate) = run.images_per_second() {
                (fact("throughput", thousands(rate.round() as u64), "training images a second".into()))
            }
        }
    }
}

fn curves(run: &Run) -> Markup {
    html! {
        div.charts { @for (name, figure) in run_figures(run) { (chart(&figure, name)) } }
    }
}

fn epochs(run: &Run) -> Markup {
    let best = run.best().map(|best| best.epoch);
    html! {
        div.scroll tabindex="0" role="group" aria-label="Table of epochs" {
            table {
                thead {
                    tr {
                        th { "epoch" } th { "test accuracy" } th { "train accuracy" } th { "test loss" }
                        th { "train loss" } th { "learning rate" } th { "images/s" } th { "time" }
                    }
                }
                tbody {
                    @for e in &run.epochs {
                        @let time = run.time_of(e.epoch);
                        tr {
                            th scope="row" { (e.epoch) }
                            td class=[(best == Some(e.epoch)).then_some("best")] { (percent(e.test_accuracy)) }
                            td { (percent(e.train_accuracy)) }
                            td { (format!("{:.4}", e.test_loss)) }
                            td { (format!("{:.4}", e.train_loss)) }
                            td { (format!("{:.5}", e.lr)) }
                            @match time {
                                Some(time) => {
                                    td { (thousands(time.images_per_second().round() as u64)) }
                                    td { (duration(time.train_seconds + time.test_seconds)) }
                                }
                                None => { td { "–" } td { "–" } }
                            }
                        }
                    }
                }
            }
        }
        p.faint {
            "The learning rate is that of the epoch's last step. Train figures are taken during the epoch, on \
             augmented images; test figures after it. Images a second count the training steps alone, the \
             time counts test and checkpoint too. ▲ marks the best test accuracy."
        }
    }
}

fn network_table(network: &[Layer]) -> Markup {
    let (parameters, macs) =
        network.iter().fold((0, 0), |(p, m), layer| (p + layer.parameters, m + layer.macs));
    html! {
        div.scroll tabindex="0" role="group" aria-label="Table of layers" {
            table {
                thead {
                    tr {
                        th { "layer" } th.text { "kind" } th.text { "output" } th { "parameters" } th { "MACs" }
                    }
                }
                tbody {
                    @for layer in network {
                        @let output: Vec<String> = layer.output.iter().map(usize::to_string).collect();
                        tr {
                            th scope="row" { (layer.name) }
                            td.text { (layer.kind) }
                            td.text { "[N, " (output.join(", ")) "]" }
                            td { (thousands(layer.parameters)) }
                            td { (thousands(layer.macs)) }
                        }
                    }
                    tr {
                        th scope="row" { "in all" } td {} td {}
                        td { (thousands(parameters)) } td { (thousands(macs)) }
                    }
                }
            }
        }
        p.faint { "MACs: multiplications with an addition, for one image, forward." }
    }
}

fn settings(run: &Run) -> Markup {
    let settings = setting_pairs(&run.config);
    html! {
        (pairs("", settings.iter().map(|(name, value)| (name.as_str(), value.clone()))))
        p.faint {
            "The same as " code { "config.toml" } " in the run's folder, which "
            code { "cugrad train --config" } " takes."
        }
    }
}

/// Every setting with its value, as config.toml has them.
pub fn setting_pairs(config: &crate::train::TrainConfig) -> Vec<(String, String)> {
    let value = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match serde_json::json!(config) {
        serde_json::Value::Object(settings) => {
            settings.iter().map(|(name, v)| (name.clone(), value(v))).collect()
        }
        other => vec![("settings".into(), other.to_string())],
    }
}

fn machine(run: &Run) -> Markup {
    let Some(start) = run.last_start() else {
        return html! { p { "The run has no journal: machine, data set and times are not known." } };
    };
    let machine = &start.machine;
    let some = |value: &Option<String>, none: &str| value.clone().unwrap_or_else(|| none.into());
    html! {
        (pairs("long", [
            ("started, or last resumed", start.at.clone()),
            ("ended", run.end().map_or("not yet, or killed".into(), |end| end.at.clone())),
            ("device", start.device.strip_prefix("device: ").unwrap_or(&start.device).into()),
            ("processor", format!("{}, {} threads, {}", machine.cpu, machine.threads, machine.os)),
            ("GPU driver", some(&machine.driver, "none")),
            ("cugrad", machine.version.clone()),
            ("commit", some(&machine.commit, "not known: CUGRAD_COMMIT was not set")),
            ("data", start.data.source.clone()),
            ("images", format!(
                "{} to train on and {} to test on; used {} and {}",
                thousands(start.data.train_images as u64),
                thousands(start.data.test_images as u64),
                thousands(run.config.limit.unwrap_or(usize::MAX).min(start.data.train_images) as u64),
                thousands(run.config.test_limit.unwrap_or(usize::MAX).min(start.data.test_images) as u64),
            )),
            ("SHA-256 of the training images", start.data.sha256[0].clone()),
            ("SHA-256 of the test images", start.data.sha256[1].clone()),
        ]))
    }
}
