//! Lines over a pair of axes, in one panel or in small multiples: most figures are made of these.
//!
//! Each panel is a chart of plotters: its coordinates, its mesh and its series. All panels share their scales, so that
//! they can be compared. Headings, marks and the labels of lines have sizes in px and are drawn on the canvas.

use plotters::chart::ChartContext;
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::*;

use super::axis::{Axis, Ruler, short};
use super::canvas::{
    Anchor, Canvas, Caption, Figure, INK, LABEL, Pattern, SOFT, TICK, drawn, figure, letters, px, stroke,
    units,
};
use super::keys::{Key, Sample, key_height, keys};
use super::layout::{Panels, Px, shorten, spread_out, text_width, widest};
use super::style::Style;

/// A figure of lines.
#[derive(Debug, Default)]
pub struct Lines {
    pub caption: Caption,
    pub x: Dimension,
    pub y: Dimension,
    pub panels: Vec<Panel>,
    pub keys: Vec<Key>,
    /// Of the chart in a panel, in px.
    pub plot_height: f64,
    /// Of a panel, in px.
    pub least_width: f64,
    pub most_columns: usize,
}

/// What an axis shows.
#[derive(Clone, Debug, Default)]
pub struct Dimension {
    pub name: String,
    pub log: bool,
    /// Values to name, and their names; without any, round values.
    pub ticks: Vec<(f64, String)>,
    /// A linear axis reaches this value at least.
    pub least: f64,
}

#[derive(Clone, Debug, Default)]
pub struct Panel {
    pub heading: String,
    /// A line of text below the heading.
    pub note: String,
    pub lines: Vec<Line>,
    /// Ranges of the horizontal axis.
    pub shades: Vec<(f64, f64)>,
    /// Vertical dashed lines, with a short text at their upper ends.
    pub uprights: Vec<(f64, String)>,
}

#[derive(Clone, Debug, Default)]
pub struct Line {
    /// At its right end, if there is enough space; otherwise in the keys.
    pub label: String,
    pub style: Option<Style>,
    pub points: Vec<(f64, f64)>,
    /// Position, lower and upper end of the band around the line.
    pub band: Vec<(f64, f64, f64)>,
    pub pattern: Pattern,
    /// 0 to 1; 0 stands for 1.
    pub opacity: f64,
    /// Width in px; 0 stands for 2.
    pub weight: f64,
    /// Points with the mark of the style.
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
/// From an axis to the names of its ticks.
const TICK_GAP: f64 = 7.0;

/// The layout that all panels share.
struct Sheet {
    x: Ruler,
    y: Ruler,
    panels: Panels,
    top: f64,
    row: f64,
    head: f64,
    gutter: f64,
    right: f64,
    direct: bool,
    keys: Vec<Key>,
}

/// The chart of a panel, and its edges in px.
struct Chart<'c, 'a> {
    canvas: &'c Canvas<'a>,
    context: ChartContext<'a, SVGBackend<'a>, Cartesian2d<Ruler, Ruler>>,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Lines {
    /// The figure at this width.
    pub fn draw(&self, width: i32) -> Figure {
        let Some(sheet) = self.sheet(f64::from(width)) else {
            let height = self.caption.height(f64::from(width));
            return figure(width, height + 30.0, &self.caption, |canvas| {
                canvas.text((0.0, height + 8.0), "no run to draw", LABEL, SOFT, Anchor::Left);
            });
        };
        let gap = if sheet.panels.rows > 1 { GAP } else { 4.0 };
        let height = sheet.top + sheet.row * sheet.panels.rows as f64 + NAME - (gap - 4.0);
        figure(width, height, &self.caption, |canvas| {
            keys(canvas, &sheet.keys, self.caption.height(canvas.width));
            (0..self.panels.len()).for_each(|index| self.panel(canvas, &sheet, index));
        })
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.panels.iter().flat_map(|panel| &panel.lines)
    }

    fn sheet(&self, width: f64) -> Option<Sheet> {
        let xs = self.lines().flat_map(|line| line.points.iter().chain(&line.marks).map(|(x, _)| *x));
        let x = self.x.axis(xs.collect(), true)?;
        let y = self.vertical()?;
        let labels = self.lines().map(|line| line.label.as_str());
        let panels = Panels::new(self.panels.len(), width, self.least_width, 24.0, self.most_columns);
        let room = widest(labels, LABEL) + LEADER + 6.0;
        let direct = room > LEADER + 6.0 && room < panels.width * 0.4;
        let keys = if direct { self.keys.clone() } else { self.all_keys() };
        let gutter = widest(y.ticks.iter().map(|(_, name)| name.as_str()), TICK) + 10.0;
        let headed = self.panels.iter().any(|panel| !panel.heading.is_empty());
        let noted = self.panels.iter().any(|panel| !panel.note.is_empty());
        let head = UNIT + if headed { HEAD } else { 0.0 } + if noted { NOTE } else { 0.0 };
        let top = self.caption.height(width) + key_height(&keys, width);
        let row = head + self.plot_height + FOOT + if panels.rows > 1 { GAP } else { 4.0 };
        let right = if direct { room } else { 8.0 };
        let (x, right) = self.x.horizontal(x, panels.width - gutter, right);
        Some(Sheet { x, y, panels, top, row, head, gutter, right, direct, keys })
    }

    /// The keys, after those of the labelled lines.
    fn all_keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        for (line, style) in self.lines().filter_map(|line| Some((line, line.style?))) {
            if !line.label.is_empty() && keys.iter().all(|key| key.text != line.label) {
                keys.push(Key::new(line.label.clone(), Sample::Strategy(style)));
            }
        }
        keys.into_iter().chain(self.keys.iter().cloned()).collect()
    }

    /// The vertical axis; `None` without values.
    fn vertical(&self) -> Option<Ruler> {
        let values = |line: &Line| -> Vec<f64> {
            let points = line.points.iter().chain(&line.marks).map(|(_, y)| *y);
            points.chain(line.band.iter().flat_map(|(_, low, high)| [*low, *high])).collect()
        };
        let axis = self.y.axis(self.lines().flat_map(values).collect(), false)?;
        let most = (self.plot_height / 30.0).clamp(2.0, 8.0) as usize;
        Some(Ruler { ticks: self.y.named(&axis, most), axis })
    }

    fn panel<'a>(&self, canvas: &Canvas<'a>, sheet: &Sheet, index: usize) {
        let panel = &self.panels[index];
        let (left, top) = sheet.panels.corner(index, sheet.top, sheet.row);
        canvas.heading((left, top), &panel.heading, None, &panel.note, sheet.panels.width);
        let size = (sheet.panels.width - sheet.right, self.plot_height + FOOT);
        let area = canvas.part((left, top + sheet.head), size);
        let mut builder = ChartBuilder::on(&area);
        builder.x_label_area_size(units(FOOT)).y_label_area_size(units(sheet.gutter));
        let mut chart = Chart {
            canvas,
            context: drawn(builder.build_cartesian_2d(sheet.x.clone(), sheet.y.clone())),
            left: left + sheet.gutter,
            right: left + sheet.panels.width - sheet.right,
            top: top + sheet.head,
            bottom: top + sheet.head + self.plot_height,
        };
        let (low, high) = (sheet.y.axis.low, sheet.y.axis.high);
        let shade =
            |(from, to): &(f64, f64)| Rectangle::new([(*from, high), (*to, low)], INK.mix(0.08).filled());
        chart.series(panel.shades.iter().map(shade));
        chart.mesh(&self.y.name, sheet.panels.lowest(index).then_some(self.x.name.as_str()));
        chart.marks(panel);
        panel.lines.iter().for_each(|line| chart.band(line));
        panel.lines.iter().for_each(|line| chart.stroke(line));
        if sheet.direct {
            chart.labels(panel);
        }
    }
}

impl Dimension {
    pub fn new(name: &str, log: bool) -> Self {
        Self { name: name.into(), log, ..Self::default() }
    }

    fn axis(&self, values: Vec<f64>, tight: bool) -> Option<Axis> {
        if values.iter().all(|value| !value.is_finite()) {
            return None;
        }
        if self.log {
            return Axis::log(values);
        }
        if !tight {
            return Axis::linear(values.into_iter().chain([self.least]));
        }
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        Some(Axis::exact(low, values.into_iter().fold(low, f64::max)))
    }

    fn named(&self, axis: &Axis, most: usize) -> Vec<(f64, String)> {
        if self.ticks.is_empty() {
            return axis.ticks(most).into_iter().map(|value| (value, short(value))).collect();
        }
        self.ticks.iter().filter(|(value, _)| (axis.low..=axis.high).contains(value)).cloned().collect()
    }

    /// A horizontal axis within `width` px, including the margin `right`, which grows if the last name needs it. Names
    /// that would overlap are left out.
    fn horizontal(&self, axis: Axis, width: f64, right: f64) -> (Ruler, f64) {
        let most = ((width - right) / 58.0).clamp(2.0, 9.0) as usize;
        let mut ticks = self.named(&axis, most);
        let half = |name: &str| text_width(name, TICK) / 2.0;
        let over = ticks
            .last()
            .map_or(0.0, |(value, name)| axis.share(*value) * (width - right) + half(name) - width);
        let right = right + over.max(0.0);
        let mut free = f64::NEG_INFINITY;
        for (value, name) in &mut ticks {
            let (at, half) = (axis.share(*value) * (width - right), half(name));
            if at - half > free {
                free = at + half + 6.0;
            } else {
                name.clear();
            }
        }
        (Ruler { axis, ticks }, right)
    }
}

impl Line {
    /// A line through the middles of values with lower and upper ends.
    pub fn banded(values: &[(f64, [f64; 3])], style: Option<Style>) -> Self {
        Self {
            style,
            points: values.iter().map(|(x, [middle, ..])| (*x, *middle)).collect(),
            band: values.iter().map(|(x, [_, low, high])| (*x, *low, *high)).collect(),
            ..Self::default()
        }
    }

    fn colour(&self) -> RGBColor {
        self.style.map_or(INK, |style| style.colour)
    }
}

impl<'a> Chart<'_, 'a> {
    fn series<E>(&mut self, elements: impl IntoIterator<Item = E>)
    where
        for<'b> &'b E: plotters::element::PointCollection<'b, (f64, f64)>,
        E: plotters::element::Drawable<SVGBackend<'a>>,
    {
        drawn(self.context.draw_series(elements));
    }

    /// Where a pair of values lies, in px.
    fn at(&self, (x, y): &(f64, f64)) -> Px {
        px(self.context.backend_coord(&(*x, *y)))
    }

    /// Grid, names of ticks, and names of the axes.
    fn mesh(&mut self, y: &str, x: Option<&str>) {
        let mut mesh = self.context.configure_mesh();
        mesh.light_line_style(TRANSPARENT)
            .bold_line_style(stroke(INK, 0.13, 1.0, Pattern::Solid))
            .axis_style(TRANSPARENT)
            .label_style(letters(TICK, FontStyle::Normal, SOFT))
            .set_all_tick_mark_size(units(TICK_GAP / 2.0));
        drawn(mesh.draw());
        let Self { canvas, left, right, top, bottom, .. } = *self;
        canvas.line(&[(left, bottom), (right, bottom)], INK, 0.5, 1.0);
        canvas.short_text((left - TICK_GAP, top - 11.0), y, TICK, SOFT, right - left + 12.0);
        let x = shorten(x.unwrap_or_default(), TICK, right - left + 14.0);
        canvas.text((f64::midpoint(left, right), bottom + FOOT + 10.0), &x, TICK, SOFT, Anchor::Middle);
    }

    fn marks(&mut self, panel: &Panel) {
        let (canvas, top) = (self.canvas, self.top);
        let mut free = self.left;
        for (value, text) in &panel.uprights {
            let (at, _) = self.at(&(*value, 0.0));
            canvas.path(&[(at, top), (at, self.bottom)], stroke(INK, 0.6, 1.0, Pattern::Dashed));
            if at - 4.0 - text_width(text, TICK) >= free {
                canvas.text((at - 4.0, top + 9.0), text, TICK, SOFT, Anchor::Right);
                free = at;
            }
        }
    }

    fn band(&mut self, line: &Line) {
        let upper = line.band.iter().map(|(x, _, high)| (*x, *high));
        let lower = line.band.iter().rev().map(|(x, low, _)| (*x, *low));
        let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
        let band = (!outline.is_empty()).then(|| Polygon::new(outline, line.colour().mix(0.15)));
        self.series(band);
    }

    fn stroke(&mut self, line: &Line) {
        let hollow = line.style.is_some_and(|style| style.hollow);
        let weight = if line.weight > 0.0 { line.weight } else { 2.0 } * if hollow { 0.6 } else { 1.0 };
        let opacity = if line.opacity > 0.0 { line.opacity } else { 1.0 };
        match &line.points[..] {
            [] => {}
            // A line through one point has no length and would be invisible.
            [point] => self.canvas.dot(self.at(point), weight, line.colour(), opacity),
            points => {
                let style = stroke(line.colour(), opacity, weight, line.pattern);
                drawn(self.context.draw_series(LineSeries::new(points.iter().copied(), style)));
            }
        }
        for (point, style) in line.marks.iter().filter_map(|point| Some((point, line.style?))) {
            self.canvas.mark(self.at(point), 3.6, style);
        }
        line.rings.iter().for_each(|point| self.canvas.ring(self.at(point), 7.5, INK, 1.25));
    }

    /// The labels of the lines at their right ends, moved apart.
    fn labels(&self, panel: &Panel) {
        let labelled = panel.lines.iter().filter(|line| !line.label.is_empty());
        let ends: Vec<(&Line, Px)> =
            labelled.filter_map(|line| Some((line, self.at(line.points.last()?)))).collect();
        let wanted: Vec<f64> = ends.iter().map(|(_, (_, y))| *y).collect();
        let moved = spread_out(&wanted, 18.0, self.top, self.bottom - 4.0);
        for ((line, end), y) in ends.iter().zip(moved) {
            let x = self.right + LEADER;
            self.canvas.line(&[*end, (x - 12.0, y)], line.colour(), 0.8, 1.0);
            if let Some(style) = line.style {
                self.canvas.mark((x - 9.0, y), 4.0, style);
            }
            self.canvas.text((x, y), &line.label, LABEL, 1.0, Anchor::Left);
        }
    }
}
