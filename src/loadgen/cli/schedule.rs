//! Options: when requests start, and for how long.

use std::path::{Path, PathBuf};

use clap::value_parser;

use super::{input, positive_ns};
use crate::loadgen::error::Error;
use crate::loadgen::schedule::{
    Arrivals, DURATION_NS, RateSpec, Schedule, Shard, StartAt, Timing, Trace, WARMUP_NS, WEEK_NS, duration_ns,
};
use crate::sys::clock::{monotonic_ns, realtime_ns};

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Schedule")]
pub struct ScheduleArgs {
    /// Open loop: start this many requests per second, however the server responds. A number; a ramp A..B; steps A,B,C
    /// of equal length; or parts with their own lengths, A@10s,B..C@30s, which then are the duration. The warm-up uses
    /// the first rate
    #[arg(short, long, value_name = "PER_SECOND", group = "open_loop", value_parser = RateSpec::parse)]
    pub rate: Option<RateSpec>,

    /// Spacing of the starts of an open loop: const, poisson, or burst:N (N at once, at the mean rate)
    #[arg(long, value_name = "KIND", default_value = "const", requires = "open_loop", value_parser = Arrivals::parse)]
    pub arrivals: Arrivals,

    /// Seed of random arrivals, pauses and times to take
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,

    /// Open loop: start requests at the times in FILE, one per line in seconds, relative to the first; the run ends
    /// with the last
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "arrivals"])]
    pub replay: Option<PathBuf>,

    /// Stretch the replayed times by F: 2 is half the rate
    #[arg(long, value_name = "F", default_value_t = 1.0, requires = "replay")]
    pub stretch: f64,

    /// Busy-wait between the starts of an open loop: as punctual as the machine can be, at the cost of a core per thread
    #[arg(long, requires = "open_loop", conflicts_with = "find_rate")]
    pub spin: bool,

    /// How long to measure, such as 500ms, 30s, 1h30m; a number is seconds; default 10s, or until --requests are done
    #[arg(short, long, value_name = "TIME", value_parser = positive_ns)]
    pub duration: Option<u64>,

    /// Stop after this many measured requests
    #[arg(short = 'n', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub requests: Option<u64>,

    /// Load before the measured time, not counted; default 1s, but 0s with --requests (no more are sent), and for a replay
    /// (whose beginning it is)
    #[arg(short, long, value_name = "TIME", value_parser = duration_ns)]
    pub warmup: Option<u64>,

    /// Run as process I of N (from 1): generate one Nth of --rate, --replay and --requests. Give all N the same options
    /// except this one; -c and -t apply to each. Merge their records with `loadgen merge`
    #[arg(long, value_name = "I/N", default_value = "1/1", value_parser = Shard::parse)]
    pub shard: Shard,

    /// Send the first request at this time, in seconds since 1970 (date +%s), or after +TIME
    #[arg(long, value_name = "UNIX_SECONDS|+TIME", value_parser = StartAt::parse)]
    pub start_at: Option<StartAt>,
}

impl ScheduleArgs {
    /// Errors: usage, if the options contradict each other; failure, if the file of a replay cannot be read.
    pub fn timing(&self) -> Result<Timing, Error> {
        let (schedule, warmup_ns, duration_ns) = match (&self.replay, &self.rate) {
            (Some(path), _) => self.replayed(path)?,
            (None, Some(rate)) => self.paced(rate)?,
            (None, None) => {
                let duration_ns = self.duration.or(self.requests.is_none().then_some(DURATION_NS));
                (None, self.warmup_ns(), duration_ns)
            }
        };
        let requests = self.requests.map(|whole| self.shard.share(whole));
        if requests == Some(0) {
            let why = "--requests leaves none for this process of --shard; ask for at least one for each";
            return Err(Error::Usage(why.into()));
        }
        let start_ns = self.start_at.map(|start| start.resolve(monotonic_ns(), realtime_ns())).transpose();
        let start_ns = start_ns.map_err(Error::Usage)?;
        Ok(Timing { schedule, duration_ns, warmup_ns, requests, shard: self.shard, start_ns })
    }

    fn warmup_ns(&self) -> u64 {
        self.warmup.unwrap_or(if self.requests.is_some() { 0 } else { WARMUP_NS })
    }

    fn paced(&self, rate: &RateSpec) -> Result<(Option<Schedule>, u64, Option<u64>), Error> {
        if rate.length_ns().is_some() && self.duration.is_some() {
            let why = "the lengths in --rate are the duration: leave out --duration, or the lengths";
            return Err(Error::Usage(why.into()));
        }
        // A rate that changes needs a time to change in.
        let needs_one = self.requests.is_none() || !rate.is_constant();
        let duration_ns = rate.length_ns().or(self.duration).or(needs_one.then_some(DURATION_NS));
        let warmup_ns = self.warmup_ns();
        let profile = rate.profile(warmup_ns, duration_ns);
        let schedule = Schedule::Rate { arrivals: self.arrivals, profile, seed: self.seed };
        if let Some(requests) = self.requests.filter(|_| duration_ns.is_none())
            && schedule.span_s(warmup_ns, requests - 1).is_none_or(|span_s| span_s > WEEK_NS as f64 / 1e9)
        {
            let why = format!(
                "-n {requests} at this --rate takes longer than a week; raise it, or give --duration"
            );
            return Err(Error::Usage(why));
        }
        Ok((Some(schedule), warmup_ns, duration_ns))
    }

    fn replayed(&self, path: &Path) -> Result<(Option<Schedule>, u64, Option<u64>), Error> {
        let shown = path.display();
        let bytes = input::read(path, "the times of --replay from")?;
        // Bytes that are not text are not a time either: the error names the line.
        let text = String::from_utf8_lossy(&bytes);
        let trace = Trace::parse(&text, self.stretch)
            .map_err(|why| Error::Usage(format!("--replay {shown}: {why}")))?;
        let (warmup_ns, length_ns) = (self.warmup.unwrap_or(0), trace.length_ns());
        if warmup_ns >= length_ns {
            let length_s = length_ns as f64 / 1e9;
            return Err(Error::Usage(format!("--warmup leaves nothing of the {length_s:.3} s in {shown}")));
        }
        let rest_ns = length_ns - warmup_ns;
        let duration_ns = self.duration.map_or(rest_ns, |asked| asked.min(rest_ns));
        Ok((Some(Schedule::Replay(trace)), warmup_ns, Some(duration_ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadgen::cli::Args;
    use clap::Parser as _;

    const S: u64 = 1_000_000_000;

    fn timing(args: &[&str]) -> Result<Timing, Error> {
        Args::try_parse_from([&["loadgen"], args].concat()).unwrap().schedule.timing()
    }

    fn usage(args: &[&str]) -> String {
        let error = timing(args).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    }

    #[test]
    fn the_lengths_of_the_parts_are_the_duration() {
        assert_eq!(timing(&["-r", "10@3s,20@4s"]).unwrap().duration_ns, Some(7 * S));
        assert_eq!(timing(&["-r", "10..20"]).unwrap().duration_ns, Some(10 * S));
        assert_eq!(timing(&["-r", "10..20", "-n", "5"]).unwrap().duration_ns, Some(10 * S));
        assert_eq!(timing(&["-r", "10", "-n", "5"]).unwrap().duration_ns, None);
        assert!(usage(&["-r", "10@3s", "-d", "3s"]).contains("leave out --duration"));
    }

    #[test]
    fn a_replay_ends_with_its_file_and_warms_up_with_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("times");
        std::fs::write(&file, "0\n1\n2\n3\n").unwrap();
        let file = file.to_str().unwrap();
        let length = |args: &[&str]| {
            let timing = timing(&[&["--replay", file], args].concat()).unwrap();
            (timing.warmup_ns, timing.duration_ns)
        };
        assert_eq!(length(&[]), (0, Some(4 * S)));
        assert_eq!(length(&["--stretch", "0.5"]), (0, Some(2 * S)));
        assert_eq!(length(&["-w", "1s"]), (S, Some(3 * S)));
        assert_eq!(length(&["-d", "2s"]), (0, Some(2 * S)));
        assert!(usage(&["--replay", file, "-w", "4s"]).contains("leaves nothing"));
        assert_eq!(timing(&["--replay", "/nonexistent/times"]).unwrap_err().exit_code(), 1);
    }

    #[test]
    fn a_number_of_requests_has_no_warm_up_unless_asked_for() {
        let warmup = |args: &[&str]| timing(args).unwrap().warmup_ns;
        assert_eq!((warmup(&["-n", "5"]), warmup(&["-n", "5", "-r", "9"])), (0, 0));
        assert_eq!((warmup(&["-n", "5", "-w", "1"]), warmup(&[]), warmup(&["-r", "9"])), (S, S, S));
    }

    #[test]
    fn requests_that_would_take_for_ever_are_refused() {
        assert!(usage(&["-n", "2", "-r", "1e-11"]).contains("longer than a week"));
        assert!(timing(&["-n", "2", "-r", "1e-11", "-d", "1s"]).is_ok());
    }

    #[test]
    fn a_shard_is_an_nth_of_the_requests() {
        let requests = |shard: &str| timing(&["-n", "10", "--shard", shard]).unwrap().requests.unwrap();
        assert_eq!(["1/3", "2/3", "3/3"].map(requests), [4, 3, 3]);
        assert!(usage(&["-n", "2", "--shard", "3/3"]).contains("--shard"));
    }
}
