//! Runs side by side.

use super::report::setting_pairs;
use super::{chart, page, section};
use crate::numbers::{duration, percent, thousands};
use crate::report::Run;
use crate::report::plot::Figure;
use crate::report::plot::overlay::{Overlaid, letter, overlay};
use crate::train::EpochMetrics;
use maud::{Markup, html};

/// One row of the table of results: what it is, and what each run has.
pub type ResultRow = (&'static str, Vec<String>);

/// The page that sets `runs` side by side.
pub fn compare_page(runs: &[Run]) -> Markup {
    let body = html! {
        header {
            h1 { (runs.len()) " runs side by side" }
            ul { @for (place, run) in runs.iter().enumerate() {
                li { b { (letter(place)) } " " (run.name) @if !run.is_complete() {
                    span.faint { " – not complete: " (run.epochs.len()) " of " (run.config.epochs) " epochs" }
                } }
            } }
            nav aria-label="Sections" {
                a href="#curves" { "Curves" } a href="#results" { "Results" } a href="#settings" { "Settings" }
            }
        }
        main {
            (section("curves", "Curves", html! {
                div.charts { @for (id, figure) in figures(runs) { (chart(&figure, id)) } }
            }))
            (section("results", "Results", results(runs)))
            (section("settings", "Settings", settings(runs)))
        }
        footer { p { "Written by cugrad " (env!("CARGO_PKG_VERSION")) "." } }
    };
    page(&format!("{} runs · cugrad", runs.len()), body)
}

fn figures(runs: &[Run]) -> Vec<(&'static str, Figure)> {
    let curves = |value: &dyn Fn(&EpochMetrics) -> f64| {
        let curve = |(place, run): (usize, &Run)| Overlaid {
            letter: letter(place),
            place,
            points: run.epochs.iter().map(|e| (e.epoch as f64, value(e))).collect(),
        };
        runs.iter().enumerate().filter(|(_, run)| !run.epochs.is_empty()).map(curve).collect::<Vec<_>>()
    };
    let rates = runs.iter().enumerate().map(|(place, run)| {
        let policy = run.config.schedule();
        let corners = [0.0, policy.peak_epoch, policy.epochs];
        Overlaid { letter: letter(place), place, points: corners.map(|at| (at, policy.rate(at))).to_vec() }
    });
    vec![
        ("accuracy", overlay("Test accuracy", "accuracy (%)", curves(&|e| 100.0 * e.test_accuracy))),
        ("test-loss", overlay("Test loss", "cross-entropy loss (nats)", curves(&|e| e.test_loss))),
        ("train-loss", overlay("Train loss", "cross-entropy loss (nats)", curves(&|e| e.train_loss))),
        ("rates", overlay("Learning rate", "learning rate", rates.collect())),
    ]
}

/// What the runs came to, row by row.
pub fn result_rows(runs: &[Run]) -> Vec<ResultRow> {
    let row = |name, value: &dyn Fn(&Run) -> Option<String>| {
        (name, runs.iter().map(|run| value(run).unwrap_or("–".into())).collect())
    };
    vec![
        row("test accuracy", &|run| Some(percent(run.epochs.last()?.test_accuracy))),
        row("best test accuracy", &|run| Some(percent(run.best()?.test_accuracy))),
        row("after epoch", &|run| Some(run.best()?.epoch.to_string())),
        row("test loss", &|run| Some(format!("{:.4}", run.epochs.last()?.test_loss))),
        row("train accuracy", &|run| Some(percent(run.epochs.last()?.train_accuracy))),
        row("train loss", &|run| Some(format!("{:.4}", run.epochs.last()?.train_loss))),
        row("epochs", &|run| Some(format!("{} of {}", run.epochs.len(), run.config.epochs))),
        row("time", &|run| run.seconds().filter(|seconds| *seconds > 0.0).map(duration)),
        row("training images/s", &|run| Some(thousands(run.images_per_second()?.round() as u64))),
        row("device", &|run| Some(run.last_start()?.machine.device.clone())),
        row("cugrad", &|run| Some(run.last_start()?.machine.version.clone())),
        row("training images, SHA-256", &|run| {
            Some(run.last_start()?.data.sha256[0].chars().take(12).collect())
        }),
    ]
}

fn results(runs: &[Run]) -> Markup {
    let last = |run: &Run| run.epochs.last().map(|e| e.test_accuracy);
    let best = |run: &Run| run.best().map(|e| e.test_accuracy);
    let highest =
        |of: &dyn Fn(&Run) -> Option<f64>| runs.iter().filter_map(of).fold(f64::NEG_INFINITY, f64::max);
    let (highest_last, highest_best) = (highest(&last), highest(&best));
    let is_highest = |name: &str, run: &Run| match name {
        "test accuracy" => last(run) == Some(highest_last),
        "best test accuracy" => best(run) == Some(highest_best),
        _ => false,
    };
    html! {
        div.scroll tabindex="0" role="group" aria-label="Table of results" {
            table {
                (head(runs))
                tbody { @for (name, values) in result_rows(runs) {
                    tr { th scope="row" { (name) } @for (run, value) in runs.iter().zip(values) {
                        td class=[is_highest(name, run).then_some("best")] { (value) }
                    } }
                } }
            }
        }
        p.faint { "▲ marks the highest accuracy. The test accuracy is that after the last epoch." }
    }
}

fn settings(runs: &[Run]) -> Markup {
    let of_runs: Vec<Vec<(String, String)>> = runs.iter().map(|run| setting_pairs(&run.config)).collect();
    let mut names: Vec<&String> = of_runs.iter().flatten().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    let values = |name: &String| -> Vec<String> {
        let of = |pairs: &Vec<(String, String)>| {
            pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
        };
        of_runs.iter().map(|pairs| of(pairs).unwrap_or("–".into())).collect()
    };
    let rows: Vec<(&String, Vec<String>)> = names.into_iter().map(|name| (name, values(name))).collect();
    let (differ, same): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(_, values)| values.iter().any(|value| *value != values[0]));
    let table = |rows: &[(&String, Vec<String>)], class: Option<&str>| {
        html! {
            div.scroll tabindex="0" role="group" aria-label="Table of settings" {
                table { (head(runs)) tbody { @for (name, values) in rows {
                    tr class=[class] { th scope="row" { (name) } @for value in values { td { (value) } } }
                } } }
            }
        }
    };
    html! {
        @if differ.is_empty() { p { "All settings are the same." } } @else {
            p { "These differ:" }
            (table(&differ, Some("differs")))
        }
        details { summary { (same.len()) " settings are the same" } (table(&same, None)) }
    }
}

fn head(runs: &[Run]) -> Markup {
    html! { thead { tr { th {} @for (place, run) in runs.iter().enumerate() {
        th scope="col" title=(run.name) { (letter(place)) " " (short(&run.name)) }
    } } } }
}

/// A name that does not make its column too wide.
fn short(name: &str) -> String {
    match name.chars().count() > 24 {
        true => name.chars().take(23).chain(['…']).collect(),
        false => name.into(),
    }
}
