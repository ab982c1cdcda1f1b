//! Options: when requests start, and for how long.

use super::duration::duration_ns;
use crate::loadgen::pacer::Arrivals;

/// When requests start.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Schedule")]
pub struct ScheduleArgs {
    /// Open loop: start this many requests per second, whatever the server does
    #[arg(short, long, value_name = "PER_SECOND")]
    pub rate: Option<f64>,

    /// How the starts of an open loop follow each other
    #[arg(long, value_name = "KIND", default_value = "const", requires = "rate")]
    pub arrivals: Arrivals,

    /// Seed of random arrivals
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,

    /// How long to measure, such as 500ms, 30s, 2m; default 10s, or until --requests are done
    #[arg(short, long, value_name = "TIME", value_parser = duration_ns)]
    pub duration: Option<u64>,

    /// Stop after this many measured requests
    #[arg(short = 'n', long, value_name = "N")]
    pub requests: Option<u64>,

    /// Load before the measured time, not counted
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = duration_ns)]
    pub warmup: u64,
}
