//! Curves: a value over a number, a line per column with a band around it, the baseline in the colour of the text.
//!
//! A few columns have a colour each. Of many, and where a figure asks for it, only those have one that stand apart from the
//! baseline, three at most; the others are a grey band. A second run of the baseline (A/A) is not drawn: it says how far apart
//! equal things are.

use std::collections::BTreeMap;

use itertools::Itertools;

use super::axis::Dimension;
use super::canvas::Caption;
use super::keys::{Key, Sample};
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
    /// Positions of vertical dashed lines.
    pub uprights: Vec<f64>,
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
    /// Without a band and marks.
    pub bare: bool,
}

/// A part as it is drawn.
pub struct Panel<'f> {
    pub part: &'f Part,
    /// The most important last, in the styles of this panel.
    pub curves: Vec<Curve>,
    /// Position, lower and upper end of the band in which the others lie.
    pub band: Vec<(f64, f64, f64)>,
    /// Columns that are a band or a grey line.
    pub others: usize,
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
    /// What is drawn, panel by panel.
    pub fn panels(&self) -> Vec<Panel<'_>> {
        self.parts.iter().map(|part| self.panel(part)).collect()
    }

    pub fn keys(&self, panels: &[Panel]) -> Vec<Key> {
        let mut keys = Vec::new();
        let others = || panels.iter().map(|panel| panel.others).filter(|others| *others > 1);
        if let (Some(least), Some(most)) = (others().min(), others().max()) {
            let count = if least == most { most.to_string() } else { format!("{least} to {most}") };
            keys.push(Key::new(format!("{count} others lie in this band"), Sample::Band));
        }
        let any = |has: fn(&Curve) -> bool| self.parts.iter().flat_map(|part| &part.curves).any(has);
        if let Some([solid, dashed]) = self.patterns.filter(|_| any(|curve| !curve.dashed.is_empty())) {
            keys.extend([Key::new(solid, Sample::Solid), Key::new(dashed, Sample::Dashed)]);
        }
        if any(|curve| !curve.rings.is_empty()) {
            keys.push(Key::new(self.ring, Sample::Ring));
        }
        keys
    }

    fn panel<'f>(&self, part: &'f Part) -> Panel<'f> {
        let mut own: Vec<Curve> = self.coloured(part).into_iter().cloned().collect();
        let mut styles: Vec<Style> = own.iter().map(|curve| curve.style).collect();
        apart(&mut styles);
        own.iter_mut().zip(styles).for_each(|(curve, style)| curve.style = style);
        let is_coloured = |curve: &&Curve| own.iter().any(|other| other.label == curve.label);
        let rest: Vec<&Curve> = part.others().filter(|curve| !is_coloured(curve)).collect();
        let (grey, band) = match rest.as_slice() {
            [only] => (Some(only.grey()), Vec::new()),
            several => (None, band(several)),
        };
        let others = rest.len();
        let curves = grey.into_iter().chain(part.baseline().cloned()).chain(own).collect();
        Panel { part, curves, band, others }
    }

    fn coloured<'a>(&self, part: &'a Part) -> Vec<&'a Curve> {
        if part.others().count() <= TOGETHER && !self.focus {
            return part.others().collect();
        }
        self.apart(part).into_iter().take(MOST).collect()
    }

    /// The columns that stand apart from the baseline, the farthest first.
    pub fn apart<'a>(&self, part: &'a Part) -> Vec<&'a Curve> {
        let Some(baseline) = part.baseline() else { return Vec::new() };
        let all = part.curves.iter().flat_map(Curve::values);
        let most = all.fold(self.y.least, f64::max).max(f64::MIN_POSITIVE);
        let place = |value: f64| if self.y.log { value.max(1e-9).ln() } else { value / most };
        let from = |curve: &Curve| distance(curve, baseline, place);
        let least = if self.y.log { FACTOR.ln() } else { SHARE };
        let twin = part.curves.iter().find(|curve| curve.style.hollow).map_or(0.0, from);
        let far = part.others().filter(|curve| from(curve) > least.max(twin * TWIN));
        far.sorted_by(|a, b| from(b).total_cmp(&from(a))).collect()
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
    let known: BTreeMap<i64, f64> = other.middles().into_iter().map(|(x, middle)| (key(x), middle)).collect();
    let square = |(x, middle): (f64, f64)| Some((place(middle) - place(*known.get(&key(x))?)).powi(2));
    let squares: Vec<f64> = curve.middles().into_iter().filter_map(square).collect();
    (squares.iter().sum::<f64>() / squares.len().max(1) as f64).sqrt()
}

/// The band in which columns lie.
fn band(rest: &[&Curve]) -> Vec<(f64, f64, f64)> {
    let mut ends: BTreeMap<i64, (f64, f64, f64)> = BTreeMap::new();
    for (x, middle) in rest.iter().flat_map(|curve| curve.middles()) {
        let (_, low, high) = ends.entry(key(x)).or_insert((x, middle, middle));
        (*low, *high) = (low.min(middle), high.max(middle));
    }
    ends.into_values().collect()
}

impl Curve {
    pub fn new(label: String, style: Style, points: Vec<(f64, [f64; 3])>) -> Self {
        Self { label, style, points, dashed: Vec::new(), rings: Vec::new(), bare: false }
    }

    /// Of a column that does not stand apart.
    fn grey(&self) -> Self {
        Self { bare: true, ..Self::new(self.label.clone(), Style::OTHER, self.points.clone()) }
    }

    /// The middle of each point.
    pub fn values(&self) -> impl Iterator<Item = f64> + Clone {
        self.points.iter().map(|(_, [middle, ..])| *middle)
    }

    pub fn middles(&self) -> Vec<(f64, f64)> {
        self.points.iter().map(|(x, [middle, ..])| (*x, *middle)).collect()
    }

    pub fn band(&self) -> Vec<(f64, f64, f64)> {
        let points = self.points.iter().filter(|_| !self.bare);
        points.map(|(x, [_, low, high])| (*x, *low, *high)).collect()
    }

    /// Points with a ring around them.
    pub fn ringed(&self) -> impl Iterator<Item = (f64, f64)> {
        let is_ringed = |(x, _): &(f64, f64)| self.rings.iter().any(|ring| key(*ring) == key(*x));
        self.middles().into_iter().filter(is_ringed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash_tests::{COUNTS, clashes, strategies};
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
            uprights: vec![7.0],
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
