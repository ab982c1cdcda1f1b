//! The surface of a figure, in px: lines, areas, marks and texts through plotters, and the SVG that comes of it.
//!
//! Neutral ink is written as `currentColor`, so that a figure fits a light and a dark page. It knows no fonts:
//! the width of a text is guessed, and space is left for it. It knows nothing of axes or data.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::layout::wrap;
use super::look::{Look, Mark};
use crate::lab::error::{Error, Result};

/// A point in px, from the upper left.
pub type Px = (f64, f64);

/// Stands for the page's text colour until the figure is done.
pub const INK: RGBColor = RGBColor(1, 2, 3);
/// Size of labels in px.
pub const LABEL: f64 = 13.0;
/// Size of ticks and notes in px.
pub const TICK: f64 = 12.0;
/// Opacity of ticks and notes.
pub const SOFT: f64 = 0.72;

/// plotters knows whole units only: this many make a px, so that curves stay smooth.
const UNITS: i32 = 8;
const TITLE: f64 = 16.0;
const TITLE_LINE: f64 = 20.0;
const NOTE: f64 = 12.5;
const NOTE_LINE: f64 = 17.0;

/// How a line is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pattern {
    /// Not at all.
    #[default]
    Solid,
    /// Long and short.
    Dashed,
    /// Into dots.
    Dotted,
}

impl Pattern {
    /// plotters has no dashes that stay one element. So widths are multiples of 4 units, what is added to one says how
    /// the line is broken, and [`dashes`] puts that into words that SVG knows.
    const fn code(self) -> u32 {
        match self {
            Self::Solid => 0,
            Self::Dashed => 1,
            Self::Dotted => 2,
        }
    }
}

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// It begins there.
    Left,
    /// Its middle is there.
    Middle,
    /// It ends there.
    Right,
}

/// A surface to draw on.
pub struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    /// In px.
    pub width: f64,
}

fn units((x, y): Px) -> (i32, i32) {
    let unit = |px: f64| (px * f64::from(UNITS)).round() as i32;
    (unit(x), unit(y))
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Failed(format!("cannot draw a figure: {error}"))
}

impl Canvas<'_> {
    /// A line through points.
    pub fn line(&self, points: &[Px], colour: RGBColor, opacity: f64, width: f64) -> Result<()> {
        self.pattern(points, colour, opacity, width, Pattern::Solid)
    }

    /// A line through points, broken or not.
    pub fn pattern(
        &self,
        points: &[Px],
        colour: RGBColor,
        opacity: f64,
        width: f64,
        pattern: Pattern,
    ) -> Result<()> {
        let quarters = (width * f64::from(UNITS) / 4.0).round().max(1.0) as u32;
        let style = colour.mix(opacity).stroke_width(quarters * 4 + pattern.code());
        let mut placed: Vec<_> = points.iter().copied().map(units).collect();
        placed.dedup();
        self.area.draw(&PathElement::new(placed, style)).map_err(failed)
    }

    /// An area.
    pub fn fill(&self, points: &[Px], colour: RGBColor, opacity: f64) -> Result<()> {
        let points: Vec<_> = points.iter().copied().map(units).collect();
        self.area.draw(&Polygon::new(points, colour.mix(opacity))).map_err(failed)
    }

    /// A filled rectangle.
    pub fn rectangle(&self, from: Px, to: Px, colour: RGBColor, opacity: f64) -> Result<()> {
        let corners = [units(from), units(to)];
        self.area.draw(&Rectangle::new(corners, colour.mix(opacity).filled())).map_err(failed)
    }

    /// A filled disc.
    pub fn dot(&self, at: Px, radius: f64, colour: RGBColor, opacity: f64) -> Result<()> {
        let radius = (radius * f64::from(UNITS)) as i32;
        self.area.draw(&Circle::new(units(at), radius, colour.mix(opacity).filled())).map_err(failed)
    }

    /// A circle.
    pub fn ring(&self, at: Px, radius: f64, colour: RGBColor, width: f64) -> Result<()> {
        let stroke = colour.stroke_width((width * f64::from(UNITS)) as u32);
        self.area.draw(&Circle::new(units(at), (radius * f64::from(UNITS)) as i32, stroke)).map_err(failed)
    }

    /// The mark of a strategy: filled, or hollow for the baseline's second run.
    pub fn mark(&self, at: Px, radius: f64, look: Look) -> Result<()> {
        let corners: Vec<Px> =
            look.mark.corners().iter().map(|(x, y)| (at.0 + x * radius, at.1 + y * radius)).collect();
        match (look.mark, look.hollow) {
            (Mark::Disc, false) => self.dot(at, radius, look.colour, 1.0),
            (Mark::Disc, true) => self.ring(at, radius * 0.85, look.colour, 1.5),
            (_, false) => self.fill(&corners, look.colour, 1.0),
            (_, true) => {
                let closed: Vec<Px> = corners.iter().chain(corners.first()).copied().collect();
                self.line(&closed, look.colour, 1.0, 1.5)
            }
        }
    }

    /// Writes at the vertical middle of a line.
    pub fn text(&self, at: Px, text: &str, size: f64, opacity: f64, anchor: Anchor) -> Result<()> {
        self.write(at, text, (size, FontStyle::Normal), opacity, anchor)
    }

    fn write(&self, at: Px, text: &str, font: (f64, FontStyle), opacity: f64, anchor: Anchor) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let horizontal = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        // The backend divides sizes by 1.24.
        let ink = INK.mix(opacity);
        let style = TextStyle::from(("sans-serif", font.0 * 1.24 * f64::from(UNITS), font.1))
            .color(&ink)
            .pos(Pos::new(horizontal, VPos::Center));
        self.area.draw(&Text::new(text.to_owned(), units(at), style)).map_err(failed)
    }

    /// Title and, below it in smaller lines, what is drawn; it is [`heading_height`] high.
    pub fn heading(&self, title: &str, note: &str) -> Result<()> {
        let mut y = 11.0;
        for line in wrap(title, TITLE, self.width) {
            self.write((0.0, y), &line, (TITLE, FontStyle::Bold), 1.0, Anchor::Left)?;
            y += TITLE_LINE;
        }
        for line in wrap(note, NOTE, self.width) {
            self.text((0.0, y), &line, NOTE, SOFT, Anchor::Left)?;
            y += NOTE_LINE;
        }
        Ok(())
    }
}

/// Height of a heading, with the space below it.
pub fn heading_height(title: &str, note: &str, width: f64) -> f64 {
    let lines = |text, size| wrap(text, size, width).len() as f64;
    lines(title, TITLE) * TITLE_LINE + lines(note, NOTE) * NOTE_LINE + 10.0
}

/// A figure that is done.
#[derive(Clone, Debug)]
pub struct Figure {
    width: i32,
    height: i32,
    title: String,
    body: String,
}

/// Draws a figure of this size.
pub fn figure(
    width: i32,
    height: f64,
    title: &str,
    draw: impl FnOnce(&Canvas) -> Result<()>,
) -> Result<Figure> {
    let mut svg = String::new();
    let height = height.round() as i32;
    let size = ((width * UNITS).unsigned_abs(), (height * UNITS).unsigned_abs());
    let backend = SVGBackend::with_string(&mut svg, size);
    let canvas = Canvas { area: backend.into_drawing_area(), width: f64::from(width) };
    draw(&canvas)?;
    canvas.area.present().map_err(failed)?;
    drop(canvas);
    let body =
        svg.split_once('>').and_then(|(_, rest)| rest.rsplit_once("</svg>")).map_or("", |(body, _)| body);
    let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    Ok(Figure { width, height, title, body: slim(body) })
}

/// The body without what every element repeats, a line per element.
fn slim(body: &str) -> String {
    let body = body
        .replace("#010203", "currentColor")
        .replace("\n</text>", "</text>")
        .replace(">\n", ">")
        .replace("><", ">\n<")
        .replace(" font-family=\"sans-serif\"", "")
        .replace(" opacity=\"1\"", "")
        .replace(" \"/>", "\"/>");
    body.lines().map(dashes).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// What the last bits of a line's width stand for; see [`Pattern::code`].
fn dashes(element: &str) -> String {
    let coded = || {
        let (before, rest) = element.split_once(" stroke-width=\"")?;
        let (width, after) = rest.split_once('"')?;
        let width: u32 = width.parse().ok()?;
        let pattern = match width % 4 {
            1 => " stroke-dasharray=\"48 32\"",
            2 => " stroke-dasharray=\"14 22\"",
            _ => return None,
        };
        Some(format!("{before} stroke-width=\"{}\"{pattern}{after}", width - width % 4))
    };
    if element.starts_with("<polyline") { coded() } else { None }.unwrap_or_else(|| element.to_owned())
}

impl Figure {
    /// As an element of a page, whose text colour it takes.
    pub fn inline(&self) -> String {
        self.element(0, "")
    }

    /// As a file of its own: with a margin, a ground, and ink to suit it.
    pub fn file(&self) -> String {
        const GROUND: &str = "<style>svg{color:#1b1f24}.ground{fill:#fff}\
            @media(prefers-color-scheme:dark){svg{color:#e4e6e8}.ground{fill:#15181b}}</style>\n\
            <rect class=\"ground\" x=\"-50%\" y=\"-50%\" width=\"200%\" height=\"200%\"/>\n";
        self.element(16, GROUND)
    }

    fn element(&self, margin: i32, ground: &str) -> String {
        let (width, height) = (self.width + 2 * margin, self.height + 2 * margin);
        let view = [-margin, -margin, width, height].map(|px| (px * UNITS).to_string()).join(" ");
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"{view}\" \
             role=\"img\" aria-label=\"{}\" font-family=\"system-ui, sans-serif\" stroke-linejoin=\"round\">\n{ground}{}\n</svg>\n",
            self.title, self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line_stays_one_element() {
        let draw = |canvas: &Canvas| {
            canvas.pattern(&[(0.0, 0.0), (50.0, 5.0)], INK, 1.0, 2.0, Pattern::Dashed)?;
            canvas.pattern(&[(0.0, 9.0), (50.0, 9.0)], INK, 0.5, 1.0, Pattern::Dotted)?;
            canvas.line(&[(0.0, 9.0), (50.0, 9.0)], INK, 0.5, 1.0)
        };
        let svg = figure(60, 20.0, "a & b", draw).unwrap().inline();
        let lines: Vec<_> = svg.lines().filter(|line| line.starts_with("<polyline")).collect();
        assert_eq!(lines.len(), 3, "{svg}");
        assert!(lines[0].contains("stroke-width=\"16\" stroke-dasharray=\"48 32\" points"), "{svg}");
        assert!(lines[1].contains("stroke-width=\"8\" stroke-dasharray=\"14 22\" points"), "{svg}");
        assert!(!lines[2].contains("dasharray") && svg.contains("a &amp; b"), "{svg}");
    }
}
