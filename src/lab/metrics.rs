//! The figures by which strategies are compared: one table, for the judge, the words and the tables of a report.

use super::rows::Row;

/// A figure by which cells are compared.
#[derive(Debug)]
pub struct Metric {
    /// Name in tables.
    pub title: &'static str,
    /// Unit in tables.
    pub unit: &'static str,
    /// Digits after the point.
    pub digits: usize,
    /// Whether the load generator can be the limit of it.
    pub throughput: bool,
    /// Its value in a run.
    pub value: fn(&Row) -> Option<f64>,
}

/// All metrics, in the order of the tables.
pub const METRICS: [Metric; 6] = [
    Metric { title: "Rate", unit: "requests/s", digits: 0, throughput: true, value: |r| r.rate_per_s },
    Metric {
        title: "p50",
        unit: "ms",
        digits: 2,
        throughput: false,
        value: |r| Some(r.response_p50_us? / 1e3),
    },
    Metric {
        title: "p99",
        unit: "ms",
        digits: 2,
        throughput: false,
        value: |r| Some(r.response_p99_us? / 1e3),
    },
    Metric {
        title: "System CPU",
        unit: "us/connection",
        digits: 0,
        throughput: false,
        value: |r| r.system_cpu_us_per_connection,
    },
    Metric {
        title: "Server CPU",
        unit: "us/connection",
        digits: 0,
        throughput: false,
        value: |r| r.server_cpu_us_per_connection,
    },
    Metric {
        title: "Switches",
        unit: "per connection",
        digits: 2,
        throughput: false,
        value: |r| r.server_switches_per_connection,
    },
];
