//! Options: expectations of the run, and the search for a rate.

use std::time::Duration;

use crate::loadgen::error::Error;
use crate::loadgen::expect::Expectation;
use crate::loadgen::schedule::parse::duration_ns;
use crate::loadgen::schedule::profile::RateSpec;
use crate::loadgen::schedule::timing::Timing;
use crate::loadgen::search::objective::Objectives;
use crate::loadgen::search::{Goal, START_RATE, times};

use super::Args;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Objectives")]
pub struct SearchArgs {
    /// Exit with code 4 unless this holds, such as 'p99<5ms' or 'errors<1%'; may be repeated, see below
    #[arg(long, value_name = "EXPECTATION")]
    pub expect: Vec<Expectation>,

    /// Find the highest rate that meets this, such as 'p99<5ms' or 'p50<1ms,p99.9<20ms', in a series of open-loop runs;
    /// the first is at --rate (default 100)
    #[arg(long, value_name = "OBJECTIVES", group = "open_loop", conflicts_with_all = ["requests", "replay", "shard", "start_at", "think", "hlog"])]
    pub find_rate: Option<Objectives>,

    /// Time for --find-rate; no run starts that would end later. Each run takes a twentieth of it, a fifth of that as
    /// warm-up, unless --duration and --warmup are given
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "find_rate", value_parser = duration_ns)]
    pub find_time: u64,
}

impl Args {
    /// The search that `--find-rate` asks for.
    pub fn goal(&self) -> Option<Goal> {
        let objectives = self.search.find_rate.clone()?;
        Some(Goal { objectives, time: Duration::from_nanos(self.search.find_time) })
    }

    /// The times of the first run of a search.
    pub(super) fn first_of_search(&self) -> Result<Timing, Error> {
        let mut schedule = self.schedule.clone();
        if !schedule.rate.get_or_insert_with(|| RateSpec::constant(START_RATE)).is_constant() {
            let why = "--rate with --find-rate is the first rate to try: a single number";
            return Err(Error::Usage(why.into()));
        }
        let (warmup_ns, duration_ns) = times(self.search.find_time, schedule.warmup);
        schedule.warmup.get_or_insert(warmup_ns);
        schedule.duration.get_or_insert(duration_ns);
        schedule.timing()
    }
}
