//! What the options of the schedule mean: when requests start, and when the run does. It reads the file of a replay
//! and the clocks; it sends nothing.

use std::path::Path;

use super::pacer::Schedule;
use super::trace::Trace;
use crate::loadgen::cli::duration::duration_ns;
use crate::loadgen::cli::schedule::ScheduleArgs;
use crate::loadgen::error::Error;
use crate::loadgen::plan::{Load, input};
use crate::sys::clock::{monotonic_ns, realtime_ns};

/// Measured time, if neither that nor a number of requests is given, in ns.
const DURATION_NS: u64 = 10_000_000_000;
/// Time before it, if not given, in ns.
const WARMUP_NS: u64 = 1_000_000_000;
/// The farthest start that is taken seriously, in ns: a week.
const HORIZON_NS: u64 = 7 * 24 * 3_600_000_000_000;

/// Which part of the whole load one process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: u64,
    /// Of this many.
    pub of: u64,
}

impl Shard {
    /// Reads `2/3`, which counts from 1.
    ///
    /// # Errors
    /// What should have been written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').map(|(index, of)| (index.parse(), of.parse()));
        match numbers {
            Some((Ok(index), Ok(of))) if (1..=of).contains(&index) && of <= 1_000_000 => {
                Ok(Self { index: index - 1, of })
            }
            _ => Err("write I/N with I from 1 to N, such as 2/3".into()),
        }
    }

    /// This part of a number of equal things; all parts add up to it.
    pub fn share(self, whole: u64) -> u64 {
        whole / self.of + u64::from(self.index < whole % self.of)
    }

    /// As it is typed.
    pub fn name(self) -> String {
        format!("{}/{}", self.index + 1, self.of)
    }
}

/// When a run is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At this many ns since 1970.
    Unix(u64),
    /// In this many ns.
    In(u64),
}

impl StartAt {
    /// Reads `1764000000.5` and `+5s`.
    ///
    /// # Errors
    /// What should have been written.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(time) = text.strip_prefix('+') {
            return duration_ns(time).map(Self::In);
        }
        let seconds = super::trace::seconds_ns(text);
        seconds.map(Self::Unix).ok_or_else(|| "write seconds since 1970 (date +%s), or +5s".into())
    }

    /// The moment on the monotonic clock, in ns, when that reads `monotonic` and the wall clock `unix`.
    fn resolve(self, monotonic: u64, unix: u64) -> Result<u64, Error> {
        let wait_ns = match self {
            Self::In(wait_ns) => wait_ns,
            Self::Unix(at) => at.checked_sub(unix).ok_or_else(|| {
                let late_s = (unix - at) as f64 / 1e9;
                Error::Usage(format!("--start-at was {late_s:.1} s ago; give a time to come, or +5s"))
            })?,
        };
        if wait_ns > HORIZON_NS {
            return Err(Error::Usage(
                "--start-at is more than a week away; it is in seconds since 1970".into(),
            ));
        }
        Ok(monotonic + wait_ns)
    }
}

/// When requests start, and when the run does.
#[derive(Debug)]
pub struct Timing {
    /// When requests start.
    pub load: Load,
    /// Measured time in ns; without it the run ends by `requests`.
    pub duration_ns: Option<u64>,
    /// Time before it in ns.
    pub warmup_ns: u64,
    /// Measured requests after which the run ends, in this process.
    pub requests: Option<u64>,
    /// Which part of the load this process is.
    pub part: Shard,
    /// When the first request is due, on the monotonic clock, in ns.
    pub start_ns: Option<u64>,
}

impl Timing {
    /// Works out what was typed.
    ///
    /// # Errors
    /// Usage, where it makes no sense; failure, where the file of a replay cannot be read.
    pub fn new(args: &ScheduleArgs) -> Result<Self, Error> {
        let usage = |text: &str| Err(Error::Usage(text.into()));
        match args {
            ScheduleArgs { requests: Some(0), .. } => return usage("--requests must be at least 1"),
            ScheduleArgs { duration: Some(0), .. } => return usage("--duration must be above 0"),
            _ => {}
        }
        let (load, warmup_ns, duration_ns) = match (&args.replay, &args.rate) {
            (Some(path), _) => replay(args, path)?,
            (None, Some(_)) => paced(args)?,
            (None, None) => {
                let duration_ns = args.duration.or(args.requests.is_none().then_some(DURATION_NS));
                (Load::Closed, args.warmup.unwrap_or(WARMUP_NS), duration_ns)
            }
        };
        let requests = args.requests.map(|whole| args.shard.share(whole));
        if requests == Some(0) {
            return usage("--requests leaves none for this part of --shard; ask for at least one for each");
        }
        let start_ns = args.start_at.map(|start| start.resolve(monotonic_ns(), realtime_ns())).transpose()?;
        Ok(Self { load, duration_ns, warmup_ns, requests, part: args.shard, start_ns })
    }

    /// Requests per second of this process in the busiest span of about `span_ns`; `None` where that is not known
    /// beforehand (closed loop).
    pub fn peak_rate(&self, span_ns: u64) -> Option<f64> {
        const LOOKS: u64 = 64;
        let Load::Open(schedule) = &self.load else { return None };
        let end_ns = self.duration_ns.map_or(span_ns, |duration_ns| self.warmup_ns + duration_ns);
        let span_ns = span_ns.min(end_ns).max(1);
        let rates = (0..=LOOKS).map(|look| {
            let begin_ns = ((end_ns - span_ns) as f64 * look as f64 / LOOKS as f64) as u64;
            schedule.mean_rate(begin_ns, Some(begin_ns + span_ns))
        });
        Some(rates.fold(0.0, f64::max) / self.part.of as f64)
    }
}

fn paced(args: &ScheduleArgs) -> Result<(Load, u64, Option<u64>), Error> {
    let Some(spec) = &args.rate else { return Ok((Load::Closed, 0, None)) };
    if spec.length_ns().is_some() && args.duration.is_some() {
        let why = "the lengths in --rate are the duration: leave out --duration, or the lengths";
        return Err(Error::Usage(why.into()));
    }
    let asked = spec.length_ns().or(args.duration);
    // A rate that changes needs a time to change in.
    let needs_one = args.requests.is_none() || !spec.is_constant();
    let duration_ns = asked.or(needs_one.then_some(DURATION_NS));
    let warmup_ns = args.warmup.unwrap_or(WARMUP_NS);
    let profile = spec.profile(warmup_ns, duration_ns);
    let schedule = Schedule::Rate { arrivals: args.arrivals, profile, seed: args.seed };
    Ok((Load::Open(schedule), warmup_ns, duration_ns))
}

fn replay(args: &ScheduleArgs, path: &Path) -> Result<(Load, u64, Option<u64>), Error> {
    let shown = path.display();
    let bytes = input::read(path)
        .map_err(|error| Error::Failed(format!("cannot read the times of --replay from {shown}: {error}")))?;
    // Bytes that are not text are not a time either: the line is named.
    let text = String::from_utf8_lossy(&bytes);
    let trace =
        Trace::parse(&text, args.stretch).map_err(|why| Error::Usage(format!("--replay {shown}: {why}")))?;
    let warmup_ns = args.warmup.unwrap_or(0);
    let length_ns = trace.length_ns();
    if warmup_ns >= length_ns {
        let length_s = length_ns as f64 / 1e9;
        return Err(Error::Usage(format!("--warmup leaves nothing of the {length_s:.3} s in {shown}")));
    }
    let rest_ns = length_ns - warmup_ns;
    let duration_ns = args.duration.map_or(rest_ns, |asked| asked.min(rest_ns));
    Ok((Load::Open(Schedule::Replay(trace)), warmup_ns, Some(duration_ns)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadgen::cli::Args;
    use clap::Parser as _;

    const S: u64 = 1_000_000_000;

    fn timing(args: &[&str]) -> Result<Timing, Error> {
        Timing::new(&Args::try_parse_from([&["loadgen"], args].concat()).unwrap().schedule)
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
    fn the_busiest_span_is_known_beforehand() {
        let peak = |args: &[&str], span_ns| timing(args).unwrap().peak_rate(span_ns).map(f64::round);
        assert_eq!(peak(&["-r", "100"], 60 * S), Some(100.0));
        assert_eq!(peak(&["-r", "100", "-n", "5", "--shard", "2/4"], 60 * S), Some(25.0));
        assert_eq!(peak(&["-r", "100@90s,400@30s", "-w", "0s"], 60 * S), Some(250.0));
        assert_eq!(peak(&["-r", "100@90s,400@30s", "-w", "0s"], S), Some(400.0));
        assert_eq!(peak(&["-r", "0..200", "-d", "10s", "-w", "0s"], 60 * S), Some(100.0));
        assert_eq!(peak(&["-c", "5"], S), None);
    }

    #[test]
    fn a_shard_is_an_nth_of_the_requests() {
        let requests = |shard: &str| timing(&["-n", "10", "--shard", shard]).unwrap().requests.unwrap();
        assert_eq!(["1/3", "2/3", "3/3"].map(requests), [4, 3, 3]);
        assert!(usage(&["-n", "2", "--shard", "3/3"]).contains("--shard"));
        for text in ["", "1", "0/2", "3/2", "a/b", "1/0"] {
            assert!(Shard::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_start_is_agreed_on_by_the_wall_clock_and_kept_by_the_monotonic_one() {
        let resolve = |text: &str| StartAt::parse(text).unwrap().resolve(50 * S, 1000 * S);
        assert_eq!(resolve("1002.5").unwrap(), 52 * S + S / 2);
        assert_eq!(resolve("+3s").unwrap(), 53 * S);
        assert!(resolve("999").unwrap_err().to_string().contains("1.0 s ago"));
        assert!(resolve("99999999").unwrap_err().to_string().contains("week"));
        assert!(StartAt::parse("soon").is_err() && StartAt::parse("+5").is_err());
    }
}
