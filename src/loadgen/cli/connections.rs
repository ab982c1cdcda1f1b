//! Options: connections, threads, source addresses and timeouts.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::value_parser;
use nix::sys::socket::UnixAddr;

use super::{positive_ns, times};
use crate::dist::Distribution;
use crate::loadgen::error::Error;
use crate::loadgen::plan::{Peer, Persistence, Resolve, Target, Timeouts, resolve, sources};

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connections")]
pub struct ConnectionArgs {
    /// Connections at once: closed loop (default 16); with --rate the upper bound (default 4096)
    #[arg(short, long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub connections: Option<u64>,

    /// Threads that send
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u64).range(1..=1024))]
    pub threads: u64,

    /// Keep connections open until the server closes them; default: a new one for every request
    #[arg(short, long, conflicts_with = "requests_per_connection")]
    pub keep_alive: bool,

    /// Send N requests on each connection; the last one asks the server to close it
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub requests_per_connection: Option<u64>,

    /// Close each connection from this side after its last response instead of asking the server to; its port then
    /// stays in TIME_WAIT here
    #[arg(long, conflicts_with = "keep_alive")]
    pub client_closes: bool,

    /// Local addresses to connect from, in turn: 127.0.0.2-127.0.0.33, 127.0.1.0/24, or a list separated by commas
    #[arg(long, value_name = "ADDRESSES", value_parser = sources::parse)]
    pub sources: Option<std::vec::Vec<IpAddr>>, // one value: clap takes a plain Vec for several

    /// Use these addresses for a host and port: the first that answers, such as shop:80:127.0.0.1
    #[arg(long, value_name = "HOST:PORT:ADDRESS", value_parser = Resolve::parse)]
    pub resolve: Option<Resolve>,

    /// Connect to this Unix socket; the URL has the path and Host
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sources", "resolve"])]
    pub unix_socket: Option<PathBuf>,

    /// Closed loop: pause between a response and the next request of the same client: 10ms, or random as in exp(10ms),
    /// lognormal(10ms,1.0), bimodal(0.9,1ms,1s)
    #[arg(long, value_name = "TIME|DIST", value_parser = times, conflicts_with = "rate")]
    pub think: Option<Distribution>,

    /// Fail a request that takes longer than this; checked every twentieth of it, at most every 1ms
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_ns)]
    pub timeout: u64,

    /// Fail a request if its connection is not established within this time; default: --timeout
    #[arg(long, value_name = "TIME", value_parser = positive_ns)]
    pub connect_timeout: Option<u64>,

    /// Fail a request if no response byte arrives within this time of connecting; default: --timeout
    #[arg(long, value_name = "TIME", value_parser = positive_ns)]
    pub first_byte_timeout: Option<u64>,
}

impl ConnectionArgs {
    /// Where to connect for `target`, and from where.
    /// Errors: it cannot be resolved, or not be reached from --sources.
    pub fn peers(&self, target: &Target) -> Result<(Vec<Peer>, Vec<IpAddr>), Error> {
        if let Some(path) = &self.unix_socket {
            let wrong = |error| Error::Usage(format!("--unix-socket {}: {error}", path.display()));
            UnixAddr::new(path).map_err(wrong)?;
            return Ok((vec![Peer::Unix(path.clone())], Vec::new()));
        }
        let resolved = resolve(target, self.resolve.as_ref());
        let peers = resolved.map_err(if self.resolve.is_some() { Error::Usage } else { Error::Failed })?;
        let sources = self.sources.clone().unwrap_or_default();
        let verify = |peer: &Peer| match peer {
            Peer::Ip(address) => sources::verify(&sources, *address),
            Peer::Unix(_) => Ok(()),
        };
        let (usable, others): (Vec<_>, Vec<_>) =
            peers.into_iter().map(|peer| (verify(&peer), peer)).partition(|(verified, _)| verified.is_ok());
        match others.into_iter().next() {
            Some((Err(why), _)) if usable.is_empty() => Err(Error::Failed(format!("--sources: {why}"))),
            _ => Ok((usable.into_iter().map(|(_, peer)| peer).collect(), sources)),
        }
    }

    pub fn persistence(&self) -> Persistence {
        let requests = if self.keep_alive { u64::MAX } else { self.requests_per_connection.unwrap_or(1) };
        Persistence { requests, client_closes: self.client_closes }
    }

    /// Errors: a phase may not take longer than the whole request.
    pub fn timeouts(&self) -> Result<Timeouts, &'static str> {
        let total_ns = self.timeout;
        let connect_ns = self.connect_timeout.unwrap_or(total_ns);
        let first_byte_ns = self.first_byte_timeout.unwrap_or(total_ns);
        if connect_ns > total_ns {
            return Err("--connect-timeout must not be longer than --timeout");
        }
        if first_byte_ns > total_ns {
            return Err("--first-byte-timeout must not be longer than --timeout");
        }
        Ok(Timeouts { total_ns, connect_ns, first_byte_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_time_or_a_distribution() {
        for (text, same) in
            [("10ms", "const(10ms)"), ("exp(1ms)", "exp(1ms)"), ("0s", "const(0s)"), ("2", "const(2s)")]
        {
            assert_eq!(times(text).unwrap(), same.parse().unwrap(), "{text}");
        }
        for text in ["", "-1", "fast", "exp(1)", "exp 1ms"] {
            assert!(times(text).is_err(), "{text}");
        }
    }
}
