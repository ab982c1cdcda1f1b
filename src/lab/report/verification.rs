//! The conclusions of kept results beside what was found again, as a table.

use super::text::number;
use super::view::Table;
use crate::lab::judge::verify::{Figure, Outcome, Tested};

/// A row per conclusion.
pub fn table(tested: &[Tested]) -> Table {
    let row = |one: &Tested| {
        let outcome = match one.outcome {
            Outcome::Holds => "holds",
            Outcome::Contradicted => "contradicted",
            Outcome::NotJudged => "not judged",
        };
        let why = if one.why.is_empty() { String::new() } else { format!(": {}", one.why) };
        vec![
            format!("{}: {}", one.about, one.says),
            figure(&one.kept),
            one.new.as_ref().map_or_else(|| "-".into(), figure),
            format!("{outcome}{why}"),
        ]
    };
    Table::new("Conclusion|Kept|New|Says", tested.iter().map(row))
}

/// `-9.6 % (-10.4 to -8.2)`
pub fn figure(figure: &Figure) -> String {
    let one = |value: f64| {
        let sign = if figure.signed && value > 0.0 { "+" } else { "" };
        format!("{sign}{}", number(value, figure.digits))
    };
    let with_unit = format!("{} {}", one(figure.value), figure.unit);
    format!("{} ({} to {})", with_unit.trim_end(), one(figure.interval.low), one(figure.interval.high))
}
