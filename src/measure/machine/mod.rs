//! The machine: what it is, and in `kernel` what its kernel counts.
//!
//! Reads /proc and /sys and asks git; a fact that cannot be had is absent, never guessed. It judges nothing.

mod kernel;
mod limits;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::utsname::{UtsName, uname};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::kernel::{Kernel, cpu_pressure_us, listening};
pub use self::limits::Limits;

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Whether processors are threads that share a core.
    pub smt: Option<bool>,
    /// Whether the processor may go above its nominal frequency.
    pub turbo: Option<bool>,
    /// What the kernel does about flaws of the processor, by flaw; those that it does not have are left out.
    pub mitigations: BTreeMap<String, String>,
    /// The container that all this runs in, as far as it shows.
    pub container: Option<String>,
    /// What the process may use.
    pub limits: Limits,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
            let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim())
        };
        let system = uname().ok();
        let named = |part: fn(&UtsName) -> &OsStr| {
            system.as_ref().map(part).unwrap_or_default().to_string_lossy().into_owned()
        };
        Self {
            kernel: format!("{} {}", named(UtsName::sysname), named(UtsName::release)),
            architecture: named(UtsName::machine),
            cpu: field("model name").unwrap_or("unknown").into(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_mib(),
            virtualised: field("flags").map(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            governor: read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            smt: read_line("/sys/devices/system/cpu/smt/active").map(|active| active == "1"),
            turbo: turbo(),
            mitigations: mitigations(),
            container: container(),
            limits: Limits::read(),
            sysctls: SYSCTLS.iter().filter_map(|name| Some(((*name).into(), sysctl(name)?))).collect(),
            version: env!("CARGO_PKG_VERSION").into(),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
            git: Git::of(programs),
        }
    }

    /// A hash over everything that the figures of a machine depend on, but not the programs: equal on the same machine with
    /// the same settings.
    pub fn fingerprint(&self) -> String {
        let machine = Self { version: String::new(), profile: String::new(), git: None, ..self.clone() };
        fingerprint(&serde_json::to_vec(&machine).unwrap_or_default())
    }
}

/// FNV-1a in 64 bits, as 16 hexadecimal digits: to tell things apart, not to protect them.
pub fn fingerprint(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
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

/// Two drivers say it, each in its own way.
fn turbo() -> Option<bool> {
    let intel = read_line("/sys/devices/system/cpu/intel_pstate/no_turbo").map(|no| no == "0");
    intel.or_else(|| read_line("/sys/devices/system/cpu/cpufreq/boost").map(|boost| boost == "1"))
}

fn mitigations() -> BTreeMap<String, String> {
    let folder = fs::read_dir("/sys/devices/system/cpu/vulnerabilities");
    let files = folder.into_iter().flatten().flatten();
    let all = files.filter_map(|file| {
        let state = read_line(&file.path().to_string_lossy())?;
        Some((file.file_name().into_string().ok()?, state))
    });
    all.filter(|(_, state)| state != "Not affected").collect()
}

/// Containers leave traces: files at the root, or a variable for the first process.
fn container() -> Option<String> {
    let traces = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];
    let trace = traces.iter().find(|(path, _)| Path::new(path).exists());
    trace.map(|(_, name)| (*name).to_owned()).or_else(|| {
        let environment = fs::read("/proc/1/environ").ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        let value = variables.find_map(|variable| variable.strip_prefix(b"container="))?;
        Some(String::from_utf8_lossy(value).into_owned())
    })
}

fn memory_mib() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_facts() {
        let facts = Facts::collect(Path::new("/nonexistent"));
        assert!(facts.kernel.starts_with("Linux ") && facts.cores > 0 && facts.git.is_none());
        assert!(facts.sysctls.contains_key("net.core.somaxconn"));
        assert!(facts.mitigations.values().all(|state| state != "Not affected"));
    }

    #[test]
    fn the_fingerprint_is_the_machines_not_the_programs() {
        let facts = Facts { cpu: "a".into(), ..Facts::default() };
        let git = Some(Git { commit: "c".into(), dirty: true });
        assert_eq!(facts.fingerprint(), Facts { git, version: "2".into(), ..facts.clone() }.fingerprint());
        assert_ne!(facts.fingerprint(), Facts { cores: 2, ..facts.clone() }.fingerprint());
        // A published value of FNV-1a.
        assert_eq!(fingerprint(b"foobar"), "85944171f73967e8");
    }
}
