//! What the command line means: a run that is known to be possible, or the reason why it is not. It sends nothing.

pub mod budget;
pub mod connections;
pub mod input;
pub mod sources;
pub mod target;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use self::budget::{Budget, Facts, Need};
use self::connections::{Persistence, Timeouts};
use self::target::{ConnectionHeader, Target, is_token, parse_header, request_bytes};
use crate::dist::Distribution;
use crate::loadgen::cli::connections::ConnectionArgs;
use crate::loadgen::cli::output::OutputArgs;
use crate::loadgen::cli::{Args, DEFAULT_URL};
use crate::loadgen::error::Error;
use crate::loadgen::schedule::pacer::Schedule;
use crate::loadgen::schedule::timing::{Shard, Timing};

/// Connections of a closed loop, if not given.
const CLOSED_CONNECTIONS: u64 = 16;
/// Upper bound of the connections of an open loop, if not given.
const OPEN_CONNECTIONS: u64 = 4096;
/// Shortest interval, in ns: at each end of one the threads hand over what they counted. As short as an experiment may ask.
const MIN_INTERVAL_NS: u64 = 10_000_000;

/// When requests start.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// As soon as the one before on the same connection slot has ended.
    Closed,
    /// At times known beforehand.
    Open(Schedule),
}

/// A run that can be carried out.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is requested.
    pub target: Target,
    /// Where it is.
    pub address: SocketAddr,
    /// The bytes of a request after which the connection is to stay open.
    pub request: Vec<u8>,
    /// Those of one after which the server is to close it.
    pub last_request: Vec<u8>,
    /// Whether the method is HEAD, whose responses have no body.
    pub head_request: bool,
    /// When requests start.
    pub load: Load,
    /// Whether threads stay awake until the next start (open loop).
    pub spin: bool,
    /// Connections at once, of all threads.
    pub connections: usize,
    /// Threads, at most as many as connections.
    pub threads: usize,
    /// Measured time in ns; without it the run ends by `requests`.
    pub duration_ns: Option<u64>,
    /// Time before it in ns.
    pub warmup_ns: u64,
    /// Measured requests after which the run ends.
    pub requests: Option<u64>,
    /// How long a connection is used.
    pub persistence: Persistence,
    /// The longest times that are waited.
    pub timeouts: Timeouts,
    /// Time between a response and the next request on the same slot (closed loop).
    pub think: Option<Distribution>,
    /// Where connections come from, in turn; empty: the kernel chooses.
    pub sources: Vec<IpAddr>,
    /// What could become tight, in sentences.
    pub warnings: Vec<String>,
    /// Seed of the schedule.
    pub seed: u64,
    /// Which part of the whole load this process is.
    pub part: Shard,
    /// When the first request is due, on the monotonic clock, in ns; without it, at once.
    pub start_ns: Option<u64>,
    /// Length of the intervals that the run is cut into, in ns.
    pub interval_ns: u64,
}

/// What one thread does of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which thread, from 0.
    pub shard: u64,
    /// Of how many.
    pub shards: u64,
    /// Connections at once.
    pub connections: usize,
    /// Measured requests.
    pub requests: Option<u64>,
}

impl Plan {
    /// Works out what was typed. Reads the body file, resolves the host and raises the limit of open files.
    ///
    /// # Errors
    /// Usage, where it makes no sense; failure, where this machine cannot do it.
    pub fn new(args: &Args) -> Result<Self, Error> {
        let target = Target::parse(args.url.as_deref().unwrap_or(DEFAULT_URL)).map_err(Error::Usage)?;
        let body = body(args)?;
        let method =
            args.request.method.clone().unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.into());
        if !is_token(&method) {
            return Err(Error::Usage(format!("{method:?} is not an HTTP method")));
        }
        let headers =
            args.request.headers.iter().map(|text| parse_header(text)).collect::<Result<Vec<_>, _>>();
        let headers = headers.map_err(|why| Error::Usage(format!("-H: {why}")))?;
        check_numbers(&args.connections, &args.output)?;
        let timing = Timing::new(&args.schedule)?;
        let address = resolve(&target)?;
        let sources = args.connections.sources.as_ref().map(|sources| sources.0.clone()).unwrap_or_default();
        sources::verify(&sources, address).map_err(|why| Error::Failed(format!("--sources: {why}")))?;
        let Budget { connections, warnings } = budget(&args.connections, &timing, address, &sources)?;
        let connections = connections as usize;
        let body = body.unwrap_or_default();
        let request = |connection| request_bytes(&target, &method, &headers, &body, connection);
        Ok(Self {
            address,
            request: request(ConnectionHeader::KeepAlive),
            last_request: request(ConnectionHeader::Close),
            persistence: args.connections.persistence(),
            timeouts: args.connections.timeouts(),
            think: args.connections.think,
            sources,
            warnings,
            head_request: method == "HEAD",
            target,
            load: timing.load,
            spin: args.schedule.spin,
            connections,
            threads: args.connections.threads.min(connections),
            duration_ns: timing.duration_ns,
            warmup_ns: timing.warmup_ns,
            requests: timing.requests,
            seed: args.schedule.seed,
            part: timing.part,
            start_ns: timing.start_ns,
            interval_ns: args.output.interval,
        })
    }

    /// The part of each thread; together they are the whole.
    pub fn shares(&self) -> Vec<Share> {
        let shards = self.threads as u64;
        let part = |whole: u64, shard| whole / shards + u64::from(shard < whole % shards);
        (0..shards)
            .map(|shard| Share {
                shard,
                shards,
                connections: part(self.connections as u64, shard) as usize,
                requests: self.requests.map(|requests| part(requests, shard)),
            })
            .collect()
    }
}

fn check_numbers(connections: &ConnectionArgs, output: &OutputArgs) -> Result<(), Error> {
    connections.check().map_err(|why| Error::Usage(why.into()))?;
    if output.interval < MIN_INTERVAL_NS {
        return Err(Error::Usage("--interval must be at least 10ms".into()));
    }
    Ok(())
}

fn body(args: &Args) -> Result<Option<Vec<u8>>, Error> {
    let Some(path) = &args.request.body_file else {
        return Ok(args.request.body.clone().map(String::into_bytes));
    };
    let failed = |error| Error::Failed(format!("cannot read the body from {}: {error}", path.display()));
    input::read(path).map(Some).map_err(failed)
}

fn resolve(target: &Target) -> Result<SocketAddr, Error> {
    let (host, port) = (target.host.as_str(), target.port);
    let failed = |why: String| Error::Failed(format!("cannot resolve the host {host:?}: {why}"));
    let mut addresses = (host, port).to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    addresses.next().ok_or_else(|| failed("it has no address".into()))
}

/// What the threads may have open at once, and what may become tight.
fn budget(
    args: &ConnectionArgs,
    timing: &Timing,
    destination: SocketAddr,
    sources: &[IpAddr],
) -> Result<Budget, Error> {
    let facts = Facts::read();
    let persistence = args.persistence();
    let per_connection = persistence.requests as f64;
    let from_loopback = !sources.is_empty() && sources.iter().all(IpAddr::is_loopback);
    let loopback = destination.ip().is_loopback() || from_loopback;
    let default_connections = if timing.load == Load::Closed { CLOSED_CONNECTIONS } else { OPEN_CONNECTIONS };
    let peak_rate = timing.peak_rate((facts.hold_s(loopback) * 1e9) as u64);
    let warmup_requests = match peak_rate {
        Some(rate) => Some(rate * timing.warmup_ns as f64 / 1e9),
        None => (timing.warmup_ns == 0).then_some(0.0),
    };
    let requests = timing.requests.zip(warmup_requests).map(|(requests, warmup)| requests as f64 + warmup);
    let need = Need {
        connections: args.connections.map(|connections| connections as u64),
        default_connections,
        threads: args.threads as u64,
        sources: sources.len().max(1) as u64,
        loopback,
        client_closes: persistence.client_closes,
        opened_per_s: peak_rate.map(|rate| rate / per_connection),
        opened: requests.map(|requests| requests / per_connection),
        seconds: timing.duration_ns.map(|duration_ns| (timing.warmup_ns + duration_ns) as f64 / 1e9),
    };
    budget::check(&need, &facts).map_err(Error::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn plan(args: &[&str]) -> Result<Plan, Error> {
        Plan::new(&Args::parse_from([&["loadgen"], args].concat()))
    }

    #[test]
    fn without_a_word_it_is_a_closed_loop_to_the_default_url() {
        let plan = plan(&[]).unwrap();
        assert_eq!(plan.target.url(), DEFAULT_URL);
        assert_eq!((&plan.load, plan.connections, plan.threads), (&Load::Closed, 16, 1));
        assert_eq!((plan.duration_ns, plan.requests), (Some(10_000_000_000), None));
    }

    #[test]
    fn a_number_of_requests_replaces_the_default_duration_only() {
        assert_eq!(plan(&["-n", "5"]).unwrap().duration_ns, None);
        assert_eq!(plan(&["-n", "5", "-d", "3s"]).unwrap().duration_ns, Some(3_000_000_000));
    }

    #[test]
    fn shares_add_up_to_the_plan() {
        let shares = plan(&["-c", "10", "-t", "4", "-n", "101"]).unwrap().shares();
        assert_eq!(shares.iter().map(|share| share.connections).collect::<Vec<_>>(), [3, 3, 2, 2]);
        assert_eq!(shares.iter().filter_map(|share| share.requests).sum::<u64>(), 101);
        assert_eq!(plan(&["-c", "2", "-t", "8"]).unwrap().shares().len(), 2);
    }

    #[test]
    fn a_plan_beyond_what_the_machine_has_is_refused_with_the_arithmetic() {
        let ports = Facts::read().ports();
        let error = plan(&["-c", "1000000"]).unwrap_err().to_string();
        assert!(error.contains("1000064 file descriptors") || error.contains(&ports.to_string()), "{error}");
        let often = (ports * 2).to_string();
        let closing = ["-r", &often, "-d", "2m", "--client-closes"];
        assert!(plan(&closing).unwrap_err().to_string().contains("in TIME_WAIT hold"));
        assert!(plan(&["-r", &often, "-d", "2m"]).unwrap().warnings.is_empty(), "the server closes");
        assert!(plan(&[&closing[..], &["--sources", "127.0.0.2-127.0.0.255"]].concat()).is_ok());
        assert!(plan(&[&closing[..], &["--requests-per-connection", "1000"]].concat()).is_ok());
    }

    #[test]
    fn a_connection_is_used_once_unless_it_is_to_be_kept() {
        let of = |args: &[&str]| plan(args).unwrap().persistence;
        assert_eq!(of(&[]), Persistence { requests: 1, client_closes: false });
        assert_eq!(of(&["-k"]).requests, u64::MAX);
        assert_eq!(
            of(&["--requests-per-connection", "7", "--client-closes"]),
            Persistence { requests: 7, client_closes: true }
        );
        let request = |args: &[&str]| String::from_utf8(plan(args).unwrap().last_request).unwrap();
        assert!(request(&[]).contains("Connection: close"));
        for wrong in [&["-k", "--requests-per-connection", "7"][..], &["-k", "--client-closes"]] {
            assert!(Args::try_parse_from([&["loadgen"], wrong].concat()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn time_outs_of_phases_lie_within_that_of_the_whole() {
        let all = plan(&["--timeout", "3s"]).unwrap().timeouts;
        assert_eq!(
            (all.total_ns, all.connect_ns, all.first_byte_ns),
            (3_000_000_000, 3_000_000_000, 3_000_000_000)
        );
        let some = plan(&["--connect-timeout", "1s", "--first-byte-timeout", "20ms"]).unwrap().timeouts;
        assert_eq!(
            (some.total_ns, some.connect_ns, some.first_byte_ns),
            (10_000_000_000, 1_000_000_000, 20_000_000)
        );
        assert_eq!(some.shortest_ns(), 20_000_000);
        for wrong in [["--connect-timeout", "11s"], ["--first-byte-timeout", "0s"]] {
            assert!(matches!(plan(&wrong), Err(Error::Usage(_))), "{wrong:?}");
        }
    }

    #[test]
    fn sources_are_tried_out_and_thinking_is_read() {
        assert_eq!(plan(&["--sources", "127.0.0.2-127.0.0.4"]).unwrap().sources.len(), 3);
        let error = plan(&["--sources", "192.0.2.1"]).unwrap_err().to_string();
        assert!(error.contains("--sources: 192.0.2.1 is not an address of this machine"), "{error}");
        assert_eq!(plan(&["--think", "5ms"]).unwrap().think.unwrap().mean().as_millis(), 5);
        assert_eq!(plan(&["--think", "exp(2ms)"]).unwrap().think.unwrap().mean().as_millis(), 2);
        assert!(
            Args::try_parse_from(["loadgen", "-r", "5", "--think", "1s"]).is_err(),
            "an open loop has a schedule"
        );
    }
}
