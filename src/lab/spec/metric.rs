//! The metrics of a run that an experiment can name: key, name in files, title, unit and digits, in one
//! table. `judge` computes their values.

use std::fmt;

/// Generates [`Metric`] from its table: key, name in experiment files, title and unit in tables, digits after
/// the point.
macro_rules! metrics {
    ($($key:ident $name:literal $title:literal $unit:literal $digits:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric { $($key,)* }

        impl Metric {
            /// Those of [`Metric::COMPARED`] first.
            pub const ALL: &[Metric] = &[$(Metric::$key,)*];

            pub fn name(self) -> &'static str {
                match self { $(Metric::$key => $name,)* }
            }

            pub fn title(self) -> &'static str {
                match self { $(Metric::$key => $title,)* }
            }

            pub fn unit(self) -> &'static str {
                match self { $(Metric::$key => $unit,)* }
            }

            pub fn digits(self) -> usize {
                match self { $(Metric::$key => $digits,)* }
            }
        }
    };
}

metrics! {
    Rate "rate" "Rate" "requests/s" 0;
    ResponseP50Ms "response_p50_ms" "p50" "ms" 2;
    ResponseP99Ms "response_p99_ms" "p99" "ms" 2;
    SystemCpuUs "system_cpu_us" "System CPU" "us/connection" 0;
    ServerCpuUs "server_cpu_us" "Server CPU" "us/connection" 0;
    ServerSwitches "server_switches" "Switches" "per connection" 2;
    ResponseMeanMs "response_mean_ms" "Mean" "ms" 2;
    ResponseStdevMs "response_stdev_ms" "Standard deviation" "ms" 2;
    ResponseP60Ms "response_p60_ms" "p60" "ms" 2;
    ResponseP95Ms "response_p95_ms" "p95" "ms" 2;
    ResponseP999Ms "response_p999_ms" "p99.9" "ms" 2;
    ResponseMaxMs "response_max_ms" "Max" "ms" 2;
    Over1s "over_1s" "Over 1 s" "requests" 0;
    SystemSwitches "system_switches" "System switches" "per connection" 2;
    Wakeups "wakeups" "Wake-ups" "per connection" 3;
    EmptyWakeups "empty_wakeups" "Empty wake-ups" "per connection" 3;
    Top1Share "top1_share" "Busiest worker" "share" 4;
    Top2Share "top2_share" "Two busiest workers" "share" 4;
    Top4Share "top4_share" "Four busiest workers" "share" 4;
    ByNumber "by_number" "Order of the workers" "tau" 3;
    MaxOverMean "max_over_mean" "Max/mean" "" 3;
    MaxOverMin "max_over_min" "Max/min" "" 3;
    Jain "jain" "Jain" "" 4;
    Errors "errors" "Errors" "requests" 0;
    Resets "resets" "Resets" "connections" 0;
    Late "late" "Over 200 ms" "requests" 0;
    DelayedPerFault "delayed_per_fault" "Late connections" "per fault" 1;
    FailedPerFault "failed_per_fault" "Lost connections" "per fault" 2;
    SuccessorShare "successor_share" "Successor of the struck worker" "share" 4;
    TurnShare "turn_share" "In turn" "share of the sequence" 4;
    SequenceTop1 "sequence_top1" "Busiest worker" "share of the sequence" 4;
    SequenceSd "sequence_sd" "Standard deviation" "connections" 1;
    BurstP99Ms "burst_p99_ms" "Burst, p99" "ms" 2;
    PssRestKib "pss_rest_kib" "Memory at rest" "KiB PSS" 0;
    PssLoadedKib "pss_loaded_kib" "Memory after load" "KiB PSS" 0;
    OverSharedTheory "over_shared_theory" "Mean over M/M/c" "" 3;
    OverSplitTheory "over_split_theory" "Mean over M/M/1 each" "" 3;
}

impl Metric {
    /// The metrics in which strategies are compared with the baseline, in the order of the tables. Only the primary one of
    /// a load is judged.
    pub const COMPARED: &[Metric] = &[
        Metric::Rate,
        Metric::ResponseP50Ms,
        Metric::ResponseP99Ms,
        Metric::SystemCpuUs,
        Metric::ServerCpuUs,
        Metric::ServerSwitches,
    ];

    /// Shown beside those, where they were measured, and not compared.
    pub const MEMORY: &[Metric] = &[Metric::PssRestKib, Metric::PssLoadedKib];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|metric| metric.name() == name)
    }

    /// Which quantile of the response times it is, if it is one.
    pub fn quantile(self) -> Option<f64> {
        match self {
            Self::ResponseP50Ms => Some(0.5),
            Self::ResponseP60Ms => Some(0.6),
            Self::ResponseP95Ms => Some(0.95),
            Self::ResponseP99Ms => Some(0.99),
            Self::ResponseP999Ms => Some(0.999),
            _ => None,
        }
    }

    /// Whether a load generator that is the limit decides it: in a closed loop the rate times the response time is the
    /// number of connections.
    pub fn is_of_the_loop(self) -> bool {
        self == Self::Rate || self.name().starts_with("response_")
    }

    /// Whether a ratio of two values makes sense, as a comparison needs it: a quantity that is never 0, not a share or a
    /// count of errors.
    pub fn is_quantity(self) -> bool {
        ["requests/s", "ms", "us/connection", "per connection", "KiB PSS"].contains(&self.unit())
    }

    /// Whether it is counted for each fault. It may be 0, so that values are compared by their difference.
    pub fn is_per_fault(self) -> bool {
        self.unit() == "per fault"
    }

    /// The least effect of interest by default: a share (tails vary more than other metrics), or, of what is counted for each
    /// fault, a number of connections.
    pub fn least_effect(self) -> f64 {
        match self {
            Self::ResponseP95Ms | Self::ResponseP99Ms | Self::ResponseP999Ms | Self::ResponseMaxMs => 0.1,
            Self::DelayedPerFault => 1.0,
            Self::FailedPerFault => 0.1,
            _ => 0.05,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_unique_and_found() {
        let mut names: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert!(names.iter().all(|name| Metric::named(name).unwrap().name() == *name));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Metric::ALL.len());
        assert_eq!(Metric::named("p99"), None);
        assert!(Metric::ALL.starts_with(Metric::COMPARED));
    }
}
