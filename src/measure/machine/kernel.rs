//! The kernel's counters before and after a run, and the few that are read while it goes on.

use std::fs;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counters of the whole system: as read they count from boot, as a difference they belong to a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Kernel {
    /// Seconds that processors worked (user, system, interrupts), summed over processors.
    pub busy_s: f64,
    /// Seconds that processors were idle or waited for a disk.
    pub idle_s: f64,
    /// Seconds that the hypervisor gave to others.
    pub steal_s: f64,
    /// Context switches.
    pub context_switches: u64,
    /// Processes and threads created.
    pub forks: u64,
    /// Connections that found an accept queue full (`TcpExt: ListenOverflows`).
    pub listen_overflows: u64,
    /// Connections dropped by a listener for whatever reason (`TcpExt: ListenDrops`).
    pub listen_drops: u64,
    /// Handshakes dropped because a queue was full (`TcpExt: TCPReqQFullDrop`).
    pub request_queue_drops: u64,
    /// TCP segments sent again.
    pub retransmits: u64,
    /// TCP resets sent.
    pub resets_sent: u64,
}

impl Kernel {
    /// The counters now; those that cannot be read stay 0.
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        // The thread's own network, where it has one; /proc/net is that of the process.
        Self::parse(
            &text("/proc/stat"),
            &text("/proc/thread-self/net/netstat"),
            &text("/proc/thread-self/net/snmp"),
        )
    }

    /// From the text of /proc/stat, /proc/net/netstat and /proc/net/snmp. Times there are in ticks of 1/100 s.
    fn parse(stat: &str, netstat: &str, snmp: &str) -> Self {
        let row = |name: &str| -> Vec<u64> {
            let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect()
        };
        let cpu = row("cpu");
        let ticks = |fields: &[usize]| fields.iter().filter_map(|&i| cpu.get(i)).sum::<u64>() as f64 / 100.0;
        let one = |name: &str| row(name).first().copied().unwrap_or(0);
        Self {
            busy_s: ticks(&[0, 1, 2, 5, 6]),
            idle_s: ticks(&[3, 4]),
            steal_s: ticks(&[7]),
            context_switches: one("ctxt"),
            forks: one("processes"),
            listen_overflows: paired(netstat, "TcpExt:", "ListenOverflows"),
            listen_drops: paired(netstat, "TcpExt:", "ListenDrops"),
            request_queue_drops: paired(netstat, "TcpExt:", "TCPReqQFullDrop"),
            retransmits: paired(snmp, "Tcp:", "RetransSegs"),
            resets_sent: paired(snmp, "Tcp:", "OutRsts"),
        }
    }

    /// What happened since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            busy_s: self.busy_s - before.busy_s,
            idle_s: self.idle_s - before.idle_s,
            steal_s: self.steal_s - before.steal_s,
            context_switches: self.context_switches.saturating_sub(before.context_switches),
            forks: self.forks.saturating_sub(before.forks),
            listen_overflows: self.listen_overflows.saturating_sub(before.listen_overflows),
            listen_drops: self.listen_drops.saturating_sub(before.listen_drops),
            request_queue_drops: self.request_queue_drops.saturating_sub(before.request_queue_drops),
            retransmits: self.retransmits.saturating_sub(before.retransmits),
            resets_sent: self.resets_sent.saturating_sub(before.resets_sent),
        }
    }

    /// Share of the time that the hypervisor took away, 0 to 1.
    pub fn steal_share(self) -> f64 {
        let total = self.busy_s + self.idle_s + self.steal_s;
        if total > 0.0 { self.steal_s / total } else { 0.0 }
    }
}

/// Connections that found an accept queue full, and those that listening sockets dropped for any reason, since boot and on the
/// whole machine: cheap enough to be read while a run goes on.
pub fn listening() -> [u64; 2] {
    let netstat = fs::read_to_string("/proc/thread-self/net/netstat").unwrap_or_default();
    ["ListenOverflows", "ListenDrops"].map(|name| paired(&netstat, "TcpExt:", name))
}

/// Microseconds since boot in which some work waited for a processor (PSI); `None` where the kernel does not count it.
pub fn cpu_pressure_us() -> Option<u64> {
    pressure_us(&fs::read_to_string("/proc/pressure/cpu").ok()?)
}

fn pressure_us(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_once("total=")?.1.trim().parse().ok()
}

/// A counter from a file of line pairs, names above values.
fn paired(text: &str, prefix: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
    let found = names.split_whitespace().zip(values.split_whitespace()).find(|(n, _)| *n == name);
    found.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read_by_name() {
        let stat = "cpu  100 1 50 300 20 4 5 6 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\nctxt 77\nprocesses 12\n";
        let netstat = "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPReqQFullDrop\nTcpExt: 1 2 3 4\nIpExt: A\nIpExt: 4\n";
        let snmp = "Ip: X\nIp: 1\nTcp: RetransSegs InErrs OutRsts\nTcp: 8 0 9\n";
        let kernel = Kernel::parse(stat, netstat, snmp);
        assert_eq!((kernel.busy_s, kernel.idle_s, kernel.steal_s), (1.6, 3.2, 0.06));
        assert_eq!((kernel.context_switches, kernel.forks), (77, 12));
        assert_eq!((kernel.listen_overflows, kernel.listen_drops), (2, 3));
        assert_eq!(kernel.request_queue_drops, 4);
        assert_eq!((kernel.retransmits, kernel.resets_sent), (8, 9));
    }

    #[test]
    fn a_missing_file_reads_as_zero() {
        assert_eq!(Kernel::parse("", "", ""), Kernel::default());
    }

    #[test]
    fn pressure_is_the_total_of_some() {
        let text = "some avg10=1.45 avg60=5.85 avg300=4.58 total=32673031\nfull avg10=0.00 total=7\n";
        assert_eq!(pressure_us(text), Some(32_673_031));
        assert_eq!(pressure_us(""), None);
    }
}
