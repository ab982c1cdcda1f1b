//! The figures that are known of a run, by name: one table, for the judge, the claims, the words and the tables.

use super::rows::Row;

/// A figure of a run.
#[derive(Debug)]
pub struct Metric {
    /// Name in experiments: `response_p99_ms`.
    pub name: &'static str,
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

const fn metric(
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    digits: usize,
    value: fn(&Row) -> Option<f64>,
) -> Metric {
    Metric { name, title, unit, digits, throughput: false, value }
}

/// The metrics by which strategies are compared with the baseline, in the order of the tables. Few on purpose: each
/// makes every finding harder to establish (Holm).
pub static METRICS: [Metric; 6] = [
    Metric { throughput: true, ..metric("rate", "Rate", "requests/s", 0, |r| r.rate_per_s) },
    metric("response_p50_ms", "p50", "ms", 2, |r| ms(r.response_p50_us)),
    metric("response_p99_ms", "p99", "ms", 2, |r| ms(r.response_p99_us)),
    metric("system_cpu_us", "System CPU", "us/connection", 0, |r| r.system_cpu_us_per_connection),
    metric("server_cpu_us", "Server CPU", "us/connection", 0, |r| r.server_cpu_us_per_connection),
    metric("server_switches", "Switches", "per connection", 2, |r| r.server_switches_per_connection),
];

/// Metrics that are described, and that claims may be about.
pub static OTHERS: [Metric; 39] = [
    metric("response_mean_ms", "Mean", "ms", 2, |r| ms(r.response_mean_us)),
    metric("response_stdev_ms", "Standard deviation", "ms", 2, |r| ms(r.response_stdev_us)),
    metric("response_p60_ms", "p60", "ms", 2, |r| ms(r.response_p60_us)),
    metric("response_p90_ms", "p90", "ms", 2, |r| ms(r.response_p90_us)),
    metric("response_p95_ms", "p95", "ms", 2, |r| ms(r.response_p95_us)),
    metric("response_p999_ms", "p99.9", "ms", 2, |r| ms(r.response_p999_us)),
    metric("response_max_ms", "Max", "ms", 2, |r| ms(r.response_max_us)),
    metric("over_1s", "Over 1 s", "requests", 0, |r| r.over_1s.map(|n| n as f64)),
    metric("service_mean_ms", "Service mean", "ms", 2, |r| ms(r.service_mean_us)),
    metric("service_p50_ms", "Service p50", "ms", 2, |r| ms(r.service_p50_us)),
    metric("service_p99_ms", "Service p99", "ms", 2, |r| ms(r.service_p99_us)),
    metric("occupied_ms", "Occupied", "ms/connection", 3, |r| ms(r.occupied_us)),
    metric("system_switches", "System switches", "per connection", 2, |r| r.system_switches_per_connection),
    metric("wakeups", "Wake-ups", "per connection", 3, |r| r.wakeups_per_connection),
    metric("empty_wakeups", "Empty wake-ups", "per connection", 3, |r| r.empty_wakeups_per_connection),
    metric("top1_share", "Busiest worker", "share", 4, |r| r.top1_share),
    metric("top2_share", "Two busiest workers", "share", 4, |r| r.top2_share),
    metric("top4_share", "Four busiest workers", "share", 4, |r| r.top4_share),
    metric("by_number", "Order of the workers", "tau", 3, |r| r.by_number),
    metric("max_over_mean", "Max/mean", "", 3, |r| r.max_over_mean),
    metric("max_over_min", "Max/min", "", 3, |r| r.max_over_min),
    metric("cov", "Spread (CoV)", "", 4, |r| r.cov),
    metric("jain", "Jain", "", 4, |r| r.jain),
    metric("chi_square_p", "p, fair hash", "", 3, |r| r.chi_square_p),
    metric("errors", "Errors", "requests", 0, |r| r.rate_per_s.map(|_| r.errors as f64)),
    metric("error_share", "Errors", "share", 4, |r| r.error_share),
    metric("resets", "Resets", "connections", 0, |r| r.resets.map(|n| n as f64)),
    metric("reset_or_lost", "Reset or lost", "connections", 0, |r| r.reset_or_lost.map(|n| n as f64)),
    metric("late", "Over 200 ms", "requests", 0, |r| r.late.map(|n| n as f64)),
    metric("successor_share", "Successor of the struck worker", "share", 4, |r| r.successor_share),
    metric("turn_share", "In turn", "share of the sequence", 4, |r| r.turn_share),
    metric("sequence_top1", "Busiest worker", "share of the sequence", 4, |r| r.sequence_top1),
    metric("sequence_sd", "Standard deviation", "connections", 1, |r| r.sequence_sd),
    metric("burst_p99_ms", "Burst, p99", "ms", 2, |r| ms(r.burst_p99_us)),
    metric("listen_overflows", "Overflows", "connections", 0, |r| Some(r.listen_overflows as f64)),
    metric("queue_max", "Longest queue", "connections", 0, |r| r.queue_max.map(f64::from)),
    metric("utilisation", "Utilisation", "share", 3, |r| r.utilisation),
    metric("over_shared_theory", "Mean over M/M/c", "", 3, |r| r.over_shared_theory),
    metric("over_split_theory", "Mean over M/M/1 each", "", 3, |r| r.over_split_theory),
];

fn ms(us: Option<f64>) -> Option<f64> {
    us.map(|us| us / 1e3)
}

/// All metrics: those that are compared, then the others.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().chain(OTHERS.iter())
}

/// The metric of this name.
pub fn named(name: &str) -> Option<&'static Metric> {
    all().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once_and_found() {
        let mut names: Vec<&str> = all().map(|metric| metric.name).collect();
        assert!(names.iter().all(|name| named(name).unwrap().name == *name));
        let many = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), many), (45, 45));
        assert!(named("p99").is_none());
    }
}
