//! Options: how many connections and threads send, where they come from, and how long each is used and waited for.

use std::net::IpAddr;

use super::duration::duration_ns;
use crate::dist::{Distribution, parse_duration};
use crate::loadgen::plan::connections::{Persistence, Timeouts};
use crate::loadgen::plan::sources;

/// Local addresses, as one value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources(pub Vec<IpAddr>);

/// Who sends.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connections")]
pub struct ConnectionArgs {
    /// Connections at once: closed loop (default 16); with --rate the upper bound (default 4096)
    #[arg(short, long, value_name = "N")]
    pub connections: Option<usize>,

    /// Threads that send
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub threads: usize,

    /// Keep connections for as long as the server does; default: a new one for every request
    #[arg(short, long, conflicts_with = "requests_per_connection")]
    pub keep_alive: bool,

    /// Keep each connection for N requests; the last one asks the server to close it
    #[arg(long, value_name = "N")]
    pub requests_per_connection: Option<u64>,

    /// Close a connection from this side when its last response is there, instead of asking the server to; ports then
    /// rest in TIME_WAIT here
    #[arg(long, conflicts_with = "keep_alive")]
    pub client_closes: bool,

    /// Local addresses to connect from, in turn: 127.0.0.2-127.0.0.33, 127.0.1.0/24, or a list with commas
    #[arg(long, value_name = "ADDRESSES", value_parser = |text: &str| sources::parse(text).map(Sources))]
    pub sources: Option<Sources>,

    /// Closed loop: pause between a response and the next request of the same client: 10ms, or random as in exp(10ms),
    /// lognormal(10ms,1.0), bimodal(0.9,1ms,1s)
    #[arg(long, value_name = "TIME|DIST", value_parser = think, conflicts_with = "rate")]
    pub think: Option<Distribution>,

    /// A request that takes longer than this has failed. It is noticed within a twentieth of it, or 1ms
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration_ns)]
    pub timeout: u64,

    /// A request has failed whose connection does not stand after this; default: --timeout
    #[arg(long, value_name = "TIME", value_parser = duration_ns)]
    pub connect_timeout: Option<u64>,

    /// A request has failed of whose response nothing has come this long after its connection stood; default: --timeout
    #[arg(long, value_name = "TIME", value_parser = duration_ns)]
    pub first_byte_timeout: Option<u64>,
}

impl ConnectionArgs {
    /// Whether the numbers make sense, together too.
    ///
    /// # Errors
    /// Which one does not.
    pub fn check(&self) -> Result<(), &'static str> {
        let Timeouts { total_ns, connect_ns, first_byte_ns } = self.timeouts();
        match self {
            Self { connections: Some(0), .. } => Err("--connections must be at least 1"),
            Self { threads: 0 | 1025.., .. } => Err("--threads must be from 1 to 1024"),
            Self { requests_per_connection: Some(0), .. } => {
                Err("--requests-per-connection must be at least 1")
            }
            _ if total_ns == 0 => Err("--timeout must be above 0"),
            _ if connect_ns == 0 => Err("--connect-timeout must be above 0"),
            _ if first_byte_ns == 0 => Err("--first-byte-timeout must be above 0"),
            _ if connect_ns > total_ns => Err("--connect-timeout must not be longer than --timeout"),
            _ if first_byte_ns > total_ns => Err("--first-byte-timeout must not be longer than --timeout"),
            _ => Ok(()),
        }
    }

    /// How long a connection is used.
    pub fn persistence(&self) -> Persistence {
        let requests = if self.keep_alive { u64::MAX } else { self.requests_per_connection.unwrap_or(1) };
        Persistence { requests, client_closes: self.client_closes }
    }

    /// The longest times that are waited.
    pub fn timeouts(&self) -> Timeouts {
        Timeouts {
            total_ns: self.timeout,
            connect_ns: self.connect_timeout.unwrap_or(self.timeout),
            first_byte_ns: self.first_byte_timeout.unwrap_or(self.timeout),
        }
    }
}

/// A time, or a distribution of times.
fn think(text: &str) -> Result<Distribution, String> {
    match parse_duration(text) {
        Ok(time) => Ok(Distribution::Constant(time)),
        Err(_) if text.contains('(') => text.parse(),
        Err(why) => Err(format!("{why}, or as a distribution: exp(10ms)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_time_or_a_distribution() {
        for (text, same) in [("10ms", "const(10ms)"), ("exp(1ms)", "exp(1ms)"), ("0s", "const(0s)")] {
            assert_eq!(think(text).unwrap(), same.parse().unwrap(), "{text}");
        }
        for text in ["", "10", "fast", "exp(1)", "exp 1ms"] {
            assert!(think(text).is_err(), "{text}");
        }
    }
}
