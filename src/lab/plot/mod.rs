//! Figures: numbers that are ready to be drawn become SVG, in one look. A figure never computes a result.
//!
//! Neutral ink is written as `currentColor`, so that a figure fits a light and a dark page. There are no fonts here:
//! the width of a text is guessed, and space is left for it.

pub mod percentiles;
pub mod shares;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::error::{Error, Result};

/// Width in px of a figure on a desk, and in the files.
pub const WIDE: i32 = 760;
/// Width in px of a figure on a phone.
pub const NARROW: i32 = 370;

/// plotters knows whole units only: this many make a px, so that curves stay smooth.
const UNITS: i32 = 8;
/// Width of a character in parts of the font's size, with some to spare.
const CHARACTER: f64 = 0.56;
/// Stands for the page's text colour until the figure is done.
const INK: RGBColor = RGBColor(1, 2, 3);

/// How a strategy is drawn everywhere: colours of Okabe and Ito (2008), told apart by the colour-blind too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    colour: RGBColor,
    dashed: bool,
}

/// The look of a strategy; `twin` is the baseline's second run.
pub fn look(listener: &str, twin: bool) -> Look {
    const BLUE: RGBColor = RGBColor(0, 114, 178);
    const VERMILION: RGBColor = RGBColor(213, 94, 0);
    const GREEN: RGBColor = RGBColor(0, 158, 115);
    const PURPLE: RGBColor = RGBColor(204, 121, 167);
    const SKY: RGBColor = RGBColor(86, 180, 233);
    const ORANGE: RGBColor = RGBColor(230, 159, 0);
    const GREY: RGBColor = RGBColor(128, 128, 128);
    let (colour, dashed) = match listener.split(':').next().unwrap_or_default() {
        "inherited" => (BLUE, false),
        "reuseport" => (VERMILION, false),
        "round-robin" => (GREEN, false),
        "inherited-exclusive" => (PURPLE, false),
        "inherited-herd" => (ORANGE, false),
        "inherited-rearm" => (SKY, false),
        "inherited-delay" => (SKY, true),
        "inherited-mutex" => (ORANGE, true),
        "uring" => (PURPLE, true),
        "uring-multishot" => (GREY, false),
        "dispatch" => (GREEN, true),
        "least-loaded" => (GREY, true),
        _ => (VERMILION, true),
    };
    Look { colour, dashed: dashed || twin }
}

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug)]
enum Anchor {
    Left,
    Middle,
    Right,
}

/// A surface to draw on, in px.
struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    width: f64,
}

type Px = (f64, f64);

fn units((x, y): Px) -> (i32, i32) {
    let unit = |px: f64| (px * f64::from(UNITS)).round() as i32;
    (unit(x), unit(y))
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Failed(format!("cannot draw a figure: {error}"))
}

impl Canvas<'_> {
    fn line(&self, points: &[Px], colour: RGBColor, opacity: f64, width: f64) -> Result<()> {
        let style = colour.mix(opacity).stroke_width((width * f64::from(UNITS)) as u32);
        let points: Vec<_> = points.iter().copied().map(units).collect();
        self.area.draw(&PathElement::new(points, style)).map_err(failed)
    }

    fn dashes(&self, points: &[Px], colour: RGBColor, opacity: f64, width: f64) -> Result<()> {
        dashed(points).iter().try_for_each(|dash| self.line(dash, colour, opacity, width))
    }

    fn stroke(&self, points: &[Px], look: Look, width: f64) -> Result<()> {
        if look.dashed {
            self.dashes(points, look.colour, 1.0, width)
        } else {
            self.line(points, look.colour, 1.0, width)
        }
    }

    fn fill(&self, points: &[Px], colour: RGBColor, opacity: f64) -> Result<()> {
        let points: Vec<_> = points.iter().copied().map(units).collect();
        self.area.draw(&Polygon::new(points, colour.mix(opacity))).map_err(failed)
    }

    fn rectangle(&self, from: Px, to: Px, colour: RGBColor, opacity: f64) -> Result<()> {
        let corners = [units(from), units(to)];
        self.area.draw(&Rectangle::new(corners, colour.mix(opacity).filled())).map_err(failed)
    }

    fn dot(&self, at: Px, radius: f64, opacity: f64) -> Result<()> {
        let radius = (radius * f64::from(UNITS)) as i32;
        self.area.draw(&Circle::new(units(at), radius, INK.mix(opacity).filled())).map_err(failed)
    }

    /// Writes at the vertical middle of a line.
    fn text(&self, at: Px, text: &str, size: f64, opacity: f64, anchor: Anchor) -> Result<()> {
        self.write(at, text, (size, FontStyle::Normal), opacity, anchor)
    }

    fn write(&self, at: Px, text: &str, font: (f64, FontStyle), opacity: f64, anchor: Anchor) -> Result<()> {
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

    /// Title and, below it in smaller lines, what is drawn. Returns where the space below begins.
    fn heading(&self, title: &str, lines: &str) -> Result<f64> {
        self.write((0.0, 11.0), title, (16.0, FontStyle::Bold), 1.0, Anchor::Left)?;
        let mut y = 32.0;
        for line in wrap(lines, 12.5, self.width) {
            self.text((0.0, y), &line, 12.5, 0.72, Anchor::Left)?;
            y += 17.0;
        }
        Ok(y)
    }
}

/// Cuts a line into dashes.
fn dashed(points: &[Px]) -> Vec<Vec<Px>> {
    const LENGTHS: [f64; 2] = [6.0, 4.0];
    let (mut dashes, mut drawing, mut left) = (Vec::new(), true, LENGTHS[0]);
    let mut dash: Vec<Px> = points.first().copied().into_iter().collect();
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        let mut length = (to.0 - from.0).hypot(to.1 - from.1);
        while length > left {
            let part = left / length;
            from = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
            length -= left;
            dash.push(from);
            if drawing {
                dashes.push(std::mem::take(&mut dash));
            }
            dash = vec![from];
            drawing = !drawing;
            left = LENGTHS[usize::from(!drawing)];
        }
        left -= length;
        dash.push(to);
    }
    if drawing && dash.len() > 1 {
        dashes.push(dash);
    }
    dashes
}

/// Guessed width of a text in px.
fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * CHARACTER * size
}

/// Breaks a text into lines of at most `width` px.
fn wrap(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(line, size) + text_width(word, size) + CHARACTER * size <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

/// Moves positions apart until each has `gap`, within `low` and `high`, keeping their order.
fn spread_out(positions: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..positions.len()).collect();
    order.sort_by(|&a, &b| positions[a].total_cmp(&positions[b]));
    let mut moved = positions.to_vec();
    let mut least = low;
    for &index in &order {
        moved[index] = moved[index].max(least);
        least = moved[index] + gap;
    }
    let mut most = high;
    for &index in order.iter().rev() {
        moved[index] = moved[index].min(most);
        most = moved[index] - gap;
    }
    moved
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
fn figure(width: i32, height: f64, title: &str, draw: impl FnOnce(&Canvas) -> Result<()>) -> Result<Figure> {
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
    let body = body.replace("#010203", "currentColor").replace("\n</text>", "</text>").trim().to_owned();
    let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    Ok(Figure { width, height, title, body })
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
             role=\"img\" aria-label=\"{}\" stroke-linejoin=\"round\">\n{ground}{}\n</svg>\n",
            self.title, self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_moved_apart_and_stay_within() {
        let moved = spread_out(&[50.0, 51.0, 10.0, 99.0], 15.0, 0.0, 100.0);
        let mut sorted = moved.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= 15.0), "{moved:?}");
        assert!(sorted[0] >= 0.0 && sorted[3] <= 100.0, "{moved:?}");
        assert_eq!(moved[2], 10.0);
    }

    #[test]
    fn a_strategy_keeps_its_colour_with_an_argument_and_as_a_twin() {
        assert_eq!(look("inherited-rearm:16", false), look("inherited-rearm", false));
        let (one, twin) = (look("inherited", false), look("inherited", true));
        assert!(one.colour == twin.colour && one != twin);
    }

    #[test]
    fn dashes_cover_three_fifths_of_a_line() {
        let dashes = dashed(&[(0.0, 0.0), (60.0, 0.0), (60.0, 40.0)]);
        assert_eq!(dashes.len(), 10);
        let length = |dash: &Vec<Px>| -> f64 {
            dash.windows(2).map(|p| (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1)).sum()
        };
        assert!((dashes.iter().map(length).sum::<f64>() - 60.0).abs() < 1e-9);
    }

    #[test]
    fn long_texts_are_wrapped() {
        let lines = wrap("one two three four five six seven", 12.0, 100.0);
        assert!(lines.len() > 1 && lines.iter().all(|line| text_width(line, 12.0) <= 100.0), "{lines:?}");
    }
}
