//! What a connection costs: processor time, context switches, wake-ups, with intervals.

use super::canvas::Figure;
use super::dots::{Dot, Dots, Panel, Scale};
use super::look::Look;
use crate::lab::error::Result;

/// What to draw.
#[derive(Debug)]
pub struct Costs {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// Names and looks.
    pub rows: Vec<(String, Look)>,
    /// The costs.
    pub costs: Vec<Cost>,
}

/// One cost.
#[derive(Debug)]
pub struct Cost {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Digits after the point.
    pub digits: usize,
    /// Per row the middle, the lower and the upper end.
    pub values: Vec<Option<[f64; 3]>>,
}

impl Costs {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        let panel = |cost: &Cost| {
            let dot = |[middle, low, high]: [f64; 3]| {
                let text = format!("{middle:.*}", cost.digits);
                Dot { middle, low, high, text, full: true }
            };
            Panel {
                heading: cost.name.clone(),
                unit: cost.unit.clone(),
                scale: Scale::FromZero,
                shade: None,
                values: cost.values.iter().map(|value| value.map(dot)).collect(),
            }
        };
        let figure = Dots {
            title: self.title.clone(),
            note: self.note.clone(),
            rows: self.rows.clone(),
            panels: self.costs.iter().map(panel).collect(),
            keys: Vec::new(),
        };
        figure.draw(width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::{COUNTS, clashes, strategies};

    #[test]
    fn no_two_texts_meet_and_all_costs_are_zero_based() {
        for (count, width) in COUNTS {
            let cost = |name: &str, scale: f64| Cost {
                name: name.into(),
                unit: "us per connection".into(),
                digits: 2,
                values: (0..count).map(|n| Some([scale + n as f64, scale, scale + n as f64 * 2.0])).collect(),
            };
            let costs = Costs {
                title: "What a connection costs".into(),
                note: "Median over runs.".into(),
                rows: strategies(count),
                costs: vec![cost("System CPU", 900.0), cost("Wake-ups", 1.0), cost("Empty wake-ups", 0.0)],
            };
            let figure = costs.draw(width).unwrap();
            assert_eq!(clashes(&figure), "", "{count} at {width} px");
            assert_eq!(figure.inline().matches(">0</text>").count(), 3);
        }
    }
}
