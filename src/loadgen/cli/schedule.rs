//! Options: when requests start, and for how long.

use std::path::PathBuf;

use super::duration::duration_ns;
use crate::loadgen::schedule::pacer::Arrivals;
use crate::loadgen::schedule::profile::RateSpec;
use crate::loadgen::schedule::timing::{Shard, StartAt};

/// When requests start.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Schedule")]
pub struct ScheduleArgs {
    /// Open loop: start this many requests per second, whatever the server does. A number; a ramp A..B; steps A,B,C of
    /// equal length; or parts with lengths of their own, A@10s,B..C@30s, which are then the duration. The warm-up is at
    /// the first rate
    #[arg(short, long, value_name = "PER_SECOND", group = "open_loop", value_parser = RateSpec::parse)]
    pub rate: Option<RateSpec>,

    /// How the starts of an open loop follow each other: const, poisson, or burst:N (N at once, at the mean rate)
    #[arg(long, value_name = "KIND", default_value = "const", requires = "open_loop", value_parser = Arrivals::parse)]
    pub arrivals: Arrivals,

    /// Seed of random arrivals
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,

    /// Open loop: start requests at the times in FILE, one per line in seconds, counted from the first; the run ends
    /// with them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "arrivals"])]
    pub replay: Option<PathBuf>,

    /// Replay times F times as long: 2 is half the rate
    #[arg(long, value_name = "F", default_value_t = 1.0, requires = "replay")]
    pub stretch: f64,

    /// Stay awake between the starts of an open loop: as punctual as the machine can be, for a whole core per thread
    #[arg(long, requires = "open_loop", conflicts_with = "find_rate")]
    pub spin: bool,

    /// How long to measure, such as 500ms, 30s, 2m; default 10s, or until --requests are done
    #[arg(short, long, value_name = "TIME", value_parser = duration_ns)]
    pub duration: Option<u64>,

    /// Stop after this many measured requests
    #[arg(short = 'n', long, value_name = "N")]
    pub requests: Option<u64>,

    /// Load before the measured time, not counted; default 1s, of a replay 0s (its first part)
    #[arg(short, long, value_name = "TIME", value_parser = duration_ns)]
    pub warmup: Option<u64>,

    /// Be process I of N (from 1): an Nth of --rate, --replay and --requests. All N have the same options but this;
    /// -c and -t are those of each. Merge their records with `loadgen merge`
    #[arg(long, value_name = "I/N", default_value = "1/1", value_parser = Shard::parse)]
    pub shard: Shard,

    /// Send the first request at this time, in seconds since 1970 (date +%s), or after +TIME
    #[arg(long, value_name = "UNIX_SECONDS|+TIME", value_parser = StartAt::parse)]
    pub start_at: Option<StartAt>,
}
