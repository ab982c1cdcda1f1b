//! Counters over the time of a run: the scoreboard, the accept queues, and the drops counted by the kernel.
//!
//! A sample is a few dozen loads from mapped memory, one netlink request and one small file: about 0.1 ms per
//! interval, and nothing in the measured processes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::since;
use crate::lab::results::data::{Sample, Series};
use crate::lab::run::background::{Background, RunEnd};
use crate::lab::run::processes::tree;
use crate::measure::machine::listening;
use crate::scoreboard::{Counters, Scoreboard};
use crate::sys::sockdiag::SockDiag;

#[derive(Debug)]
pub struct Sampler {
    interval_s: f64,
    thread: Option<Background<Vec<Sample>>>,
}

impl Sampler {
    /// Samples at whole `interval`s from `begin`, the start of the measured time, and at the end. Without a
    /// scoreboard there are no counters per worker. `watched` is a process whose resources are sampled,
    /// including its descendants.
    pub fn start(
        wanted: bool,
        board: Option<Scoreboard>,
        watched: Option<u32>,
        address: SocketAddr,
        begin: Instant,
        interval: Duration,
    ) -> Self {
        let mut source = Source::new(board, watched, address, begin);
        let sample = move |end: &RunEnd| {
            let mut samples = vec![source.sample()];
            // Samples missed by a stall are not made up.
            let left =
                || first_after(Instant::now(), begin, interval).saturating_duration_since(Instant::now());
            while end.is_later_than(left()) {
                samples.push(source.sample());
            }
            samples.push(source.sample());
            samples
        };
        let thread = wanted.then(|| Background::start("sampler", sample).ok()).flatten();
        Self { interval_s: interval.as_secs_f64(), thread }
    }

    pub fn finish(self) -> Series {
        let samples = self.thread.and_then(Background::finish).unwrap_or_default();
        Series { interval_s: self.interval_s, samples }
    }
}

/// The first moment after `now` that is whole intervals from `begin`.
fn first_after(now: Instant, begin: Instant, interval: Duration) -> Instant {
    let step = interval.as_nanos().max(1);
    let nanos = |n: u128| Duration::from_nanos(u64::try_from(n).unwrap_or(u64::MAX));
    if now >= begin {
        let whole = now.duration_since(begin).as_nanos() / step;
        begin + nanos((whole + 1) * step)
    } else {
        let left = begin.duration_since(now).as_nanos();
        now + nanos((left - 1) % step + 1)
    }
}

#[derive(Debug)]
struct Source {
    board: Option<Scoreboard>,
    before: Vec<Counters>,
    diag: Option<SockDiag>,
    kernel: [u64; 2],
    watched: Option<u32>,
    address: SocketAddr,
    begin: Instant,
}

impl Source {
    fn new(board: Option<Scoreboard>, watched: Option<u32>, address: SocketAddr, begin: Instant) -> Self {
        let before = board.as_ref().map(Scoreboard::snapshot).unwrap_or_default();
        let (diag, kernel) = (SockDiag::open().ok(), listening());
        Self { board, before, diag, kernel, watched, address, begin }
    }

    fn sample(&mut self) -> Sample {
        let now = Instant::now();
        let ahead = self.begin.saturating_duration_since(now).as_secs_f64();
        let queues = self.diag.as_mut().and_then(|diag| diag.queues(self.address).ok()).unwrap_or_default();
        let [overflows, drops] = listening();
        let mut sample = Sample {
            at_s: now.saturating_duration_since(self.begin).as_secs_f64() - ahead,
            queue: queues.iter().map(|queue| queue.waiting).collect(),
            overflows: overflows.saturating_sub(self.kernel[0]),
            drops: drops.saturating_sub(self.kernel[1]),
            tree: self.watched.map(tree),
            ..Sample::default()
        };
        let rows = self.board.as_ref().map(Scoreboard::snapshot).unwrap_or_default();
        sample.open = rows.iter().map(|row| row.open).collect();
        for worker in since(&rows, &self.before) {
            sample.accepted.push(worker.accepted);
            sample.busy_ns.push(worker.busy_ns);
            sample.wakeups.push(worker.wakeups);
            sample.empty_wakeups.push(worker.empty_wakeups);
        }
        sample
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn samples_fall_on_whole_intervals_around_the_beginning() {
        let begin = Instant::now() + Duration::from_secs(100);
        let ms = Duration::from_millis;
        let at = |now: Instant| first_after(now, begin, ms(250));
        assert_eq!(at(begin - ms(600)), begin - ms(500));
        assert_eq!(at(begin - ms(500)), begin - ms(250));
        assert_eq!(at(begin - ms(1)), begin);
        assert_eq!(at(begin), begin + ms(250));
        assert_eq!(at(begin + ms(260)), begin + ms(500));
    }

    #[test]
    fn a_queue_that_nobody_empties_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        let begin = Instant::now() + Duration::from_secs(5);
        let mut source = Source::new(None, None, address, begin);
        while source.sample().queue != [3] {
            assert!(Instant::now() < begin, "{:?}", source.sample());
        }
        let series = Sampler::start(true, None, None, address, begin, Duration::from_secs(1)).finish();
        assert!(series.samples.len() >= 2 && series.samples.iter().all(|sample| sample.queue == [3]));
        assert!(series.samples[0].at_s < 0.0, "{series:?}");
        let series = Sampler::start(false, None, None, address, begin, Duration::from_secs(1)).finish();
        assert!(series.samples.is_empty());
    }
}
