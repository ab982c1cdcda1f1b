//! Forest plot: paired differences from the baseline with their intervals, the baseline against itself on top.

use super::canvas::Figure;
use super::dots::{Dot, Dots, Panel, Scale};
use super::keys::{Key, Sample};
use super::look::Look;
use crate::lab::error::Result;

/// What to draw.
#[derive(Debug)]
pub struct Forest {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// Names and looks, the A/A row first.
    pub rows: Vec<(String, Look)>,
    /// The metrics.
    pub metrics: Vec<MetricPanel>,
}

/// One metric.
#[derive(Debug)]
pub struct MetricPanel {
    /// Its name.
    pub name: String,
    /// What the baseline differs from itself by at most, in percent.
    pub floor: Option<f64>,
    /// One per row.
    pub changes: Vec<Option<Change>>,
}

/// One difference in percent of the baseline.
#[derive(Clone, Debug)]
pub struct Change {
    /// Median of the paired differences.
    pub median: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// Whether it counts as a difference.
    pub counts: bool,
}

impl Forest {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        let dot = |change: &Change| Dot {
            middle: change.median,
            low: change.low,
            high: change.high,
            text: signed(change.median),
            full: change.counts,
        };
        let panel = |metric: &MetricPanel| Panel {
            heading: metric.name.clone(),
            unit: "change, %".into(),
            scale: Scale::Change,
            shade: metric.floor.filter(|floor| floor.is_finite()).map(|floor| (-floor.min(99.0), floor)),
            values: metric.changes.iter().map(|change| change.as_ref().map(dot)).collect(),
        };
        let counted =
            self.metrics.iter().flat_map(|metric| &metric.changes).flatten().any(|change| change.counts);
        let mut keys = vec![Key { text: "noise floor (A/A)".into(), sample: Sample::Band }];
        if counted {
            keys.push(Key { text: "filled: a difference that counts".into(), sample: Sample::Nothing });
        }
        let figure = Dots {
            title: self.title.clone(),
            note: self.note.clone(),
            rows: self.rows.clone(),
            panels: self.metrics.iter().map(panel).collect(),
            keys,
        };
        figure.draw(width)
    }
}

/// With its sign, and no minus before zero.
fn signed(percent: f64) -> String {
    let percent = if percent.abs() < 0.05 { 0.0 } else { percent };
    if percent.abs() >= 100.0 { format!("{percent:+.0}") } else { format!("{percent:+.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::WIDE;
    use crate::lab::plot::clash::{clashes, strategies};

    #[test]
    fn nothing_has_no_minus() {
        assert_eq!([-0.01, -0.2, 12.34, 250.4].map(signed), ["+0.0", "-0.2", "+12.3", "+250"]);
    }

    #[test]
    fn the_floor_is_shaded_and_what_counts_is_filled() {
        let change =
            |median: f64, counts| Some(Change { median, low: median - 2.0, high: median + 2.0, counts });
        let forest = |counts| Forest {
            title: "Differences".into(),
            note: "Median and interval.".into(),
            rows: strategies(3),
            metrics: vec![MetricPanel {
                name: "p99".into(),
                floor: Some(1.5),
                changes: vec![None, change(0.4, false), change(250.0, counts)],
            }],
        };
        let (with, without) = (forest(true).draw(WIDE).unwrap(), forest(false).draw(WIDE).unwrap());
        assert_eq!(clashes(&with), "");
        assert!(
            with.inline().contains("filled: a difference that counts") && with.inline().contains(">+250<")
        );
        assert!(!without.inline().contains("filled"));
    }
}
