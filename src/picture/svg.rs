//! A drawing as SVG, to stand within a page: its colours are the page's variables, so that it is light
//! or dark with the page, and its text is text.

use super::file::to_png;
use super::text::Type;
use super::{Anchor, Area, Drawing, Pen, Point, Shape};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fmt::Write;

/// The SVG element of `drawing`. `label` says what it shows to those who do not see it; `id` is one that
/// nothing else in the page has.
pub fn element(drawing: &Drawing, label: &str, id: &str) -> String {
    let (width, height) = (drawing.width, drawing.height);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"{}\" style=\"max-width:{width}px\">",
        escaped(label)
    );
    let mut areas: Vec<Area> = Vec::new();
    for shape in &drawing.shapes {
        write_shape(&mut svg, shape, id, &mut areas);
    }
    svg + "</svg>"
}

/// Writes a shape, and before it the area it stays within, if that is new.
fn write_shape(svg: &mut String, shape: &Shape, id: &str, areas: &mut Vec<Area>) {
    match shape {
        Shape::Line { points, pen, within } => {
            let clip = within.map(|area| clip(svg, area, id, areas)).unwrap_or_default();
            push(svg, format_args!("<polyline points=\"{}\" {}{clip}/>", list(points), stroke(*pen)));
        }
        &Shape::Symbol { at, radius, symbol, ink } => {
            let paint = format!(
                "fill=\"var({})\" stroke=\"var(--ground)\" stroke-width=\"3\" paint-order=\"stroke\"",
                ink.variable()
            );
            match symbol.corners(at, radius) {
                None => {
                    let (x, y) = (short(at.0), short(at.1));
                    push(
                        svg,
                        format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{}\" {paint}/>", short(radius)),
                    );
                }
                Some(corners) => push(svg, format_args!("<polygon points=\"{}\" {paint}/>", list(&corners))),
            }
        }
        Shape::Text { at, text, style, anchor, upward } => {
            let (x, y) = (short(at.0), short(at.1));
            let turn = if *upward { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
            // As wide as it was laid out, whatever font it is shown in.
            let width = short(style.width(text));
            let (set, text) = (letters(*style, *anchor), escaped(text));
            push(
                svg,
                format_args!(
                    "<text x=\"{x}\" y=\"{y}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\" \
                     {set}{turn}>{text}</text>"
                ),
            );
        }
        Shape::Tile { at: (x, y), pixels } => {
            let (width, height) = pixels.dimensions();
            let data = BASE64_STANDARD.encode(to_png(pixels, 1));
            push(
                svg,
                format_args!(
                    "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
                     href=\"data:image/png;base64,{data}\"/>"
                ),
            );
        }
    }
}

/// The attribute of a shape that stays within `area`, which is defined where it is new.
fn clip(svg: &mut String, area: Area, id: &str, areas: &mut Vec<Area>) -> String {
    let known = areas.iter().position(|known| *known == area);
    let number = known.unwrap_or_else(|| {
        let Area { left, top, right, bottom } = area;
        push(
            svg,
            format_args!(
                "<clipPath id=\"{id}-{}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>",
                areas.len(),
                short(left),
                short(top),
                short(right - left),
                short(bottom - top)
            ),
        );
        areas.push(area);
        areas.len() - 1
    });
    format!(" clip-path=\"url(#{id}-{number})\"")
}

fn stroke(pen: Pen) -> String {
    let mut text = format!(
        "fill=\"none\" stroke=\"var({})\" stroke-width=\"{}\" stroke-linejoin=\"round\"",
        pen.ink.variable(),
        short(pen.width)
    );
    if pen.opacity < 1.0 {
        push(&mut text, format_args!(" stroke-opacity=\"{}\"", short(pen.opacity)));
    }
    match pen.dash {
        [] => text + " stroke-linecap=\"round\"",
        dash => {
            let lengths: Vec<String> = dash.iter().map(|&length| short(length)).collect();
            text + &format!(" stroke-dasharray=\"{}\"", lengths.join(" "))
        }
    }
}

fn letters(style: Type, anchor: Anchor) -> String {
    let weight = if style.bold { " font-weight=\"700\"" } else { "" };
    let anchor = match anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    format!(
        "font-size=\"{}\" fill=\"var({})\" stroke=\"var(--ground)\" stroke-width=\"4\" \
         stroke-linejoin=\"round\" paint-order=\"stroke\"{weight}{anchor}",
        short(style.size),
        style.ink.variable()
    )
}

fn list(points: &[Point]) -> String {
    let pairs: Vec<String> = points.iter().map(|p| format!("{},{}", short(p.0), short(p.1))).collect();
    pairs.join(" ")
}

/// A number with at most one decimal: a tenth of a unit is not seen.
fn short(number: f32) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), String::from)
}

/// `text` as it may stand in an element or in a quoted attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn push(svg: &mut String, text: std::fmt::Arguments) {
    svg.write_fmt(text).expect("a string takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Ink, Symbol};

    #[test]
    fn shapes_take_the_colours_of_the_page() {
        let mut drawing = Drawing::new(100, 50);
        let area = Area { left: 1.0, top: 2.0, right: 90.0, bottom: 40.0 };
        for _ in 0..2 {
            drawing.line_within(
                area,
                vec![(0.0, 0.0), (10.25, 20.0)],
                Pen::new(Ink::Series(7), 2.5).dashed(),
            );
        }
        drawing.symbol((5.0, 5.0), 3.0, Symbol::Dot, Ink::Mark);
        let svg = element(&drawing, "a \"b\" <c>", "chart");
        assert!(
            svg.contains("viewBox=\"0 0 100 50\"")
                && svg.contains("aria-label=\"a &quot;b&quot; &lt;c&gt;\"")
        );
        assert!(svg.contains("points=\"0,0 10.2,20\"") && svg.contains("var(--series-1)"), "{svg}");
        assert!(svg.contains("stroke-dasharray=\"5 5\"") && svg.contains("fill=\"var(--mark)\""), "{svg}");
        assert_eq!(svg.matches("<clipPath").count(), 1);
        assert_eq!(svg.matches("url(#chart-0)").count(), 2);
    }

    #[test]
    fn text_is_text_and_cannot_break_out() {
        let mut drawing = Drawing::new(10, 10);
        drawing.text((1.0, 2.0), "<script>&", Type::bold(12.0, Ink::Text), Anchor::End);
        drawing.text_upward((3.0, 4.0), "up", Type::regular(12.0, Ink::Faint), Anchor::Middle);
        let svg = element(&drawing, "", "x");
        assert!(svg.contains(">&lt;script&gt;&amp;</text>") && svg.contains("rotate(-90 3 4)"), "{svg}");
    }
}
