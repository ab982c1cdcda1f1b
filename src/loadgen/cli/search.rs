//! Options: what the run is to find out, and what it has to hold.

use super::duration::duration_ns;
use crate::loadgen::expect::Expectation;
use crate::loadgen::search::objective::Objectives;

/// Which figures are wanted.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Objectives")]
pub struct SearchArgs {
    /// Fail (exit code 4) unless this holds, such as 'p99<5ms' or 'errors<1%'; may be repeated, see below
    #[arg(long, value_name = "EXPECTATION")]
    pub expect: Vec<Expectation>,

    /// Find the highest rate that holds this, such as 'p99<5ms' or 'p50<1ms,p99.9<20ms', with runs of an open loop,
    /// the first at --rate (default 100)
    #[arg(long, value_name = "OBJECTIVES", group = "open_loop", conflicts_with_all = ["requests", "replay", "shard", "start_at", "think", "hlog"])]
    pub find_rate: Option<Objectives>,

    /// Time for --find-rate; no run begins that would not end in it. A run takes a twentieth of this, a fifth of that
    /// for its warm-up, unless --duration and --warmup say otherwise
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "find_rate", value_parser = duration_ns)]
    pub find_time: u64,
}
