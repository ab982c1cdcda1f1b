//! What a run does, complete: target, request, times, connections. A [`Plan`] can be written down as a value; `cli`
//! builds one from the command line. Only [`Plan::fit`] and [`resolve`] look at the machine. It sends nothing.

pub mod budget;
mod peer;
pub mod sources;
mod target;

use std::net::IpAddr;
use std::sync::Arc;

pub use self::peer::{Peer, Resolve, resolve};
pub use self::target::{DEFAULT_URL, Request, Target, is_token, parse_header, write_sized};

use self::budget::{Budget, Facts, Need};
use crate::dist::Distribution;
use crate::loadgen::error::Error;
use crate::loadgen::schedule::{Share, Timing};

/// Connections of a closed loop, if not given.
const CLOSED_CONNECTIONS: usize = 16;
/// Upper bound of the connections of an open loop, if not given.
const OPEN_CONNECTIONS: usize = 4096;
const TIMEOUT_NS: u64 = 10_000_000_000;

/// How long a connection is used, and which side closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// Most requests on one connection, at least 1; `u64::MAX`: as many as the server permits.
    pub requests: u64,
    /// The client closes it after the last response, without announcing it. Otherwise the last request asks the server
    /// to, and the response ends when the server has closed.
    pub client_closes: bool,
}

/// Time limits of a request, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the whole request, from its actual start.
    pub total_ns: u64,
    /// For connecting, from the actual start.
    pub connect_ns: u64,
    /// For the first byte of the response, from the end of connecting; on a kept connection from the actual start.
    pub first_byte_ns: u64,
}

/// A run. The default is a closed loop to `http://127.0.0.1:8080/` for 10 s.
#[derive(Clone, Debug)]
pub struct Plan {
    pub target: Target,
    /// Where to connect: the first that answers.
    pub peers: Vec<Peer>,
    /// Sent in turn, beginning anew after the last.
    pub requests: Arc<[Request]>,
    pub timing: Timing,
    /// Whether threads stay awake until the next start (open loop).
    pub spin: bool,
    /// Seed of random arrivals, pauses and sizes of jobs.
    pub seed: u64,
    /// Connections at once, of all threads.
    pub connections: usize,
    /// Threads that send, at most as many as connections.
    pub threads: usize,
    pub persistence: Persistence,
    pub timeouts: Timeouts,
    /// Pause between a response and the next request of the same client (closed loop).
    pub think: Option<Distribution>,
    /// The time that each request asks the server to take.
    pub occupy: Option<Distribution>,
    /// Local addresses to connect from, in turn; empty: the kernel chooses.
    pub sources: Vec<IpAddr>,
    /// Resources that could run short, one sentence each.
    pub warnings: Vec<String>,
    pub interval_ns: u64,
    /// Failed requests, and those that take longer, are recorded one by one; `None`: none is.
    pub slow_ns: Option<u64>,
}

impl Default for Plan {
    fn default() -> Self {
        let target = Target::default();
        Self {
            peers: vec![Peer::Ip(([127, 0, 0, 1], target.port).into())],
            requests: [Request::new(&target, "GET", &[], b"")].into(),
            target,
            timing: Timing::default(),
            spin: false,
            seed: 1,
            connections: CLOSED_CONNECTIONS,
            threads: 1,
            persistence: Persistence { requests: 1, client_closes: false },
            timeouts: Timeouts { total_ns: TIMEOUT_NS, connect_ns: TIMEOUT_NS, first_byte_ns: TIMEOUT_NS },
            think: None,
            occupy: None,
            sources: Vec::new(),
            warnings: Vec::new(),
            interval_ns: 1_000_000_000,
            slow_ns: None,
        }
    }
}

impl Plan {
    /// Sets the number of connections to `asked`, or to the default as far as this machine has descriptors and local
    /// ports for it, and lowers the number of threads to that. Raises the limit of open files.
    /// Errors: this machine cannot carry the plan out.
    pub fn fit(self, asked: Option<u64>) -> Result<Self, Error> {
        let facts = Facts::read();
        let Budget { connections, warnings } =
            budget::check(&self.need(asked, &facts), &facts).map_err(Error::Failed)?;
        Ok(Self {
            connections: connections as usize,
            threads: self.threads.min(connections as usize),
            warnings,
            ..self
        })
    }

    fn need(&self, asked: Option<u64>, facts: &Facts) -> Need {
        let (timing, sources) = (&self.timing, &self.sources);
        let from_loopback = !sources.is_empty() && sources.iter().all(IpAddr::is_loopback);
        let loopback = self.peers.iter().all(Peer::is_local) || from_loopback;
        let peak_rate = timing.peak_rate((facts.hold_s(loopback) * 1e9) as u64);
        let warmup_requests = match peak_rate {
            Some(rate) => Some(rate * timing.warmup_ns as f64 / 1e9),
            None => (timing.warmup_ns == 0).then_some(0.0),
        };
        let requests =
            timing.requests.zip(warmup_requests).map(|(requests, warmup)| requests as f64 + warmup);
        let per_connection = self.persistence.requests as f64;
        Need {
            connections: asked,
            default_connections: if timing.is_open_loop() { OPEN_CONNECTIONS } else { CLOSED_CONNECTIONS }
                as u64,
            threads: self.threads as u64,
            sources: sources.len().max(1) as u64,
            loopback,
            portless: self.peers.iter().any(|peer| matches!(peer, Peer::Unix(_))),
            client_closes: self.persistence.client_closes,
            opened_per_s: peak_rate.map(|rate| rate / per_connection),
            opened: requests.map(|requests| requests / per_connection),
            seconds: timing.end_ns().map(|end_ns| end_ns as f64 / 1e9),
        }
    }

    /// What each thread does; together they do the whole plan.
    pub fn shares(&self) -> Vec<Share> {
        let threads = self.threads as u64;
        let part = |whole: u64, thread| whole / threads + u64::from(thread < whole % threads);
        (0..threads)
            .map(|thread| Share {
                thread,
                threads,
                connections: part(self.connections as u64, thread) as usize,
                requests: self.timing.requests.map(|requests| part(requests, thread)),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_plan() {
        let timing = Timing { requests: Some(101), ..Timing::default() };
        let shares = Plan { connections: 10, threads: 4, timing, ..Plan::default() }.shares();
        assert_eq!(shares.iter().map(|share| share.connections).collect::<Vec<_>>(), [3, 3, 2, 2]);
        assert_eq!(shares.iter().filter_map(|share| share.requests).sum::<u64>(), 101);
        let few = Plan { threads: 8, ..Plan::default() }.fit(Some(2)).unwrap();
        assert_eq!((few.shares().len(), few.connections), (2, 2));
    }
}
