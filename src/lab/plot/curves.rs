//! Curves: a value over a number, a line per column with a band around it, the baseline in the colour of the text.
//!
//! A few columns have a colour each. Of many, and where a figure asks for it, only those have one that stand apart from the
//! baseline, three at most; the others are a grey band. A second run of the baseline (A/A) is not drawn: it says how far apart
//! equal things are.

use std::collections::BTreeMap;

use super::canvas::{Caption, Figure, Pattern};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::style::{Style, apart};

#[derive(Debug, Default)]
pub struct Curves {
    pub caption: Caption,
    pub x: Dimension,
    pub y: Dimension,
    pub parts: Vec<Part>,
    /// What solid and dashed lines are, where there are dashed ones.
    pub patterns: Option<[&'static str; 2]>,
    /// The meaning of a ring around a point.
    pub ring: &'static str,
    /// Whether columns are coloured only where they stand apart, however few there are.
    pub focus: bool,
}

/// What is drawn in one panel.
#[derive(Debug, Default)]
pub struct Part {
    pub heading: String,
    pub note: String,
    pub curves: Vec<Curve>,
    /// Ranges of the horizontal axis.
    pub shades: Vec<(f64, f64)>,
    /// Vertical dashed lines, and their names.
    pub uprights: Vec<(f64, String)>,
}

#[derive(Clone, Debug)]
pub struct Curve {
    pub label: String,
    pub style: Style,
    /// Position; middle, lower and upper end.
    pub points: Vec<(f64, [f64; 3])>,
    /// A dashed line below it.
    pub dashed: Vec<(f64, f64)>,
    /// Positions of points with a ring.
    pub rings: Vec<f64>,
}

/// Up to this many columns beside the baseline have a colour each.
const TOGETHER: usize = 4;
/// At most this many of more.
const MOST: usize = 3;
/// What stands apart differs by this factor on a logarithmic axis, and by this share of the largest value on a linear one (root
/// mean square) ...
const FACTOR: f64 = 1.1;
const SHARE: f64 = 0.06;
/// ... and by this many times as much as the second run of the baseline.
const TWIN: f64 = 2.0;

impl Curves {
    /// The figure at this width.
    pub fn draw(&self, width: i32) -> Figure {
        let mut keys = Vec::new();
        let drawn: Vec<(Panel, usize)> = self.parts.iter().map(|part| self.panel(part)).collect();
        let others = || drawn.iter().map(|(_, others)| *others).filter(|others| *others > 0);
        if let (Some(least), Some(most)) = (others().min(), others().max()) {
            let count = if least == most { most.to_string() } else { format!("{least} to {most}") };
            keys.push(Key::new(format!("{count} others lie in this band"), Sample::Band));
        }
        let dashed = self.parts.iter().flat_map(|part| &part.curves).any(|curve| !curve.dashed.is_empty());
        for (name, pattern) in self
            .patterns
            .iter()
            .filter(|_| dashed)
            .flat_map(|[solid, dashed]| [(solid, Pattern::Solid), (dashed, Pattern::Dashed)])
        {
            keys.push(Key::new(*name, Sample::Neutral(pattern)));
        }
        if self.parts.iter().flat_map(|part| &part.curves).any(|curve| !curve.rings.is_empty()) {
            keys.push(Key::new(self.ring, Sample::Ring));
        }
        let alone = drawn.len() == 1;
        let lines = Lines {
            caption: self.caption.clone(),
            x: self.x.clone(),
            y: self.y.clone(),
            panels: drawn.into_iter().map(|(panel, _)| panel).collect(),
            keys,
            plot_height: if alone { (f64::from(width) * 0.36).clamp(210.0, 280.0) } else { 150.0 },
            least_width: 300.0,
            most_columns: 2,
        };
        lines.draw(width)
    }

    /// The panel, and the number of columns in its band.
    fn panel(&self, part: &Part) -> (Panel, usize) {
        let mut coloured = self.coloured(part);
        let mut styles: Vec<Style> = coloured.iter().map(|curve| curve.style).collect();
        apart(&mut styles);
        let own = coloured.drain(..).zip(styles).flat_map(|(curve, style)| curve.lines(style));
        let own: Vec<Line> = own.collect();
        let is_drawn = |curve: &&Curve| own.iter().any(|line| line.label == curve.label);
        let rest: Vec<&Curve> = part.others().filter(|curve| !is_drawn(curve)).collect();
        let baseline = part.baseline().map(|curve| curve.lines(curve.style)).unwrap_or_default();
        let lines = [band(&rest)].into_iter().flatten().chain(baseline).chain(own);
        let panel = Panel {
            heading: part.heading.clone(),
            note: part.note.clone(),
            lines: lines.collect(),
            shades: part.shades.clone(),
            uprights: part.uprights.clone(),
        };
        (panel, if rest.len() > 1 { rest.len() } else { 0 })
    }

    fn coloured<'a>(&self, part: &'a Part) -> Vec<&'a Curve> {
        if part.others().count() <= TOGETHER && !self.focus {
            return part.others().collect();
        }
        let mut apart = self.apart(part);
        apart.truncate(MOST);
        apart
    }

    /// The columns that stand apart from the baseline, the farthest first.
    pub fn apart<'a>(&self, part: &'a Part) -> Vec<&'a Curve> {
        let Some(baseline) = part.baseline() else { return Vec::new() };
        let all = part.curves.iter().flat_map(|curve| &curve.points).map(|(_, [middle, ..])| *middle);
        let most = all.fold(self.y.least, f64::max).max(f64::MIN_POSITIVE);
        let place = |value: f64| if self.y.log { value.max(1e-9).ln() } else { value / most };
        let from = |curve: &Curve| distance(curve, baseline, place);
        let least = if self.y.log { FACTOR.ln() } else { SHARE };
        let twin = part.curves.iter().find(|curve| curve.style.hollow).map_or(0.0, from);
        let mut far: Vec<(f64, &Curve)> = part.others().map(|curve| (from(curve), curve)).collect();
        far.retain(|(distance, _)| *distance > least.max(twin * TWIN));
        far.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        far.into_iter().map(|(_, curve)| curve).collect()
    }
}

impl Part {
    fn baseline(&self) -> Option<&Curve> {
        self.curves.iter().find(|curve| curve.style.is_baseline())
    }

    fn others(&self) -> impl Iterator<Item = &Curve> {
        self.curves.iter().filter(|curve| !curve.style.is_baseline() && !curve.style.hollow)
    }
}

/// A position as a key: positions of different columns that are equal but for rounding are one.
fn key(x: f64) -> i64 {
    (x * 1e6).round() as i64
}

/// The root mean square of the differences at common positions.
fn distance(curve: &Curve, other: &Curve, place: impl Fn(f64) -> f64) -> f64 {
    let known: BTreeMap<i64, f64> = other.points.iter().map(|(x, [middle, ..])| (key(*x), *middle)).collect();
    let squares: Vec<f64> = curve
        .points
        .iter()
        .filter_map(|(x, [middle, ..])| Some((place(*middle) - place(*known.get(&key(*x))?)).powi(2)))
        .collect();
    (squares.iter().sum::<f64>() / squares.len().max(1) as f64).sqrt()
}

/// The band in which columns lie; one alone is a grey line with its name.
fn band(rest: &[&Curve]) -> Option<Line> {
    if let [only] = rest {
        let points = only.points.iter().map(|(x, [middle, ..])| (*x, *middle)).collect();
        let (label, style) = (only.label.clone(), Some(Style::OTHER));
        return Some(Line { label, style, points, weight: 1.5, ..Line::default() });
    }
    let mut ends: BTreeMap<i64, (f64, f64, f64)> = BTreeMap::new();
    for (x, [middle, ..]) in rest.iter().flat_map(|curve| &curve.points) {
        let (_, low, high) = ends.entry(key(*x)).or_insert((*x, *middle, *middle));
        (*low, *high) = (low.min(*middle), high.max(*middle));
    }
    (!ends.is_empty()).then(|| Line {
        points: Vec::new(),
        band: ends.into_values().collect(),
        ..Line::default()
    })
}

impl Curve {
    pub fn new(label: String, style: Style, points: Vec<(f64, [f64; 3])>) -> Self {
        Self { label, style, points, dashed: Vec::new(), rings: Vec::new() }
    }

    /// The dashed line first, so that the more important one stays visible.
    fn lines(&self, style: Style) -> Vec<Line> {
        let own = Line::banded(&self.points, Some(style));
        let is_ringed = |(x, _): &&(f64, f64)| self.rings.iter().any(|ring| key(*ring) == key(*x));
        let few = own.points.len() <= 12;
        let own = Line {
            label: self.label.clone(),
            rings: own.points.iter().filter(is_ringed).copied().collect(),
            marks: own.points.iter().filter(|_| few).copied().collect(),
            ..own
        };
        let dashed = Line {
            style: Some(style),
            points: self.dashed.clone(),
            pattern: Pattern::Dashed,
            weight: 1.5,
            ..Line::default()
        };
        if self.dashed.is_empty() { vec![own] } else { vec![dashed, own] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::{COUNTS, clashes, strategies};
    use crate::lab::plot::style::PALETTE;
    use crate::lab::plot::{NARROW, WIDE};

    /// Every fourth column is twice as slow.
    fn sample(count: usize, panels: usize) -> Curves {
        let curve = |(index, (label, style)): (usize, (String, Style))| {
            let factor = if index % 4 == 3 { 2.0 } else { 1.0 + index as f64 / 1000.0 };
            let at =
                |step: u32| (f64::from(step), [1.0, 0.9, 1.1].map(|end| factor * end * f64::from(step + 1)));
            let points: Vec<_> = (0..20).map(at).collect();
            let dashed = points.iter().map(|(x, [middle, ..])| (*x, middle * 0.6)).collect();
            Curve { dashed, rings: vec![19.0], ..Curve::new(label, style, points) }
        };
        let part = |number: usize| Part {
            heading: format!("One worker hangs for 0.{number} s"),
            note: "12 faults, stall@200ms+500ms".into(),
            curves: strategies(count).into_iter().enumerate().map(curve).collect(),
            shades: vec![(2.0, 4.0)],
            uprights: vec![(7.0, "lost SYN".into())],
        };
        Curves {
            caption: Caption::new("Response time, full load", "Median of 12 runs. Band: 95 % interval."),
            x: Dimension::new("seconds since the fault", false),
            y: Dimension::new("ms", true),
            parts: (0..panels).map(part).collect(),
            patterns: Some(["response time", "service time"]),
            ring: "fewer answered than offered",
            focus: false,
        }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_columns_and_panels() {
        for (count, width) in COUNTS {
            for panels in [1, 2, 5] {
                assert_eq!(
                    clashes(&sample(count, panels).draw(width)),
                    "",
                    "{count} at {width} px, {panels}"
                );
            }
        }
    }

    #[test]
    fn few_columns_have_a_colour_each_and_the_second_run_is_not_drawn() {
        let svg = sample(6, 1).draw(WIDE).inline();
        let names = ["inherited", "reuseport", "round-robin", "inherited-exclusive", "inherited-herd"];
        assert!(names.iter().all(|name| svg.contains(&format!(">{name}</text>"))), "{svg}");
        assert!(!svg.contains("A/A") && !svg.contains("others") && svg.contains("service time"));
        assert!(sample(6, 1).draw(NARROW).inline().contains(">inherited</text>"), "in the keys");
    }

    #[test]
    fn of_many_columns_those_that_stand_apart_are_coloured_and_the_others_are_a_band() {
        let curves = sample(16, 1);
        let apart: Vec<&str> =
            curves.apart(&curves.parts[0]).iter().map(|curve| curve.label.as_str()).collect();
        assert_eq!(apart.len(), 4, "{apart:?}");
        let svg = curves.draw(WIDE).inline();
        assert!(svg.contains(">11 others lie in this band</text>") && svg.contains("r=\"60\""), "{svg}");
        let used = PALETTE
            .iter()
            .filter(|colour| svg.contains(&format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)));
        assert_eq!(used.count(), 3, "three at most, each in a colour of its own");
    }

    #[test]
    fn equal_columns_do_not_stand_apart_and_noise_is_what_the_second_run_shows() {
        let mut curves = sample(6, 1);
        curves.focus = true;
        curves.parts[0].curves.retain(|curve| curve.label != "round-robin");
        let twin = |factor: f64| {
            let mut curves = sample(4, 1);
            let scale =
                |points: &mut Vec<(f64, [f64; 3])>| points.iter_mut().for_each(|(_, v)| v[0] *= factor);
            scale(&mut curves.parts[0].curves[1].points);
            curves.apart(&curves.parts[0]).len()
        };
        assert!(curves.apart(&curves.parts[0]).iter().all(|curve| curve.label != "reuseport"));
        assert_eq!(
            (twin(1.0), twin(1.5)),
            (1, 0),
            "a difference of 2 is noise where equal runs differ by 1.5"
        );
    }

    #[test]
    fn a_figure_without_runs_says_so() {
        let none = Curves { parts: vec![Part::default()], ..sample(1, 1) };
        assert!(none.draw(WIDE).inline().contains("no run to draw"));
    }
}
