//! Expectations such as `p99<5ms`, `errors<1%`, `rate>=1000`: parsed, and checked against a record. Pure.

use std::cmp::Ordering;
use std::str::FromStr;

use crate::loadgen::count::{Failure, PHASES};
use crate::measure::histogram;
use crate::measure::record::{self, RunRecord, Summary};

/// All metrics, for the error about an unknown one.
const METRICS: &str = "p50 p90 p99 p99.9 or any other percentile, min, mean, max (of the response time, or of \
                           service, connect, first_byte, send_lag: service.p99); rate; errors (or failed), \
                           errors.KIND, status.404, status.5xx, completed, started, unsent, held, unfinished";
/// Requests expected beyond a percentile that is judged.
const BEYOND: f64 = 3.0;
/// Comparisons, the longest first, and the orders of value and bound in which they hold.
const OPERATORS: [(&str, &[Ordering]); 6] = [
    ("<=", &[Ordering::Less, Ordering::Equal]),
    (">=", &[Ordering::Equal, Ordering::Greater]),
    ("==", &[Ordering::Equal]),
    ("!=", &[Ordering::Less, Ordering::Greater]),
    ("<", &[Ordering::Less]),
    (">", &[Ordering::Greater]),
];

/// A statistic of a phase's times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    Min,
    Mean,
    Max,
    /// A percentile, from 0 to 100.
    Percentile(f64),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Metric {
    /// A statistic of a phase, in us.
    Time(&'static str, Statistic),
    /// Completed requests per second.
    Rate,
    Failed,
    Failure(&'static str),
    /// Responses whose status starts with these digits.
    Status(String),
    Completed,
    Started,
    Unsent,
    Held,
    Unfinished,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// As typed, without spaces.
    pub text: String,
    pub metric: Metric,
    /// The orders of value and bound in which it holds.
    orders: &'static [Ordering],
    bound: f64,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    /// This many of the metric's unit (us, per second, requests).
    One(f64),
    /// A share of the requests that could have counted.
    Percent,
}

impl Expectation {
    /// Whether it is an upper bound on something that grows with load: a time, failures, delayed arrivals. An objective
    /// of a search must be one.
    pub fn is_upper_bound(&self) -> bool {
        let grows = !matches!(self.metric, Metric::Rate | Metric::Completed | Metric::Started);
        let none = *self.orders == [Ordering::Equal] && self.bound == 0.0;
        let below = self.orders.contains(&Ordering::Less) && !self.orders.contains(&Ordering::Greater);
        grows && (none || below)
    }

    /// The least number of requests that can tell: for a percentile, three must be expected beyond it.
    pub fn sample(&self) -> u64 {
        match self.metric {
            Metric::Time(_, Statistic::Percentile(percent)) if percent < 100.0 => {
                (BEYOND * 100.0 / (100.0 - percent) - 1e-6).ceil() as u64
            }
            _ => 1,
        }
    }

    /// Compares a record with it; a record without a value, or with too few requests to tell, fails.
    pub fn judge(&self, record: &RunRecord) -> record::Expectation {
        let value = self.value(record).filter(|value| value.is_finite());
        let counted = match self.metric {
            Metric::Time(phase, _) => record.latency.get(phase).map_or(0, |summary| summary.count),
            _ => u64::MAX,
        };
        let (needed, text) = (self.sample(), self.text.clone());
        let reason = match value {
            None => Some("no matching requests".to_owned()),
            Some(_) => {
                (counted < needed).then(|| format!("{counted} requests are too few: at least {needed}"))
            }
        };
        let order = value.filter(|_| reason.is_none()).and_then(|value| value.partial_cmp(&self.bound));
        let holds = order.is_some_and(|order| self.orders.contains(&order));
        record::Expectation { text, value, holds, reason }
    }

    /// The record's value in the unit of the bound.
    fn value(&self, record: &RunRecord) -> Option<f64> {
        let (count, whole): (u64, u64) = match &self.metric {
            Metric::Time(phase, statistic) => return Some(time_us(record, phase, *statistic)? / self.one()),
            Metric::Rate => return (record.duration_s > 0.0).then_some(record.rate / self.one()),
            Metric::Failed => (record.errors.values().sum(), record.started),
            Metric::Failure(kind) => (record.errors.get(*kind).copied().unwrap_or(0), record.started),
            Metric::Status(begin) => {
                let alike = record.statuses.iter().filter(|(status, _)| status.starts_with(begin));
                (alike.map(|(_, count)| count).sum(), record.completed)
            }
            Metric::Completed => (record.completed, record.started),
            Metric::Started => (record.started, record.started + record.unsent),
            Metric::Unsent => (record.unsent, record.started + record.unsent),
            Metric::Held => (record.held, record.started + record.unsent),
            Metric::Unfinished => (record.unfinished, record.started),
        };
        match self.unit {
            Unit::One(one) => Some(count as f64 / one),
            Unit::Percent => (whole > 0).then(|| count as f64 / whole as f64 * 100.0),
        }
    }

    fn one(&self) -> f64 {
        if let Unit::One(one) = self.unit { one } else { 1.0 }
    }
}

/// Results as text, one line each.
pub fn text(judged: &[record::Expectation]) -> String {
    let labels = std::iter::once("expected").chain(std::iter::repeat(""));
    judged.iter().zip(labels).map(|(judged, label)| format!("  {label:<10} {}\n", line(judged))).collect()
}

pub fn line(judged: &record::Expectation) -> String {
    let verdict = if judged.holds { "holds" } else { "FAILED" };
    let parts = [judged.value.map(|value| format!("{value:.3}")), judged.reason.clone()];
    format!("{}: {verdict} ({})", judged.text, parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

fn time_us(record: &RunRecord, phase: &str, statistic: Statistic) -> Option<f64> {
    let summary = record.latency.get(phase).filter(|summary| summary.count > 0)?;
    let Summary { min_us, mean_us, p50_us, p75_us, p90_us, p99_us, p999_us, p9999_us, max_us, .. } = *summary;
    let standard =
        [(50.0, p50_us), (75.0, p75_us), (90.0, p90_us), (99.0, p99_us), (99.9, p999_us), (99.99, p9999_us)];
    match statistic {
        Statistic::Min => Some(min_us),
        Statistic::Mean => Some(mean_us),
        Statistic::Max => Some(max_us),
        Statistic::Percentile(percent) => match standard.iter().find(|(known, _)| *known == percent) {
            Some((_, us)) => Some(*us),
            None => {
                let times = histogram::decode(record.histograms.get(phase)?).ok()?;
                Some(times.value_at_percentile(percent) as f64 / 1000.0)
            }
        },
    }
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let text: String = typed.split_whitespace().collect();
        let at = text.find(['<', '>', '=', '!']).ok_or("write METRIC, a comparison, and a value: p99<5ms")?;
        let (name, rest) = text.split_at(at);
        let (sign, orders) = OPERATORS
            .into_iter()
            .find(|(sign, _)| rest.starts_with(sign))
            .ok_or("the comparisons are < <= > >= == !=")?;
        let metric = metric(name)?;
        let (bound, unit) = bound(&rest[sign.len()..], &metric)?;
        Ok(Self { metric, orders, bound, unit, text })
    }
}

fn metric(name: &str) -> Result<Metric, String> {
    let unknown = || format!("no metric {name:?}; known metrics are {METRICS}");
    let (group, member) = name.split_once('.').unwrap_or((name, ""));
    // `p99.9` has a dot but no group.
    if let Some(statistic) = statistic(name) {
        return Ok(Metric::Time("response", statistic));
    }
    Ok(match (group, member) {
        ("rate", "") => Metric::Rate,
        ("errors" | "failed", "") => Metric::Failed,
        ("completed", "") => Metric::Completed,
        ("started", "") => Metric::Started,
        ("unsent", "") => Metric::Unsent,
        ("held", "") => Metric::Held,
        ("unfinished", "") => Metric::Unfinished,
        ("errors", kind) => {
            let unknown =
                || format!("no kind of error {kind:?}; known kinds are {}", Failure::NAMES.join(" "));
            Metric::Failure(Failure::named(kind).ok_or_else(unknown)?.name())
        }
        ("status", class) => Metric::Status(status(class).ok_or_else(unknown)?),
        (phase, member) => {
            let phase = PHASES.into_iter().find(|known| known.name() == phase).ok_or_else(unknown)?;
            Metric::Time(phase.name(), statistic(member).ok_or_else(unknown)?)
        }
    })
}

fn statistic(name: &str) -> Option<Statistic> {
    match name {
        "min" => return Some(Statistic::Min),
        "mean" => return Some(Statistic::Mean),
        "max" => return Some(Statistic::Max),
        _ => {}
    }
    let digits = name.strip_prefix('p').filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(Statistic::Percentile(plain_number(digits).filter(|percent| *percent <= 100.0)?))
}

/// The deciding digits of `404` or `4xx`; only final statuses are counted.
fn status(class: &str) -> Option<String> {
    let digits = class.strip_suffix("xx").unwrap_or(class);
    let right = digits.len() == if digits == class { 3 } else { 1 };
    let begins = digits.starts_with(['2', '3', '4', '5']);
    (right && begins && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.to_owned())
}

/// Digits with at most one statistic: no sign, no exponent, no infinity.
fn plain_number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain.then(|| text.parse().ok()).flatten()
}

fn bound(text: &str, metric: &Metric) -> Result<(f64, Unit), String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = plain_number(number).ok_or_else(|| format!("{text:?} does not start with a number"))?;
    let wrong = |why: &str| Err(format!("{why}, unlike {text:?}"));
    let unit = match (metric, unit) {
        (Metric::Time(..), "us") => Unit::One(1.0),
        (Metric::Time(..), "ms") => Unit::One(1e3),
        (Metric::Time(..), "s") => Unit::One(1e6),
        (Metric::Time(..), _) => return wrong("a time needs a unit (us, ms or s)"),
        (Metric::Rate, "" | "/s") => Unit::One(1.0),
        (Metric::Rate, _) => return wrong("a rate is a number per second without a unit"),
        (_, "") => Unit::One(1.0),
        (_, "%") => Unit::Percent,
        _ => return wrong("a count is a number or a share in %"),
    };
    Ok((number, unit))
}

#[cfg(test)]
#[path = "expect_tests.rs"]
mod tests;
