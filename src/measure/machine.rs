//! The machine: what it is, and the kernel's counters before and after a run.
//!
//! Reads /proc and /sys and asks git; a fact that cannot be had is absent, never guessed. It judges nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// Settings of the kernel that bear on accepting connections.
const SYSCTLS: [&str; 12] = [
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_migrate_req",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_congestion_control",
    "kernel.sched_autogroup_enabled",
    "kernel.randomize_va_space",
];

/// What a machine is and which programs were measured on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `uname -sr`.
    pub kernel: String,
    /// `uname -m`.
    pub architecture: String,
    /// Model name of the first processor.
    pub cpu: String,
    /// Processors on-line.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Whether the processor says that a hypervisor is above it; absent where it does not say.
    pub virtualised: Option<bool>,
    /// Governor of the first processor.
    pub governor: Option<String>,
    /// Settings of the kernel.
    pub sysctls: BTreeMap<String, String>,
    /// Version of the programs.
    pub version: String,
    /// `release`, or `debug` when built with debug assertions.
    pub profile: String,
    /// The checkout that the programs were built in.
    pub git: Option<Git>,
}

/// State of a checkout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// Abbreviated commit.
    pub commit: String,
    /// Whether tracked files differ from it.
    pub dirty: bool,
}

impl Facts {
    /// The facts now. `programs` is the directory of the programs that are measured: when it lies in a git checkout,
    /// that is where they come from.
    pub fn collect(programs: &Path) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            cpuinfo
                .lines()
                .find(|line| line.starts_with(name))
                .and_then(|line| line.split_once(':'))
                .map(|l| l.1.trim())
        };
        let system = nix::sys::utsname::uname().ok();
        let named = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        Self {
            kernel: format!(
                "{} {}",
                named(system.as_ref().map(|s| s.sysname())),
                named(system.as_ref().map(|s| s.release()))
            ),
            architecture: named(system.as_ref().map(|s| s.machine())),
            cpu: field("model name").unwrap_or("unknown").into(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_mib(),
            virtualised: field("flags").map(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            governor: read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            sysctls: SYSCTLS.iter().filter_map(|name| Some(((*name).into(), sysctl(name)?))).collect(),
            version: env!("CARGO_PKG_VERSION").into(),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
            git: Git::of(programs),
        }
    }
}

impl Git {
    fn of(directory: &Path) -> Option<Self> {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").arg("-C").arg(directory).args(arguments).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
        Some(Self { commit, dirty: !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() })
    }
}

fn read_line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn sysctl(name: &str) -> Option<String> {
    read_line(&format!("/proc/sys/{}", name.replace('.', "/")))
}

fn memory_mib() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Counters of the whole system: as read they count from boot, as a difference they belong to a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// TCP segments sent again.
    pub retransmits: u64,
    /// TCP resets sent.
    pub resets_sent: u64,
}

impl Kernel {
    /// The counters now; those that cannot be read stay 0.
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self::parse(&text("/proc/stat"), &text("/proc/net/netstat"), &text("/proc/net/snmp"))
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
        let netstat =
            "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 2 3\nIpExt: A\nIpExt: 4\n";
        let snmp = "Ip: X\nIp: 1\nTcp: RetransSegs InErrs OutRsts\nTcp: 8 0 9\n";
        let kernel = Kernel::parse(stat, netstat, snmp);
        assert_eq!((kernel.busy_s, kernel.idle_s, kernel.steal_s), (1.6, 3.2, 0.06));
        assert_eq!((kernel.context_switches, kernel.forks), (77, 12));
        assert_eq!((kernel.listen_overflows, kernel.listen_drops), (2, 3));
        assert_eq!((kernel.retransmits, kernel.resets_sent), (8, 9));
    }

    #[test]
    fn a_missing_file_reads_as_zero_and_this_machine_has_facts() {
        assert_eq!(Kernel::parse("", "", ""), Kernel::default());
        let facts = Facts::collect(Path::new("/nonexistent"));
        assert!(facts.kernel.starts_with("Linux ") && facts.cores > 0 && facts.git.is_none());
        assert!(facts.sysctls.contains_key("net.core.somaxconn"));
    }
}
