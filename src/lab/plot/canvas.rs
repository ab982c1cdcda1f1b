//! The drawing surface of a figure, in px, on top of plotters, and the SVG that results.
//!
//! Neutral ink is written as `currentColor`, so that a figure suits a light and a dark page. The fonts are those of the
//! reader, so the width of a text is estimated, and space is left for it.

use plotters::coord::Shift;
use plotters::prelude::*;
pub use plotters::style::text_anchor::HPos;
use plotters::style::text_anchor::{Pos, VPos};

use super::layout::{Px, shorten, wrap};
use super::style::{Mark, Style};

/// Stands for the text colour of the page until the figure is complete.
pub const INK: RGBColor = RGBColor(1, 2, 3);
/// Size of labels in px.
pub const LABEL: f64 = 13.0;
/// Size of ticks and notes in px.
pub const TICK: f64 = 12.0;
/// Opacity of ticks and notes.
pub const SOFT: f64 = 0.72;

/// plotters has integer coordinates only: this many units make a px, so that curves stay smooth.
const UNITS: i32 = 8;
const TITLE: f64 = 16.0;
const TITLE_LINE: f64 = 20.0;
const NOTE: f64 = 12.5;
const NOTE_LINE: f64 = 17.0;

pub fn stroke(colour: RGBColor, opacity: f64, width: f64) -> ShapeStyle {
    let quarters = (width * f64::from(UNITS) / 4.0).round().max(1.0) as u32;
    colour.mix(opacity).stroke_width(quarters * 4)
}

/// The same with dashes. plotters draws each dash as an element of its own; so widths are multiples of 4 units, a remainder of 1
/// stands for dashes, and [`dashes`] replaces it with the attribute of SVG.
pub fn dashed(style: ShapeStyle) -> ShapeStyle {
    ShapeStyle { stroke_width: style.stroke_width + 1, ..style }
}

pub fn letters(size: f64, opacity: f64) -> TextStyle<'static> {
    // The backend divides sizes by 1.24.
    let font = ("sans-serif", size * 1.24 * f64::from(UNITS), FontStyle::Normal);
    TextStyle { color: INK.mix(opacity).to_backend_color(), ..TextStyle::from(font) }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub struct Canvas<'a> {
    area: Area<'a>,
    pub width: f64,
}

/// Lengths in units of plotters.
pub fn units(px: f64) -> i32 {
    (px * f64::from(UNITS)).round() as i32
}

fn placed((x, y): Px) -> (i32, i32) {
    (units(x), units(y))
}

/// A point of plotters in px.
pub fn px((x, y): (i32, i32)) -> Px {
    (f64::from(x) / f64::from(UNITS), f64::from(y) / f64::from(UNITS))
}

/// The backend writes to memory, which cannot fail.
///
/// # Panics
/// Never.
pub fn drawn<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.expect("drawing into memory")
}

impl<'a> Canvas<'a> {
    /// A part of the surface, for a chart of plotters.
    pub fn part(&self, corner: Px, (width, height): Px) -> Area<'a> {
        self.area.clone().shrink(placed(corner), placed((width, height)))
    }

    pub fn line(&self, points: &[Px], colour: RGBColor, opacity: f64, width: f64) {
        self.path(points, stroke(colour, opacity, width));
    }

    pub fn path(&self, points: &[Px], style: ShapeStyle) {
        let mut points: Vec<_> = points.iter().copied().map(placed).collect();
        points.dedup();
        drawn(self.area.draw(&PathElement::new(points, style)));
    }

    pub fn rectangle(&self, from: Px, to: Px, colour: RGBColor, opacity: f64) {
        drawn(self.area.draw(&Rectangle::new([placed(from), placed(to)], colour.mix(opacity).filled())));
    }

    pub fn dot(&self, at: Px, radius: f64, colour: RGBColor, opacity: f64) {
        self.circle(at, radius, colour.mix(opacity).filled());
    }

    pub fn ring(&self, at: Px, radius: f64, colour: RGBColor, width: f64) {
        self.circle(at, radius, colour.stroke_width(units(width).unsigned_abs()));
    }

    fn circle(&self, at: Px, radius: f64, style: ShapeStyle) {
        drawn(self.area.draw(&Circle::new(placed(at), (radius * f64::from(UNITS)) as i32, style)));
    }

    /// The mark of a column: filled, or hollow for its second run.
    pub fn mark(&self, at: Px, radius: f64, style: Style) {
        let corner = |(x, y): &(f64, f64)| (at.0 + x * radius, at.1 + y * radius);
        let corners: Vec<Px> = style.mark.corners().iter().map(corner).collect();
        match (style.mark, style.hollow) {
            (Mark::Disc, false) => self.dot(at, radius, style.colour, 1.0),
            (Mark::Disc, true) => self.ring(at, radius * 0.85, style.colour, 1.5),
            (_, true) => self.line(&[&corners[..], &corners[..1]].concat(), style.colour, 1.0, 1.5),
            (_, false) => {
                let corners: Vec<_> = corners.into_iter().map(placed).collect();
                drawn(self.area.draw(&Polygon::new(corners, style.colour)));
            }
        }
    }

    /// A tick below a point of an axis, and its name.
    pub fn tick(&self, (x, y): Px, name: &str) {
        self.line(&[(x, y), (x, y + 4.0)], INK, 0.5, 1.0);
        self.soft((x, y + 13.0), name, HPos::Center);
    }

    /// As [`Canvas::text`], in the size and ink of ticks and notes.
    pub fn soft(&self, at: Px, text: &str, end: HPos) {
        self.text(at, text, TICK, SOFT, end);
    }

    /// Writes a text whose line is centred vertically on the point; `end` is the end that stands there.
    pub fn text(&self, at: Px, text: &str, size: f64, opacity: f64, end: HPos) {
        if !text.is_empty() {
            let style = letters(size, opacity).pos(Pos::new(end, VPos::Center));
            drawn(self.area.draw(&Text::new(text.to_owned(), placed(at), style)));
        }
    }

    /// As [`Canvas::text`], shortened to `width` px.
    pub fn short_text(&self, at: Px, text: &str, size: f64, opacity: f64, width: f64) {
        self.text(at, &shorten(text, size, width), size, opacity, HPos::Left);
    }

    /// The note of a figure; [`Caption::height`] high.
    fn note(&self, caption: &Caption) {
        for (index, line) in wrap(&caption.note, NOTE, self.width).iter().enumerate() {
            self.text((0.0, 9.0 + index as f64 * NOTE_LINE), line, NOTE, SOFT, HPos::Left);
        }
    }

    /// The heading of a panel: a mark and a name, and a note in the line below.
    pub fn heading(&self, (left, top): Px, name: &str, style: Option<Style>, note: &str, width: f64) {
        let indent = if style.is_some() { 17.0 } else { 0.0 };
        if let Some(style) = style {
            self.mark((left + 7.0, top + 8.0), 5.0, style);
        }
        self.short_text((left + indent, top + 8.0), name, 13.5, 1.0, width - indent);
        self.short_text((left, top + 27.0), note, TICK, SOFT, width);
    }
}

/// What stands above a figure, and its text for those who do not see it.
#[derive(Clone, Debug, Default)]
pub struct Caption {
    /// On a page it is a heading; in a file it is drawn.
    pub title: String,
    /// A line or two about what is drawn.
    pub note: String,
    /// What is seen, in words.
    pub says: String,
}

impl Caption {
    pub fn new(title: impl Into<String>, note: impl Into<String>) -> Self {
        Self { title: title.into(), note: note.into(), says: String::new() }
    }

    pub fn saying(self, says: impl Into<String>) -> Self {
        Self { says: says.into(), ..self }
    }

    /// Of the note in px, including the space below.
    pub fn height(&self, width: f64) -> f64 {
        wrap(&self.note, NOTE, width).len() as f64 * NOTE_LINE + 8.0
    }
}

#[derive(Clone, Debug)]
pub struct Figure {
    width: i32,
    height: i32,
    pub title: String,
    /// What is seen, in words.
    pub says: String,
    body: String,
}

pub fn figure(width: i32, height: f64, caption: &Caption, draw: impl FnOnce(&Canvas)) -> Figure {
    let mut svg = String::new();
    let height = height.round() as i32;
    let size = ((width * UNITS).unsigned_abs(), (height * UNITS).unsigned_abs());
    let backend = SVGBackend::with_string(&mut svg, size);
    let canvas = Canvas { area: backend.into_drawing_area(), width: f64::from(width) };
    canvas.note(caption);
    draw(&canvas);
    drawn(canvas.area.present());
    drop(canvas);
    let body =
        svg.split_once('>').and_then(|(_, rest)| rest.rsplit_once("</svg>")).map_or("", |(body, _)| body);
    let says = if caption.says.is_empty() { &caption.title } else { &caption.says };
    Figure { width, height, title: caption.title.clone(), says: says.clone(), body: slim(body) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// The body without the attributes that all elements share, a line per element.
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

fn dashes(element: &str) -> String {
    let coded = || {
        let (before, rest) = element.split_once(" stroke-width=\"")?;
        let (width, after) = rest.split_once('"')?;
        let width = width.parse::<u32>().ok().filter(|width| width % 4 == 1)? - 1;
        Some(format!("{before} stroke-width=\"{width}\" stroke-dasharray=\"48 32\"{after}"))
    };
    if element.starts_with("<polyline") { coded() } else { None }.unwrap_or_else(|| element.to_owned())
}

impl Figure {
    /// As an element of a page, in the text colour of the page and without the title.
    pub fn inline(&self) -> String {
        self.element(0, 0, "")
    }

    /// As a file of its own: with its title, a margin, a background, and ink that suits it.
    pub fn file(&self) -> String {
        const GROUND: &str = "<style>svg{color:#1b1f24}.ground{fill:#fff}\
            @media(prefers-color-scheme:dark){svg{color:#e4e6e8}.ground{fill:#15181b}}</style>\n\
            <rect class=\"ground\" x=\"-50%\" y=\"-50%\" width=\"200%\" height=\"200%\"/>\n";
        let lines = wrap(&self.title, TITLE, f64::from(self.width));
        let head = lines.len() as f64 * TITLE_LINE;
        let line = |(index, line): (usize, &String)| {
            let y = units(index as f64 * TITLE_LINE - head + 10.0);
            let size = units(TITLE);
            format!(
                "<text x=\"0\" y=\"{y}\" dy=\"0.5ex\" font-size=\"{size}\" font-weight=\"bold\" fill=\"currentColor\">{}</text>\n",
                escaped(line)
            )
        };
        let title: String = lines.iter().enumerate().map(line).collect();
        self.element(16, head as i32, &format!("{GROUND}{title}"))
    }

    fn element(&self, margin: i32, head: i32, before: &str) -> String {
        let (width, height) = (self.width + 2 * margin, self.height + head + 2 * margin);
        let view = [-margin, -margin - head, width, height].map(|px| (px * UNITS).to_string()).join(" ");
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"{view}\" \
             role=\"img\" aria-label=\"{}\" font-family=\"system-ui, sans-serif\" stroke-linejoin=\"round\">\n{before}{}\n</svg>\n",
            escaped(&self.says),
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line_stays_one_element() {
        let draw = |canvas: &Canvas| {
            canvas.path(&[(0.0, 0.0), (50.0, 5.0)], dashed(stroke(INK, 1.0, 2.0)));
            canvas.line(&[(0.0, 9.0), (50.0, 9.0)], INK, 0.5, 1.0);
        };
        let svg = figure(60, 20.0, &Caption::new("a & b", ""), draw).inline();
        let lines: Vec<_> = svg.lines().filter(|line| line.starts_with("<polyline")).collect();
        assert_eq!(lines.len(), 2, "{svg}");
        assert!(lines[0].contains("stroke-width=\"16\" stroke-dasharray=\"48 32\" points"), "{svg}");
        assert!(!lines[1].contains("dasharray") && svg.contains("aria-label=\"a &amp; b\""), "{svg}");
    }

    #[test]
    fn the_title_is_drawn_in_the_file_only_and_the_text_says_what_is_seen() {
        let caption = Caption::new("Change of p99", "A note.").saying("reuseport is worse by 20 %.");
        let figure = figure(300, 40.0, &caption, |_| {});
        assert!(
            !figure.inline().contains("Change of p99") && figure.file().contains(">Change of p99</text>")
        );
        assert!(figure.inline().contains("aria-label=\"reuseport is worse by 20 %.\""));
    }
}
