//! What the command line means: a run that is known to be possible, or the reason why it is not. It sends nothing.

use std::net::{SocketAddr, ToSocketAddrs as _};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::cli::connections::ConnectionArgs;
use super::cli::output::OutputArgs;
use super::cli::{Args, DEFAULT_URL};
use super::error::Error;
use super::pacer::Schedule;
use super::target::{Target, is_token, parse_header, request_bytes};
use super::timing::{Part, Timing};

/// Connections of a closed loop, if not given.
const CLOSED_CONNECTIONS: usize = 16;
/// Upper bound of the connections of an open loop, if not given.
const OPEN_CONNECTIONS: usize = 4096;
/// Descriptors that are not connections: the standard ones, epoll, output files.
const OTHER_DESCRIPTORS: usize = 64;
/// Shortest interval, in ns: at each end of one the threads hand over what they counted.
const MIN_INTERVAL_NS: u64 = 100_000_000;

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
    /// The bytes of each request.
    pub request: Vec<u8>,
    /// Whether the method is HEAD, whose responses have no body.
    pub head_request: bool,
    /// When requests start.
    pub load: Load,
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
    /// Time after which a request has failed, in ns.
    pub timeout_ns: u64,
    /// Seed of the schedule.
    pub seed: u64,
    /// Which part of the whole load this process is.
    pub part: Part,
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
            return Err(Error::Usage(format!("{method:?} is no HTTP method")));
        }
        let headers =
            args.request.headers.iter().map(|text| parse_header(text)).collect::<Result<Vec<_>, _>>();
        let headers = headers.map_err(|why| Error::Usage(format!("-H: {why}")))?;
        check_numbers(&args.connections, &args.output)?;
        let timing = Timing::new(&args.schedule)?;
        let connections = connections(args.connections.connections, &timing.load)?;
        Ok(Self {
            address: resolve(&target)?,
            request: request_bytes(&target, &method, &headers, &body.unwrap_or_default()),
            head_request: method == "HEAD",
            target,
            load: timing.load,
            connections,
            threads: args.connections.threads.min(connections),
            duration_ns: timing.duration_ns,
            warmup_ns: timing.warmup_ns,
            requests: timing.requests,
            timeout_ns: args.connections.timeout,
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
    let wrong = |text: &str| Err(Error::Usage(text.into()));
    match connections {
        ConnectionArgs { connections: Some(0), .. } => wrong("--connections must be at least 1"),
        ConnectionArgs { threads: 0 | 1025.., .. } => wrong("--threads must be from 1 to 1024"),
        ConnectionArgs { timeout: 0, .. } => wrong("--timeout must be above 0"),
        _ if output.interval < MIN_INTERVAL_NS => wrong("--interval must be at least 100ms"),
        _ => Ok(()),
    }
}

fn body(args: &Args) -> Result<Option<Vec<u8>>, Error> {
    let Some(path) = &args.request.body_file else {
        return Ok(args.request.body.clone().map(String::into_bytes));
    };
    let failed = |error| Error::Failed(format!("cannot read the body from {}: {error}", path.display()));
    std::fs::read(path).map(Some).map_err(failed)
}

fn resolve(target: &Target) -> Result<SocketAddr, Error> {
    let (host, port) = (target.host.as_str(), target.port);
    let failed = |why: String| Error::Failed(format!("cannot resolve the host {host:?}: {why}"));
    let mut addresses = (host, port).to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    addresses.next().ok_or_else(|| failed("it has no address".into()))
}

/// Checks the two budgets that bound connections at once. Over time ports do not run out: a response is read to
/// the end of its connection, so that the server closes first and TIME_WAIT lies on its side, not on our ports.
fn connections(asked: Option<usize>, load: &Load) -> Result<usize, Error> {
    let descriptors = raise_descriptors().saturating_sub(OTHER_DESCRIPTORS);
    let (ports, range) = local_ports();
    let default = match load {
        Load::Closed => CLOSED_CONNECTIONS,
        Load::Open(_) => OPEN_CONNECTIONS,
    };
    let connections = asked.unwrap_or(default.min(descriptors).min(ports).max(1));
    if connections > descriptors {
        return Err(Error::Failed(format!(
            "{connections} connections need {} file descriptors, but the limit is {} (raise it with ulimit -n, or \
             lower -c)",
            connections + OTHER_DESCRIPTORS,
            descriptors + OTHER_DESCRIPTORS,
        )));
    }
    if connections > ports {
        return Err(Error::Failed(format!(
            "{connections} connections to one address need as many local ports, but net.ipv4.ip_local_port_range \
             ({range}) has {ports} (widen it, or lower -c)"
        )));
    }
    Ok(connections)
}

/// Raises the soft limit of open files to the hard one and returns what holds now.
fn raise_descriptors() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    usize::try_from(if raised { hard } else { soft }).unwrap_or(usize::MAX)
}

/// How many local ports there are, and the range as the kernel writes it. Without that file: the kernel's default.
fn local_ports() -> (usize, String) {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let bounds: Vec<usize> = text.split_whitespace().filter_map(|bound| bound.parse().ok()).collect();
    let (low, high) = if let [low, high] = bounds[..] { (low, high) } else { (32768, 60999) };
    ((high + 1).saturating_sub(low), format!("{low} {high}"))
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
    fn a_plan_beyond_the_local_ports_is_refused_with_the_arithmetic() {
        let (ports, _) = local_ports();
        let error = connections(Some(1_000_000), &Load::Closed).unwrap_err().to_string();
        assert!(error.contains("1000064 file descriptors") || error.contains(&ports.to_string()), "{error}");
    }
}
