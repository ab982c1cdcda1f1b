//! Lines over one pair of axes, in one panel or in small multiples: what most figures are made of.
//!
//! All panels have one scale, so that they can be compared. It knows px and values, not what they mean.

use super::axis::{Axis, short};
use super::canvas::{Anchor, Canvas, Figure, INK, LABEL, Pattern, Px, SOFT, TICK, figure, heading_height};
use super::keys::{Key, Sample, key_height, keys};
use super::layout::{Panels, shorten, spread_out, text_width, widest};
use super::look::{ALARM, Look};
use crate::lab::error::Result;

/// A figure of lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// Name of the axis below.
    pub x: Dimension,
    /// The axes at the left; panels say which is theirs.
    pub y: Vec<Dimension>,
    /// The panels, row by row.
    pub panels: Vec<Panel>,
    /// What colours and patterns mean, where lines are not labelled themselves.
    pub keys: Vec<Key>,
    /// Height in px of the space for lines in a panel.
    pub plot_height: f64,
    /// Least width in px of a panel, and the most that stand side by side.
    pub least_width: f64,
    /// See `least_width`.
    pub most_columns: usize,
    /// Whether lines have their names at their right ends; for a single panel, where there is room.
    pub labels: bool,
}

/// What an axis shows.
#[derive(Clone, Debug, Default)]
pub struct Dimension {
    /// Name and unit.
    pub name: String,
    /// Whether factors are equally long.
    pub log: bool,
    /// Values to name, and how; round values when there are none.
    pub ticks: Vec<(f64, String)>,
    /// Where it begins and ends, when not where the values do.
    pub range: Option<(f64, f64)>,
}

/// One panel.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// Name and look of what it shows.
    pub heading: Option<(String, Option<Look>)>,
    /// A line of text below the name.
    pub note: String,
    /// Which of [`Lines::y`] is its axis.
    pub y: usize,
    /// The lines.
    pub lines: Vec<Line>,
    /// Stretches of the axis below that are shaded.
    pub shades: Vec<(f64, f64)>,
    /// Upright dashed lines, with a short text at their upper ends.
    pub uprights: Vec<(f64, String)>,
    /// Where something went wrong: ticks at the upper edge.
    pub alarms: Vec<f64>,
}

/// One line.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Direct label.
    pub label: String,
    /// Colour and mark; neutral ink without.
    pub look: Option<Look>,
    /// Where it goes.
    pub points: Vec<(f64, f64)>,
    /// Position, lower and upper end of the band around it.
    pub band: Vec<(f64, f64, f64)>,
    /// How it is broken.
    pub pattern: Pattern,
    /// Opacity, 0 to 1; 0 stands for 1.
    pub opacity: f64,
    /// Width in px; 0 stands for 2.
    pub weight: f64,
    /// Points that carry the mark.
    pub marks: Vec<(f64, f64)>,
    /// Points with a ring around them.
    pub rings: Vec<(f64, f64)>,
}

const FOOT: f64 = 20.0;
const NAME: f64 = 18.0;
const UNIT: f64 = 16.0;
const HEAD: f64 = 20.0;
const NOTE: f64 = 16.0;
const GAP: f64 = 26.0;
const LEADER: f64 = 28.0;

/// Everything that is known before the first line is drawn.
struct Sheet {
    x: Axis,
    y: Vec<Axis>,
    panels: Panels,
    top: f64,
    row: f64,
    head: f64,
    gutter: f64,
    right: f64,
    keys: Vec<Key>,
}

/// Where values lie in a panel.
struct Frame<'a> {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: &'a Axis,
    y: &'a Axis,
}

impl Frame<'_> {
    fn x(&self, value: f64) -> f64 {
        self.left + (self.right - self.left) * self.x.share(value)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * self.y.share(value)
    }

    fn at(&self, (x, y): (f64, f64)) -> Px {
        (self.x(x), self.y(y))
    }
}

impl Lines {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        let Some(sheet) = self.sheet(f64::from(width)) else {
            let height = heading_height(&self.title, &self.note, f64::from(width));
            return figure(width, height + 30.0, &self.title, |canvas| {
                canvas.heading(&self.title, &self.note)?;
                canvas.text((0.0, height + 8.0), "no run to draw", LABEL, SOFT, Anchor::Left)
            });
        };
        let height = sheet.top + sheet.row * sheet.panels.rows as f64 + NAME - (sheet.row_gap() - 4.0);
        figure(width, height, &self.title, |canvas| {
            canvas.heading(&self.title, &self.note)?;
            keys(canvas, &sheet.keys, heading_height(&self.title, &self.note, canvas.width))?;
            (0..self.panels.len()).try_for_each(|index| self.panel(canvas, &sheet, index))
        })
    }

    fn sheet(&self, width: f64) -> Option<Sheet> {
        let all = || self.panels.iter().flat_map(|panel| &panel.lines);
        let xs = all().flat_map(|line| line.points.iter().chain(&line.marks).map(|(x, _)| *x));
        let x = self.x.axis(xs.collect(), true)?;
        let used = |index: &usize| self.panels.iter().any(|panel| panel.y == *index);
        let axis = |index: usize| match self.y[index].axis(self.ys(index), false) {
            None if !used(&index) => Some(Axis::exact(0.0, 1.0)),
            axis => axis,
        };
        let y: Option<Vec<Axis>> = (0..self.y.len()).map(axis).collect();
        let y = y?;
        let names: Vec<&str> =
            all().map(|line| line.label.as_str()).filter(|label| !label.is_empty()).collect();
        let room = widest(names.iter().copied(), LABEL) + LEADER + 6.0;
        let direct = self.labels && self.panels.len() == 1 && room < width * 0.36;
        let mut keys = self.keys.clone();
        if self.labels && !direct {
            let strategies = all().filter(|line| !line.label.is_empty());
            let key =
                |line: &Line| Some(Key { text: line.label.clone(), sample: Sample::Strategy(line.look?) });
            keys.splice(0..0, strategies.filter_map(key));
        }
        let ticks = y.iter().zip(&self.y).flat_map(|(axis, dimension)| dimension.named(axis, self.y_ticks()));
        let gutter = ticks.map(|(_, text)| text_width(&text, TICK)).fold(0.0, f64::max) + 10.0;
        let headed = self.panels.iter().any(|panel| panel.heading.is_some());
        let noted = self.panels.iter().any(|panel| !panel.note.is_empty());
        let head = UNIT + if headed { HEAD } else { 0.0 } + if noted { NOTE } else { 0.0 };
        let top = heading_height(&self.title, &self.note, width) + key_height(&keys, width);
        let panels = Panels::new(self.panels.len(), width, self.least_width, 24.0, self.most_columns);
        let row = head + self.plot_height + FOOT + if panels.rows > 1 { GAP } else { 4.0 };
        let right = if direct { room } else { 8.0 };
        Some(Sheet { x, y, panels, top, row, head, gutter, right, keys })
    }

    fn y_ticks(&self) -> usize {
        (self.plot_height / 30.0).clamp(2.0, 8.0) as usize
    }

    fn ys(&self, dimension: usize) -> Vec<f64> {
        let lines = self.panels.iter().filter(|panel| panel.y == dimension).flat_map(|panel| &panel.lines);
        let of = |line: &Line| -> Vec<f64> {
            let points = line.points.iter().chain(&line.marks).map(|(_, y)| *y);
            points.chain(line.band.iter().flat_map(|(_, low, high)| [*low, *high])).collect()
        };
        lines.flat_map(of).collect()
    }

    fn panel(&self, canvas: &Canvas, sheet: &Sheet, index: usize) -> Result<()> {
        let panel = &self.panels[index];
        let (left, top) = sheet.panels.corner(index, sheet.top, sheet.row);
        if let Some((name, look)) = &panel.heading {
            let indent = if look.is_some() { 17.0 } else { 0.0 };
            look.map_or(Ok(()), |look| canvas.mark((left + 7.0, top + 8.0), 5.0, look))?;
            let name = shorten(name, 13.5, sheet.panels.width - indent);
            canvas.text((left + indent, top + 8.0), &name, 13.5, 1.0, Anchor::Left)?;
        }
        let note = shorten(&panel.note, TICK, sheet.panels.width);
        canvas.text((left, top + HEAD + 6.0), &note, TICK, SOFT, Anchor::Left)?;
        let frame = Frame {
            left: left + sheet.gutter,
            right: left + sheet.panels.width - sheet.right,
            top: top + sheet.head,
            bottom: top + sheet.head + self.plot_height,
            x: &sheet.x,
            y: &sheet.y[panel.y],
        };
        for (from, to) in &panel.shades {
            canvas.rectangle((frame.x(*from), frame.top), (frame.x(*to), frame.bottom), INK, 0.08)?;
        }
        self.grid(canvas, &frame, &self.y[panel.y], sheet.panels.lowest(index))?;
        marks(canvas, &frame, panel)?;
        panel.lines.iter().try_for_each(|line| line.band(canvas, &frame))?;
        panel.lines.iter().try_for_each(|line| line.stroke(canvas, &frame))?;
        if sheet.right > 8.0 { labels(canvas, &frame, panel) } else { Ok(()) }
    }

    fn grid(&self, canvas: &Canvas, frame: &Frame, y: &Dimension, lowest: bool) -> Result<()> {
        let unit = shorten(&y.name, TICK, frame.right - frame.left + 12.0);
        canvas.text((frame.left - 7.0, frame.top - 11.0), &unit, TICK, SOFT, Anchor::Left)?;
        for (value, text) in y.named(frame.y, self.y_ticks()) {
            let at = frame.y(value);
            canvas.line(&[(frame.left, at), (frame.right, at)], INK, 0.13, 1.0)?;
            canvas.text((frame.left - 7.0, at), &text, TICK, SOFT, Anchor::Right)?;
        }
        let most = ((frame.right - frame.left) / 58.0).clamp(2.0, 9.0) as usize;
        let mut free = f64::NEG_INFINITY;
        for (value, text) in self.x.named(frame.x, most) {
            let (at, half) = (frame.x(value), text_width(&text, TICK) / 2.0);
            canvas.line(&[(at, frame.top), (at, frame.bottom)], INK, 0.13, 1.0)?;
            let at = at.min(frame.right + 8.0 - half);
            if at - half > free {
                canvas.text((at, frame.bottom + 13.0), &text, TICK, SOFT, Anchor::Middle)?;
                free = at + half + 6.0;
            }
        }
        canvas.line(&[(frame.left, frame.bottom), (frame.right, frame.bottom)], INK, 0.5, 1.0)?;
        if !lowest {
            return Ok(());
        }
        let name = shorten(&self.x.name, TICK, frame.right - frame.left + 14.0);
        let middle = f64::midpoint(frame.left, frame.right);
        canvas.text((middle, frame.bottom + FOOT + 10.0), &name, TICK, SOFT, Anchor::Middle)
    }
}

impl Sheet {
    fn row_gap(&self) -> f64 {
        if self.panels.rows > 1 { GAP } else { 4.0 }
    }
}

impl Dimension {
    fn axis(&self, values: Vec<f64>, tight: bool) -> Option<Axis> {
        if values.iter().all(|value| !value.is_finite()) {
            return None;
        }
        match self.range {
            Some((low, high)) => Some(Axis { log: self.log, ..Axis::exact(low, high) }),
            None if self.log => Axis::log(values),
            None if tight => {
                let low = values.iter().copied().fold(f64::INFINITY, f64::min);
                Some(Axis::exact(low, values.into_iter().fold(low, f64::max)))
            }
            None => Axis::linear(values),
        }
    }

    fn named(&self, axis: &Axis, most: usize) -> Vec<(f64, String)> {
        if self.ticks.is_empty() {
            return axis.ticks(most).into_iter().map(|value| (value, short(value))).collect();
        }
        self.ticks.iter().filter(|(value, _)| (axis.low..=axis.high).contains(value)).cloned().collect()
    }
}

impl Line {
    fn colour(&self) -> plotters::style::RGBColor {
        self.look.map_or(INK, |look| look.colour)
    }

    fn band(&self, canvas: &Canvas, frame: &Frame) -> Result<()> {
        let upper = self.band.iter().map(|(x, _, high)| frame.at((*x, *high)));
        let lower = self.band.iter().rev().map(|(x, low, _)| frame.at((*x, *low)));
        let outline: Vec<Px> = upper.chain(lower).collect();
        if outline.is_empty() { Ok(()) } else { canvas.fill(&outline, self.colour(), 0.15) }
    }

    fn stroke(&self, canvas: &Canvas, frame: &Frame) -> Result<()> {
        let hollow = self.look.is_some_and(|look| look.hollow);
        let weight = if self.weight > 0.0 { self.weight } else { 2.0 };
        let weight = if hollow { weight * 0.6 } else { weight };
        let opacity = if self.opacity > 0.0 { self.opacity } else { 1.0 };
        let line: Vec<Px> = self.points.iter().map(|point| frame.at(*point)).collect();
        match line[..] {
            [] => {}
            // A line through one point has no length, and would not be seen.
            [point] => canvas.dot(point, weight, self.colour(), opacity)?,
            _ => canvas.pattern(&line, self.colour(), opacity, weight, self.pattern)?,
        }
        for point in &self.marks {
            self.look.map_or(Ok(()), |look| canvas.mark(frame.at(*point), 3.6, look))?;
        }
        self.rings.iter().try_for_each(|point| canvas.ring(frame.at(*point), 7.5, INK, 1.25))
    }
}

/// Upright lines and alarms.
fn marks(canvas: &Canvas, frame: &Frame, panel: &Panel) -> Result<()> {
    let mut free = frame.left;
    for (value, text) in &panel.uprights {
        let at = frame.x(*value);
        canvas.pattern(&[(at, frame.top), (at, frame.bottom)], INK, 0.6, 1.0, Pattern::Dashed)?;
        if at - 4.0 - text_width(text, TICK) >= free {
            canvas.text((at - 4.0, frame.top + 9.0), text, TICK, SOFT, Anchor::Right)?;
            free = at;
        }
    }
    for value in &panel.alarms {
        let at = frame.x(*value);
        canvas.line(&[(at, frame.top), (at, frame.top + 9.0)], ALARM, 1.0, 1.5)?;
    }
    Ok(())
}

/// The names of the lines at their right ends, moved apart.
fn labels(canvas: &Canvas, frame: &Frame, panel: &Panel) -> Result<()> {
    let named = panel.lines.iter().filter(|line| !line.label.is_empty());
    let ends: Vec<(&Line, Px)> =
        named.filter_map(|line| Some((line, frame.at(*line.points.last()?)))).collect();
    let wanted: Vec<f64> = ends.iter().map(|(_, (_, y))| *y).collect();
    let placed = spread_out(&wanted, 18.0, frame.top, frame.bottom - 4.0);
    for ((line, end), y) in ends.iter().zip(placed) {
        let x = frame.right + LEADER;
        canvas.line(&[*end, (x - 12.0, y)], line.colour(), 0.8, 1.0)?;
        line.look.map_or(Ok(()), |look| canvas.mark((x - 9.0, y), 4.0, look))?;
        canvas.text((x, y), &line.label, LABEL, 1.0, Anchor::Left)?;
    }
    Ok(())
}
