//! Whether this machine has the descriptors and local ports that a plan needs: arithmetic, done before anything is
//! sent. Only [`Facts::read`] looks at the machine.
//!
//! An open connection occupies one local port of its source address. After that, the side that closed first keeps the
//! pair of addresses in TIME_WAIT. If the server closes (`Connection: close`), the local port is free at once, and Linux
//! accepts a new connection from it even while the old one is in the server's TIME_WAIT: no port is used up over time.
//! If the client closes (`--client-closes`), the port is blocked for 60 s, or for `net.ipv4.tcp_tw_reuse_delay` (1 s) if
//! `net.ipv4.tcp_tw_reuse` permits reuse, which is the default for loopback addresses and needs
//! `net.ipv4.tcp_timestamps`. At most `net.ipv4.tcp_max_tw_buckets` ports are blocked this way. Checked on Linux 6.18 with
//! 1000 ports: 999 connections closed by the client, then EADDRNOTAVAIL, for 1 s with reuse and for 60 s without; 30,000
//! in 3 s closed by the server.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that are not connections: standard streams, epoll, output files.
pub const OTHER_DESCRIPTORS: u64 = 64;
/// TIME_WAIT of Linux, in s.
const TIME_WAIT_S: f64 = 60.0;
/// Rough number of connections that one thread of a closed loop can open per second.
const FAST_THREAD: f64 = 20_000.0;
/// Share of the ports in use above which the kernel is slow to find a free one.
const TIGHT_SHARE: f64 = 0.9;

#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub descriptors: u64,
    /// First and last local port.
    pub range: (u64, u64),
    /// Reserved ports within it (`net.ipv4.ip_local_reserved_ports`).
    pub reserved: u64,
    /// `net.ipv4.tcp_tw_reuse`: 0 never, 1 always, 2 for loopback addresses.
    pub reuse: u64,
    /// `net.ipv4.tcp_tw_reuse_delay` in ms.
    pub reuse_delay_ms: u64,
    /// `net.ipv4.tcp_timestamps`: 0 is off.
    pub timestamps: u64,
    pub time_wait_most: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// Connections at once, if given.
    pub connections: Option<u64>,
    /// Connections at once unless given, as far as there is room.
    pub default_connections: u64,
    pub threads: u64,
    /// Source addresses; 1 if the kernel chooses.
    pub sources: u64,
    /// Whether the destination or all sources are loopback addresses.
    pub loopback: bool,
    /// Connections need no local ports: the destination is a Unix socket.
    pub portless: bool,
    pub client_closes: bool,
    /// New connections per second in the busiest span that is as long as a port is blocked; known in an open loop.
    pub opened_per_s: Option<f64>,
    /// Limit of new connections in the whole run, if known.
    pub opened: Option<f64>,
    /// Length of the whole run in s, if known.
    pub seconds: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    pub connections: u64,
    /// Resources that could run short, one sentence each.
    pub warnings: Vec<String>,
}

impl Facts {
    /// Reads the limits, and raises the soft limit of descriptors to the hard one.
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

    /// How long a port is blocked after the client closed, in s.
    pub fn hold_s(&self, loopback: bool) -> f64 {
        let early = self.timestamps != 0 && (self.reuse == 1 || (self.reuse == 2 && loopback));
        if early { (self.reuse_delay_ms as f64 / 1e3).min(TIME_WAIT_S) } else { TIME_WAIT_S }
    }
}

/// The number of ports in `text` (`8080,9148-9150`) within `range`.
fn reserved(text: &str, range: (u64, u64)) -> u64 {
    let within = |part: &str| -> Option<u64> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?);
        Some((last.min(range.1) + 1).saturating_sub(first.max(range.0)))
    };
    text.split(',').filter_map(within).sum()
}

/// Raises the soft limit of open files to the hard one; returns the limit.
fn raise_descriptors() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft }
}

/// Checks `need` against `facts`.
/// Errors: what is missing, with the arithmetic and remedies.
pub fn check(need: &Need, facts: &Facts) -> Result<Budget, String> {
    let ports = if need.portless { u64::MAX } else { facts.ports().saturating_mul(need.sources) };
    let free = facts.descriptors.saturating_sub(OTHER_DESCRIPTORS);
    let connections =
        need.connections.unwrap_or(need.default_connections.min(free).min(ports).max(need.threads).max(1));
    let supply = supply(need, facts, ports);
    if connections > free {
        return Err(format!(
            "{connections} connections need {} file descriptors, but the limit is {} (raise it with ulimit -n, or \
             lower -c)",
            connections + OTHER_DESCRIPTORS,
            facts.descriptors,
        ));
    }
    if connections > ports {
        return Err(format!(
            "{connections} connections to one address need as many local ports, but {supply}. Ways out: more \
             --sources, a wider range, a lower -c"
        ));
    }
    let is_tight = need.connections.is_some() && connections as f64 > ports as f64 * TIGHT_SHARE;
    let tight = is_tight.then(|| {
        format!(
            "{connections} connections leave few of the local ports: {supply}; other programs need some too"
        )
    });
    let over_time = over_time(need, facts, ports, connections)?;
    Ok(Budget { connections, warnings: tight.into_iter().chain(over_time).collect() })
}

/// The number of ports and its origin in words.
fn supply(need: &Need, facts: &Facts, ports: u64) -> String {
    let (low, high) = facts.range;
    let less = if facts.reserved > 0 { format!(", less {} reserved", facts.reserved) } else { String::new() };
    let one = format!("net.ipv4.ip_local_port_range ({low} {high}{less}) has {}", facts.ports());
    match need.sources {
        1 => one,
        sources => format!("{sources} source addresses x {one}, together {ports}"),
    }
}

fn over_time(need: &Need, facts: &Facts, ports: u64, connections: u64) -> Result<Option<String>, String> {
    let supply = supply(need, facts, ports);
    let (ports, seconds) = (ports as f64, need.seconds.unwrap_or(f64::INFINITY));
    let opened = need.opened.unwrap_or(f64::INFINITY);
    if !need.client_closes {
        let rate = need
            .opened_per_s
            .filter(|rate| !need.loopback && (rate * seconds.min(TIME_WAIT_S)).min(opened) > ports);
        return Ok(rate.map(|rate| {
            format!(
                "{rate:.0} new connections/s x {TIME_WAIT_S} s of TIME_WAIT on the server's side = {:.0}, but {supply}: \
                 ports are reused sooner. Linux servers accept that; elsewhere, or behind NAT, SYNs may be dropped, \
                 which shows as retransmitted SYNs (more --sources avoid it)",
                rate * TIME_WAIT_S
            )
        }));
    }
    let hold_s = facts.hold_s(need.loopback);
    let (known, wait_s) = (opened.min(facts.time_wait_most as f64), hold_s.min(seconds));
    let Some(rate) = need.opened_per_s else {
        let (most_per_s, could) = (ports / hold_s, FAST_THREAD * need.threads as f64);
        return Ok((known > ports && could * wait_s > ports && could > most_per_s).then(|| {
            format!(
                "--client-closes blocks each local port for {hold_s} s after its connection (TIME_WAIT), and {supply}: \
                 more than {most_per_s:.0} new connections/s run out of ports, and the run is INVALID. Ways out: more \
                 --sources, a wider range, --requests-per-connection, or letting the server close"
            )
        }));
    };
    let held = (rate * wait_s).min(known);
    let holds = format!(
        "{rate:.0} new connections/s closed by the client x {wait_s} s in TIME_WAIT hold {held:.0} local ports"
    );
    if held > ports {
        return Err(format!(
            "{holds}, but {supply}. Ways out: more --sources, a wider range, --requests-per-connection, or letting the \
             server close (without --client-closes)"
        ));
    }
    let tight = held + need.connections.unwrap_or(1).min(connections) as f64 > ports * TIGHT_SHARE;
    Ok(tight.then(|| format!("{holds}, and {supply}: slow responses could use up the rest")))
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
