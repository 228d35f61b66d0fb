//! Pages in one file: style, charts and images are inside, nothing is fetched and nothing is run.
//!
//! The palette is that of all pictures ([`Theme`]); the charts are SVG in its variables, so a page is
//! light or dark as its reader's system is.

mod compare;
mod examined;
mod report;

pub use compare::{ResultRow, compare_page, result_rows};
pub use report::report_page;

use crate::picture::Theme;
use crate::picture::file::to_png;
use crate::picture::svg;
use crate::report::plot::Figure;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::RgbImage;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The widths that charts are drawn at: for a column of a wide page, and for a phone.
const WIDE: u32 = 540;
const NARROW: u32 = 345;

/// A whole page.
fn page(title: &str, body: Markup) -> Markup {
    let (light, dark) = (Theme::Light.variables(), Theme::Dark.variables());
    let palette = format!(":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}");
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                // The page says itself that it needs nothing from elsewhere.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content={ "cugrad " (env!("CARGO_PKG_VERSION")) };
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(palette)) (PreEscaped(include_str!("style.css"))) }
            }
            body { (body) }
        }
    }
}

/// A part of a page that can be linked to.
fn section(id: &str, title: &str, body: Markup) -> Markup {
    html! { section id=(id) { h2 { (title) } (body) } }
}

/// A figure with its title and notes as text, drawn for wide pages and for narrow ones.
fn chart(figure: &Figure, id: &str) -> Markup {
    let label = std::iter::once(&figure.title).chain(&figure.notes).cloned().collect::<Vec<_>>().join("; ");
    let draw = |width, class: &str| {
        let svg = svg::element(&figure.draw_bare(width), &label, &format!("{id}-{class}"));
        PreEscaped(svg.replacen("<svg ", &format!("<svg class=\"{class}\" "), 1))
    };
    html! {
        figure {
            h3 { (figure.title) }
            @for note in &figure.notes { figcaption { (note) } }
            (draw(WIDE, "wide")) (draw(NARROW, "narrow"))
        }
    }
}

/// The address of an image that is inside of the page.
fn data_uri(picture: &RgbImage) -> String {
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(to_png(picture, 1)))
}

/// Names with their values.
fn pairs<'a>(class: &str, pairs: impl IntoIterator<Item = (&'a str, String)>) -> Markup {
    html! {
        dl class={ "pairs " (class) } {
            @for (name, value) in pairs { div { dt { (name) } dd { (value) } } }
        }
    }
}
