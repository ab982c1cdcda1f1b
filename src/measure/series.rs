//! The course of a run: one summary per interval. It knows numbers and names, not where they come from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::histogram::Summary;

/// What happened in one interval of a run, all threads together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalSummary {
    /// Its begin, in seconds since the first request was due.
    pub begin_s: f64,
    /// Its end, likewise.
    pub end_s: f64,
    /// Whether these are the requests of the warm-up. Such ones that end in the measured time have a row of their own
    /// there.
    pub warmup: bool,
    /// Arrivals planned (open loop).
    pub offered: Option<u64>,
    /// Requests sent.
    pub started: u64,
    /// Requests completed with a whole response, of any status.
    pub completed: u64,
    /// Requests failed, of all kinds.
    pub failed: u64,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
    /// Completed per second; by chance if `partial`.
    pub rate: f64,
    /// Response times of those completed.
    pub response: Summary,
    /// Service times of those completed.
    pub service: Summary,
    /// Connections open at its end.
    pub open: u64,
    /// Largest share of a core that one thread of the generator used, 0 to 1.
    pub busiest_thread: f64,
    /// Closed loop: `busiest_thread` is so large that the throughput may be the generator's.
    pub client_bound: bool,
    /// The run was interrupted in this interval, or before it.
    pub interrupted: bool,
    /// The interval ended with the run, not as planned: it ends with a request, so `rate` says nothing.
    #[serde(default)]
    pub partial: bool,
}

/// The requests whose intended start lies in one interval, whenever they ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartSummary {
    /// The begin of the interval, in seconds since the first request was due.
    pub begin_s: f64,
    /// Its end, likewise.
    pub end_s: f64,
    /// Whether it belongs to the warm-up.
    pub warmup: bool,
    /// Requests completed with a whole response, of any status.
    pub completed: u64,
    /// Requests failed, of all kinds.
    pub failed: u64,
    /// Response times of those completed; percentiles to two digits, the mean exactly.
    pub response: Summary,
}

/// A request that failed or was slow. Times are in seconds since the first request was due.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// How it failed (`reset-before-response`, ...), or `slow`.
    pub kind: String,
    /// Its intended start.
    pub intended_s: f64,
    /// When it was sent.
    pub sent_s: f64,
    /// When it was answered, or failed.
    pub ended_s: f64,
    /// The local port of its connection; 0 if it had none.
    pub port: u16,
    /// The worker that the response names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

impl Incident {
    /// The kind of a request that was answered, after more than `plan.slow_s`.
    pub const SLOW: &str = "slow";
}

/// The percentiles of a phase that a row has.
fn percentiles(summary: &Summary) -> [(&'static str, f64); 6] {
    [
        ("p50_us", summary.p50_us),
        ("p90_us", summary.p90_us),
        ("p99_us", summary.p99_us),
        ("p999_us", summary.p999_us),
        ("p9999_us", summary.p9999_us),
        ("max_us", summary.max_us),
    ]
}

/// The header of the CSV form, with its line feed. `kinds`: the names of all kinds of failure.
pub fn csv_header(kinds: &[&str]) -> String {
    let first = "begin_s,end_s,warmup,offered,started,completed,failed,rate";
    let names = percentiles(&Summary::default()).map(|(name, _)| name);
    let [response, service] =
        ["response_", "service_"].map(|phase| names.map(|name| phase.to_owned() + name).join(","));
    let last = "open,busiest_thread,client_bound,interrupted";
    [&[first, &response, &service, last][..], kinds].concat().join(",") + "\n"
}

/// An interval in the CSV form, with its line feed. A phase in which nothing was counted has empty cells, and so has the
/// rate of a partial interval.
pub fn csv_row(interval: &IntervalSummary, kinds: &[&str]) -> String {
    let IntervalSummary { begin_s, end_s, warmup, offered, started, completed, failed, rate, .. } = interval;
    let offered = offered.map(|offered| offered.to_string()).unwrap_or_default();
    let rate = if interval.partial { String::new() } else { format!("{rate:.3}") };
    let mut row = format!("{begin_s:.6},{end_s:.6},{warmup},{offered},{started},{completed},{failed},{rate}");
    for summary in [&interval.response, &interval.service] {
        for (_, value_us) in percentiles(summary) {
            let cell = if summary.count > 0 { format!("{value_us:.3}") } else { String::new() };
            row = row + "," + &cell;
        }
    }
    let IntervalSummary { open, busiest_thread, client_bound, interrupted, errors, .. } = interval;
    row += &format!(",{open},{busiest_thread:.3},{client_bound},{interrupted}");
    for kind in kinds {
        row += &format!(",{}", errors.get(*kind).unwrap_or(&0));
    }
    row + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let kinds = ["short-body", "early-end"];
        let interval = IntervalSummary {
            begin_s: 1.0,
            end_s: 2.5,
            offered: Some(10),
            started: 9,
            completed: 7,
            failed: 2,
            errors: [("early-end".to_owned(), 2)].into(),
            rate: 4.667,
            response: Summary { count: 7, p50_us: 1.5, ..Summary::default() },
            ..IntervalSummary::default()
        };
        let (header, row) = (csv_header(&kinds), csv_row(&interval, &kinds));
        let columns: BTreeMap<&str, &str> = header.trim().split(',').zip(row.trim().split(',')).collect();
        assert_eq!(header.split(',').count(), row.split(',').count());
        assert_eq!(columns.len(), header.split(',').count(), "no name comes twice");
        for (name, cell) in [
            ("begin_s", "1.000000"),
            ("offered", "10"),
            ("early-end", "2"),
            ("short-body", "0"),
            ("response_p50_us", "1.500"),
            ("service_p50_us", ""),
        ] {
            assert_eq!(columns[name], cell, "{name}");
        }
        let partial = csv_row(&IntervalSummary { partial: true, ..interval }, &kinds);
        assert_eq!(
            header.trim().split(',').zip(partial.trim().split(',')).find(|(name, _)| *name == "rate"),
            Some(("rate", ""))
        );
    }
}
