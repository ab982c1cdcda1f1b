//! Amounts in words: changes in percent or as ratios, with their intervals, and counts per fault.

use std::fmt::Display;
use std::iter::{once, repeat};

use itertools::Itertools;

use super::findings::{Column, Counts, Effect};
use crate::lab::judge::losses::Mean;
use crate::lab::judge::{Comparison, Scale};
use crate::lab::report::text::{brief, few, number};
use crate::lab::spec::Metric;
use crate::measure::stats::Interval;

/// From this change on, in percent, a ratio says more.
const RATIO: f64 = 50.0;

/// A change with its interval, for tables: in percent, or as a factor if large.
pub fn change(comparison: &Comparison) -> String {
    const MANY: f64 = 400.0;
    let figures = [comparison.change, comparison.interval.low, comparison.interval.high];
    let [change, low, high] = figures;
    if comparison.scale() == Scale::Difference {
        let digits = comparison.metric.digits();
        return format!("{change:+.digits$} per fault ({low:+.digits$} to {high:+.digits$})");
    }
    if change < MANY {
        return format!("{change:+.1} % ({low:+.1} to {high:+.1})");
    }
    let [change, low, high] = figures.map(|percent| number(1.0 + percent / 100.0, 0));
    format!("{change} times as much ({low} to {high})")
}

/// A metric within a sentence.
pub fn noun(metric: Metric) -> String {
    let title = metric.title();
    let is_word = title.chars().nth(1).is_some_and(|second| second.is_ascii_lowercase());
    if is_word { title.to_lowercase().replace("cpu", "CPU") } else { title.to_owned() }
}

/// What a column does in the effects that are `wanted`, metric by metric: `its p99 is 1.5 times inherited's at load 30 %
/// (1.4 to 1.7) and 2.0 times at load 50 % (1.9 to 2.0)`. Of more than two places, the least and the greatest effect.
pub fn because(column: &Column, whose: &str, wanted: impl Fn(&Effect) -> bool) -> String {
    let effects = || column.judged.iter().filter(|effect| wanted(effect));
    let one = |metric: Metric| {
        let mut of: Vec<&Effect> = effects().filter(|effect| effect.found.metric == metric).collect();
        if of.len() > 2 {
            of.sort_by(|a, b| a.size().total_cmp(&b.size()));
            of = vec![of[0], of[of.len() - 1]];
        }
        let bases = once(column.base.as_str()).chain(repeat(""));
        let each = of.iter().zip(bases).map(|(effect, base)| against(effect, base)).join(" and ");
        let verb = match of[0].counts {
            Some(counts) if whose == "its" => format!("it {}", counts.verb),
            Some(counts) => format!("{} {}", column.name, counts.verb),
            None => format!("{whose} {} is", noun(metric)),
        };
        format!("{verb} {each}")
    };
    effects().map(|effect| effect.found.metric).unique_by(|metric| metric.name()).map(one).join("; ")
}

/// `1.5 times inherited's at load 30 % (1.4 to 1.7)`, `9.5 % below inherited's under full load (8.7 to 10.2 %)`; without a base
/// where it has been named.
fn against(effect: &Effect, base: &str) -> String {
    let place = if effect.place.is_empty() { String::new() } else { format!(" {}", effect.place) };
    if let Some(counts) = &effect.counts {
        let Counts { own, base: other, event, .. } = counts;
        let other = if base.is_empty() { String::new() } else { format!(", {base} {}", count(other.0)) };
        return format!("{} connections per {event}{place}{}{other}", count(own.0), range(own));
    }
    let (amount, range) = amount(effect.found.change, effect.found.interval);
    let base = if base.is_empty() { String::new() } else { format!(" {base}'s") };
    format!("{amount}{base}{place} ({range})")
}

/// An amount and its interval: a ratio if it is large, otherwise percent.
fn amount(change: f64, Interval { low, high }: Interval) -> (String, String) {
    if change >= RATIO {
        let [change, low, high] = [change, low, high].map(|percent| brief(1.0 + percent / 100.0));
        return (format!("{change} times"), format!("{low} to {high}"));
    }
    let word = if change < 0.0 { "below" } else { "above" };
    let size = format!("{} % {word}", brief(change.abs()));
    if low < 0.0 && high > 0.0 {
        return (size, format!("{low:+.1} to {high:+.1} %"));
    }
    let (near, far) = (low.abs().min(high.abs()), low.abs().max(high.abs()));
    (size, format!("{} to {} %", brief(near), brief(far)))
}

/// ` (105 to 113)`; empty without an interval.
pub fn range((_, interval): &Mean) -> String {
    interval.map_or_else(String::new, |interval| {
        format!(" ({} to {})", count(interval.low), count(interval.high))
    })
}

/// A mean number of connections: less than none is none.
pub fn count(mean: f64) -> String {
    let mean = mean.max(0.0);
    number(mean, usize::from(mean < 10.0 && mean > 0.0))
}

/// More names are counted, not listed.
const MOST_NAMES: usize = 8;

/// `a, b and c`, or `7 what` if there are many.
pub fn names(all: &[impl Display], what: &str) -> String {
    few(all, MOST_NAMES, what)
}

/// `a, b or c`, or `7 of the 14 others` if there are many.
pub fn either(all: &[impl Display], of: usize, what: &str) -> String {
    match all.len() {
        many if many > MOST_NAMES && many == of => format!("any of the {of} {what}"),
        many if many > MOST_NAMES => format!("{many} of the {of} {what}"),
        _ => names(all, what).replacen(" and ", " or ", 1),
    }
}
