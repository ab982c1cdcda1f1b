//! Options: expectations of the run, and the search for a rate.

use std::time::Duration;

use crate::loadgen::error::Error;
use crate::loadgen::expect::Expectation;
use crate::loadgen::plan::Plan;
use crate::loadgen::schedule::{RateSpec, Timing, duration_ns};
use crate::loadgen::search::objective::Objectives;
use crate::loadgen::search::{Goal, START_RATE, times};

use super::Args;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Objectives")]
pub struct SearchArgs {
    /// Exit with code 4 unless this holds, such as 'p99<5ms' or 'p50<1ms,errors<1%'; may be repeated, see below
    #[arg(long, value_name = "EXPECTATIONS", value_delimiter = ',')]
    pub expect: Vec<Expectation>,

    /// Find the highest rate that meets this, such as 'p99<5ms' or 'p50<1ms,p99.9<20ms', in a series of open-loop runs;
    /// the first is at --rate (default 100, or more where a percentile needs it)
    #[arg(long, value_name = "OBJECTIVES", group = "open_loop", conflicts_with_all = ["requests", "replay", "shard", "start_at", "think", "hlog"])]
    pub find_rate: Option<Objectives>,

    /// Time for --find-rate; no run starts that would end later. Each run takes a twentieth of it, a fifth of that as
    /// warm-up, unless --duration and --warmup are given, and longer at rates too low for the number of requests that
    /// the objectives need
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
        let start = self.goal().map_or(START_RATE, |goal| START_RATE.max(goal.lowest().ceil()));
        if !schedule.rate.get_or_insert_with(|| RateSpec::constant(start)).is_constant() {
            let why = "--rate with --find-rate is the first rate to try: a single number";
            return Err(Error::Usage(why.into()));
        }
        let (warmup_ns, duration_ns) = times(self.search.find_time, schedule.warmup);
        schedule.warmup.get_or_insert(warmup_ns);
        schedule.duration.get_or_insert(duration_ns);
        schedule.timing()
    }

    /// Whether `plan` can have as many requests as percentiles need.
    /// Errors: usage: what it would take.
    pub fn check_samples(&self, plan: &Plan) -> Result<(), Error> {
        if let Some(goal) = self.goal() {
            return goal.check(plan).map_err(Error::Usage);
        }
        let Some(planned) = plan.timing.planned() else { return Ok(()) };
        let most = self.search.expect.iter().max_by_key(|expected| expected.sample());
        let short = most.filter(|expected| planned.round() < expected.sample() as f64);
        short.map_or(Ok(()), |expected| {
            let (text, needed) = (&expected.text, expected.sample());
            Err(Error::Usage(format!(
                "--expect {text} needs at least {needed} requests, three beyond the percentile, and this run has \
                 {planned:.0}: raise --requests, --rate or --duration"
            )))
        })
    }
}
