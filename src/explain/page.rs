//! The layout of a page: a heading, rows of panels below it, and the colour scale at its foot.
//!
//! A page measures what it holds before it draws, so that nothing overlaps whatever the texts are.

use super::tiles::heat_colour;
use crate::picture::raster::pixels;
use crate::picture::text::Type;
use crate::picture::{Anchor, Drawing, Ink, Theme};
use image::RgbImage;

/// A page.
pub struct Page {
    /// What it shows.
    pub title: String,
    /// How to read it, line by line.
    pub lines: Vec<String>,
    /// Its rows, from top to bottom. Panels stand in columns.
    pub rows: Vec<Row>,
    /// What the colours of its heat maps mean, if it has any.
    pub scale: Option<&'static str>,
}

/// A row of panels.
pub struct Row {
    /// What stands before it; may be empty.
    pub label: String,
    /// Its panels, from left to right.
    pub panels: Vec<Panel>,
}

/// What belongs together: one image, in groups of tiles.
pub struct Panel(pub Vec<Group>);

/// Tiles under a caption.
pub struct Group {
    /// The caption.
    pub caption: String,
    /// The line below the caption; may be empty.
    pub note: String,
    /// The tiles, from left to right.
    pub tiles: Vec<RgbImage>,
}

const TITLE: Type = Type::bold(25.0, Ink::Text);
const LINE: Type = Type::regular(15.5, Ink::Faint);
const LABEL: Type = Type::bold(16.0, Ink::Text);
const CAPTION: Type = Type::bold(14.5, Ink::Text);
const NOTE: Type = Type::regular(14.0, Ink::Faint);
/// Distance between the edge of the page and all else.
const MARGIN: u32 = 36;
/// Distances between tiles, groups, panels and rows.
const TILE_GAP: u32 = 6;
const GROUP_GAP: u32 = 18;
const PANEL_GAP: u32 = 44;
const ROW_GAP: u32 = 26;
/// Distance between a text and what it belongs to.
const TEXT_GAP: u32 = 6;
/// The bar of the colour scale.
const SCALE: (u32, u32) = (240, 14);

impl Group {
    fn width(&self) -> u32 {
        let tiles = sum_with_gaps(self.tiles.iter().map(RgbImage::width), TILE_GAP);
        tiles.max(text_width(&self.caption, CAPTION)).max(text_width(&self.note, NOTE))
    }

    fn caption_height(&self) -> u32 {
        if self.caption.is_empty() { 0 } else { text_height(CAPTION) }
    }

    /// The height of caption and note, with the gap after them.
    fn head(&self) -> u32 {
        let note = if self.note.is_empty() { 0 } else { text_height(NOTE) };
        match self.caption_height() + note {
            0 => 0,
            texts => texts + TEXT_GAP,
        }
    }

    fn tiles_height(&self) -> u32 {
        self.tiles.iter().map(RgbImage::height).max().unwrap_or(0)
    }
}

impl Panel {
    fn width(&self) -> u32 {
        sum_with_gaps(self.0.iter().map(Group::width), GROUP_GAP)
    }
}

impl Row {
    /// The heights of the captions and of the tiles.
    fn heights(&self) -> (u32, u32) {
        let groups = || self.panels.iter().flat_map(|panel| &panel.0);
        (groups().map(Group::head).max().unwrap_or(0), groups().map(Group::tiles_height).max().unwrap_or(0))
    }
}

/// Where things stand on a page.
struct Layout {
    /// The width that labels take, with the gap after them.
    label: u32,
    /// The width of each column of panels.
    columns: Vec<u32>,
    /// The first pixel row below the heading.
    top: u32,
    width: u32,
    height: u32,
}

impl Layout {
    fn of(page: &Page) -> Layout {
        let label = page.rows.iter().map(|row| text_width(&row.label, LABEL)).max().unwrap_or(0);
        let label = if label == 0 { 0 } else { label + GROUP_GAP };
        let count = page.rows.iter().map(|row| row.panels.len()).max().unwrap_or(0);
        let column = |i: usize| page.rows.iter().filter_map(|row| row.panels.get(i)).map(Panel::width).max();
        let columns: Vec<u32> = (0..count).filter_map(column).collect();
        let lines = page.lines.iter().map(|line| text_width(line, LINE)).max().unwrap_or(0);
        let heading = text_width(&page.title, TITLE).max(lines);
        let body = label + sum_with_gaps(columns.iter().copied(), PANEL_GAP);
        let top = MARGIN
            + text_height(TITLE)
            + TEXT_GAP
            + page.lines.len() as u32 * (text_height(LINE) + 4)
            + ROW_GAP;
        let rows = page.rows.iter().map(|row| {
            let (head, tiles) = row.heights();
            head + tiles
        });
        let foot = if page.scale.is_some() { ROW_GAP + text_height(LINE) } else { 0 };
        Layout {
            label,
            columns,
            top,
            width: 2 * MARGIN + heading.max(body),
            height: top + sum_with_gaps(rows, ROW_GAP) + foot + MARGIN,
        }
    }
}

impl Page {
    /// The page, drawn.
    pub fn draw(&self, theme: Theme) -> RgbImage {
        let layout = Layout::of(self);
        let mut drawing = Drawing::new(layout.width, layout.height);
        write(&mut drawing, MARGIN, MARGIN, &self.title, TITLE);
        for (i, line) in self.lines.iter().enumerate() {
            let y = MARGIN + text_height(TITLE) + TEXT_GAP + i as u32 * (text_height(LINE) + 4);
            write(&mut drawing, MARGIN, y, line, LINE);
        }
        let mut y = layout.top;
        for row in &self.rows {
            let (head, tiles) = row.heights();
            write(
                &mut drawing,
                MARGIN,
                y + head + tiles.saturating_sub(text_height(LABEL)) / 2,
                &row.label,
                LABEL,
            );
            let mut x = MARGIN + layout.label;
            for (panel, width) in row.panels.iter().zip(&layout.columns) {
                panel.draw(&mut drawing, x, y, head, tiles);
                x += width + PANEL_GAP;
            }
            y += head + tiles + ROW_GAP;
        }
        if let Some(meaning) = self.scale {
            draw_scale(&mut drawing, MARGIN, y, meaning);
        }
        pixels(&drawing, theme, 1)
    }
}

impl Panel {
    /// Draws the panel: its captions begin at `y`, its tiles `head` below that.
    fn draw(&self, drawing: &mut Drawing, mut x: u32, y: u32, head: u32, tiles: u32) {
        for group in &self.0 {
            write(drawing, x, y, &group.caption, CAPTION);
            write(drawing, x, y + group.caption_height(), &group.note, NOTE);
            let mut at = x;
            for tile in &group.tiles {
                drawing.tile(at, y + head + (tiles - tile.height()) / 2, tile.clone());
                at += tile.width() + TILE_GAP;
            }
            x += group.width() + GROUP_GAP;
        }
    }
}

/// Draws the colour scale with its two ends and its meaning.
fn draw_scale(drawing: &mut Drawing, x: u32, y: u32, meaning: &str) {
    let (width, height) = SCALE;
    let bar = RgbImage::from_fn(width, height, |x, _| heat_colour(f64::from(x) / f64::from(width - 1)));
    write(drawing, x, y, "0", LINE);
    let x = x + text_width("0", LINE) + TEXT_GAP + 2;
    drawing.tile(x, y + (text_height(LINE) - height) / 2, bar);
    write(drawing, x + width + TEXT_GAP + 2, y, &format!("1   {meaning}"), LINE);
}

/// Writes `text` with its top left corner at (`x`, `y`).
fn write(drawing: &mut Drawing, x: u32, y: u32, text: &str, style: Type) {
    drawing.text((x as f32, y as f32 + style.ascent()), text, style, Anchor::Start);
}

/// The whole pixels that a text is wide.
fn text_width(text: &str, style: Type) -> u32 {
    style.width(text).ceil() as u32
}

/// The whole pixels that a line of text is high.
fn text_height(style: Type) -> u32 {
    style.height().ceil() as u32
}

fn sum_with_gaps(parts: impl Iterator<Item = u32>, gap: u32) -> u32 {
    let (count, sum) = parts.fold((0, 0), |(count, sum), part| (count + 1, sum + part));
    sum + gap * u32::saturating_sub(count, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn page(caption: &str) -> Page {
        let tile = RgbImage::from_pixel(32, 32, Rgb([9, 200, 77]));
        let group = || Group { caption: caption.into(), note: "note".into(), tiles: vec![tile.clone(); 2] };
        let row = || Row { label: "label".into(), panels: vec![Panel(vec![group(), group()])] };
        let (title, lines) = ("t".into(), vec!["line".into()]);
        Page { title, lines, rows: vec![row(), row()], scale: Some("meaning") }
    }

    /// The pixels of the tiles' colour.
    fn tiles_seen(picture: &RgbImage) -> usize {
        picture.pixels().filter(|pixel| **pixel == Rgb([9, 200, 77])).count()
    }

    #[test]
    fn every_tile_is_seen_whole() {
        for theme in [Theme::Light, Theme::Dark] {
            assert_eq!(tiles_seen(&page("short").draw(theme)), 8 * 32 * 32);
        }
    }

    #[test]
    fn a_long_caption_widens_its_column() {
        let (short, long) = (page("short").draw(Theme::Light), page(&"long ".repeat(20)).draw(Theme::Light));
        assert!(long.width() > 2 * short.width(), "{} {}", long.width(), short.width());
        assert_eq!(tiles_seen(&long), 8 * 32 * 32);
    }

    #[test]
    fn no_tile_covers_a_note() {
        // The pixels that a page has of text and edges.
        let drawn = |caption: &str, note: &str| {
            let tiles = vec![RgbImage::from_pixel(32, 32, Rgb([9, 200, 77]))];
            let group = Group { caption: caption.into(), note: note.into(), tiles };
            let row = Row { label: String::new(), panels: vec![Panel(vec![group])] };
            let page = Page { title: String::new(), lines: Vec::new(), rows: vec![row], scale: None };
            let ground = Rgb(Theme::Light.colour(Ink::Ground));
            page.draw(Theme::Light).pixels().filter(|pixel| **pixel != ground).count()
        };
        let alone = drawn("", "note") - drawn("", "");
        assert!(alone > 0);
        assert_eq!(drawn("caption", "note") - drawn("caption", ""), alone);
    }

    #[test]
    fn an_empty_page_has_its_heading() {
        let empty = Page { rows: Vec::new(), scale: None, ..page("") }.draw(Theme::Light);
        assert!(empty.width() > 2 * MARGIN && empty.height() > 2 * MARGIN);
    }
}
