//! Whether an experiment can be run here, checked before the first run, with the arithmetic.
//!
//! An impossible experiment is refused; what is left out (a server that is not installed) is printed as a
//! note. The arithmetic is in `needs`.

mod length;
mod needs;

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use procfs::{Current as _, Meminfo};

use self::needs::Machine;
use super::options::Means;
use super::runner::{Runner, Tried, network};
use super::server::local_ports;
use crate::lab::error::{Error, Result};
use crate::lab::spec::plan::{self, Cell};
use crate::lab::spec::{Spec, Sysctl, peers, words};
use crate::lab::terminal::minutes;
use crate::sys::stdio::remark;
use crate::sys::tether;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub subject: &'static str,
    /// The arithmetic, or the problem and the way out.
    pub text: String,
    pub severity: Severity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Fine,
    /// Something is left out, or may go wrong.
    Note,
    Refused,
}

impl Finding {
    fn new(subject: &'static str, severity: Severity, text: impl Into<String>) -> Self {
        Self { subject, text: text.into(), severity }
    }

    fn fine(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(subject, Severity::Fine, text)
    }

    fn note(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(subject, Severity::Note, text)
    }

    fn refused(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(subject, Severity::Refused, text)
    }

    /// Refuses with the way out if it is not fine.
    fn demand(subject: &'static str, fine: bool, text: String, way_out: &str) -> Self {
        if fine { Self::fine(subject, text) } else { Self::refused(subject, text + way_out) }
    }

    pub fn refuses(&self) -> bool {
        self.severity == Severity::Refused
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Fine => "fine",
            Severity::Note => "note",
            Severity::Refused => "refused",
        };
        write!(f, "{severity:8} {:12} {}", self.subject, self.text)
    }
}

pub fn effort(spec: &Spec) -> String {
    let (cells, runs) = (plan::cells(spec).len(), plan::count(spec));
    format!(
        "{runs} runs ({cells} cells x {} loads x {} rounds), about {}",
        spec.load.len(),
        spec.rounds,
        minutes(plan::seconds(spec))
    )
}

/// All findings. `target` is the parent of the results folder.
pub fn findings(spec: &Spec, runner: &Runner, target: &Path, wanted: &Means) -> Result<Vec<Finding>> {
    let machine = machine();
    let mut found = vec![needs::time(spec, wanted.max_time)];
    found.extend(length::findings(spec, machine.processors, wanted.allow_short));
    found.push(needs::jobs(spec));
    found.extend(needs::calm(spec));
    found.extend(needs::ports(spec, &machine));
    found.extend(needs::descriptors(spec, &machine));
    found.extend(needs::backlog(spec, &machine));
    found.extend(needs::processors(spec, &machine));
    found.extend(needs::preemption(spec, tether::may_preempt()));
    found.extend(addresses(spec));
    found.extend(networks(spec));
    found.extend(installed(spec));
    let (strategies, worker_bytes) = strategies(spec, runner)?;
    found.extend(strategies);
    if !found.iter().any(Finding::refuses) {
        found.extend(loads(spec, runner)?);
    }
    found.push(needs::memory(spec, &machine, worker_bytes));
    found.extend(folder(spec, target));
    Ok(found)
}

/// Prints the notes; fails if a finding refuses the experiment.
pub fn refuse(findings: &[Finding]) -> Result<()> {
    for note in findings.iter().filter(|finding| finding.severity == Severity::Note) {
        remark(format_args!("{}: {}", note.subject, note.text));
    }
    let refused: Vec<&Finding> = findings.iter().filter(|finding| finding.refuses()).collect();
    match refused.as_slice() {
        [] => Ok(()),
        [one] => Err(Error::Failed(one.text.clone())),
        several => {
            let texts: Vec<_> = several.iter().map(|finding| format!("\n  {}", finding.text)).collect();
            Err(Error::Failed(format!("this experiment cannot be run here:{}", texts.concat())))
        }
    }
}

fn machine() -> Machine {
    let backlog = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    Machine {
        ports: local_ports(),
        descriptors: getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard),
        somaxconn: backlog.trim().parse().unwrap_or(4096),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: Meminfo::current().ok().and_then(|memory| memory.mem_available),
    }
}

/// Whether connections can come from these addresses.
fn addresses(spec: &Spec) -> Option<Finding> {
    let unavailable = |address: &Ipv4Addr| TcpListener::bind((*address, 0)).is_err();
    let ends = spec.factors.sources.iter().flatten().flat_map(|sources| [sources.first, sources.last]);
    let address = ends.into_iter().find(unavailable)?;
    let text = format!(
        "no connection can come from {address}: it is not an address of this machine (ip address add)"
    );
    Some(Finding::refused("sources", text))
}

/// Whether network settings can be made in a network namespace.
fn networks(spec: &Spec) -> Vec<Finding> {
    let one = |setting: &Sysctl| match network(setting) {
        Ok(_) => Finding::fine("network", format!("{setting} can be set, in a network of its own")),
        Err(why) => Finding::note("network", format!("{why}: its runs are skipped")),
    };
    spec.factors.sysctl.iter().flatten().map(one).collect()
}

/// Servers that are not installed: their columns are skipped.
fn installed(spec: &Spec) -> Vec<Finding> {
    let names = spec.factors.peers.iter().map(String::as_str);
    let known = peers::versions(names).into_iter();
    let known = known.map(|(server, version)| (server, version != peers::NOT_INSTALLED));
    let commands = spec.peer.iter().map(|(name, peer)| {
        let program = words(&peer.command).ok().and_then(|words| words.into_iter().next());
        let here = program.is_some_and(|program| peers::installed(&[&program]).is_some());
        (format!("command:{name}"), here)
    });
    let say = |(server, here): (String, bool)| match here {
        true => Finding::fine("peers", format!("{server} is installed")),
        false => Finding::note("peers", format!("{server} is not installed: its runs are skipped")),
    };
    known.chain(commands).map(say).collect()
}

/// Starts a server of each strategy and each kind of work for a moment. Also returns the memory of a worker.
fn strategies(spec: &Spec, runner: &Runner) -> Result<(Vec<Finding>, Option<u64>)> {
    let cells: Vec<Cell> =
        plan::cells(spec).into_iter().filter(|cell| cell.peer.is_none() && !cell.twin).collect();
    let mut tried: Vec<&Cell> = Vec::new();
    for cell in &cells {
        let new_listener = tried.iter().all(|one| one.listener != cell.listener);
        let new_work = tried.iter().all(|one| one.levels.respond != cell.levels.respond);
        if new_listener || new_work {
            tried.push(cell);
        }
    }
    let (mut found, mut bytes) = (Vec::new(), None);
    for cell in tried {
        let what = format!("{} with --respond {}", cell.listener, cell.levels.respond);
        let is_baseline = cell.listener == spec.baseline;
        let (severity, text) = match runner.try_start(cell)? {
            Tried::Serves { worker_bytes } => {
                bytes = bytes.max(worker_bytes);
                (Severity::Fine, format!("{what} starts"))
            }
            Tried::Unknown(why) => (Severity::Refused, format!("{what}: {why}")),
            Tried::Unavailable(why) if is_baseline => {
                (Severity::Refused, format!("{what} is unavailable here, and it is the baseline: {why}"))
            }
            Tried::Unavailable(why) => {
                let text = format!("{what} is unavailable here, so its runs are skipped: {why}");
                runner.skip(&cell.listener, why);
                (Severity::Note, text)
            }
            Tried::Fails(why) => {
                let only = if is_baseline { ", and it is the baseline" } else { "" };
                (Severity::Note, format!("{what} does not start, so its runs will be void{only}: {why}"))
            }
        };
        found.push(Finding::new("strategies", severity, text));
    }
    Ok((found, bytes))
}

/// Sends each load to the baseline for a moment, under each kind of work.
fn loads(spec: &Spec, runner: &Runner) -> Result<Vec<Finding>> {
    let is_ours = |cell: &Cell| cell.peer.is_none() && cell.listener == spec.baseline && !cell.twin;
    let mut cells: Vec<Cell> = plan::cells(spec).into_iter().filter(is_ours).collect();
    cells.iter_mut().for_each(|cell| cell.levels.fault = None);
    cells.dedup_by(|a, b| a.levels.respond == b.levels.respond);
    let mut found = Vec::new();
    for (cell, load) in cells.iter().flat_map(|cell| spec.load.iter().map(move |load| (cell, load))) {
        let what = format!("`{}` with --respond {}", load.name, cell.levels.respond);
        found.push(match runner.rehearse(cell, load)? {
            None => Finding::fine("load", format!("{what} is answered")),
            Some(why) => Finding::refused("load", format!("{what}: all runs would be void: {why}")),
        });
    }
    Ok(found)
}

/// Whether the results can be written, and fit.
fn folder(spec: &Spec, target: &Path) -> Vec<Finding> {
    let there = target.ancestors().find(|folder| folder.exists() || folder.as_os_str().is_empty());
    let there = there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let refuse = |why: String| {
        let error = Error::file("make the results folder", target, why);
        vec![Finding::refused("results", error.to_string())]
    };
    if !there.is_dir() {
        return refuse(format!("{} is not a folder (--results DIR)", there.display()));
    }
    if let Err(why) = access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
        return refuse(format!("{}: {} (--results DIR)", there.display(), why.desc()));
    }
    let free = statvfs(there).map(|about| about.blocks_available() * about.fragment_size());
    vec![needs::disk(spec, free.ok(), there)]
}
