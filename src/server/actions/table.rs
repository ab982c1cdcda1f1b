//! Text tables, and numbers short enough for them. Pure but for the clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A heading and rows, in columns as wide as their widest cell, two blanks apart.
pub fn table<R: AsRef<[String]>>(columns: &[(&str, Align)], rows: &[R]) -> String {
    let headings: Vec<_> = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let lines: Vec<&[String]> = std::iter::once(&headings[..]).chain(rows.iter().map(R::as_ref)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells: Vec<_> = (0..columns.len())
            .map(|column| match columns[column].1 {
                Align::Left => format!("{:<width$}", line[column], width = widths[column]),
                Align::Right => format!("{:>width$}", line[column], width = widths[column]),
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A count in at most five characters: `99999`, `100k`, `12M`.
pub fn count(n: u64) -> String {
    match n {
        0..100_000 => n.to_string(),
        100_000..10_000_000 => format!("{}k", n / 1_000),
        10_000_000..10_000_000_000 => format!("{}M", n / 1_000_000),
        _ => format!("{}G", n / 1_000_000_000),
    }
}

/// The time since this moment, in ms of the Unix epoch: `12s`, `3m05s`, `2h07m`, `5d03h`.
pub fn uptime(since_ms: u64) -> String {
    span(seconds_since(since_ms) as u64)
}

/// The time since this moment, in ms of the Unix epoch.
pub fn seconds_since(since_ms: u64) -> f64 {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    u64::try_from(now_ms).unwrap_or(0).saturating_sub(since_ms) as f64 / 1e3
}

fn span(s: u64) -> String {
    match s {
        0..60 => format!("{s}s"),
        60..3_600 => format!("{}m{:02}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h{:02}m", s / 3_600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".into(), "10".into()], ["long".into(), "9".into()]];
        let text = table(&[("NAME", Align::Left), ("N", Align::Right)], &rows);
        assert_eq!(text, "NAME   N\na     10\nlong   9\n");
    }

    #[test]
    fn counts_stay_within_five_characters() {
        for (n, text) in [(0, "0"), (99_999, "99999"), (1_234_567, "1234k"), (9_999_999_999, "9999M")] {
            assert_eq!(count(n), text);
        }
        assert_eq!(count(12_345_678_901), "12G");
    }

    #[test]
    fn spans_have_two_units() {
        for (s, text) in [(5, "5s"), (65, "1m05s"), (7_620, "2h07m"), (442_800, "5d03h")] {
            assert_eq!(span(s), text);
        }
    }
}
