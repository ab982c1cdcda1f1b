//! Draws curves: lines over a pair of axes, in one panel or in small multiples.
//!
//! Each panel is a chart of plotters: its coordinates, its mesh and its series. All panels share their scales, so that
//! they can be compared. Headings, marks and the labels of lines have sizes in px and are drawn on the canvas.

use itertools::Itertools;
use plotters::chart::ChartContext;
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::*;

use super::axis::Ruler;
use super::canvas::{
    Canvas, Figure, HPos, INK, LABEL, SOFT, TICK, dashed, drawn, figure, letters, px, stroke, units,
};
use super::curves::{Curve, Curves, Panel};
use super::keys::{Key, Sample, key_height, keys};
use super::layout::{Panels, Px, shorten, spread_out, widest};

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
    grid: Panels,
    plot_height: f64,
    top: f64,
    row: f64,
    head: f64,
    gutter: f64,
    right: f64,
    /// Whether lines have their labels at their ends.
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

impl Curves {
    pub fn draw(&self, width: i32) -> Figure {
        let (caption, panels) = (&self.caption, self.panels());
        let below = caption.height(f64::from(width));
        let Some(sheet) = Sheet::new(self, &panels, f64::from(width)) else {
            return figure(width, below + 30.0, caption, |canvas| {
                canvas.text((0.0, below + 8.0), "no run to draw", LABEL, SOFT, HPos::Left);
            });
        };
        let unused = if sheet.grid.rows > 1 { GAP - 4.0 } else { 0.0 };
        let height = sheet.top + sheet.row * sheet.grid.rows as f64 + NAME - unused;
        figure(width, height, caption, |canvas| {
            keys(canvas, &sheet.keys, below);
            panels.iter().enumerate().for_each(|(index, panel)| sheet.panel(canvas, self, panel, index));
        })
    }
}

impl Sheet {
    /// `None` without values.
    fn new(curves: &Curves, panels: &[Panel], width: f64) -> Option<Self> {
        let all = || panels.iter().flat_map(|panel| &panel.curves);
        let plot_height = if panels.len() == 1 { (width * 0.36).clamp(210.0, 280.0) } else { 150.0 };
        let lines = all().flat_map(|curve| curve.middles().into_iter().chain(curve.dashed.iter().copied()));
        let points: Vec<(f64, f64)> = lines.collect();
        let bands = panels.iter().flat_map(|panel| panel.band.clone()).chain(all().flat_map(Curve::band));
        let ends = bands.flat_map(|(_, low, high)| [low, high]);
        let x = curves.x.axis(points.iter().map(|(x, _)| *x).collect(), true)?;
        let axis = curves.y.axis(points.iter().map(|(_, y)| *y).chain(ends).collect(), false)?;
        let y = Ruler { ticks: curves.y.named(&axis, (plot_height / 30.0).clamp(2.0, 8.0) as usize), axis };
        let grid = Panels::new(panels.len(), width, 300.0, 24.0, 2);
        let room = widest(all().map(|curve| curve.label.as_str()), LABEL) + LEADER + 6.0;
        let direct = room > LEADER + 6.0 && room < grid.width * 0.4;
        let labelled = all().filter(|curve| !direct && !curve.label.is_empty());
        let labelled = labelled.unique_by(|curve| &curve.label);
        let labels = labelled.map(|curve| Key::new(curve.label.clone(), Sample::Strategy(curve.style)));
        let keys: Vec<Key> = labels.chain(curves.keys(panels)).collect();
        let gutter = widest(y.ticks.iter().map(|(_, name)| name.as_str()), TICK) + 10.0;
        let headed = curves.parts.iter().any(|part| !part.heading.is_empty());
        let noted = curves.parts.iter().any(|part| !part.note.is_empty());
        let head = UNIT + if headed { HEAD } else { 0.0 } + if noted { NOTE } else { 0.0 };
        let top = curves.caption.height(width) + key_height(&keys, width);
        let row = head + plot_height + FOOT + if grid.rows > 1 { GAP } else { 4.0 };
        let right = if direct { room } else { 8.0 };
        let (x, right) = curves.x.horizontal(x, grid.width - gutter, right);
        Some(Self { x, y, grid, plot_height, top, row, head, gutter, right, direct, keys })
    }

    fn panel(&self, canvas: &Canvas, curves: &Curves, panel: &Panel, index: usize) {
        let (left, top) = self.grid.corner(index, self.top, self.row);
        let part = panel.part;
        canvas.heading((left, top), &part.heading, None, &part.note, self.grid.width);
        let size = (self.grid.width - self.right, self.plot_height + FOOT);
        let area = canvas.part((left, top + self.head), size);
        let mut builder = ChartBuilder::on(&area);
        builder.x_label_area_size(units(FOOT)).y_label_area_size(units(self.gutter));
        let mut chart = Chart {
            canvas,
            context: drawn(builder.build_cartesian_2d(self.x.clone(), self.y.clone())),
            left: left + self.gutter,
            right: left + self.grid.width - self.right,
            top: top + self.head,
            bottom: top + self.head + self.plot_height,
        };
        let (low, high) = (self.y.axis.low, self.y.axis.high);
        let shade =
            |(from, to): &(f64, f64)| Rectangle::new([(*from, high), (*to, low)], INK.mix(0.08).filled());
        drawn(chart.context.draw_series(part.shades.iter().map(shade)));
        chart.mesh(&curves.y.name, self.grid.lowest(index).then_some(curves.x.name.as_str()));
        for upright in &part.uprights {
            let (x, _) = chart.at(&(*upright, 0.0));
            canvas.path(&[(x, chart.top), (x, chart.bottom)], dashed(stroke(INK, 0.6, 1.0)));
        }
        chart.band(&panel.band, INK);
        panel.curves.iter().for_each(|curve| chart.band(&curve.band(), curve.style.colour));
        panel.curves.iter().for_each(|curve| chart.stroke(curve));
        if self.direct {
            chart.labels(&panel.curves);
        }
    }
}

impl Chart<'_, '_> {
    /// Where a pair of values lies, in px.
    fn at(&self, (x, y): &(f64, f64)) -> Px {
        px(self.context.backend_coord(&(*x, *y)))
    }

    /// Grid, names of ticks, and names of the axes.
    fn mesh(&mut self, y: &str, x: Option<&str>) {
        let mut mesh = self.context.configure_mesh();
        mesh.light_line_style(TRANSPARENT)
            .bold_line_style(stroke(INK, 0.13, 1.0))
            .axis_style(TRANSPARENT)
            .label_style(letters(TICK, SOFT))
            .set_all_tick_mark_size(units(TICK_GAP / 2.0));
        drawn(mesh.draw());
        let Self { canvas, left, right, top, bottom, .. } = *self;
        canvas.line(&[(left, bottom), (right, bottom)], INK, 0.5, 1.0);
        canvas.short_text((left - TICK_GAP, top - 11.0), y, TICK, SOFT, right - left + 12.0);
        let x = shorten(x.unwrap_or_default(), TICK, right - left + 14.0);
        canvas.text((f64::midpoint(left, right), bottom + FOOT + 10.0), &x, TICK, SOFT, HPos::Center);
    }

    fn band(&mut self, band: &[(f64, f64, f64)], colour: RGBColor) {
        let upper = band.iter().map(|(x, _, high)| (*x, *high));
        let lower = band.iter().rev().map(|(x, low, _)| (*x, *low));
        let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
        let band = (!outline.is_empty()).then(|| Polygon::new(outline, colour.mix(0.15)));
        drawn(self.context.draw_series(band));
    }

    /// The dashed line first, so that the more important one stays visible.
    fn stroke(&mut self, curve: &Curve) {
        let (style, middles) = (curve.style, curve.middles());
        let weight = if style.hollow { 0.6 } else { 1.0 };
        let solid = if curve.bare { 1.5 } else { 2.0 };
        self.line(&curve.dashed, style.colour, 1.5 * weight, dashed);
        self.line(&middles, style.colour, solid * weight, |solid| solid);
        for point in middles.iter().filter(|_| !curve.bare && middles.len() <= 12) {
            self.canvas.mark(self.at(point), 3.6, style);
        }
        curve.ringed().for_each(|point| self.canvas.ring(self.at(&point), 7.5, INK, 1.25));
    }

    fn line(
        &mut self,
        points: &[(f64, f64)],
        colour: RGBColor,
        weight: f64,
        of: fn(ShapeStyle) -> ShapeStyle,
    ) {
        match points {
            [] => {}
            // A line through one point has no length and would be invisible.
            [point] => self.canvas.dot(self.at(point), weight, colour, 1.0),
            points => {
                let series = LineSeries::new(points.iter().copied(), of(stroke(colour, 1.0, weight)));
                drawn(self.context.draw_series(series));
            }
        }
    }

    /// The labels of the lines at their right ends, moved apart.
    fn labels(&self, curves: &[Curve]) {
        let labelled = curves.iter().filter(|curve| !curve.label.is_empty());
        let ends: Vec<(&Curve, Px)> =
            labelled.filter_map(|curve| Some((curve, self.at(curve.middles().last()?)))).collect();
        let wanted: Vec<f64> = ends.iter().map(|(_, (_, y))| *y).collect();
        let moved = spread_out(&wanted, 18.0, self.top, self.bottom - 4.0);
        for ((curve, end), y) in ends.iter().zip(moved) {
            let x = self.right + LEADER;
            self.canvas.line(&[*end, (x - 12.0, y)], curve.style.colour, 0.8, 1.0);
            self.canvas.mark((x - 9.0, y), 4.0, curve.style);
            self.canvas.text((x, y), &curve.label, LABEL, 1.0, HPos::Left);
        }
    }
}
