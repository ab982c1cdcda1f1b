//! Whether this machine has the descriptors and local ports that a plan needs: arithmetic over facts, done before
//! anything is sent. Only [`Facts::read`] looks at the machine.
//!
//! A connection occupies one local port of its source address for as long as it is open. After that it matters who
//! closed first: that side keeps the pair of addresses in TIME_WAIT. Where the server does (`Connection: close`), our
//! port is free at once, and Linux takes a new connection from it even while the old one is in the server's TIME_WAIT:
//! over time no port is used up. Where we do (`--client-closes`), the port is gone for 60 s; for
//! `net.ipv4.tcp_tw_reuse_delay` (1 s) where `net.ipv4.tcp_tw_reuse` permits to take it earlier, which it does by
//! default for loopback addresses, and which needs `net.ipv4.tcp_timestamps`; and never more ports than
//! `net.ipv4.tcp_max_tw_buckets` are held in this way. Checked against Linux 6.18 with 1000 ports: 999 connections
//! closed by us, then EADDRNOTAVAIL, for 1 s with reuse and for good without; 30,000 in 3 s closed by the server.

use std::fmt::Write as _;
use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that are not connections: the standard ones, epoll, output files.
pub const OTHER_DESCRIPTORS: u64 = 64;
/// How long Linux holds a connection in TIME_WAIT, in s.
const TIME_WAIT_S: f64 = 60.0;
/// Connections that one thread of a closed loop can open per second, roughly: it is not known beforehand.
const FAST_THREAD: f64 = 20_000.0;
/// Share of the ports above which finding a free one takes the kernel long.
const TIGHT_SHARE: f64 = 0.9;

/// What the machine has.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// File descriptors that the process may have.
    pub descriptors: u64,
    /// First and last local port.
    pub range: (u64, u64),
    /// How many of them are reserved (`net.ipv4.ip_local_reserved_ports`).
    pub reserved: u64,
    /// `net.ipv4.tcp_tw_reuse`: 0 never, 1 always, 2 for loopback addresses.
    pub reuse: u64,
    /// `net.ipv4.tcp_tw_reuse_delay` in ms.
    pub reuse_delay_ms: u64,
    /// `net.ipv4.tcp_timestamps`: 0 is off.
    pub timestamps: u64,
    /// `net.ipv4.tcp_max_tw_buckets`.
    pub time_wait_most: u64,
}

/// What a plan needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// Connections at once, if asked for.
    pub connections: Option<u64>,
    /// Connections at once, if not asked for and if there is room.
    pub default_connections: u64,
    /// Threads that send.
    pub threads: u64,
    /// Source addresses; 1 where the kernel chooses.
    pub sources: u64,
    /// Whether the destination or all sources are loopback addresses.
    pub loopback: bool,
    /// Whether we close first.
    pub client_closes: bool,
    /// New connections per second, in the busiest span as long as a port is held, where it is known beforehand (open loop).
    pub opened_per_s: Option<f64>,
    /// New connections in the whole run at most, where it is known.
    pub opened: Option<f64>,
    /// Length of the whole run in s, where it is known.
    pub seconds: Option<f64>,
}

/// A plan that is possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Connections at once.
    pub connections: u64,
    /// What could become tight, in sentences.
    pub warnings: Vec<String>,
}

impl Facts {
    /// Looks at this machine, and raises the soft limit of descriptors to the hard one.
    pub fn read() -> Self {
        let text = |name: &str| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
        let number = |name: &str, default: u64| text(name).trim().parse().unwrap_or(default);
        let bounds: Vec<u64> =
            text("ip_local_port_range").split_whitespace().filter_map(|bound| bound.parse().ok()).collect();
        let range = if let [low, high] = bounds[..] { (low, high) } else { (32768, 60999) };
        Self {
            descriptors: raise_descriptors(),
            range,
            reserved: reserved(&text("ip_local_reserved_ports"), range),
            reuse: number("tcp_tw_reuse", 2),
            reuse_delay_ms: number("tcp_tw_reuse_delay", 1000),
            timestamps: number("tcp_timestamps", 1),
            time_wait_most: number("tcp_max_tw_buckets", u64::MAX),
        }
    }

    /// Local ports of one source address.
    pub fn ports(&self) -> u64 {
        (self.range.1 + 1).saturating_sub(self.range.0).saturating_sub(self.reserved)
    }

    /// For how long a port is held that we closed first, in s.
    pub fn hold_s(&self, loopback: bool) -> f64 {
        let early = self.timestamps != 0 && (self.reuse == 1 || (self.reuse == 2 && loopback));
        if early { (self.reuse_delay_ms as f64 / 1e3).min(TIME_WAIT_S) } else { TIME_WAIT_S }
    }
}

/// How many of the ports in `text` (`8080,9148-9150`) lie in `range`.
fn reserved(text: &str, range: (u64, u64)) -> u64 {
    let within = |part: &str| -> Option<u64> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?);
        Some((last.min(range.1) + 1).saturating_sub(first.max(range.0)))
    };
    text.split(',').filter_map(within).sum()
}

/// Raises the soft limit of open files to the hard one and returns what holds now.
fn raise_descriptors() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft }
}

/// Works out whether `facts` are enough for `need`.
///
/// # Errors
/// What is missing, with the arithmetic and the ways out.
pub fn check(need: &Need, facts: &Facts) -> Result<Budget, String> {
    let ports = facts.ports().saturating_mul(need.sources);
    let free = facts.descriptors.saturating_sub(OTHER_DESCRIPTORS);
    let connections =
        need.connections.unwrap_or(need.default_connections.min(free).min(ports).max(need.threads).max(1));
    if connections > free {
        return Err(format!(
            "{connections} connections need {} file descriptors, but the limit is {} (raise it with ulimit -n, or \
             lower -c)",
            connections + OTHER_DESCRIPTORS,
            facts.descriptors,
        ));
    }
    if connections > ports {
        let from = supply(need, facts, ports);
        return Err(format!(
            "{connections} connections to one address need as many local ports, but {from}. Ways out: more \
             --sources, a wider range, a lower -c"
        ));
    }
    let mut warnings = Vec::new();
    if need.connections.is_some() && connections as f64 > ports as f64 * TIGHT_SHARE {
        warnings.push(format!(
            "{connections} connections leave few of the local ports: {}; others on this machine need some too",
            supply(need, facts, ports)
        ));
    }
    warnings.extend(over_time(need, facts, ports, connections)?);
    Ok(Budget { connections, warnings })
}

/// Where the ports come from: the arithmetic in words.
fn supply(need: &Need, facts: &Facts, ports: u64) -> String {
    let (low, high) = facts.range;
    let mut text = match need.sources {
        1 => String::new(),
        sources => format!("{sources} source addresses x "),
    };
    let _ = write!(text, "net.ipv4.ip_local_port_range ({low} {high}");
    if facts.reserved > 0 {
        let _ = write!(text, ", less {} reserved", facts.reserved);
    }
    let _ = write!(text, ") has {}", facts.ports());
    if need.sources > 1 {
        let _ = write!(text, ", together {ports}");
    }
    text
}

/// What happens to the ports in the course of the run.
fn over_time(need: &Need, facts: &Facts, ports: u64, connections: u64) -> Result<Option<String>, String> {
    let from = supply(need, facts, ports);
    if !need.client_closes {
        let Some(rate) = need.opened_per_s.filter(|_| !need.loopback) else { return Ok(None) };
        let opened = rate * need.seconds.unwrap_or(f64::INFINITY).min(TIME_WAIT_S);
        let most = opened.min(need.opened.unwrap_or(f64::INFINITY));
        return Ok((most > ports as f64).then(|| {
            format!(
                "{rate:.0} new connections/s x {TIME_WAIT_S} s of TIME_WAIT on the server's side = {:.0}, but {from}: \
                 ports come round again sooner. Linux servers take that; elsewhere, or behind NAT, SYNs may be \
                 dropped, which shows as retransmitted SYNs (more --sources avoid it)",
                rate * TIME_WAIT_S
            )
        }));
    }
    let hold_s = facts.hold_s(need.loopback);
    let known =
        [need.opened, Some(facts.time_wait_most as f64)].into_iter().flatten().fold(f64::INFINITY, f64::min);
    let wait_s = hold_s.min(need.seconds.unwrap_or(f64::INFINITY));
    let Some(rate) = need.opened_per_s else {
        let most_per_s = ports as f64 / hold_s;
        let could = FAST_THREAD * need.threads as f64;
        return Ok((known > ports as f64 && could * wait_s > ports as f64 && could > most_per_s).then(|| {
            format!(
                "--client-closes holds each local port for {hold_s} s after its connection (TIME_WAIT), and {from}: \
                 more than {most_per_s:.0} new connections/s run out of ports, which voids the run. Ways out: more \
                 --sources, a wider range, --requests-per-connection, or letting the server close"
            )
        }));
    };
    let held = (rate * wait_s).min(known);
    if held > ports as f64 {
        return Err(format!(
            "{rate:.0} new connections/s closed by us x {wait_s} s in TIME_WAIT hold {held:.0} local ports, but {from}. \
             Ways out: more --sources, a wider range, --requests-per-connection, or letting the server close (without \
             --client-closes)"
        ));
    }
    let tight = held + need.connections.unwrap_or(1).min(connections) as f64 > ports as f64 * TIGHT_SHARE;
    Ok(tight.then(|| {
        format!(
            "{rate:.0} new connections/s closed by us x {wait_s} s in TIME_WAIT hold {held:.0} local ports, and {from}: \
             slow answers could use up the rest"
        )
    }))
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
